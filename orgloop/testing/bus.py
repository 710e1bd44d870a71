"""What every bus promises, as checks that any of them can be put to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from orgloop.errors import EventError
from orgloop.sdk import Admitted, End, EventBus, Query, Settlement
from orgloop.testing.fakes import event

OpenBus = Callable[[], AbstractAsyncContextManager[EventBus]]
"""Opens a new, empty bus."""

Check = Callable[[], Awaitable[None]]

CHECK_S, QUIET_S = 10.0, 0.05
"""How long one check may take, and how long it listens to find that nothing comes."""


def bus_contract(open_bus: OpenBus) -> list[tuple[str, Check]]:
    """What :class:`orgloop.sdk.EventBus` promises, as named checks; each opens its own bus, and raises if it lies."""
    return [(check.__name__.strip("_"), partial(_run, check, open_bus)) for check in _CHECKS]


async def _run(check: Callable[[EventBus], Awaitable[None]], open_bus: OpenBus) -> None:
    with trio.fail_after(CHECK_S):
        async with open_bus() as bus:
            await check(bus)


async def _events_come_once_and_in_order(bus: EventBus) -> None:
    events = [event(number) for number in range(5)]
    sequences = await bus.publish(events[:3]) + await bus.publish(events[3:])
    received = await _receive(bus, 5)
    assert [admitted.event for admitted in received] == events, "as they were published"
    assert [admitted.sequence for admitted in received] == sequences, "under their sequences"
    assert sequences == sorted(set(sequences)), "which rise"
    assert not any(admitted.recovered or admitted.settled for admitted in received), "an empty bus recovers nothing"
    assert await _is_quiet(bus), "none comes twice"


async def _publishers_at_once_do_not_disturb_the_order(bus: EventBus) -> None:
    async def publish() -> None:
        for _ in range(10):
            await bus.publish([event(), event()])

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(publish)
        received = await _receive(bus, 160)
    sequences = [admitted.sequence for admitted in received]
    assert sequences == sorted(set(sequences)), "in order of sequence, whoever published"


async def _receiving_waits_for_the_first_event(bus: EventBus) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.publish, [event()])
        assert len(await bus.receive()) == 1, "what was published woke the receiver"


async def _a_cancelled_receiver_takes_nothing_with_it(bus: EventBus) -> None:
    assert await _is_quiet(bus), "nothing was published"
    await bus.publish([event()])
    with trio.CancelScope() as scope:
        scope.cancel()
        await bus.receive()
    assert len(await _receive(bus, 1)) == 1, "it is there for the next call"


async def _a_cancelled_publisher_has_published_all_or_nothing(bus: EventBus) -> None:
    with trio.move_on_after(0):
        await bus.publish([event(1), event(2)])
    await bus.publish([event(3)])
    found = await _receive(bus, 1)
    if found[0].event.payload == 1:
        found += await _receive(bus, 3 - len(found))
    assert [admitted.event.payload for admitted in found] in ([3], [1, 2, 3]), "all or none, and handed on"


async def _what_cannot_be_written_admits_nothing(bus: EventBus) -> None:
    note, bad_note = ("checkpoint", "a", "1"), ("checkpoint", "b", "\ud800")
    for events, notes in (([event(), event({"not": object()})], [note]), ([event()], [note, bad_note])):
        try:
            await bus.publish(events, notes=notes)
        except EventError:
            assert await _is_quiet(bus), "none of the batch was admitted"
            assert bus.note("checkpoint", "a") is None, "nor noted"
        else:
            raise AssertionError("EventError was to be raised")


async def _what_is_not_settled_can_be_read_again(bus: EventBus) -> None:
    one, two, three = await bus.publish([event(1), event(2), event(3)])
    bus.settle([Settlement(outcome="no_route", sequences=[two])])
    await bus.flush()
    found = await bus.read([one, two, three, three + 1000])
    assert [admitted.event.payload for admitted in found] == [1, 3], "what is settled, or unknown, is left out"


async def _an_event_with_an_obligation_left_stays(bus: EventBus) -> None:
    sequences = await bus.publish([event(1), event(2)])
    ended = partial(Settlement, outcome="delivered", module="engineering")
    bus.settle([ended(sequences=sequences, route="one", still_open=sequences[1:])])
    await bus.flush()
    assert [admitted.sequence for admitted in await bus.read(sequences)] == sequences[1:], "the second has one left"
    bus.settle([ended(sequences=sequences[1:], route="two")])
    await bus.flush()
    assert await bus.read(sequences) == [], "that was its last"


async def _the_past_is_given_newest_first(bus: EventBus) -> None:
    sequences = await bus.publish([event(number) for number in range(5)])
    bus.settle([Settlement(outcome="no_route", sequences=sequences[1:])])
    await bus.flush()
    page = await bus.history(Query(limit=3))
    assert [one.event.payload for one in page] == [4, 3, 2], "the newest, as many as were asked for"
    rest = await bus.history(Query(before=page[-1].sequence))
    assert [one.sequence for one in rest] == [sequences[1], sequences[0]], "then those before them"
    assert [one.is_open for one in rest] == [False, True], "settled or not"
    assert await bus.history(Query(before=sequences[0])) == [], "and then there is none"


async def _the_past_knows_how_obligations_ended(bus: EventBus) -> None:
    one, two = await bus.publish([event(1), event(2)])
    ended = partial(Settlement, module="engineering")
    bus.settle([ended(outcome="delivered", route="review", sequences=[one, two], still_open=[one])])
    await bus.flush()
    bus.settle([ended(outcome="dropped(filter)", route="triage", sequences=[one])])
    await bus.flush()
    second, first = await bus.history(Query())
    delivered = End("engineering", "review", "delivered")
    assert second.ends == (delivered,), "by module, route and outcome"
    assert first.ends == (delivered, End("engineering", "triage", "dropped(filter)")), "in the order of the ends"


async def _the_past_is_found_by_what_is_asked_for(bus: EventBus) -> None:
    github = event(1, timestamp="2026-01-31T12:00:00.000Z", module="engineering")
    linear = event(2, timestamp="2026-01-31T13:00:00.000Z", module="design", source="linear", trace_id="trc_2")
    first, _ = await bus.publish([github, linear])
    bus.settle([Settlement(outcome="delivered", sequences=[first], module="engineering", route="review")])
    await bus.flush()
    for wanted, found in (
        (Query(id=github.id), [github]),
        (Query(trace_id="trc_2"), [linear]),
        (Query(module="design"), [linear]),
        (Query(source="github"), [github]),
        (Query(route="review"), [github]),
        (Query(since="2026-01-31T12:00:00.001Z"), [linear]),
        (Query(until="2026-01-31T12:00:00.000Z"), [github]),
        (Query(since="2026-01-31T12:00:00.000Z", until="2026-01-31T13:00:00.000Z"), [linear, github]),
        (Query(source="github", module="design"), []),
        (Query(source='git"hub'), []),
    ):
        page = await bus.history(wanted)
        assert [one.event for one in page] == found, f"all of which this is true: {wanted}"


async def _the_last_note_counts(bus: EventBus) -> None:
    assert bus.note("checkpoint", "a") is None, "nothing was noted"
    await bus.publish([event()], notes=[("checkpoint", "a", "1"), ("checkpoint", "a", "2"), ("mark", "a", [1, None])])
    await bus.publish([], notes=[("checkpoint", "b", "3")])
    assert [bus.note("checkpoint", "a"), bus.note("mark", "a"), bus.note("checkpoint", "b")] == ["2", [1, None], "3"]
    bus.settle([], notes=[("checkpoint", "a", None), ("checkpoint", "b", "4")])
    await bus.flush()
    assert bus.note("checkpoint", "a") is None, "None removes it"
    assert bus.note("checkpoint", "b") == "4", "noted with a settlement"


async def _the_status_is_for_people(bus: EventBus) -> None:
    assert bus.durability in {"durable", "reduced", "none"}
    assert bus.status()["state"] == "ok"
    assert bus.status()["durability"] == bus.durability


_CHECKS: tuple[Callable[[EventBus], Awaitable[None]], ...] = (
    _events_come_once_and_in_order,
    _publishers_at_once_do_not_disturb_the_order,
    _receiving_waits_for_the_first_event,
    _a_cancelled_receiver_takes_nothing_with_it,
    _a_cancelled_publisher_has_published_all_or_nothing,
    _what_cannot_be_written_admits_nothing,
    _what_is_not_settled_can_be_read_again,
    _an_event_with_an_obligation_left_stays,
    _the_past_is_given_newest_first,
    _the_past_knows_how_obligations_ended,
    _the_past_is_found_by_what_is_asked_for,
    _the_last_note_counts,
    _the_status_is_for_people,
)


async def _receive(bus: EventBus, count: int) -> list[Admitted]:
    received: list[Admitted] = []
    while len(received) < count:
        received += await bus.receive()
    return received


async def _is_quiet(bus: EventBus) -> bool:
    with trio.move_on_after(QUIET_S) as listening:
        await bus.receive()
    return listening.cancelled_caught
