"""A context manager of Trio around a block of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import attrs
import trio

from orgloop.embed._guest import Bridge

T = TypeVar("T")


@attrs.define(eq=False)
class _Block:
    """The task whose block it is; its cancellations are kept account of as ``asyncio.timeout`` does."""

    _task: asyncio.Task[object]
    _cancelled_before: int
    _interrupted: bool = False

    def interrupt(self) -> None:
        """Cancel the block."""
        self._interrupted = True
        self._task.cancel("what the block was opened in has ended")

    def take_back(self) -> bool:
        """Take our cancellation back, if there was one; whether nobody else has cancelled the block."""
        if not self._interrupted:
            return False
        self._interrupted = False
        return self._task.uncancel() <= self._cancelled_before

    def cancel_again(self) -> None:
        """Let whoever else has cancelled the block be heard after an error, as the task groups of Python 3.13 do."""
        if self._task.cancelling() > self._cancelled_before:
            self._task.uncancel()
            self._task.cancel()


@asynccontextmanager
async def open_in_guest(bridge: Bridge, open_: Callable[[], AbstractAsyncContextManager[T]]) -> AsyncGenerator[T]:
    """
    Open a context manager of Trio, in a task of the guest, around a block of asyncio.

    It is left without an error, whatever the block raises. If it ends before the block does, the block is cancelled,
    and what has ended it is raised.
    """
    leave = trio.Event()
    opened: list[T] = []

    async def live() -> None:
        async with open_() as value:
            opened.append(value)
            call.wake()
            await leave.wait()

    call = bridge.call(live)
    try:
        while not opened and call.outcome is None:
            await call.woken()
    except asyncio.CancelledError:
        call.cancel()
        await call.finish()
        raise
    if call.outcome is not None:
        await call.finish()
    task = asyncio.current_task()
    assert task is not None
    block = _Block(task, task.cancelling())
    call.when_ended = block.interrupt
    try:
        yield opened[0]
    except asyncio.CancelledError:
        if not block.take_back():
            raise
    finally:
        call.when_ended = None
        block.take_back()
        leave.set()
        try:
            await call.finish()
        except asyncio.CancelledError:
            raise
        except BaseException:
            block.cancel_again()
            raise
