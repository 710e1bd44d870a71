"""
The module that the crash tests run: every way in, and every end that an obligation can have.

    counter   polled, its checkpoint is a number      ──▶ count   audit                        one after the other
    api       injected                                ──▶ work    no-noise ──▶ worker          four at once
                                                      ──▶ audit   once ──▶ audit               one after the other
    worker    what it emits, ``actor.stopped``        ──▶ follow  audit

What becomes of an event, its kind says, which is the first word of ``payload.kind``; :data:`ENDS` is the whole truth.
Sources and actors say to the ledger what they do, before they do it, and what they were told, after they were.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.event import Event
from orgloop.runtime.runtime import Runtime
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Polled, Received, Rejected, Request
from orgloop.testing import event

Say = Callable[..., None]
"""Takes one word for the ledger: what it is, and its parts."""

NO_ROUTE = "-"
"""The route of an event that none wants."""

GIVEN_UP = "dead_letter(retries_exhausted)"
ONCE = "once"
"""Delivered, or dropped by ``once`` because another event of its key was."""

ENDS: Mapping[str, Mapping[str, str]] = {
    "plain": {"work": "delivered", "audit": "delivered"},
    "flaky": {"work": "delivered", "audit": "delivered"},
    "crash": {"work": "delivered", "audit": "delivered"},
    "loud": {"work": "delivered", "audit": "delivered"},
    "hopeless": {"work": GIVEN_UP, "audit": "delivered"},
    "refused": {"work": "dead_letter(rejected)", "audit": "delivered"},
    "noise": {"work": "dropped(no-noise)", "audit": "delivered"},
    "twin": {"work": "delivered", "audit": ONCE},
    "stray": {NO_ROUTE: "no_route"},
    "count": {"count": "delivered"},
    "follow": {"follow": "delivered"},
}
"""How the obligations of an event end, by its kind and their routes."""

IN_ORDER = ("count", "audit", "follow")
"""Routes that carry one after the other."""

INJECTED = ("plain", "flaky", "crash", "loud", "hopeless", "refused", "noise", "twin", "twin", "stray")
AT_A_TIME = 5
"""How many numbers the counter gives."""

RESTARTS = {"intensity": 900, "period": "10h", "backoff": {"initial": "1ms", "maximum": "1ms"}}
"""More than there are in a life: no module gives up."""

DELIVERY = {
    "retry": {"initial_delay": "1ms", "max_delay": "2ms"},
    "circuit_breaker": {"failure_threshold": 1_000_000},
    "queue_depth": 1_000_000,
}


def config() -> dict[str, Any]:
    """The module."""

    def route(name: str, source: str, type: str, actor: str, **more: Any) -> dict[str, Any]:
        delivery = DELIVERY | more.pop("delivery", {})
        when = {"source": source, "events": [type]}
        return {"name": name, "when": when, "then": {"actor": actor, "delivery": delivery}, **more}

    return {
        "metadata": {"name": "m"},
        "sources": [
            {"id": "counter", "connector": "given", "poll": {"interval": "2ms"}},
            {"id": "api", "connector": "given"},
        ],
        "actors": [{"id": id_, "connector": "given", "supervision": RESTARTS} for id_ in ("worker", "audit")],
        "transforms": [
            {"name": "no-noise", "type": "filter", "config": {"exclude": {"payload.kind": "noise"}}},
            {"name": "once", "type": "dedup", "config": {"key": ["payload.twin"], "window": "10h"}},
        ],
        "routes": [
            route("count", "counter", "resource.changed", "audit"),
            route("work", "api", "resource.changed", "worker", transforms=["no-noise"], delivery={"concurrency": 4}),
            route("audit", "api", "resource.changed", "audit", transforms=["once"]),
            route("follow", "worker", "actor.stopped", "audit"),
        ],
        "supervision": RESTARTS,
    }


@attrs.frozen
class Counter:
    """Counts on from its checkpoint, some numbers at a time; what it is polled with is what was acknowledged."""

    say: Say
    until: float = math.inf
    """Where it ends."""

    async def poll(self, checkpoint: str | None) -> Polled:
        """The next numbers."""
        first = int(checkpoint or 0)
        self.say("place", first)
        numbers = [first + more for more in range(AT_A_TIME) if first + more < self.until]
        found = [event({"kind": f"count {number}"}, source="counter") for number in numbers]
        self.say("offer", [[one.id, one.payload["kind"]] for one in found])
        await trio.lowlevel.checkpoint()
        return Polled(found, str(numbers[-1] + 1)) if found else Polled()


class Api:
    """Nobody pushes: its events are injected."""

    async def receive(self, request: Request) -> Received:
        """Nothing."""
        return Received()


@attrs.frozen
class Worker:
    """Does with an event what its kind says, and says so before anybody else can know."""

    say: Say

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Deliver, fail, refuse, crash, or emit."""
        kind = delivery.event.payload["kind"].split()[0]
        again = delivery.attempt > 1
        if kind == "loud":
            await self._emit(delivery)
        await trio.lowlevel.checkpoint()
        route = "work" if delivery.event.source == "api" else "follow"
        match kind:
            case "hopeless":
                return self._done(route, delivery, Failed("it never works"))
            case "refused":
                return self._done(route, delivery, Rejected("not this"))
            case "flaky" if not again:
                return self._done(route, delivery, Failed("not yet"))
            case "crash" if not again:
                self._done(route, delivery, Failed("it crashed"))
                raise OSError("the worker crashed")
        return self._done(route, delivery, Delivered())

    async def _emit(self, delivery: Delivery) -> None:
        following = event({"kind": "follow"}, source="worker", type="actor.stopped")
        self.say("offer", [[following.id, "follow"]])
        await delivery.emit([following])
        self.say("admit", [following.id])

    def _done(self, route: str, delivery: Delivery, outcome: Outcome) -> Outcome:
        told(self.say, route, delivery, outcome)
        return outcome


