"""The other way round: what is written for asyncio, called by Trio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial, wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

import attrs
import outcome
import trio

from orgloop.embed._guest import bridge_here
from orgloop.errors import PluginError
from orgloop.event import Event
from orgloop.sdk import Actor, Delivery, PolledSource, PushedSource, Transform

T = TypeVar("T")
P = ParamSpec("P")
PlugIn = TypeVar("PlugIn", bound=Actor | PolledSource | PushedSource | Transform)

LEAVE_S = 4.0
"""How long it may take to leave what holds something open, before that is cancelled."""


def on_host(plugin: PlugIn) -> PlugIn:
    """
    Let a plug-in that is written for asyncio do its work there: ``actors={"agent": on_host(Agent())}``.

    Without this, its coroutine functions run on Trio, which is right for what is written for Trio or anyio. Each call
    is a task of the loop that OrgLoop is embedded in; when the runtime cancels it, as a deadline does, that task is
    cancelled. If it is an async context manager, it is entered and left in one task. ``delivery.emit`` works there.
    """
    kind = _OpenedOnHost if hasattr(plugin, "__aenter__") else _OnHost
    return cast(PlugIn, kind(plugin))


async def on_loop(async_fn: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a coroutine function as a task of the asyncio loop around us, and wait for its end."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise PluginError("on_host is for programs that run on asyncio; here is none, so leave it out") from None
    call = _HostCall(partial(_captured, partial(async_fn, *args, **kwargs)), trio.lowlevel.current_task())
    # Not at once: an eager task would begin in here, and take itself for one of Trio's.
    call.handle = loop.call_soon(call.begin)
    return cast(T, await trio.lowlevel.wait_task_rescheduled(call.abort))


@attrs.define(eq=False)
class _HostCall:
    """One task of the host, and the task of Trio that waits for it."""

    _run: Callable[[], Coroutine[Any, Any, outcome.Outcome[Any]]]
    _caller: trio.lowlevel.Task
    handle: asyncio.Handle | None = None
    _task: asyncio.Task[outcome.Outcome[Any]] | None = None
    _raise_cancel: Callable[[], object] | None = None

    def begin(self) -> None:
        """In the host's turn."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[outcome.Outcome[Any]]) -> None:
        came = outcome.Error(asyncio.CancelledError()) if task.cancelled() else task.result()
        if isinstance(came, outcome.Error) and isinstance(came.error, asyncio.CancelledError):
            came = outcome.capture(self._raise_cancel or _was_cancelled_by_others)
        trio.lowlevel.reschedule(self._caller, came)

    def abort(self, raise_cancel: Callable[[], object]) -> trio.lowlevel.Abort:
        """Trio cancels its task."""
        if self._task is None:
            assert self.handle is not None
            self.handle.cancel()
            return trio.lowlevel.Abort.SUCCEEDED
        self._raise_cancel = raise_cancel
        self._task.cancel("the runtime has cancelled the call")
        return trio.lowlevel.Abort.FAILED


async def _captured(async_fn: Callable[[], Awaitable[T]]) -> outcome.Outcome[T]:
    """What comes of it, SystemExit too: raised out of a task of asyncio, that would stop the loop of the host."""
    return await outcome.acapture(async_fn)


def _was_cancelled_by_others() -> object:
    raise PluginError("its task on the asyncio loop was cancelled by somebody else")


# -- plug-ins ----------------------------------------------------------------------------------------------------------


class _OnHost:
    """A plug-in of which each coroutine function runs on the host; everything else is as it was."""

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin

    def __repr__(self) -> str:
        return f"on_host({self._plugin!r})"

    def __getattr__(self, name: str) -> object:
        method = getattr(self._plugin, name)
        if not inspect.iscoroutinefunction(method):
            return method

        @wraps(method)
        async def crossing(*args: object) -> object:
            return await on_loop(method, *map(_emitting_from_host, args))

        return crossing


class _OpenedOnHost(_OnHost):
    """One that holds something open: entered and left in a task of its own, as its own scopes and groups need."""

    _life: asyncio.Task[outcome.Outcome[None]]
    _leave: asyncio.Event

    async def __aenter__(self) -> object:
        await on_loop(self._begin)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # An actor is left because its task is cancelled, and what is written for asyncio expects to be asked to close.
        with trio.move_on_after(LEAVE_S, shield=True):
            await on_loop(self._end)

    async def _begin(self) -> None:
        self._leave, entered = asyncio.Event(), asyncio.Event()
        self._life = asyncio.create_task(_captured(partial(self._live, entered)))
        entering = asyncio.create_task(entered.wait())
        try:
            await asyncio.wait({self._life, entering}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._life.cancel()
            await asyncio.wait({self._life})
            raise
        finally:
            entering.cancel()
        if self._life.done():
            self._life.result().unwrap()

    async def _live(self, entered: asyncio.Event) -> None:
        async with cast(Any, self._plugin):
            entered.set()
            await self._leave.wait()

    async def _end(self) -> None:
        self._leave.set()
        (await self._life).unwrap()


def _emitting_from_host(argument: object) -> object:
    """A delivery whose ``emit`` may be awaited on the host."""
    if not isinstance(argument, Delivery):
        return argument
    bridge, emit = bridge_here(), argument.emit

    async def across(events: Sequence[Event]) -> None:
        await bridge.run(emit, events)

    return attrs.evolve(argument, emit=across)
