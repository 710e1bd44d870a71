"""One module in a runtime of its own: the whole of OrgLoop as one object of somebody else's program."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, TypeVar, overload

import attrs

from orgloop.bus import MemoryBus
from orgloop.delivery.dead_letters import Damaged, DeadLetter
from orgloop.embed._callbacks import Listeners, Settled
from orgloop.embed._guest import as_host, is_on_asyncio
from orgloop.embed._listening import ListeningBus
from orgloop.embed._runtime import Source, open_here
from orgloop.errors import Closed, ConfigError, ModuleError
from orgloop.event import Event, timestamp_of
from orgloop.runtime.kept import open_kept
from orgloop.runtime.runtime import Config, Runtime, open_runtime
from orgloop.runtime.statistics import Statistics
from orgloop.sdk import ERROR, SEVERITY_OF, Actor, EventBus, Logger, Notice, Transform

T = TypeVar("T")

_FAMILIES = ("audit.", "deliver.", "http.", "loop.", "module.", "pipeline.", "source.", "system.", "transform.")
"""Of the phases in which something can go wrong."""

_NONE: Mapping[str, Any] = MappingProxyType({})


class OrgLoop:
    """
    A runtime with one module, on Trio or on asyncio, as an async context manager.

    ``config`` is the module: plain data, its values, or where its YAML is. ``sources``, ``actors``, ``transforms`` and
    ``loggers`` are objects for the ids in it. ``bus`` keeps events until all that is owed for them has ended: in
    ``"memory"``, in a ``"file"`` log below ``home``, or it is a bus of one's own. With a ``home``, dead letters are
    files whatever the bus.
    """

    def __init__(
        self,
        config: Config,
        *,
        sources: Mapping[str, Source] = _NONE,
        actors: Mapping[str, Actor] = _NONE,
        transforms: Mapping[str, Transform] = _NONE,
        loggers: Mapping[str, Logger] = _NONE,
        bus: Literal["memory", "file"] | EventBus = "memory",
        home: Path | str | None = None,
    ) -> None:
        if isinstance(bus, str) and bus not in ("memory", "file"):
            raise ConfigError(f'bus: must be "memory", "file" or an EventBus, got {bus!r}')
        if bus == "file" and home is None:
            raise ConfigError('bus: "file" keeps its log below home; say where: OrgLoop(…, bus="file", home="…")')
        self._config = config
        self._sources, self._actors, self._transforms, self._loggers = sources, actors, transforms, loggers
        self._bus = bus
        self._home = None if home is None else Path(home)
        self._on_event = Listeners[Event](partial(self._note_failure, "event"))
        self._on_delivery = Listeners[Settled](partial(self._note_failure, "delivery"))
        self._on_error = Listeners[Notice](partial(self._note_failure, "error"))
        self._failed_callbacks = 0
        self._runtime: Runtime | None = None
        self._is_open = self._is_hosted = False
        self._exit = AsyncExitStack()
        self._hears = False
        self._actor_by_route: dict[str, str] = {}

    # -- open and closed -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._is_open:
            raise ModuleError("this OrgLoop is open already; make another one")
        self._is_open, self._is_hosted = True, is_on_asyncio()
        try:
            self._runtime = await self._exit.enter_async_context(open_here(self._open))
        except BaseException:
            self._is_open = False
            raise
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._exit.__aexit__(type_, error, traceback)
        finally:
            self._is_open = False

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Runtime]:
        """On Trio: the runtime with its module."""
        async with AsyncExitStack() as stack:
            bus = ListeningBus(
                await self._open_bus(stack),
                on_event=self._on_event,
                on_settled=self._on_delivery,
                actor_of=lambda module, route: self._actor_of(runtime, module, route),
                forgotten=self._tell_error,
            )
            runtime = await stack.enter_async_context(open_runtime(home=self._home, bus=bus))
            self._actor_by_route.clear()
            self._hears = False
            self._hear(runtime)
            await runtime.load_module(
                self._config,
                sources=self._sources,
                actors=self._actors,
                transforms=self._transforms,
                loggers=self._loggers,
            )
            yield runtime

    async def _open_bus(self, stack: AsyncExitStack) -> EventBus:
        if self._bus == "memory":
            return MemoryBus()
        if self._bus == "file":
            assert self._home is not None
            return await stack.enter_async_context(open_kept(self._home))
        assert not isinstance(self._bus, str)
        return self._bus

    def _opened(self) -> Runtime:
        if not self._is_open or self._runtime is None:
            raise Closed("this OrgLoop is not open; use it inside of `async with loop:`")
        return self._runtime

    # -- events --------------------------------------------------------------------------------------------------------

    async def inject(self, events: Event | Mapping[str, Any] | Sequence[Event | Mapping[str, Any]]) -> list[int]:
        """
        Admit events as if a source had emitted them; their sequence numbers, once they are as durable as the bus is.

        A mapping has the fields of :class:`Event`, of which ``source`` and ``type`` are needed. Raises
        :class:`EventError`, naming every fault, and then admits none.
        """
        return await self._opened().inject(events)

    async def drain(self, *, timeout_s: float = math.inf) -> bool:
        """Wait until every admitted obligation has ended; whether that came in time."""
        return await self._opened().drain(timeout_s=timeout_s)

    def dead_letters(self, *, limit: int = 100) -> tuple[DeadLetter | Damaged, ...]:
        """What was given up, oldest first; reads files if there is a home."""
        return self._opened().dead_letters(limit=limit)

    # -- looking -------------------------------------------------------------------------------------------------------

    @overload
    def on(self, name: Literal["event"], callback: Callable[[Event], object]) -> Callable[[], None]: ...
    @overload
    def on(self, name: Literal["delivery"], callback: Callable[[Settled], object]) -> Callable[[], None]: ...
    @overload
    def on(self, name: Literal["error"], callback: Callable[[Notice], object]) -> Callable[[], None]: ...
    def on(self, name: str, callback: Callable[[Any], object]) -> Callable[[], None]:
        """
        Call back from now on; gives what ends that.

        ``event`` is told of each event once, when it is admitted; ``delivery`` of what came of each obligation that was
        routed since; ``error`` of whatever went wrong, a delivery that is tried again too. A callback must not block.
        What it raises is counted in :meth:`statistics`, told as an error the first time, and changes nothing else.
        """
        listeners: Mapping[str, Listeners[Any]] = {
            "event": self._on_event,
            "delivery": self._on_delivery,
            "error": self._on_error,
        }
        if name not in listeners:
            raise ValueError(f"there is no {name!r} to listen for; there are {', '.join(map(repr, listeners))}")
        end = listeners[name].add(self._where_it_lives(callback))
        if self._is_open and self._runtime is not None:
            self._hear(self._runtime)
        return end

    def statistics(self) -> Statistics:
        """
        A snapshot in which ``admitted = delivered + dropped + dead + expired + in_flight`` holds for every route.

        After the block it is that of the end, and the module is ``removed``.
        """
        if self._runtime is None:
            raise Closed("this OrgLoop was never open, so nothing was counted")
        found = self._runtime.statistics()
        if not self._is_open:
            found = attrs.evolve(found, modules=tuple(attrs.evolve(one, state="removed") for one in found.modules))
        notices = attrs.evolve(
            found.notices,
            callbacks=len(self._on_event) + len(self._on_delivery) + len(self._on_error),
            failed_callbacks=self._failed_callbacks,
        )
        return attrs.evolve(found, notices=notices)

    def tree(self) -> str:
        """The supervision tree as it is."""
        return self._opened().tree()

    # -- listening -----------------------------------------------------------------------------------------------------

    def _where_it_lives(self, callback: Callable[[T], object]) -> Callable[[T], object]:
        on_host = as_host(callback)
        return lambda value: on_host(value) if self._is_hosted else callback(value)

    def _hear(self, runtime: Runtime) -> None:
        """Listen to notices if somebody listens for errors, and not before: each costs time on the way of an event."""
        if len(self._on_error) and not self._hears:
            self._hears = True
            for family in _FAMILIES:
                runtime.on(family, self._note_error)

    def _note_error(self, notice: Notice) -> None:
        if notice.error is not None or SEVERITY_OF.get(notice.phase) == ERROR:
            self._on_error.tell(notice)

    def _actor_of(self, runtime: Runtime, module: str, route: str) -> str:
        if route not in self._actor_by_route:
            self._actor_by_route.update((one.name, one.then.actor) for one in runtime.config_of(module).routes)
        return self._actor_by_route[route]

    def _note_failure(self, name: str, error: str, is_first: bool) -> None:
        self._failed_callbacks += 1
        if is_first and name != "error":
            self._tell_error(f"a callback for {name!r} raised {error}; told of once")

    def _tell_error(self, error: str) -> None:
        self._on_error.tell(Notice(timestamp=timestamp_of(time.time()), phase="system.error", error=error))
