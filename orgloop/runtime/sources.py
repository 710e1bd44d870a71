"""
What runs for a polled source: turn for turn, look, check, publish, remember.

    a turn ──▶ poll(checkpoint) ──▶ every event is one? ──▶ publish(events + checkpoint) ──▶ the next checkpoint
                  │ PollFailed         │ no                    │ refused
                  └────────────────────┴───────────────────────┴──▶ health, back-off, circuit; the checkpoint stays

Law: a checkpoint is remembered after it is durable, and it becomes durable together with the last of the events before
it. What a poll has found is published before anything is polled again, so a bus that refuses makes no event twice.
Whatever is not expected is a crash, and the supervisor's; health and circuit outlive it in a :class:`Standing`.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import attrs
import trio

from orgloop.delivery import breaker as breakers
from orgloop.delivery.pipeline import crash_in, words
from orgloop.errors import EventError, OrgLoopError, PluginError
from orgloop.event import Event, timestamp_of
from orgloop.runtime import source_health
from orgloop.runtime.checkpoints import Place, Tell
from orgloop.runtime.poll_checks import failure_in, faults_of_poll
from orgloop.runtime.scheduler import Scheduler, Ticket
from orgloop.runtime.source_health import SourceHealth, wait_after_s
from orgloop.sdk import Note, Polled, PolledSource, PollFailed

MAX_PUBLISH = 1000
"""What a poll has found beyond so many events is published in several goes; the checkpoint goes with the last."""

TOLD_FAULTS = 3
"""How many faults of a poll its error names."""

CIRCUIT = breakers.BreakerConfig(failure_threshold=5, cooldown_s=60.0)


class Publish(Protocol):
    """The bus, as far as a source is concerned."""

    def __call__(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> Awaitable[list[int]]:
        """Admit events and notes, all or none."""
        ...


@attrs.frozen(kw_only=True)
class SourceSpec:
    """What a polled source is to be."""

    module: str
    id: str
    make: Callable[[], PolledSource]
    """Builds the plug-in, anew for each life."""
    interval_s: float
    timeout_s: float = 60.0
    """What a poll may take before it counts as failed."""
    circuit: breakers.BreakerConfig = CIRCUIT

    @property
    def key(self) -> str:
        """What the scheduler knows it by."""
        return f"{self.module}/{self.id}"


@attrs.frozen(kw_only=True)
class Surroundings:
    """All that the child of a source may touch."""

    scheduler: Scheduler
    publish: Publish
    place: Place
    tell: Tell
    now_s: Callable[[], float] = time.time
    """Unix seconds."""


@attrs.define(eq=False)
class Standing:
    """What outlives the lives of a source."""

    health: SourceHealth = attrs.field(factory=SourceHealth)
    breaker: breakers.Breaker = attrs.field(factory=lambda: breakers.Breaker(CIRCUIT))


async def serve_source(
    spec: SourceSpec,
    standing: Standing,
    around: Surroundings,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Poll until cancelled; ready when the source has been entered.

    A source that is a context manager is left under the cancellation that ends it, as anything is in Trio: what it
    waits for there, it has to shield.
    """
    checkpoint = await around.place.load()
    source = spec.make()
    if standing.breaker.config != spec.circuit:
        standing.breaker = breakers.Breaker(spec.circuit)
    async with _entered(source):
        ticket = around.scheduler.register(spec.key, spec.interval_s)
        try:
            cooling_s = breakers.when_s(standing.breaker) - trio.current_time()
            if cooling_s > 0:
                ticket.retry_in(cooling_s)
            task_status.started()
            await _Poller(spec, source, standing, around, ticket, checkpoint).run()
        finally:
            around.scheduler.unregister(spec.key)
            standing.breaker = breakers.abandoned(standing.breaker)  # the trial, if one was out


@asynccontextmanager
async def _entered(source: PolledSource) -> AsyncGenerator[None]:
    if isinstance(source, AbstractAsyncContextManager):
        async with source:
            yield
    else:
        yield


@attrs.frozen
class _Failure:
    """Why a turn came to nothing."""

    reason: str
    retry_after_s: float | None = None


