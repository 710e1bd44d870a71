"""``orgloop init``: a project that holds together and works, to begin from."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from orgloop.cli.choices import CHOICES
from orgloop.cli.context import PROJECT_FILES, Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.files import Written, write_files
from orgloop.cli.projects import examine
from orgloop.cli.scaffold import project_files
from orgloop.cli.schema import write_schemas
from orgloop.config.project import Examined

NAME = "my-org"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.command()
@click.option("--name", help=f"What the project is called. [{NAME}]")
@click.option("--description", help="One sentence on it.")
@click.option("--connectors", metavar="A,B", help=f"What to set up, of: {', '.join(CHOICES)}. [github]")
@click.option("--no-interactive", is_flag=True, help="Ask nothing; a terminal is asked otherwise.")
@click.option("--dir", "folder", metavar="PATH", help="Where to write it. [here]")
@pass_context
def init(
    context: Context,
    name: str | None,
    description: str | None,
    connectors: str | None,
    no_interactive: bool,
    folder: str | None,
) -> None:
    """Write a project that works, to begin from."""
    directory = context.directory / (folder or "")
    _refuse_a_second(directory)
    if _may_ask(context) and not no_interactive:
        name = name or click.prompt("Name of the project", default=NAME, err=True)
        description = description or click.prompt("Description", default="", show_default=False, err=True)
        connectors = connectors or click.prompt(f"Connectors, of {', '.join(CHOICES)}", default="github", err=True)
    choices = _choices(connectors or "github")
    name = name or NAME
    if not _NAME.fullmatch(name):
        raise CommandFailed(
            f"{name!r} cannot be the name of a project",
            why='a name is letters, digits, ".", "_" and "-", at most 64 of them, the first a letter or digit',
            next=f"as in --name {NAME}",
            code="OL1209",
        )
    written = write_files(directory, project_files(name=name, description=description or None, choices=choices))
    write_schemas(directory)
    examined = examine(attrs.evolve(context, config=directory, workspace_given=None))
    _tell(context, directory, written, examined)


def _refuse_a_second(directory: Path) -> None:
    for file in PROJECT_FILES:
        if (directory / file).exists():
            raise CommandFailed(
                f"{file} already exists",
                where=str(directory / file),
                why="this folder is a project already",
                next="orgloop add connector NAME adds to it; --dir writes another one elsewhere",
                code="exists",
            )


def _may_ask(context: Context) -> bool:
    return sys.stdin.isatty() and context.out.err.isatty() and not context.is_json


def _choices(text: str) -> list[str]:
    choices = [choice.strip() for choice in text.split(",") if choice.strip()]
    for choice in choices:
        if choice not in CHOICES:
            raise CommandFailed(
                f"Unknown connector: {choice}", next=f"Available: {', '.join(CHOICES)}", code="unknown_connector"
            )
    return choices


def _tell(context: Context, directory: Path, written: Written, examined: Examined) -> None:
    out = context.out
    for path in written.files:
        out.good(path)
    for path in written.kept:
        out.warn(f"{path} was there, and is left as it is")
    missing = sorted({variable.name for variable in examined.environment if not variable.is_set})
    out.say()
    out.say("Next:")
    for step in _steps(directory, context.directory, missing, examined):
        out.say(f"  {step}")
    out.document(
        {
            "directory": str(directory),
            "files": list(written.files),
            "kept": list(written.kept),
            "missing": missing,
            "errors": len(examined.faults),
        }
    )


def _steps(directory: Path, here: Path, missing: Sequence[str], examined: Examined) -> list[str]:
    steps = [] if directory.resolve() == here.resolve() else [f"cd {directory}"]
    if missing:
        steps.append(f"cp .env.example .env       and set {', '.join(missing)}")
    if examined.faults:
        steps.append("orgloop validate           tells what is still missing here, such as a connector's package")
    return [*steps, "orgloop doctor             looks whether everything is there", "orgloop start"]
