"""
``orgloop demo``: an organisation of three in memory, at work for some seconds, with what happens told line by line.

    github ──▶ triage ──▶ reviewer ──actor.stopped──▶ hand-over ──▶ team       the org loops
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.output import Output
from orgloop.cli.shown import clock

if TYPE_CHECKING:
    from orgloop.sdk import Delivery, Notice, Outcome, Polled

ORGANISATION: Mapping[str, Any] = {
    "metadata": {"name": "demo"},
    "sources": [{"id": "github", "connector": "given", "poll": {"interval": "1s"}}],
    "actors": [{"id": "reviewer", "connector": "given"}, {"id": "team", "connector": "given"}],
    "routes": [
        {
            "name": "triage",
            "when": {"source": "github", "events": ["resource.changed"], "filter": {"payload.action": "opened"}},
            "then": {
                "actor": "reviewer",
                "delivery": {"retry": {"max_attempts": 3, "initial_delay": "200ms", "jitter": 0}},
            },
        },
        {"name": "hand-over", "when": {"source": "reviewer", "events": ["actor.stopped"]}, "then": {"actor": "team"}},
    ],
}

_TITLES = ("Retry the flaky upload", "Bump the parser", "Say which file is broken", "Remove a dead branch")
_FAILS_EVERY = 3
"""The first attempt at every third pull request fails, so that a retry is seen."""


class _GitHub:
    """Finds a pull request each second; every fourth is closed, which nobody wants."""

    async def poll(self, checkpoint: str | None) -> Polled:
        """The next one; the checkpoint is its number."""
        from orgloop.sdk import Event, Polled

        number = int(checkpoint or 0) + 1
        action = "closed" if number % 4 == 0 else "opened"
        payload = {"action": action, "number": number, "title": _TITLES[number % len(_TITLES)]}
        return Polled([Event("github", "resource.changed", {"platform": "github"}, payload)], str(number))


class _Reviewer:
    """Works a moment on each, and says when it has stopped."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Review one pull request."""
        import trio

        from orgloop.sdk import Delivered, Event, Failed

        await trio.sleep(0.2)
        number = delivery.event.payload["number"]
        if number % _FAILS_EVERY == 0 and delivery.attempt == 1:
            return Failed("the model is overloaded")
        verdict = {"number": number, "verdict": "approved"}
        await delivery.emit([Event("reviewer", "actor.stopped", {"platform": "demo"}, verdict)])
        return Delivered()


class _Team:
    """Takes note."""

    async def deliver(self, delivery: Delivery) -> Outcome:  # noqa: ARG002 - an actor has this signature
        """Nothing is left to do."""
        import trio

        from orgloop.sdk import Delivered

        await trio.lowlevel.checkpoint()
        return Delivered()


@click.command()
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=8.0, help="How long it runs.  [8]")
@pass_context
def demo(context: Context, /, *, seconds: float) -> int:
    """Show it at work, without accounts and without a project."""
    import trio

    found = trio.run(_show, context.out, seconds)
    context.out.document(found)
    return 0


async def _show(out: Output, seconds: float) -> dict[str, Any]:
    import trio

    from orgloop.runtime.runtime import open_runtime

    out.say("github ──▶ triage ──▶ reviewer ──actor.stopped──▶ hand-over ──▶ team\n")
    told: list[dict[str, Any]] = []

    def hear(notice: Notice) -> None:
        told.append({"timestamp": notice.timestamp, "phase": notice.phase, "event_id": notice.event_id})
        line = _line(notice, out)
        if line:
            out.say(line)

    async with open_runtime() as runtime:
        runtime.on("*", hear)
        actors = {"reviewer": _Reviewer(), "team": _Team()}
        await runtime.load_module(ORGANISATION, sources={"github": _GitHub()}, actors=actors)
        runtime.poll_now("github", module="demo")
        await trio.sleep(seconds)
        tree = runtime.tree()
        counts = {name: attrs.asdict(route) for name, route in runtime.modules()[0].routes.items()}
    out.say(f"\n{tree}\n")
    for name, of_route in counts.items():
        out.say(f"{name}: {', '.join(f'{number} {key}' for key, number in of_route.items())}")
    out.say("\nNext: orgloop init my-org, then orgloop doctor, then orgloop start")
    return {"notices": told, "routes": counts, "tree": tree}


def _line(notice: Notice, out: Output) -> str | None:
    """What is worth a line of what happens."""
    texts = {
        "source.emit": ("event", notice.source, notice.event_type),
        "route.no_match": ("no route", notice.source, notice.event_type),
        "deliver.success": ("delivered", notice.route, notice.target),
        "deliver.retry": ("again", notice.route, notice.error or notice.result),
        "deliver.failure": ("failed", notice.route, notice.error or notice.result),
    }
    if notice.phase not in texts:
        return None
    what, *rest = texts[notice.phase]
    shown = {"delivered": out.paint(f"{what:<10}", "green"), "again": out.paint(f"{what:<10}", "yellow")}
    return f"{clock(notice.timestamp)}  {shown.get(str(what), f'{what:<10}')} {'  '.join(str(x) for x in rest if x)}"
