"""Cancelled at any step of any task, the log stays as good as it was. (I20)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio
from trio.testing import MockClock

from orgloop.wal import WalLimits, open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import event, events, open_events


class CancelAt(trio.abc.Instrument):
    """Cancels a scope when its task has taken so many steps."""

    def __init__(self, step: int) -> None:
        self.left, self.scope, self.task = step, trio.CancelScope(), trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= task is self.task
        if self.left == 0:
            self.scope.cancel("the test is at this step")


async def cancelled_at(step: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Do some work, and cancel it at one of its steps; whether there was such a step."""
    instrument = CancelAt(step)
    trio.lowlevel.add_instrument(instrument)
    with instrument.scope:
        await work()
    trio.lowlevel.remove_instrument(instrument)
    return instrument.left <= 0


async def test_an_appender_may_be_cancelled_at_any_step(autojump_clock: MockClock) -> None:
    """I20: its events are there as a whole or not at all, everyone else's are there."""
    step = 1
    more = True
    while more:
        disk = MemoryDisk(delay_s=1)
        async with open_wal(disk, limits=WalLimits(waiting_bytes=100)) as wal, trio.open_nursery() as nursery:
            nursery.start_soon(wal.append, [event(1)])
            nursery.start_soon(wal.append, [event(2, text="x" * 100)])
            await trio.sleep(0.5)
            more = await cancelled_at(step, partial(wal.append, events([3, 4])))
            await wal.append([event(5)])
        assert set((await open_events(disk)).values()) in ({1, 2, 5}, {1, 2, 3, 4, 5}), f"step {step}"
        assert disk.open_handles == 0
        step += 1

    assert step >= 3


async def test_opening_and_closing_may_be_cancelled_at_any_step(autojump_clock: MockClock) -> None:
    """I20: nothing is lost, nothing stays open."""
    step = 1
    more = True
    while more:
        disk = MemoryDisk()
        async with open_wal(disk) as wal:
            await wal.append(events(range(5)))
        more = await cancelled_at(step, partial(open_events, disk))

        assert disk.open_handles == 0, f"step {step}"
        assert len(await open_events(disk)) == 5, f"step {step}"
        step += 1

    assert step > 5
