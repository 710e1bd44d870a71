"""
The desk of a source that is told: requests come here, in the tasks of whoever received them.

    request ──▶ receive ──▶ every event is one? ──▶ publish(events + mark of the delivery id) ──▶ response

Law: a response of success is given when the events are durable. A delivery id is marked together with its events, so a
sender that asks again after any answer, or none, is answered and not admitted twice. Whatever the source raises ends
its life, which is its supervisor's business; the request that met it is told that it may be sent again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from orgloop.delivery.pipeline import crash_in, words
from orgloop.errors import EventError, OrgLoopError, PluginError, Unavailable
from orgloop.event import Event, faults_of, id_of, timestamp_of
from orgloop.runtime import source_health
from orgloop.runtime.checkpoints import note_key
from orgloop.runtime.containment import contained
from orgloop.runtime.sources import Publish, Standing
from orgloop.sdk import Note, PushedSource, Received, Request, Response, Takes

KIND = "delivery"
"""Kind of the notes that keep which deliveries were admitted: the hash of the body, and until when (Unix seconds)."""

SEEN_FOR_S = 3 * 86_400.0
"""How long a delivery id is remembered: GitHub sends one again within three days."""

MAX_SEEN = 100_000
"""How many are remembered for a source; the oldest go first."""

RECEIVE_S = 10.0
"""What a source may take to make events of a request: it must wait for nothing outside."""

CLOSE_S = 2.0
"""How long a source that is to go may take for the requests that it has in hand."""

RETRY_AFTER_S = 1.0
"""When a sender may try again whose request met a source that is not at work."""

TOLD_FAULTS = 3
"""How many faults of a request its error names."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """All that a desk may touch."""

    module: str
    source: str
    publish: Publish
    noted: Callable[[str, str], Any]
    """What the bus last noted."""
    tell: Callable[..., None]
    now_s: Callable[[], float]
    """Unix seconds."""


@attrs.define(eq=False)
class Desk:
    """Where a source receives; it outlives the lives of the source."""

    _around: Surroundings
    standing: Standing = attrs.field(factory=Standing)
    takes: Takes = attrs.field(factory=Takes)
    """What may come through the front door for it."""
    _at_work: _Life | None = None
    _seen: OrderedDict[str, float] = attrs.field(factory=OrderedDict)
    _admitting: dict[str, trio.Event] = attrs.field(factory=dict)

    async def serve(
        self, source: PushedSource, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """One life of a source that has been entered: until it raises, or is cancelled."""
        life = self._at_work = _Life(source)
        task_status.started()
        try:
            await life.over.wait()
        finally:
            if self._at_work is life:  # else the next one is at work already
                self._at_work = None
            with trio.move_on_after(CLOSE_S, shield=True):
                while life.requests:
                    await life.answered.park()
        if life.crash is not None:
            raise life.crash

    @property
    def is_at_work(self) -> bool:
        """Whether there is a life that requests can be given to."""
        return self._at_work is not None

    async def receive(self, request: Request) -> Response:
        """
        Make events of a request, admit them, and say what the source would answer.

        Raises :class:`Unavailable` if the source is not at work just now, or has crashed over this request, and
        whatever the bus refuses with.
        """
        life = self._at_work
        if life is None:
            raise Unavailable(f"source {self._around.source!r} is not at work", retry_after_s=RETRY_AFTER_S)
        received = self._named(await self._received(life, request))
        try:
            events = [self._stamped(event) for event in received.events]
            self._refuse_faults(events)
            await self._admit(events, received.delivery_id, request.body)
        except OrgLoopError as exc:
            self._note_failure(str(exc))
            raise
        self._note_success(len(events))
        return received.response

    async def _received(self, life: _Life, request: Request) -> Received:
        """What the source makes of it; a source that crashes over it ends its life."""
        name = self._around.source
        try:
            with life.asked(), contained(f"source {name!r}"), trio.fail_after(RECEIVE_S):
                received: object = await life.source.receive(request)
            if not isinstance(received, Received):
                raise PluginError(f"source {name!r} returned {type(received).__name__}, which is not Received")
            events = list(received.events)
            found: list[object] = [*events]  # whatever its annotations promise
            if strangers := [type(event).__name__ for event in found if not isinstance(event, Event)]:
                raise PluginError(f"source {name!r} received {strangers[0]}, which is no Event")
            return attrs.evolve(received, events=events)
        except BaseException as exc:
            crash = crash_in(exc)
            if not isinstance(crash, Exception):
                raise
            life.end(crash)
            self._at_work = None if self._at_work is life else self._at_work
            self._note_failure(f"the source crashed: {words(crash)}")
            raise Unavailable(f"source {name!r} crashed over the request", retry_after_s=RETRY_AFTER_S) from exc

    def _named(self, received: Received) -> Received:
        """Events of a delivery with an id have theirs from it, so whoever sends it again is told of the same ones."""
        if received.delivery_id is None:
            return received
        place = (self._around.module, self._around.source, received.delivery_id)
        named: list[Event] = []
        names: dict[str, str] = {}
        for number, event in enumerate(received.events):
            id_ = names[event.id] = id_of(*place, str(number))
            named.append(attrs.evolve(event, id=id_))
        response = attrs.evolve(received.response, body=_renamed(received.response.body, names))
        return attrs.evolve(received, events=named, response=response)

    def _stamped(self, event: Event) -> Event:
        """Where an event comes from is ours to say; that it follows from nothing, too."""
        around = self._around
        return attrs.evolve(event, source=around.source, module=around.module, ancestors=(), only_for=None)

    def _refuse_faults(self, events: list[Event]) -> None:
        faults = [f"event {event.id}: {fault}" for event in events for fault in faults_of(event)]
        if faults:
            more = f" (and {len(faults) - TOLD_FAULTS} more)" if len(faults) > TOLD_FAULTS else ""
            raise EventError(f"not an event: {'; '.join(faults[:TOLD_FAULTS])}{more}")

    # -- admitting once ------------------------------------------------------------------------------------------------

    async def _admit(self, events: list[Event], delivery_id: str | None, body: bytes) -> None:
        if delivery_id is None:
            if events:
                await self._around.publish(events)
            return
        key = f"{self._prefix}{_digest(delivery_id.encode('utf-8', 'surrogatepass'))}"
        digest = _digest(body)
        while (first := self._admitting.get(key)) is not None:
            await first.wait()
        admitted = self._admitted_as(key)
        if admitted is not None:
            if admitted != digest:
                self._tell(f"delivery {delivery_id!r} came again with another body, and was not admitted")
            return
        mine = self._admitting[key] = trio.Event()
        try:
            await self._around.publish(events, notes=[*self._forget_old(), self._mark(key, digest)])
        finally:
            del self._admitting[key]
            mine.set()

    def _admitted_as(self, key: str) -> str | None:
        """The digest of the body under which a delivery was admitted."""
        noted = self._around.noted(KIND, key)
        match noted:
            case [str(digest), int() | float() as until_s] if until_s > self._around.now_s():
                return digest
        return None

    def _mark(self, key: str, digest: str) -> Note:
        until_s = self._around.now_s() + SEEN_FOR_S
        self._seen[key] = until_s
        return KIND, key, [digest, until_s]

    def _forget_old(self) -> list[Note]:
        """What takes away the marks that are too old, or too many."""
        now_s, old = self._around.now_s(), []
        while self._seen:
            key, until_s = next(iter(self._seen.items()))
            if until_s > now_s and len(self._seen) < MAX_SEEN:
                break
            del self._seen[key]
            old.append((KIND, key, None))
        return old

    # -- how it is -----------------------------------------------------------------------------------------------------

    def _note_success(self, emitted: int) -> None:
        at = timestamp_of(self._around.now_s())
        self.standing.health = source_health.succeeded(self.standing.health, at=at, emitted=emitted)

    def _note_failure(self, error: str) -> None:
        at = timestamp_of(self._around.now_s())
        self.standing.health = source_health.failed(self.standing.health, error, at=at, emitted=0, circuit_open=False)
        self._tell(f"[{self._around.source}] {error}")

    def _tell(self, error: str) -> None:
        self._around.tell("system.error", module=self._around.module, source=self._around.source, error=error)

    @property
    def _prefix(self) -> str:
        return f"{note_key(self._around.module, self._around.source)}/"


@attrs.define(eq=False)
class _Life:
    """A source at work, until it crashes."""

    source: PushedSource
    over: trio.Event = attrs.field(factory=trio.Event)
    crash: Exception | None = None
    requests: int = 0
    """Those it has in hand."""
    answered: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Have a request in hand."""
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            self.answered.unpark_all()

    def end(self, crash: Exception) -> None:
        """Have its supervisor hear of a crash; the first one counts."""
        self.crash = self.crash or crash
        self.over.set()


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names for the same."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: _renamed(member, names) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(member, names) for member in value]
    return value


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
