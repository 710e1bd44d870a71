"""The public contract suites: the real things pass, and whoever breaks a promise is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from orgloop.event import Event
from orgloop.loggers import Console, ConsoleConfig
from orgloop.sdk import (
    Context,
    Delivered,
    Delivery,
    Notice,
    Outcome,
    Polled,
    Received,
    Rejected,
    Request,
    Response,
)
from orgloop.testing import (
    Check,
    FakeActor,
    actor_contract,
    event,
    logger_contract,
    polled_contract,
    pushed_contract,
    transform_contract,
)
from orgloop.transforms import Dedup, DedupConfig, Filter, FilterConfig

Checks = list[tuple[str, Check]]


@attrs.define
class Pages:
    """A source of five facts, two a poll, that knows where it was."""

    lies: str = ""
    before: Event | None = None

    async def poll(self, checkpoint: str | None) -> Polled:
        start = int(checkpoint or 0)
        if self.lies == "forgets its checkpoint":
            start = 0
        if self.lies == "skips" and self.before is not None:
            start += 1
        found = [event({"number": number}) for number in range(start, min(start + 2, 5))]
        if found:
            self.before = found[0]
        end = start + len(found)
        if self.lies == "goes round":
            end %= 4
        return Polled(found, str(end)) if self.lies != "no value" else None  # type: ignore[return-value]


@attrs.define
class Hook:
    """A source that is told JSON, with a secret."""

    lies: str = ""
    told: int = 0

    async def receive(self, request: Request) -> Received:
        if request.headers.get("secret") != "s" and self.lies != "believes":
            return Received(response=Response(401))
        self.told += 1
        try:
            payload = json.loads(request.body, parse_constant=lambda _: 1 / 0)
        except (ValueError, ZeroDivisionError, RecursionError):
            if self.lies == "falls":
                raise
            return Received(response=Response(400))
        if not isinstance(payload, dict) or "title" not in payload:
            return Received(response=Response(400))
        return Received([event(payload)], delivery_id=str(self.told) if self.lies == "counts" else "d1")


@attrs.define
class Doing:
    """An actor that does one thing to its delivery."""

    act: Callable[[Delivery], Any]

    async def deliver(self, delivery: Delivery) -> Outcome:
        await trio.lowlevel.checkpoint()
        return self.act(delivery)  # type: ignore[no-any-return]


@attrs.define
class Changing:
    """A transform that does one thing to its event."""

    act: Callable[[Event], Any]

    def apply(self, event: Event, context: Context) -> Event | None:
        return self.act(event)  # type: ignore[no-any-return]


@attrs.define
class Falling:
    """A logger that cannot write everything."""

    def log(self, notice: Notice) -> None:
        (notice.error or "").encode()


GOOD = Request("POST", "/webhook/x", {"secret": "s"}, b'{"title": "one"}')
FORGED = attrs.evolve(GOOD, headers={})
TWICE: list[Outcome] = [Delivered(), Rejected("again")]

KEPT: list[tuple[str, Checks]] = [
    ("source", polled_contract(Pages)),
    ("hook", pushed_contract(Hook, good=GOOD, forged=[FORGED])),
    ("actor", actor_contract(FakeActor)),
    ("filter", transform_contract(lambda: Filter(FilterConfig(match={"payload.x": 1})), samples=[event({"x": 1})])),
    ("dedup", transform_contract(lambda: Dedup(DedupConfig(key=("id",))), samples=[event(), event()])),
    ("console", logger_contract(lambda: Console(ConsoleConfig()))),
]

BROKEN: list[tuple[str, str, Checks]] = [
    ("what_it_finds_are_events", "no value", polled_contract(lambda: Pages("no value"))),
    ("asked_again_from_the_same_place_it_loses_nothing", "skips", polled_contract(lambda: Pages("skips"))),
    ("another_one_goes_on_where_it_was", "forgets", polled_contract(lambda: Pages("forgets its checkpoint"))),
    ("it_comes_to_an_end_and_finds_nothing_twice", "goes round", polled_contract(lambda: Pages("goes round"))),
    (
        "what_is_forged_becomes_nothing",
        "believes",
        pushed_contract(lambda: Hook("believes"), good=GOOD, forged=[FORGED]),
    ),
    ("the_same_request_is_the_same_delivery", "counts", pushed_contract(lambda: Hook("counts"), good=GOOD)),
    ("whatever_is_sent_it_answers", "falls", pushed_contract(lambda: Hook("falls"), good=GOOD)),
    ("an_attempt_has_an_outcome", "none", actor_contract(lambda: Doing(lambda delivery: None))),
    ("it_expects_the_same_again", "once", actor_contract(lambda: FakeActor(*TWICE))),
    (
        "the_event_is_as_it_was",
        "writes",
        actor_contract(lambda: Doing(lambda one: one.event.payload.clear() or Delivered())),
    ),
    ("it_gives_an_event_or_nothing", "text", transform_contract(lambda: Changing(lambda one: "x"), samples=[event()])),
    (
        "the_event_is_as_it_was",
        "adds",
        transform_contract(lambda: Changing(lambda one: one.payload.update(x=1) or one), samples=[event({"y": 1})]),
    ),
    (
        "who_an_event_is_stays",
        "renames",
        transform_contract(lambda: Changing(lambda one: attrs.evolve(one, id="evt_x")), samples=[event()]),
    ),
    ("it_takes_every_notice", "falls", logger_contract(Falling)),
]


@pytest.mark.parametrize(
    "check", [pytest.param(check, id=f"{of}-{name}") for of, checks in KEPT for name, check in checks]
)
async def test_who_keeps_every_promise_passes(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    """Our own, and the fakes."""
    await check()


@pytest.mark.parametrize(
    ("name", "checks"), [pytest.param(name, checks, id=f"{name}-{how}") for name, how, checks in BROKEN]
)
async def test_who_breaks_a_promise_is_found(name: str, checks: Checks) -> None:
    """By the check of that promise."""
    with pytest.raises(Exception):  # noqa: B017, PT011 - an assertion, or what the plug-in raised
        await dict(checks)[name]()
