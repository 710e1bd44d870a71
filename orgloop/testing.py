"""Fakes for those who write plug-ins, and the contract that every bus must keep. No mocks: each one works."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Generic, TypeVar

import attrs
import trio

from orgloop.errors import EventError
from orgloop.event import Event
from orgloop.sdk import Admitted, Delivered, Delivery, EventBus, Outcome, Polled, Settlement


def event(payload: Any = None, *, source: str = "github", type: str = "resource.changed", **fields: Any) -> Event:
    """Make an event, with what is not given made up; ``fields`` are those of :class:`orgloop.event.Event`."""
    provenance = fields.pop("provenance", {"platform": source})
    return Event(source, type, provenance, {} if payload is None else payload, **fields)


T = TypeVar("T")


class _Script(Generic[T]):
    """What a fake plays: it returns a value, raises an exception, and takes a number of seconds before it goes on."""

    def __init__(self, script: tuple[T | BaseException | float, ...], then: T) -> None:
        self._left = deque(script)
        self._then = then

    async def play(self) -> T:
        await trio.lowlevel.checkpoint()
        while self._left:
            match self._left.popleft():
                case BaseException() as error:
                    raise error
                case int() | float() as takes_s:
                    await trio.sleep(takes_s)
                case value:
                    return value
        return self._then


class FakeActor:
    """
    An actor that plays a script, and after its end delivers everything; ``deliveries`` is what it was given.

    An outcome is returned, an exception raised, and a number is seconds that it takes before it goes on.
    """

    def __init__(self, *script: Outcome | BaseException | float) -> None:
        self.deliveries: list[Delivery] = []
        self._script = _Script[Outcome](script, Delivered())

    @property
    def events(self) -> list[Event]:
        """The event of each delivery."""
        return [delivery.event for delivery in self.deliveries]

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Play on until the next outcome."""
        self.deliveries.append(delivery)
        return await self._script.play()


class FakePolledSource:
    """A source that plays a script as an actor does, then finds nothing; ``checkpoints`` is what it was polled with."""

    def __init__(self, *script: Polled | BaseException | float) -> None:
        self.checkpoints: list[str | None] = []
        self._script = _Script[Polled](script, Polled())

    async def poll(self, checkpoint: str | None) -> Polled:
        """Play on until the next finding."""
        self.checkpoints.append(checkpoint)
        return await self._script.play()


@attrs.define
class FakeMarks:
    """
    What a transform remembers, in memory: set ``event_id`` and ``now_s`` to go on to another event, at another time.

    The same event stays first, however often it is delivered.
    """

    event_id: str = "evt_1"
    now_s: float = 0.0
    seen: dict[str, tuple[str, float]] = attrs.field(factory=dict)
    """The event that showed each key, and when."""

    def is_first(self, key: str, *, window_s: float) -> bool:
        """Whether no other event has shown this key within the window."""
        owner, at_s = self.seen.get(key, (self.event_id, self.now_s))
        if owner != self.event_id and self.now_s < at_s + window_s:
            return False
        self.seen[key] = self.event_id, self.now_s
        return True


# -- the contract of a bus ---------------------------------------------------------------------------------------------

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
