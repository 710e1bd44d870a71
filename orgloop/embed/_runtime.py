"""The runtime on Trio and on asyncio, and a runtime as a task of a nursery or a task group of either."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TypeAlias, cast

import trio

from orgloop.embed._around import open_in_guest
from orgloop.embed._guest import Bridge, as_host, is_on_asyncio, open_bridge
from orgloop.runtime import runtime as on_trio
from orgloop.runtime.runtime import Config, Runtime
from orgloop.sdk import Actor, EventBus, Logger, Notice, PolledSource, PushedSource, Transform

Source: TypeAlias = PolledSource | PushedSource


def open_runtime(
    *, home: Path | str | None = None, bus: EventBus | None = None
) -> AbstractAsyncContextManager[Runtime]:
    """
    Run a runtime around a block, on Trio or on asyncio; leaving the block stops it in order.

    With a ``home`` events are durable, without they are in memory; a ``bus`` of one's own takes the place of either. On
    asyncio, what is given has the methods of :class:`Runtime`, to be called and awaited there. Should the runtime fail,
    the block is cancelled and the failure raised.
    """
    return open_here(partial(on_trio.open_runtime, home=home, bus=bus))


@asynccontextmanager
async def open_here(open_: Callable[[], AbstractAsyncContextManager[Runtime]]) -> AsyncGenerator[Runtime]:
    """Open a runtime of Trio's in the loop that the block runs in."""
    if is_on_asyncio():
        async with open_bridge() as bridge, open_in_guest(bridge, open_) as runtime:
            # A runtime to whoever calls it: the same methods with the same signatures; tests/embed holds that.
            yield cast(Runtime, RuntimeAcross(runtime, bridge))
    else:
        async with open_() as runtime:
            yield runtime


class RuntimeAcross:
    """A runtime in the guest, for those on asyncio: what waits crosses over, the rest is one call in one thread."""

    def __init__(self, runtime: Runtime, bridge: Bridge) -> None:
        self._runtime = runtime
        self._bridge = bridge

    @property
    def is_open(self) -> bool:
        """Whether it is still at work."""
        return self._runtime.is_open

    def on(self, phase: str, callback: Callable[[Notice], object]) -> Callable[[], None]:
        """As :meth:`Runtime.on`; the callback finds itself on asyncio."""
        return self._runtime.on(phase, as_host(callback))

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or not callable(getattr(Runtime, name, None)):
            raise AttributeError(f"a runtime on asyncio has no {name!r}")
        method = getattr(self._runtime, name)
        if inspect.iscoroutinefunction(method):

            @wraps(method)
            async def crossing(*args: object, **kwargs: object) -> object:
                return await self._bridge.run(method, *args, **kwargs)

            return crossing

        @wraps(method)
        def call(*args: object, **kwargs: object) -> object:
            found = method(*args, **kwargs)
            if isinstance(found, AbstractAsyncContextManager) and is_on_asyncio():
                return open_in_guest(self._bridge, lambda: found)
            return found

        return call


async def serve(
    config: Config | None = None,
    *,
    home: Path | str | None = None,
    bus: EventBus | None = None,
    sources: Mapping[str, Source] | None = None,
    actors: Mapping[str, Actor] | None = None,
    transforms: Mapping[str, Transform] | None = None,
    loggers: Mapping[str, Logger] | None = None,
    task_status: trio.TaskStatus[Runtime] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Run a runtime until cancelled, with one module if a config is given; the start of its task returns the runtime.

    For ``nursery.start`` of Trio and ``start`` of anyio's task groups on both of its backends. Cancelling it stops the
    runtime in order: sources, then actors, then what was settled is committed.
    """
    async with open_runtime(home=home, bus=bus) as runtime:
        if config is not None:
            await runtime.load_module(config, sources=sources, actors=actors, transforms=transforms, loggers=loggers)
        task_status.started(runtime)
        if is_on_asyncio():
            await asyncio.get_running_loop().create_future()
        await trio.sleep_forever()
