"""
A Trio run as the guest of an asyncio loop: two loops that take turns in one thread.

    asyncio task ── Bridge.run ──▶ Trio task       here
    asyncio task ◀── on_loop ───── Trio task       _host.py

Law: who calls across waits for the end. If it is cancelled, so is what it called, and it goes on waiting until that
has ended; no cancellation of one loop is ever seen in the other.

Trio allows one run in a thread, so all that is embedded in a loop shares one guest: the first to come starts it, the
last to leave ends it. That is what ``_guests`` is for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import Generic, ParamSpec, TypeVar

import attrs
import outcome
import sniffio
import trio

from orgloop.errors import Closed, OrgLoopError

T = TypeVar("T")
P = ParamSpec("P")

_guests: dict[asyncio.AbstractEventLoop, Bridge] = {}


def is_on_asyncio() -> bool:
    """Whether the caller runs in a task of asyncio: in a task of Trio, a guest's too, there is none."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def as_host(callback: Callable[[T], object]) -> Callable[[T], object]:
    """A callback that Trio calls and that finds itself on asyncio, where whoever gave it lives."""

    def call(value: T) -> object:
        before, sniffio.thread_local.name = sniffio.thread_local.name, "asyncio"
        try:
            return callback(value)
        finally:
            sniffio.thread_local.name = before

    return call


# -- one call into the guest -------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Call(Generic[T]):
    """A coroutine function at work in the guest, seen from the one task of asyncio that waits for it."""

    _loop: asyncio.AbstractEventLoop
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    outcome: outcome.Outcome[T] | None = None
    """What came of it; None as long as it is at work."""
    when_ended: Callable[[], object] | None = None
    _waiter: asyncio.Future[None] | None = None

    async def work(self, async_fn: Callable[[], Awaitable[T]]) -> None:
        """In a task of the guest: call, and keep what comes of it."""
        try:
            with self.scope:
                self.outcome = outcome.Value(await async_fn())
        # Everything: what is raised belongs to the caller, and a system task that raises ends the whole guest.
        except BaseException as exc:
            self.outcome = outcome.Error(_seen_outside(exc))
        if self.outcome is None:
            self.outcome = outcome.Error(asyncio.CancelledError())
        self.wake()
        if self.when_ended is not None:
            self.when_ended()

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def woken(self) -> None:
        """Wait to be told to look again."""
        self._waiter = self._loop.create_future()
        await self._waiter

    async def finish(self) -> T:
        """What comes of it; if the caller is cancelled meanwhile, so is this, and then the caller is."""
        try:
            await see_through(lambda: self.outcome is not None, self.woken, when_cancelled=self.cancel)
        except asyncio.CancelledError:
            if isinstance(self.outcome, outcome.Error) and not isinstance(self.outcome.error, asyncio.CancelledError):
                self.outcome.unwrap()  # what went wrong while it ended is more than that it was to end
            raise
        assert self.outcome is not None
        return self.outcome.unwrap()

    def cancel(self) -> None:
        """Cancel what is at work."""
        self.scope.cancel("the asyncio task that waits for it was cancelled")


async def see_through(
    is_over: Callable[[], bool], wait: Callable[[], Awaitable[object]], *, when_cancelled: Callable[[], object]
) -> None:
    """Wait until something is over, however often the caller is cancelled meanwhile; only then is it cancelled."""
    try:
        while not is_over():
            await wait()
    except asyncio.CancelledError:
        when_cancelled()
        import anyio  # shields from the cancel scopes of anyio, which would cancel us in each turn of the loop

        with anyio.CancelScope(shield=True):
            while not is_over():
                with contextlib.suppress(asyncio.CancelledError):
                    await wait()
        raise


def _seen_outside(error: BaseException) -> BaseException:
    """What asyncio is to see of an error: no cancellation of Trio's. One that is left here means the guest's end."""
    if isinstance(error, BaseExceptionGroup):
        error = error.split(trio.Cancelled)[1] or Closed("Trio has ended")
    return Closed("Trio has ended") if isinstance(error, trio.Cancelled) else error


# -- the guest ---------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Bridge:
    """The guest of one loop, and the way into it."""

    _loop: asyncio.AbstractEventLoop
    users: int = 0
    """How many keep it; 0: it is about to end."""
    _leave: trio.Event = attrs.field(factory=trio.Event)
    _ended: asyncio.Event = attrs.field(factory=asyncio.Event)
    _outcome: outcome.Outcome[None] | None = None

    def start(self) -> None:
        """Begin the run; it is there when this returns."""
        if trio.lowlevel.in_trio_run():
            if any(loop.is_closed() for loop in _guests):
                raise OrgLoopError(
                    "a loop was closed while something of OrgLoop was open in it, so its Trio run can never end, and "
                    "there can be one only in a thread; leave the blocks before closing the loop, as asyncio.run does"
                )
            raise OrgLoopError(
                "a Trio run that is not OrgLoop's is under way in this thread, and there can be one only; "
                "call OrgLoop from inside that run, or run one of the two in another thread"
            )
        trio.lowlevel.start_guest_run(
            self._leave.wait,
            run_sync_soon_threadsafe=self._loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=self._loop.call_soon,
            done_callback=self._note_end,
            host_uses_signal_set_wakeup_fd=True,
        )

    def _note_end(self, came: outcome.Outcome[None]) -> None:
        self._outcome = came
        del _guests[self._loop]
        self._ended.set()

    async def end(self) -> None:
        """Let the run end, and wait for that; raises what has ended it, if that was not us."""
        self._leave.set()
        await see_through(self._ended.is_set, self._ended.wait, when_cancelled=lambda: None)
        assert self._outcome is not None
        self._outcome.unwrap()

    async def ended(self) -> None:
        """Wait for the end of the run."""
        await self._ended.wait()

    def call(self, async_fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """Begin a call into the guest, with the context variables of here; :class:`Closed` if it has ended."""
        if self._outcome is not None:
            raise Closed("the runtime is closed, and so is the Trio run that it had")
        if asyncio.get_running_loop() is not self._loop:
            raise OrgLoopError("a runtime belongs to the asyncio loop that it was opened in; this is another one")
        call: Call[T] = Call(self._loop)
        work = partial(async_fn, *args, **kwargs)
        trio.lowlevel.spawn_system_task(call.work, work, name=async_fn, context=copy_context())
        return call

    async def run(self, async_fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a coroutine function of Trio returns or raises, called from either side."""
        if not is_on_asyncio():
            return await async_fn(*args, **kwargs)
        return await self.call(async_fn, *args, **kwargs).finish()


def bridge_here() -> Bridge:
    """The bridge of the loop that runs; :class:`Closed` if it has none."""
    bridge = _guests.get(asyncio.get_running_loop())
    if bridge is None:
        raise Closed("nothing of OrgLoop is open in this loop")
    return bridge


@asynccontextmanager
async def open_bridge() -> AsyncGenerator[Bridge]:
    """Keep the guest of this loop around a block; it is started for the first, and ended after the last."""
    loop = asyncio.get_running_loop()
    while (bridge := _guests.get(loop)) is not None and not bridge.users:
        await bridge.ended()
    if bridge is None:
        bridge = Bridge(loop)
        bridge.start()
        _guests[loop] = bridge
    bridge.users += 1
    try:
        yield bridge
    finally:
        bridge.users -= 1
        if not bridge.users:
            await bridge.end()
