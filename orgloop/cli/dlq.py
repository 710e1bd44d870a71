"""``orgloop dlq``: what was given up, and having it delivered again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.shown import age, count, table

F = TypeVar("F", bound=Callable[..., Any])

_WHICH = (
    click.option("--module", help="Of this module."),
    click.option("--route", help="Of this route."),
    click.option("--actor", help="Of this actor."),
    click.option("--reason", help="Given up for this reason, such as retries_exhausted."),
)


def _which(command: F) -> F:
    for option in reversed(_WHICH):
        command = option(command)
    return command


@click.group()
def dlq() -> None:
    """List, show, replay and discard dead letters."""


@dlq.command("list")
@_which
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many at most, oldest first.  [100]")
@click.option("--after", metavar="ID", help="Go on behind this one.")
@pass_context
def list_(context: Context, /, **which: Any) -> int:
    """List what was given up, oldest first."""
    page = context.client().get("/api/v1/dead-letters", **which)
    now_s = time.time()
    rows = [_row(letter, now_s=now_s) for letter in page["items"]]
    if rows:
        for line in table(["ID", "SINCE", "MODULE", "ROUTE", "ACTOR", "REASON", "LAST ERROR"], rows):
            context.out.say(line)
        context.out.say(f"{len(rows)} of {count(page['count'], 'dead letter')}.")
        context.out.say("Next: orgloop dlq show ID, orgloop dlq replay ID")
    else:
        context.out.say("No dead letters." if not page["count"] else f"None of the {page['count']} dead letters.")
    context.out.document(page)
    return 0


def _row(letter: Mapping[str, Any], *, now_s: float) -> list[object]:
    if letter.get("damaged"):
        return [letter["id"], None, None, None, None, "damaged", letter["damaged"]]
    error = (letter.get("last_error") or "").splitlines()
    return [
        letter["id"],
        age(letter["at"], now_s=now_s),
        letter["module"],
        letter["route"],
        letter["actor"],
        letter["reason"],
        error[0] if error else "",
    ]


@dlq.command()
@click.argument("id_", metavar="ID")
@pass_context
def show(context: Context, /, id_: str) -> int:
    """Show one, with its event."""
    letter = context.client().get(f"/api/v1/dead-letters/{id_}")
    out = context.out
    for key in ("id", "damaged", "reason", "module", "route", "actor", "attempts", "at", "first_error", "last_error"):
        if letter.get(key) is not None:
            out.say(f"{key.replace('_', ' ').capitalize() + ':':<13} {letter[key]}")
    if letter.get("event"):
        out.say(f"\n{json.dumps(letter['event'], ensure_ascii=False, indent=2)}")
    out.document(letter)
    return 0


@dlq.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_which
@click.option("--all", "everything", is_flag=True, help="All there are.")
@pass_context
def replay(context: Context, /, ids: tuple[str, ...], everything: bool, **which: str | None) -> int:
    """Deliver dead letters again: by id, by module or route, or all."""
    wanted = {key: value for key, value in which.items() if value is not None}
    if sum([bool(ids), bool(wanted), everything]) != 1:
        raise click.UsageError("Say which: by their IDs, or by --module, --route, --actor, --reason, or --all")
    client = context.client()
    if ids:
        replayed = sum(client.post(f"/api/v1/dead-letters/{id_}/replay")["replayed"] for id_ in ids)
    else:
        replayed = client.post("/api/v1/dead-letters/replay", wanted)["replayed"]
    context.out.good(f"{count(replayed, 'dead letter')} on the way again. Follow: orgloop logs --phase deliver.")
    context.out.document({"replayed": replayed})
    return 0


@dlq.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@pass_context
def discard(context: Context, /, ids: tuple[str, ...]) -> int:
    """Forget dead letters for good."""
    client = context.client()
    for id_ in ids:
        client.delete(f"/api/v1/dead-letters/{id_}")
    context.out.good(f"{count(len(ids), 'dead letter')} discarded.")
    context.out.document({"discarded": len(ids)})
    return 0
