"""``orgloop add``: one more file for a project, which is then named in its ``orgloop.yaml``, so that it counts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

from orgloop.cli.choices import CHOICES
from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.files import replace_text, write_files
from orgloop.cli.projects import examine
from orgloop.cli.scaffold import (
    File,
    added_connector,
    added_logger,
    added_route,
    added_transform,
    listed,
)

TYPES = ("resource.changed", "actor.stopped", "message.received")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def add() -> None:
    """Add a file to a project: a connector, transform, logger or route."""


@add.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(["source", "actor"]), help="What it is. [source, or as it is known]")
@pass_context
def connector(context: Context, name: str, kind: str | None) -> None:
    """Add a source or an actor; one that init knows is set up as there, any other as a webhook."""
    known = CHOICES.get(name)
    _add(context, name, added_connector(_checked(name), kind=kind or (known.kind if known else "source")), "connectors")


@add.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(["script", "package"]), default="script", help="How it is written.")
@pass_context
def transform(context: Context, name: str, kind: str) -> None:
    """Add a transform: a script, or a Python file."""
    _add(context, name, added_transform(_checked(name), kind=kind), "transforms")


@add.command()
@click.argument("name")
@pass_context
def logger(context: Context, name: str) -> None:
    """Add a logger that writes to a file."""
    _add(context, name, added_logger(_checked(name)), "loggers")


@add.command()
@click.argument("name")
@click.option("--source", help="Where its events come from. [the first source]")
@click.option("--actor", help="Who works on them. [the first actor]")
@pass_context
def route(context: Context, name: str, source: str | None, actor: str | None) -> None:
    """Add a route from a source to an actor."""
    project = examine(context).project
    sources = {} if project is None else {one.id: one for one in project.config.sources}
    actors = {} if project is None else {one.id: one for one in project.config.actors}
    source = _known(source, [*sources, *actors] if source in actors else list(sources), "source", context)
    actor = _known(actor, list(actors), "actor", context)
    events = sources[source].emits if source in sources and sources[source].emits else TYPES[:1]
    _add(context, name, added_route(_checked(name), source=source, actor=actor, events=events), None)


def _add(context: Context, name: str, files: Mapping[str, File], key: str | None) -> None:
    """Write the files, the first of which is to be named under ``key``; routes are found without."""
    project_file = context.project_file
    yaml = next(iter(files))
    if not project_file.is_file():
        raise CommandFailed(f"{project_file} is not a regular file", next="name one with --config", code="OL1002")
    before = project_file.read_text(encoding="utf-8", errors="surrogateescape")  # what is not ours is kept as it is
    after = None if key is None else listed(before, key, yaml)
    written = write_files(project_file.parent, files)
    for path in written.files:
        context.out.good(path)
    if after is not None:
        replace_text(project_file, after)
        context.out.good(f"{project_file.name}: {yaml} is named under {key}")
    elif key is not None:
        context.out.warn(
            f"{project_file.name} is written in a way that is better changed by hand", next=f"add {yaml} to its {key}"
        )
    context.out.document(
        {"name": name, "files": list(written.files), "listed": after is not None or key is None, "key": key}
    )


def _checked(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    raise CommandFailed(
        f"{name!r} cannot be a name",
        why='a name is letters, digits, ".", "_" and "-", at most 64 of them, the first a letter or digit',
        next="choose another",
        code="OL1209",
    )


def _known(given: str | None, known: list[str], what: str, context: Context) -> str:
    """The one that was given, or else the first there is."""
    if given in known:
        return given
    if given is None and known:
        return known[0]
    raise CommandFailed(
        f'There is no {what} "{given}"' if given else f"The project has no {what}",
        where=str(context.project_file),
        next=f"name one of: {', '.join(known)}" if known else f"orgloop add connector NAME --type {what}",
        code="not_found",
    )
