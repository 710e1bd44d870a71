"""
Deliveries that wait for a person, because of what was flagged in them: routes with ``audit: {hold_on: …}``.

    event ──▶ transforms ──▶ flagged as gravely as that ──▶ held ──▶ approved: delivered, as any other
                                                             ├─────▶ edited:   another event, looked at again
                                                             └─────▶ rejected: a dead letter

What is held is an open obligation: the event stays in the log, and is held again after a restart. An approval is a note
on the bus, so that it is given once.

Law: nothing that is held reaches its actor, its inbox included, unless a person says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import attrs

from orgloop.config.audit import AuditConfig
from orgloop.delivery.lane import Lane
from orgloop.delivery.settler import Settler
from orgloop.errors import EventError
from orgloop.event import Event, faults_of, follow, timestamp_of
from orgloop.runtime.checks import Flag, flags_of, is_at_least
from orgloop.sdk import Admitted, EventBus
from orgloop.sdk.bus import looked_for

KIND = "approved"
"""Kind of the notes on what a person has approved: its key ends in the sequence."""

MAX_LISTED = 1000
"""How many are listed at a time."""

MAX_REASON = 1000
"""Characters of the reason for which one is rejected."""


@attrs.frozen(kw_only=True)
class Held:
    """A delivery that waits for a person."""

    id: str
    """The same for the same obligation, also after a restart."""
    module: str
    route: str
    actor: str
    sequence: int
    at: str
    """Since when, in this run; ISO 8601, UTC."""
    flags: tuple[Flag, ...]
    event: Event
    """As it was admitted, before any transform."""


class Publish(Protocol):
    """Admits events."""

    def __call__(self, events: Sequence[Event]) -> Awaitable[list[int]]: ...


class OnHeld(Protocol):
    """Told of an event that is held."""

    def __call__(self, admitted: Admitted, event: Event, flags: Sequence[Flag]) -> None: ...


@attrs.frozen(eq=False)
class _Waiting:
    lane: Lane
    sequence: int
    flags: tuple[Flag, ...]
    at: str


@attrs.define(eq=False)
class Holds:
    """All that is held in a runtime."""

    _bus: EventBus
    _settler: Settler
    _publish: Publish
    _now_s: Callable[[], float]
    _waiting: dict[str, _Waiting] = attrs.field(factory=dict)
    """By id, in the order in which they came."""

    # -- held ----------------------------------------------------------------------------------------------------------

    def hold(self, lane: Lane, sequence: int, flags: tuple[Flag, ...]) -> None:
        """Hold an obligation."""
        at = timestamp_of(self._now_s())
        self._waiting[_id_of(lane, sequence)] = _Waiting(lane, sequence, flags, at)

    def is_approved(self, lane: Lane, sequence: int) -> bool:
        """Whether a person has approved an obligation, in an earlier run too."""
        return self._bus.note(KIND, _id_of(lane, sequence)) is not None

    def let_go(self, lane: Lane, sequence: int) -> None:
        """An obligation is held no longer."""
        self._waiting.pop(_id_of(lane, sequence), None)

    # -- a person looks, and decides -----------------------------------------------------------------------------------

    def count(self) -> int:
        """How many are held."""
        return len(self._waiting)

    async def list(
        self, *, module: str | None = None, route: str | None = None, limit: int = 100, after: str | None = None
    ) -> tuple[Held, ...]:
        """
        What is held, oldest first, beginning after the id ``after``; :class:`OrgLoopError` if it cannot be read now.

        There may be fewer than ``limit``, so that they fit into memory; none, if there are no more.
        """
        if not 1 <= limit <= MAX_LISTED:
            raise ValueError(f"limit must be 1 to {MAX_LISTED}, not {limit}")
        wanted = sorted(
            id_
            for id_, one in self._waiting.items()
            if (after is None or id_ > after)
            and module in (None, one.lane.spec.module)
            and route in (None, one.lane.spec.route)
        )
        return await self._read(wanted[:limit])

    async def get(self, id_: str) -> Held | None:
        """One that is held; None if there is none of this id."""
        found = await self._read([id_] if id_ in self._waiting else [])
        return found[0] if found else None

    async def _read(self, ids: Sequence[str]) -> tuple[Held, ...]:
        waiting = {id_: self._waiting[id_] for id_ in ids}
        sequences = list(dict.fromkeys(one.sequence for one in waiting.values()))
        found = await self._bus.read(sequences)
        answered, events = set(looked_for(sequences, found)), {one.sequence: one.event for one in found}
        held = []
        for id_, one in waiting.items():
            if one.sequence not in answered:
                break
            if self._waiting.get(id_) is not one:
                continue  # decided meanwhile
            if one.sequence not in events:
                one.lane.end_kept(one.sequence, "dead", "dead_letter(unreadable)")
                continue
            spec = one.lane.spec
            names = {"module": spec.module, "route": spec.route, "actor": spec.actor}
            held.append(
                Held(id=id_, sequence=one.sequence, at=one.at, flags=one.flags, event=events[one.sequence], **names)
            )
        return tuple(held)

    async def approve(self, id_: str) -> bool:
        """Have one delivered as it is; whether it was held. The approval is durable when this returns."""
        one = self._waiting.get(id_)
        if one is None:
            return False
        self._settler.note(KIND, id_, timestamp_of(self._now_s()))
        await self._flush()
        if self._waiting.get(id_) is one:
            one.lane.resume(one.sequence)
            _tell(one, None, "approved")
        return True

    async def edit(self, id_: str, event: Event) -> int | None:
        """
        Put another event in the place of one, for its route alone; the sequence of that, None if there is none held.

        It follows from the one it replaces, and is looked at like any other: what is still flagged in it is held.
        Raises :class:`EventError` for what is no event.
        """
        held = await self.get(id_)
        if held is None:
            return None
        faults = faults_of(event)
        if faults:
            raise EventError(f"not an event: {'; '.join(faults)}")
        own = (held.module, held.route)
        edited = attrs.evolve(follow(event, held.event), module=held.event.module, only_for=own)
        (sequence,) = await self._publish([edited])
        one = self._waiting.get(id_)
        if one is not None:
            one.lane.end_kept(one.sequence, "dropped", "dropped(edited)")
            _tell(one, held.event, "edited", replaced_by=edited.id)
        return sequence

    async def reject(self, id_: str, reason: str) -> bool:
        """Give one up: a dead letter, with the reason; whether it was held."""
        one = self._waiting.get(id_)
        if one is None:
            return False
        one.lane.give_up(one.sequence, "rejected", f"rejected by a person: {reason[:MAX_REASON]}")
        _tell(one, None, "rejected")
        await self._flush()
        return True

    async def _flush(self) -> None:
        self._settler.hand_over()
        await self._bus.flush()


@attrs.define(eq=False)
class Holder:
    """What one route holds: the first keeper of its lane."""

    _holds: Holds
    _config: AuditConfig
    _is_own: Callable[[Event], bool]
    _on_held: OnHeld | None = None

    @property
    def ttl_s(self) -> float | None:
        """A person has the time that they take."""
        return None

    def wants(self, lane: Lane, admitted: Admitted, event: Event) -> bool:
        """Whether an event is to be held: if it is flagged gravely enough, and nobody has approved it."""
        severity = self._config.hold_on
        if severity is None or self._is_own(event):
            return False
        flags = flags_of(event, self._config)
        if not is_at_least(flags, severity) or self._holds.is_approved(lane, admitted.sequence):
            return False
        self._holds.hold(lane, admitted.sequence, flags)
        metadata = {"id": _id_of(lane, admitted.sequence), "flags": [flag.type for flag in flags]}
        lane.tell("audit.held", event, result="held", error=flags[0].message, metadata=metadata)
        if self._on_held is not None:
            self._on_held(admitted, event, flags)
        return True

    def let_go(self, lane: Lane, sequence: int, *, has_ended: bool) -> None:  # noqa: ARG002 - either way it is not held
        """An event is held no longer."""
        self._holds.let_go(lane, sequence)


def _tell(one: _Waiting, event: Event | None, result: str, **metadata: Any) -> None:
    one.lane.tell("audit.decided", event, result=result, metadata={"id": _id_of(one.lane, one.sequence), **metadata})


def _id_of(lane: Lane, sequence: int) -> str:
    """Sorts by sequence, and ends in it, which is how the log knows whether it is still open."""
    which = hashlib.blake2b(f"{lane.spec.module}\0{lane.spec.route}".encode(), digest_size=8).hexdigest()
    return f"{sequence:020d}-{which}-{sequence}"
