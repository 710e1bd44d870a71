"""Builds with a known fault: the checks find every one of them, or their silence would mean nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import trio

from orgloop.bus import FileBus
from orgloop.event import Event
from orgloop.sdk import EventBus, Note, Settlement
from orgloop.wal import Disk, Wal, WalLimits, open_wal

SMALL = WalLimits(segment_bytes=8 * 1024)
LATE_S = 0.001


class Early(FileBus):
    """Acknowledges what is not yet durable."""

    def __init__(self, wal: Wal, nursery: trio.Nursery) -> None:
        super().__init__(wal)
        self._nursery = nursery

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        self._nursery.start_soon(self._publish_late, events, notes)
        await trio.lowlevel.checkpoint()
        return [0 for _ in events]

    async def _publish_late(self, events: Sequence[Event], notes: Sequence[Note]) -> None:
        await trio.sleep(LATE_S)
        await super().publish(events, notes=notes)


class Ahead(FileBus):
    """Makes the checkpoint durable before its events."""

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        if notes:
            await super().publish([], notes=notes)
            await trio.sleep(LATE_S)
        return await super().publish(events)


class Whole(FileBus):
    """Takes the end of one obligation for the end of the event."""

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        super().settle([msgspec.structs.replace(one, still_open=[]) for one in settlements], notes=notes)


class Forgetful(FileBus):
    """Never writes down that anything has ended."""

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        super().settle([], notes=notes)


PLANTED: dict[str, Callable[[Wal, trio.Nursery], EventBus]] = {
    "": lambda wal, _: FileBus(wal),
    "early": Early,
    "ahead": lambda wal, _: Ahead(wal),
    "whole": lambda wal, _: Whole(wal),
    "forgetful": lambda wal, _: Forgetful(wal),
}
"""Buses by the name of their fault; the first has none."""


@asynccontextmanager
async def open_bus(disk: Disk, bug: str = "", *, limits: WalLimits = SMALL) -> AsyncGenerator[EventBus]:
    """A bus over a log, with a fault."""
    async with open_wal(disk, limits=limits) as wal, trio.open_nursery() as nursery:
        yield PLANTED[bug](wal, nursery)
        nursery.cancel_scope.cancel("the bus is left")
