"""Sources, actors and marks that play a part; each works as the real one does."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Delivered, Delivery, Outcome, Polled


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