@attrs.define(eq=False)
class _Poller:
    """One life of a source."""

    spec: SourceSpec
    source: PolledSource
    standing: Standing
    around: Surroundings
    ticket: Ticket
    checkpoint: str | None
    _found: Polled | None = None  # what has not been published yet
    _next_in_s: float | None = None  # when the source would look again
    _emitted: int = 0  # in this turn
    _deadline: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self) -> None:
        """
        Take turns for ever.

        One scope serves many of them, until it has expired: a scope of its own for each poll costs as much as all the
        rest of a poll that finds nothing.
        """
        while True:
            with trio.CancelScope() as self._deadline:
                while True:
                    async with self.ticket.turn():
                        await self._take_turn()
            self._fail(_Failure(f"Poll failed: no answer within {self.spec.timeout_s:g} s"))

    async def _take_turn(self) -> None:
        standing = self.standing
        if standing.breaker.state != "closed":
            # A turn before the end of the cooldown has been asked for by somebody: it is the trial all the same.
            now_s = max(trio.current_time(), breakers.when_s(standing.breaker))
            standing.breaker, _ = breakers.allows(standing.breaker, now_s)
            self._tell("source.circuit_retry")
        self._emitted = 0
        try:
            failure = (await self._look() if self._found is None else None) or await self._publish()
        except BaseException as exc:
            if (crash := crash_in(exc)) is not None:
                self._note_failure(f"the source crashed: {words(crash)}")
            raise
        if failure:
            self._fail(failure)
        else:
            self._succeed()

    # -- look and publish ----------------------------------------------------------------------------------------------

    async def _look(self) -> _Failure | None:
        """Poll once, and keep what was found if it can be published."""
        said: PollFailed | None = None
        self._deadline.deadline = trio.current_time() + self.spec.timeout_s
        polled: object = None
        try:
            polled = await self.source.poll(self.checkpoint)
        except (PollFailed, ExceptionGroup) as exc:
            said = failure_in(exc)
            if said is None:
                raise
        if self._deadline.cancel_called:
            await trio.lowlevel.checkpoint()  # too late: to be cancelled here, and not while publishing
        self._deadline.deadline = math.inf
        if said is not None:
            return _Failure(f"Poll failed: {said}", said.retry_after_s)
        if not isinstance(polled, Polled):
            raise PluginError(f"source {self.spec.id!r} returned {type(polled).__name__}, which is not Polled")
        if not polled.events and polled.checkpoint is None and polled.next_in_s is None:
            return None  # as nearly always
        polled = attrs.evolve(polled, events=list(polled.events))  # it may be anything that is gone through once
        faults = await faults_of_poll(polled)
        if faults:
            more = f" (and {len(faults) - TOLD_FAULTS} more)" if len(faults) > TOLD_FAULTS else ""
            return _Failure(f"Poll failed: {'; '.join(faults[:TOLD_FAULTS])}{more}")
        self._next_in_s = polled.next_in_s
        self._found = Polled([self._stamped(event) for event in polled.events], polled.checkpoint)
        return None

    def _stamped(self, event: Event) -> Event:
        """Where an event comes from is ours to say; that it follows from nothing, too."""
        spec = self.spec
        return Event(
            source=spec.id,
            type=event.type,
            provenance=event.provenance,
            payload=event.payload,
            id=event.id,
            timestamp=event.timestamp,
            trace_id=event.trace_id,
            module=spec.module,
        )

    async def _publish(self) -> _Failure | None:
        """Make durable what was found; what has become durable is not there any more when the rest is refused."""
        while self._found is not None:
            events, checkpoint = self._found.events, self._found.checkpoint
            batch, rest = events[:MAX_PUBLISH], events[MAX_PUBLISH:]
            notes = () if rest or checkpoint is None else self.around.place.notes(checkpoint)
            if batch or notes:
                try:
                    await self.around.publish(batch, notes=notes)
                except EventError as exc:
                    self._found = None  # it would never be taken
                    return _Failure(f"Publish failed: {exc}")
                except OrgLoopError as exc:
                    return _Failure(f"Publish failed: {exc}")
                self._emitted += len(batch)
            if rest:
                self._found = Polled(rest, checkpoint)
                continue
            self._found = None
            if checkpoint is not None and checkpoint != self.checkpoint:
                self.checkpoint = checkpoint
                self.around.place.saved(checkpoint)
        return None

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _succeed(self) -> None:
        standing = self.standing
        if standing.health.consecutive_errors:
            standing.breaker = breakers.succeeded(standing.breaker)
            self._tell("source.circuit_close")
        at = timestamp_of(self.around.now_s())
        standing.health = source_health.succeeded(standing.health, at=at, emitted=self._emitted)
        if self._next_in_s is not None:
            self.ticket.retry_in(self._next_in_s)
            self._next_in_s = None

    def _fail(self, failure: _Failure) -> None:
        standing = self.standing
        standing.breaker = breakers.failed(standing.breaker, trio.current_time())
        self._note_failure(failure.reason)
        errors = standing.health.consecutive_errors
        wait_s = wait_after_s(errors, self.spec.interval_s, failure.retry_after_s)
        self._tell("system.error", error=f"[{self.spec.id}] {failure.reason}")
        if standing.breaker.state == "open":
            wait_s = max(wait_s, self.spec.circuit.cooldown_s)
            metadata = {"consecutive_errors": errors, "retry_in_s": wait_s}
            self._tell("source.circuit_open", error=failure.reason, metadata=metadata)
        self.ticket.retry_in(wait_s)

    def _note_failure(self, error: str) -> None:
        standing = self.standing
        standing.health = source_health.failed(
            standing.health,
            error,
            at=timestamp_of(self.around.now_s()),
            emitted=self._emitted,
            circuit_open=standing.breaker.state != "closed",
        )

    def _tell(self, phase: str, **fields: object) -> None:
        self.around.tell(phase, module=self.spec.module, source=self.spec.id, **fields)
