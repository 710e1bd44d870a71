"""``orgloop inbox``: what waits for a session of an agent, for the agent itself to fetch."""

from __future__ import annotations

import json
from typing import Any

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.shown import count, table


@click.group()
def inbox() -> None:
    """Fetch what waits for a session."""


@inbox.command()
@click.option("--key", required=True, metavar="KEY", help="The session key.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many at most.  [100]")
@click.option("--format", "form", type=click.Choice(["json", "text"]), default="json", help="How each is printed.")
@click.option("--keep", is_flag=True, help="Only look: what is printed stays, and is given again.")
@pass_context
def drain(context: Context, /, key: str, limit: int, form: str, keep: bool) -> int:
    """Take events out of the inbox of a session, oldest first; what could not be printed stays there."""
    client = context.client()
    found = client.get("/api/inbox/drain", session_key=key, limit=limit)
    _print(context, found, form)
    context.out.out.flush()  # what nobody can read any more must not be acknowledged
    if found["continuation"] is not None and not keep:
        client.post("/api/inbox/ack", {"session_key": key, "continuation": found["continuation"]})
    return 0


def _print(context: Context, found: dict[str, Any], form: str) -> None:
    if form == "json" or context.is_json:
        context.out.raw(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for event in found["events"]:
        context.out.raw(_line(event))
    context.out.say(f"{count(len(found['events']), 'event')}, {found['remaining']} remaining.")


@inbox.command()
@click.option("--key", metavar="KEY", help="The session key; without it, all sessions.")
@pass_context
def status(context: Context, /, key: str | None) -> int:
    """Show how much waits."""
    client = context.client()
    if key is not None:
        found = client.get("/api/inbox/status", session_key=key)
        context.out.say(f"{count(found['pending'], 'event')} pending for {key}.")
    else:
        found = client.get("/api/inbox/list")
        rows = [[session["sessionKey"], session["pending"]] for session in found["sessions"]]
        for line in table(["SESSION", "PENDING"], rows) if rows else ["Nothing is pending."]:
            context.out.say(line)
    context.out.document(found)
    return 0


def _line(event: dict[str, Any]) -> str:
    payload = json.dumps(event.get("payload"), ensure_ascii=False)
    return f"{event.get('timestamp', '')}  {event.get('source', '')}  {event.get('type', '')}  {payload}"