@attrs.frozen
class Audit:
    """Takes everything."""

    say: Say

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Take it."""
        route = {"counter": "count", "api": "audit", "worker": "follow"}[delivery.event.source]
        await trio.lowlevel.checkpoint()
        told(self.say, route, delivery, Delivered())
        return Delivered()


def told(say: Say, route: str, delivery: Delivery, outcome: Outcome) -> None:
    """Say that a delivery has reached the outside."""
    done = isinstance(outcome, Delivered)
    say("deliver", delivery.event.id, route, delivery.attempt, delivery.idempotency_key, done)


# -- a life ------------------------------------------------------------------------------------------------------------


async def load(runtime: Runtime, say: Say, *, until: float = math.inf, base: Path | str = ".") -> None:
    """Begin a life: the module of that folder, with a source that counts on until then."""
    say("life")
    sources = {"counter": Counter(say, until), "api": Api()}
    actors = {"worker": Worker(say), "audit": Audit(say)}
    await runtime.load_module(config(), sources=sources, actors=actors, base=base)


def batch_of(kinds: Sequence[str], chance: random.Random, *, life: int) -> list[Event]:
    """Events of these kinds; of those of a twin only the first is audited, whose life that may have been."""
    made = []
    for kind in kinds:
        payload = {"kind": kind}
        if kind == "twin":
            twin = f"{life // 5}-{chance.randrange(20)}"
            payload = {"kind": f"twin {twin}", "twin": twin}
        type_ = "message.received" if kind == "stray" else "resource.changed"
        made.append(event(payload, source="api", type=type_))
    return made


async def inject(runtime: Runtime, say: Say, batch: Sequence[Event]) -> None:
    """Inject a batch, and let the ledger know before and after."""
    say("offer", [[one.id, one.payload["kind"]] for one in batch])
    await runtime.inject(batch)
    say("admit", [one.id for one in batch])
    count(runtime, say)


def count(runtime: Runtime, say: Say) -> None:
    """Say what the statistics of every route are in this moment."""
    (module,) = runtime.statistics().modules
    say("counts", {name: attrs.asdict(counts) for name, counts in module.routes.items()})


async def finish(runtime: Runtime, say: Say, *, within_s: float) -> None:
    """Wait until nothing is open, and say what the statistics are then."""
    with trio.fail_after(within_s):
        while runtime.statistics().bus["open_events"]:  # noqa: ASYNC110 - what an earlier run has left is open too
            await trio.sleep(0.005)
        await runtime.drain()
    count(runtime, say)
    say("end")
