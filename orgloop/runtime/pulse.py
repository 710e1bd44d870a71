"""
The sign of life of a source or an actor, for the watchdog over it.

    idle        it beats by itself: nobody asks anything of it
    busy        it beats whenever something that was asked of it has ended: one that hangs goes silent

So a watchdog means "busy, and no sign of life for so long", never "nothing to do".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import trio

from orgloop.runtime.containment import raise_contained
from orgloop.sdk import Actor, Delivery, Outcome, Polled, Received, Request
from orgloop_supervisors import ChildStatus

T = TypeVar("T")

BEATS = 4
"""How often an idle child beats in the time that its watchdog gives it."""


@attrs.define(eq=False)
class Pulse:
    """One life's."""

    beat: Callable[[], None] | None
    """None: nobody watches."""
    _busy: int = 0

    async def during(self, asked: Awaitable[T]) -> T:
        """Be busy with something; its end is a sign of life, whatever came of it."""
        if self.beat is None:
            return await asked
        if not self._busy:
            self.beat()  # it was idle until now, and has all of its time
        self._busy += 1
        try:
            return await asked
        finally:
            self._busy -= 1
            self.beat()

    async def beat_while_idle(self, every_s: float) -> None:
        """Until cancelled."""
        while self.beat is not None:
            if not self._busy:
                self.beat()
            await trio.sleep(every_s)


@asynccontextmanager
async def watched(watchdog_s: float | None, task_status: trio.TaskStatus[Any]) -> AsyncGenerator[Pulse]:
    """A pulse around one life; without a watchdog, it costs nothing and says nothing."""
    if watchdog_s is None or not isinstance(task_status, ChildStatus):
        yield Pulse(None)
        return
    pulse = Pulse(task_status.beat)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.beat_while_idle, watchdog_s / BEATS)
        yield pulse
        nursery.cancel_scope.cancel("the life is over")


@attrs.frozen(eq=False)
class Asked:
    """
    A plug-in, as it is asked: with its pulse, and within its wall.

    A wall here and not only around its life, because there are nurseries in between, and Trio asks what comes out of
    one what it is. No context managers: those cost as much as a delivery.
    """

    what: str
    plugin: Any
    pulse: Pulse

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Ask an actor."""
        actor: Actor = self.plugin
        try:
            if self.pulse.beat is None:
                return await actor.deliver(delivery)
            return await self.pulse.during(actor.deliver(delivery))
        except BaseException as exc:
            raise_contained(self.what, exc)
            raise

    async def poll(self, checkpoint: str | None) -> Polled:
        """Ask a source what there is."""
        try:
            return await self.pulse.during(self.plugin.poll(checkpoint))
        except BaseException as exc:
            raise_contained(self.what, exc)
            raise

    async def receive(self, request: Request) -> Received:
        """Have a source make events of a request."""
        return await self.pulse.during(self.plugin.receive(request))


class AskedOpen(Asked):
    """One that holds something open."""

    async def __aenter__(self) -> Any:
        """Enter it."""
        return await self.plugin.__aenter__()

    async def __aexit__(self, *exc: object) -> Any:
        """Leave it."""
        return await self.plugin.__aexit__(*exc)


def asked(what: str, plugin: Any, pulse: Pulse) -> Asked:
    """A plug-in to be asked; to be entered, if it is."""
    cls = AskedOpen if hasattr(plugin, "__aenter__") else Asked
    return cls(what, plugin, pulse)
