"""``orgloop explain``, ``tree`` and ``token``: asking the running daemon, and the key to it."""

from __future__ import annotations

import re
from typing import Any

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.events import read_event
from orgloop.cli.shown import count


@click.command()
@click.argument("event")
@click.option("--module", help="The module whose event it is, if several are loaded.")
@pass_context
def explain(context: Context, /, event: str, module: str | None) -> int:
    """
    Say why each route wants an event, or does not.

    EVENT is a JSON file, - for standard input, JSON itself, or the id of an event that was admitted. Nothing is
    delivered.
    """
    given = read_event(event, directory=context.directory)
    asked: dict[str, Any] = {"id": given} if isinstance(given, str) else {"event": given}
    found = context.client().post("/api/v1/explain", asked | ({"module": module} if module else {}))
    out = context.out
    out.say(f"{found['event']['type']} from {found['event']['source']}")
    for route in found["routes"]:
        sign, colour = ("ok", "green") if route["matched"] else ("bad", "red")
        out.say(f"\n{out.paint(out.mark(sign), colour)} {route['module']}/{route['route']} → {route['actor']}")  # type: ignore[arg-type] # two literals
        for condition in route["conditions"]:
            mark = out.mark("ok" if condition["matched"] else "bad")
            out.say(f"    {mark} {condition['path']}: {condition['text']}")
    verb = "wants" if found["matched"] == 1 else "want"
    out.say(f"\n{count(found['matched'], 'route')} of {len(found['routes'])} {verb} it.")
    out.document(found)
    return 0


_STACK = re.compile(r"[\s│]*at \S+:\d+ in ")


@click.command()
@pass_context
def tree(context: Context) -> int:
    """Show the supervision tree; with -v, where each task stands."""
    found = context.client().get("/control/tree")
    lines = found["text"].splitlines()
    # Where each task stands is for whoever looks for what hangs.
    shown = lines if context.out.is_verbose else [line for line in lines if not _STACK.match(line)]
    context.out.say("\n".join(shown))
    context.out.document(found)
    return 0


@click.command()
@pass_context
def token(context: Context) -> int:
    """Print the token that opens the control API."""
    from orgloop.daemon.token import read_token

    home = context.home
    found = read_token(home)
    if found is None:
        raise CommandFailed(
            "This home has no token yet",
            where=str(home.token),
            why="it is made when a daemon runs on the home for the first time",
            next="orgloop serve --daemon",
            code="no_token",
        )
    if context.is_json:
        context.out.document({"token": found, "path": str(home.token)})
    else:
        context.out.raw(found)
    return 0
