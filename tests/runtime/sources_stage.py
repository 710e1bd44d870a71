"""An outside that a source polls, a bus that fails at will, and the child of a source in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from orgloop.bus import MemoryBus
from orgloop.event import Event
from orgloop.runtime.checkpoints import BusPlace
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.sources import SourceSpec, Standing, Surroundings, serve_source
from orgloop.sdk import Note, Polled

AT_S = 1_700_000_000.25


def event(number: int = 1, **fields: Any) -> Event:
    return Event("outside", "resource.changed", {"platform": "test"}, {"number": number}, **fields)


Act = Polled | Exception | Callable[[], Awaitable[Polled]]


@attrs.define
class Source:
    """Does what its script says, poll after poll, then finds nothing."""

    script: list[Act] = attrs.field(factory=list)
    asked: list[str | None] = attrs.field(factory=list)
    times_s: list[float] = attrs.field(factory=list)

    async def poll(self, checkpoint: str | None) -> Polled:
        self.asked.append(checkpoint)
        self.times_s.append(trio.current_time())
        act = self.script.pop(0) if self.script else Polled()
        if isinstance(act, Exception):
            raise act
        return act if isinstance(act, Polled) else await act()


@attrs.define
class Bus:
    """A memory bus that keeps what was published, and refuses what it is told to."""

    bus: MemoryBus = attrs.field(factory=MemoryBus)
    published: list[tuple[list[Event], Sequence[Note]]] = attrs.field(factory=list)
    refusals: list[Exception | None] = attrs.field(factory=list)

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        sequences = await self.bus.publish(events, notes=notes)
        self.published.append((list(events), notes))
        return sequences

    @property
    def events(self) -> list[Event]:
        return [event for events, _ in self.published for event in events]

    def checkpoint(self, source: str = "github") -> str | None:
        noted = self.bus.note("checkpoint", f"m/{source}")
        return None if noted is None else str(noted["checkpoint"])


@attrs.define
class Notices:
    """What was told."""

    told: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)

    def __call__(self, phase: str, **fields: Any) -> None:
        self.told.append((phase, fields))

    @property
    def phases(self) -> list[str]:
        return [phase for phase, _ in self.told]

    @property
    def errors(self) -> list[str]:
        return [fields["error"] for _, fields in self.told if "error" in fields]


@attrs.define
class Stage:
    """One source and its surroundings; ``place`` may be replaced before the source is served."""

    source: Any = attrs.field(factory=Source)
    interval_s: float = 10.0
    timeout_s: float = 60.0
    bus: Bus = attrs.field(factory=Bus)
    tell: Notices = attrs.field(factory=Notices)
    standing: Standing = attrs.field(factory=Standing)
    scheduler: Scheduler = attrs.field(factory=lambda: Scheduler(chance=lambda: 0.0))
    place: Any = None

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(
            module="m",
            id="github",
            make=lambda: self.source,
            interval_s=self.interval_s,
            timeout_s=self.timeout_s,
        )

    @property
    def around(self) -> Surroundings:
        place = self.place or BusPlace(
            module="m", source="github", fingerprint="f", note=self.bus.bus.note, tell=self.tell
        )
        return Surroundings(
            scheduler=self.scheduler, publish=self.bus.publish, place=place, tell=self.tell, now_s=lambda: AT_S
        )

    def status(self) -> str:
        """What people see of its health at a glance."""
        return self.standing.health.status

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One life."""
        await serve_source(self.spec, self.standing, self.around, task_status=task_status)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """One life beside the scheduler, while the block lasts."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.scheduler.run)
            await nursery.start(self.serve)
            yield
            nursery.cancel_scope.cancel("seen enough")

    async def run_for(self, seconds: float) -> None:
        """One life of so many seconds."""
        async with self.running():
            await trio.sleep(seconds)
