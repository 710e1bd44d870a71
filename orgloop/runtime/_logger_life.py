"""
One life of a logger: entered, given what waits for it, left.

    put ──▶ waiting ──▶ this task ──▶ a thread: log, log, log, flush

Law: a logger is in one call at most. One that is inside a call when its time is up is let go as it is, unleft, and no
later life of its name is given anything before that call has returned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio

from orgloop.errors import PluginError
from orgloop.runtime._notice_queue import BATCH, Batch, Queue, Service, words
from orgloop.sdk import Logger

GATHER_S = 0.01
"""How long notices are gathered before a thread is woken, so that a notice costs no thread of its own."""

DRAIN_S = 2.0
"""How long a logger that is to go may take for what still waits for it."""

LEAVE_S = 2.0
"""How long it may then take to close, unless it shields itself."""

Tell = Callable[..., None]


async def serve(queue: Queue, logger: Logger, *, tell: Tell, task_status: trio.TaskStatus[None]) -> None:
    """Enter a logger, carry to it what is put into the queue, and leave it; until cancelled, or told to leave."""
    for name in ("log", "flush"):
        if inspect.iscoroutinefunction(getattr(logger, name, None)):
            raise PluginError(f"logger {queue.name!r}: {name} is async; make it a plain function, it runs in a thread")
    with _serving(queue) as service, trio.CancelScope() as life:
        await _enter(queue, logger)
        try:
            task_status.started()
            await _carry_until_left(queue, logger, service, tell)
        finally:
            # Only now a shield: a scope of its own, opened after what entering opened, could not be closed before it.
            life.shield, life.deadline = True, trio.current_time() + LEAVE_S
            if not service.is_stuck:
                await _leave(queue, logger)


@contextmanager
def _serving(queue: Queue) -> Iterator[Service]:
    if queue.service is not None:
        raise ValueError(f"logger {queue.name!r} is served already")
    service = queue.service = Service()
    try:
        yield service
    finally:
        queue.service = None
        service.left.set()


async def _enter(queue: Queue, logger: Any) -> None:
    if hasattr(type(logger), "__aenter__"):
        await logger.__aenter__()
    elif hasattr(type(logger), "__enter__"):
        await trio.to_thread.run_sync(logger.__enter__, abandon_on_cancel=True, limiter=queue.limiter)


async def _leave(queue: Queue, logger: Any) -> None:
    nothing = (None, None, None)
    try:
        if hasattr(type(logger), "__aexit__"):
            await logger.__aexit__(*nothing)
        elif hasattr(type(logger), "__exit__"):
            await trio.to_thread.run_sync(logger.__exit__, *nothing, abandon_on_cancel=True, limiter=queue.limiter)
    except Exception as exc:
        queue.last_error = words(exc)


async def _carry_until_left(queue: Queue, logger: Logger, service: Service, tell: Tell) -> None:
    draining = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry, queue, logger, service, draining, tell)
        try:
            await service.leave.wait()
        finally:
            service.leave.set()
            queue.wake()
            draining.deadline = trio.current_time() + DRAIN_S


async def _carry(queue: Queue, logger: Logger, service: Service, draining: trio.CancelScope, tell: Tell) -> None:
    with draining:
        while queue or not service.leave.is_set():
            if not queue:
                await queue.wait()
                continue
            if len(queue) < BATCH:
                with trio.move_on_after(GATHER_S):
                    await service.leave.wait()
            batch = await _write(queue, logger, service)
            if batch.last_error is not None and not service.has_failed:
                service.has_failed = True
                error = f"logger {queue.name!r} raised {batch.last_error}; told of once, its statistics count the rest"
                tell("system.error", module=queue.module, error=error)
            if not queue:
                tell_of_losses(queue, tell)


async def _write(queue: Queue, logger: Logger, service: Service) -> Batch:
    batch = queue.take()
    try:
        await trio.to_thread.run_sync(
            lambda: batch.write(logger, is_last=lambda: not queue), abandon_on_cancel=True, limiter=queue.limiter
        )
    finally:
        queue.settle(batch)
        service.is_stuck = batch.in_thread
    return batch


def tell_of_losses(queue: Queue, tell: Tell) -> None:
    """Say how many notices a logger has lost that nobody has been told of yet."""
    lost, queue.confessed = queue.dropped - queue.confessed, queue.dropped
    if lost:
        error = f"{lost} notices were lost to logger {queue.name!r}, which could not keep up"
        tell("system.error", module=queue.module, error=error)
