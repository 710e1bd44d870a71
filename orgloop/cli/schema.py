"""``orgloop schema``: the JSON Schema of a kind of file, with the plug-ins that are installed here; for editors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed

KINDS = ("Project", "ConnectorGroup", "RouteGroup", "TransformGroup", "LoggerGroup", "Module", "Workspace")
"""As in ``orgloop.config.schema``; a test holds them together."""


@click.command()
@click.argument("kind", required=False, type=click.Choice(KINDS, case_sensitive=False))
@click.option("--write", is_flag=True, help="Write the schemas of all kinds into the project's .orgloop/schema.")
@pass_context
def schema(context: Context, kind: str | None, write: bool) -> None:
    """Print the JSON Schema of a kind of file."""
    if write:
        written = write_schemas(context.project_directory)
        for path in written:
            context.out.good(f"{path.relative_to(context.project_directory)}")
        context.out.document({"written": [str(path) for path in written]})
        return
    if kind is None:
        raise CommandFailed(
            "No kind of file was named",
            why="each kind has a schema of its own",
            next=f"name one of: {', '.join(KINDS)}",
        )
    from orgloop.config.schema import KINDS as REAL
    from orgloop.config.schema import schema_of
    from orgloop.runtime.installed import Installed
    from orgloop.runtime.plugins import Plugins

    real = next(one for one in REAL if one == kind)
    context.out.raw(json.dumps(schema_of(real, Installed(Plugins())), indent=2, ensure_ascii=False))


def write_schemas(project: Path) -> list[Path]:
    """Write the schemas of all kinds below a project, where the first line of its files says that they are."""
    from orgloop.config.schema import KINDS as REAL
    from orgloop.config.schema import SCHEMA_FOLDER, schema_file, schema_of
    from orgloop.runtime.installed import Installed
    from orgloop.runtime.plugins import Plugins

    folder, catalogue = project / SCHEMA_FOLDER, Installed(Plugins())
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in REAL:
        path = folder / schema_file(kind)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(schema_of(kind, catalogue), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(fresh, path)
        written.append(path)
    return written
