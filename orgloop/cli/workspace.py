"""``orgloop workspace``: the workspaces of a project, and which of them commands mean if none is named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from orgloop.cli.context import DEFAULT_WORKSPACE, SELECTED, Context, pass_context
from orgloop.cli.errors import CommandFailed

FOLDER = "workspaces"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def workspace() -> None:
    """List the workspaces of a project, or select one."""


@workspace.command(name="list")
@pass_context
def list_(context: Context) -> None:
    """List the workspaces; the one in force has a star."""
    project = context.project_file.parent
    names, active = workspaces_of(project), context.workspace
    for name in names:
        context.out.say(f"{'*' if name == active else ' '} {name}")
    if active not in names:
        context.out.warn(
            f'workspace "{active}" is selected, and there is no {FOLDER}/{active}.yaml',
            next="orgloop workspace select default",
        )
    context.out.document({"workspaces": names, "active": active})


@workspace.command()
@click.argument("name")
@pass_context
def select(context: Context, name: str) -> None:
    """Select the one that is meant without -w."""
    project = context.project_file.parent
    names = workspaces_of(project)
    if name not in names:
        raise CommandFailed(
            f'There is no workspace "{name}"',
            where=str(project / FOLDER / f"{name}.yaml"),
            why=f"a workspace is a file {FOLDER}/<name>.yaml; there are: {', '.join(names)}",
            next="write the file, or correct the name",
            code="OL1801",
        )
    _remember(project, name)
    context.out.say(f'Switched to workspace "{name}"')
    context.out.document({"workspace": name})


def workspaces_of(project: Path) -> list[str]:
    """The names of a project's workspaces, in order; ``default`` is always there."""
    folder = project / FOLDER
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {file.stem for file in files if file.suffix in (".yaml", ".yml") and _NAME.fullmatch(file.stem)}
    return [DEFAULT_WORKSPACE, *sorted(found - {DEFAULT_WORKSPACE})]


def _remember(project: Path, name: str) -> None:
    path = project / SELECTED
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"{name}\n", encoding="utf-8")
    os.replace(fresh, path)
