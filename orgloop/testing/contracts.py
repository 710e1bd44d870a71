"""
What sources, actors, transforms and loggers promise, as checks that any of them can be put to.

    @pytest.mark.parametrize(("name", "check"), polled_contract(open_source))
    async def test_my_source_keeps_its_promises(name: str, check: Check) -> None:
        await check()

Each ``open_…`` opens a new plug-in on the same outside; one that is a context manager is entered and left. A check
raises AssertionError, and says what was promised. None takes longer than :data:`CHECK_S`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import attrs
import trio

from orgloop.event import Event, encode, faults_of
from orgloop.sdk import (
    SEVERITY_OF,
    Actor,
    Context,
    Delivered,
    Delivery,
    Failed,
    Logger,
    Notice,
    Polled,
    PolledSource,
    PushedSource,
    Received,
    Rejected,
    Request,
    Skipped,
    Transform,
    TransformFailed,
)
from orgloop.testing.fakes import FakeMarks, event

Check = Callable[[], Awaitable[None]]

CHECK_S = 10.0
"""How long one check may take."""

MAX_POLLS = 1000
"""How often a source may be polled until it has found everything."""

HOSTILE_BODIES = (
    *(b"", b"\0", b"null", b"[]", b"{", b'"\\ud800"', b'{"a":' * 5000, b"\xff\xfe", b"a=b&a=c"),
    *(b'{"id": 1e999}', b'{"id": NaN}', b'{"action": {"$ref": "#"}}', b"<?xml version='1.0'?><!DOCTYPE a []>"),
)
"""What anybody may send to a source that is told."""


def _checks(*checks: Callable[[], Awaitable[None]]) -> list[tuple[str, Check]]:
    def bounded(check: Callable[[], Awaitable[None]]) -> Check:
        async def run() -> None:
            with trio.fail_after(CHECK_S):
                await check()

        return run

    return [(check.__name__, bounded(check)) for check in checks]


@asynccontextmanager
async def _opened(make: Callable[[], Any]) -> AsyncGenerator[Any]:
    plugin = make()
    if hasattr(plugin, "__aenter__"):
        async with plugin:
            yield plugin
    else:
        yield plugin


def _refuse_faults(events: Iterable[Event]) -> None:
    for one in events:
        assert isinstance(one, Event), f"{type(one).__name__} is not an Event"
        assert not faults_of(one), f"{one.id}: {'; '.join(faults_of(one))}"


# -- sources -----------------------------------------------------------------------------------------------------------


def polled_contract(
    make: Callable[[], PolledSource], *, same: Callable[[Event], object] | None = None
) -> list[tuple[str, Check]]:
    """
    What :class:`orgloop.sdk.PolledSource` promises, for a source whose outside stands still and holds something.

    ``same`` says what two events of the same fact have in common; all but ids and times, if it is not given.
    """
    same = same or _fact

    async def read_all(source: PolledSource, checkpoint: str | None) -> tuple[list[Event], str | None]:
        found: list[Event] = []
        for _ in range(MAX_POLLS):
            polled = await source.poll(checkpoint)
            if not polled.events and polled.checkpoint in (None, checkpoint):
                return found, checkpoint
            found += polled.events
            checkpoint = polled.checkpoint or checkpoint
        raise AssertionError(f"after {MAX_POLLS} polls there is still more, though the outside stands still")

    async def what_it_finds_are_events() -> None:
        async with _opened(make) as source:
            polled = await source.poll(None)
            assert isinstance(polled, Polled), f"poll gave {type(polled).__name__}, not Polled"
            _refuse_faults(polled.events)
            assert polled.checkpoint is None or isinstance(polled.checkpoint, str), "a checkpoint is a string"

    async def asked_again_from_the_same_place_it_loses_nothing() -> None:
        async with _opened(make) as source:
            first, second = await source.poll(None), await source.poll(None)
            lost = {same(one) for one in first.events} - {same(one) for one in second.events}
            assert not lost, f"{len(lost)} events of the first answer are not in the second"

    async def it_comes_to_an_end_and_finds_nothing_twice() -> None:
        async with _opened(make) as source:
            found, checkpoint = await read_all(source, None)
            facts = [same(one) for one in found]
            assert len(set(facts)) == len(facts), "the same fact came twice"
            assert not (await source.poll(checkpoint)).events, "at the end, there was something again"

    async def another_one_goes_on_where_it_was() -> None:
        async with _opened(make) as source:
            polled = await source.poll(None)
        async with _opened(make) as source:
            found, _ = await read_all(source, polled.checkpoint)
            again = {same(one) for one in polled.events} & {same(one) for one in found}
            assert polled.checkpoint is None or not again, f"{len(again)} events came again from their own checkpoint"

    async def a_cancelled_poll_leaves_it_usable() -> None:
        async with _opened(make) as source:
            with trio.move_on_after(0):
                await source.poll(None)
            assert isinstance(await source.poll(None), Polled)

    return _checks(
        what_it_finds_are_events,
        asked_again_from_the_same_place_it_loses_nothing,
        it_comes_to_an_end_and_finds_nothing_twice,
        another_one_goes_on_where_it_was,
        a_cancelled_poll_leaves_it_usable,
    )


def pushed_contract(
    make: Callable[[], PushedSource], *, good: Request, forged: Sequence[Request] = ()
) -> list[tuple[str, Check]]:
    """What :class:`orgloop.sdk.PushedSource` promises: ``good`` is authentic and means something, ``forged`` is not."""

    async def a_good_request_becomes_events() -> None:
        async with _opened(make) as source:
            received = await source.receive(good)
            assert isinstance(received, Received), f"receive gave {type(received).__name__}, not Received"
            assert received.events, "nothing came of it"
            assert 200 <= received.response.status < 300, f"it was answered {received.response.status}"
            _refuse_faults(received.events)

    async def the_same_request_is_the_same_delivery() -> None:
        async with _opened(make) as source:
            first, second = await source.receive(good), await source.receive(good)
            assert first.delivery_id == second.delivery_id, "it has two ids for one delivery"

    async def what_is_forged_becomes_nothing() -> None:
        async with _opened(make) as source:
            for request in forged:
                received = await source.receive(request)
                assert not received.events, f"{request.method} {request.path} was taken for authentic"
                assert received.response.status >= 400, f"it was answered {received.response.status}"

    async def whatever_is_sent_it_answers() -> None:
        async with _opened(make) as source:
            for body in HOSTILE_BODIES:
                received = await source.receive(attrs.evolve(good, body=body))
                assert isinstance(received, Received)
                assert received.response.status < 500, f"{body[:20]!r} was answered {received.response.status}"
                _refuse_faults(received.events)

    return _checks(
        a_good_request_becomes_events,
        the_same_request_is_the_same_delivery,
        what_is_forged_becomes_nothing,
        whatever_is_sent_it_answers,
    )


# -- actors ------------------------------------------------------------------------------------------------------------


async def _emit(events: Sequence[Event]) -> None:
    _refuse_faults(events)
    await trio.lowlevel.checkpoint()


def actor_contract(
    make: Callable[[], Actor], *, sample: Event | None = None, **config: object
) -> list[tuple[str, Check]]:
    """What :class:`orgloop.sdk.Actor` promises, for a far side that takes ``sample`` with this ``then.config``."""
    given = sample or event({"title": "one"})

    def attempt(number: int = 1, key: str = "k-1") -> Delivery:
        return Delivery(given, config, None, number, key, _emit)

    async def an_attempt_has_an_outcome() -> None:
        async with _opened(make) as actor:
            outcome: object = await actor.deliver(attempt())
            assert isinstance(outcome, Delivered | Rejected | Failed | Skipped), f"{type(outcome).__name__} is none"

    async def it_expects_the_same_again() -> None:
        async with _opened(make) as actor:
            first, second = await actor.deliver(attempt()), await actor.deliver(attempt(2))
            assert not isinstance(second, Rejected) or isinstance(first, Rejected), f"the second time: {second.reason}"

    async def the_event_is_as_it_was() -> None:
        before = encode(given)
        async with _opened(make) as actor:
            await actor.deliver(attempt())
        assert encode(given) == before, "it has changed the event, which other routes have too"

    async def a_cancelled_attempt_leaves_it_usable() -> None:
        async with _opened(make) as actor:
            with trio.move_on_after(0):
                await actor.deliver(attempt())
            await actor.deliver(attempt(2))

    async def two_at_a_time_do_not_disturb_each_other() -> None:
        async with _opened(make) as actor, trio.open_nursery() as nursery:
            for number in range(2):
                nursery.start_soon(actor.deliver, attempt(key=f"k-{number}"))

    return _checks(
        an_attempt_has_an_outcome,
        it_expects_the_same_again,
        the_event_is_as_it_was,
        a_cancelled_attempt_leaves_it_usable,
        two_at_a_time_do_not_disturb_each_other,
    )


# -- transforms --------------------------------------------------------------------------------------------------------


def transform_contract(make: Callable[[], Transform], *, samples: Sequence[Event]) -> list[tuple[str, Check]]:
    """What :class:`orgloop.sdk.Transform` promises, for these events."""

    async def applied(transform: Transform, one: Event, marks: FakeMarks) -> Event | None:
        context = Context("m", "r", one.source, "a", one.type, 1_700_000_000.0, marks)
        try:
            result: Any = transform.apply(one, context)
            changed: Event | None = await result if isawaitable(result) else result
            return changed
        except TransformFailed:
            return None

    async def it_gives_an_event_or_nothing() -> None:
        async with _opened(make) as transform:
            for one in samples:
                result = await applied(transform, one, FakeMarks(event_id=one.id))
                assert result is None or isinstance(result, Event), f"it gave {type(result).__name__}"
                _refuse_faults([] if result is None else [result])

    async def the_event_is_as_it_was() -> None:
        async with _opened(make) as transform:
            for one in samples:
                before = encode(one)
                await applied(transform, one, FakeMarks(event_id=one.id))
                assert encode(one) == before, "it has changed the event, which other routes have too"

    async def who_an_event_is_stays() -> None:
        async with _opened(make) as transform:
            for one in samples:
                result = await applied(transform, one, FakeMarks(event_id=one.id))
                assert result is None or _identity(result) == _identity(one), "id, trace or ancestors have changed"

    async def delivered_again_it_says_the_same() -> None:
        async with _opened(make) as transform:
            for one in samples:
                marks = FakeMarks(event_id=one.id)
                first, second = await applied(transform, one, marks), await applied(transform, one, marks)
                assert (first is None) == (second is None), "an event was let through once and not again"

    return _checks(
        it_gives_an_event_or_nothing,
        the_event_is_as_it_was,
        who_an_event_is_stays,
        delivered_again_it_says_the_same,
    )


# -- loggers -----------------------------------------------------------------------------------------------------------


def logger_contract(make: Callable[[], Logger]) -> list[tuple[str, Check]]:
    """What :class:`orgloop.sdk.Logger` promises: it takes every notice that there can be, in a thread."""

    def notices() -> list[Notice]:
        at = "2026-01-31T09:00:00.000Z"
        odd = "\x1b[2J\r\nforged \N{RIGHT-TO-LEFT OVERRIDE} \0 \ud800 " + "x" * 100_000
        return [
            *(Notice(timestamp=at, phase=phase) for phase in (*SEVERITY_OF, "of.a.later.version")),
            Notice(timestamp=at, phase="deliver.failure", source=odd, error=odd, metadata={odd: odd, "deep": [[[1]]]}),
            Notice(timestamp=at, phase="deliver.success", duration_ms=float("nan"), queue_depth=-1),
        ]

    async def it_takes_every_notice() -> None:
        async with _opened(make) as logger:
            for notice in notices():
                result: object = await trio.to_thread.run_sync(logger.log, notice)
                assert result is None, "log returns nothing: it is a plain function, and called in a thread"

    async def it_may_be_entered_again() -> None:
        for _ in range(2):
            async with _opened(make) as logger:
                await trio.to_thread.run_sync(logger.log, notices()[0])

    return _checks(it_takes_every_notice, it_may_be_entered_again)


def _identity(one: Event) -> tuple[object, ...]:
    return one.id, one.trace_id, one.module, one.ancestors, one.only_for


def _fact(one: Event) -> object:
    """An event without what is made anew each time."""
    return encode(attrs.evolve(one, id="evt_1", timestamp="-", trace_id="trc_1"))
