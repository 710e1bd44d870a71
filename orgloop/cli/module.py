"""``orgloop module``: what the running daemon has loaded, and changing it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.launching import JOIN_S, join_options
from orgloop.cli.output import Output
from orgloop.cli.shown import duration, table

DRAIN_S = 10.0
"""How long what is under way may take, unless told otherwise."""

MOST_DRAIN_S = 3600.0

_drain = click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0, MOST_DRAIN_S),
    default=DRAIN_S,
    metavar="SECONDS",
    help="How long what is under way may take.  [10]",
)
_force = click.option("--force", is_flag=True, help="Wait for nothing; what is under way is delivered again later.")
_name = click.argument("name", required=False)


@click.group()
def module() -> None:
    """Load, unload, reload and list modules of the daemon."""


@module.command("list")
@pass_context
def list_(context: Context) -> int:
    """List what is loaded."""
    modules = context.client().get("/control/module/list")
    rows = [
        [one["name"], one["state"], one["generation"], one["sources"], one["actors"], one["routes"], one["directory"]]
        for one in modules
    ]
    for line in table(["NAME", "STATE", "GENERATION", "SOURCES", "ACTORS", "ROUTES", "DIRECTORY"], rows):
        context.out.say(line)
    if not modules:
        context.out.say("No module is loaded. Load one: orgloop module load PATH")
    context.out.document(modules)
    return 0


@module.command()
@_name
@pass_context
def status(context: Context, /, name: str | None) -> int:
    """Show one module; that of this folder, unless named."""
    client = context.client()
    found = client.get(f"/control/module/status/{name or name_of_folder(context)}")
    tell_status(found, context.out)
    context.out.document(found)
    return 0


@module.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@pass_context
def load(context: Context, /, path: Path | None) -> int:
    """Load the project in a folder, or apply what has changed in it."""
    if path is not None:
        context = attrs.evolve(context, config=path.expanduser())
    found = context.client(timeout_s=JOIN_S).post("/control/module/load-project", join_options(context))
    context.out.good(f'Module "{found["name"]}" loaded')
    tell_status(found, context.out)
    context.out.document(found)
    return 0


@module.command()
@_name
@_drain
@_force
@pass_context
def unload(context: Context, /, name: str | None, drain_s: float, force: bool) -> int:
    """Take a module out; what has not ended waits for its next load."""
    name = name or name_of_folder(context)
    body = {"name": name, "drain_s": drain_s, "force": force}
    answer = context.client(timeout_s=drain_s + JOIN_S).post("/control/module/unload", body)
    context.out.good(f'Module "{name}" unloaded')
    if answer["parked"]:
        context.out.say(f"  Deliveries that wait for its next load: {answer['parked']}.")
    context.out.document({"module": name, **answer})
    return 0


@module.command()
@_name
@_drain
@_force
@pass_context
def reload(context: Context, /, name: str | None, drain_s: float, force: bool) -> int:
    """Read a module again; with any fault it goes on as it was."""
    name = name or name_of_folder(context)
    body = {"name": name, "drain_s": drain_s, "force": force}
    answer = context.client(timeout_s=drain_s + JOIN_S).post("/control/module/reload", body)
    if answer["changed"]:
        context.out.good(f'Module "{name}" reloaded, generation {answer["generation"]}')
        summary = (answer["plan"] or {}).get("summary")
        if summary:
            counts = f"{summary['add']} added, {summary['change']} changed, {summary['remove']} removed"
            context.out.say(f"  {counts}.")
    else:
        context.out.good(f'Module "{name}" has not changed, generation {answer["generation"]}')
    context.out.document({"module": name, **answer})
    return 0


def name_of_folder(context: Context) -> str:
    """The module that was loaded from this folder; raises :class:`CommandFailed` if there is none."""
    folder = Path(os.path.realpath(context.project_directory))
    modules = context.client().get("/control/module/list")
    for one in modules:
        if Path(os.path.realpath(one["directory"])) == folder:
            return str(one["name"])
    raise CommandFailed(
        "No module of this folder is loaded",
        where=str(folder),
        why=f"loaded are: {', '.join(one['name'] for one in modules) or 'none'}",
        next="name one of them, or load this one: orgloop module load",
        code="module",
    )


def tell_status(found: Mapping[str, Any], out: Output) -> None:
    """Show a module to a person."""
    up = duration(found["uptime_ms"] / 1000)
    out.say(f"  State:      {found['state']}, generation {found['generation']}, up {up}")
    out.say(f"  Directory:  {found['directory']}")
    out.say(f"  Sources: {found['sources']} | Actors: {found['actors']} | Routes: {found['routes']}")
    if found.get("cause"):
        out.fail(str(found["cause"]))
