"""What the bus remembers of events: a page of them, or all that followed from one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from orgloop.delivery.lane import Lane
from orgloop.event import Event
from orgloop.sdk import End, EventBus, Query, Recorded
from orgloop.sdk.bus import MAX_FOUND

MAX_TRACED = 1000
"""How many events of a trace are given; the last ones, if there are more."""

MAX_PAGES = 4
"""In how many goes they may come: each of them is as much as may be in memory at once."""


@attrs.frozen(kw_only=True)
class Tried:
    """What a route has tried of an event that it still owes."""

    module: str
    route: str
    failed: int
    """Attempts that have failed."""
    lost: int
    """Attempts of which nobody knows what came: cut short, or of a run that crashed."""
    last_error: str


@attrs.frozen(kw_only=True)
class Traced:
    """An event of a trace: what :class:`orgloop.sdk.Recorded` says of it, and where it stands."""

    sequence: int
    event: Event
    ends: tuple[End, ...]
    is_open: bool
    parent: str | None
    """Id of the event that it followed from; None for the first."""
    tried: tuple[Tried, ...] = ()
    """By routes that have not delivered it yet."""


@attrs.frozen(kw_only=True)
class Trace:
    """What followed from one event, in the order of admission."""

    id: str
    events: tuple[Traced, ...]
    is_complete: bool = True
    """Whether this is all of it that the bus remembers."""


async def trace_of(bus: EventBus, id_: str, lanes: Callable[[], Iterable[Lane]]) -> Trace | None:
    """The trace of this id, or that of the event of this id; None if nothing is remembered of either."""
    found, is_complete = await _all(bus, id_)
    if not found:
        named = await bus.history(Query(id=id_, limit=1))
        if not named:
            return None
        id_ = named[0].event.trace_id
        found, is_complete = await _all(bus, id_)
    events = tuple(_traced(one, lanes()) for one in reversed(found))
    return Trace(id=id_, events=events, is_complete=is_complete)


async def _all(bus: EventBus, trace_id: str) -> tuple[list[Recorded], bool]:
    """Newest first, and whether those are all."""
    found: list[Recorded] = []
    for _ in range(MAX_PAGES):
        left = min(MAX_TRACED - len(found), MAX_FOUND)
        before = found[-1].sequence if found else None
        page = await bus.history(Query(trace_id=trace_id, limit=left, before=before)) if left else []
        found += page
        if not page:
            return found, left > 0
    return found, False


def _traced(recorded: Recorded, lanes: Iterable[Lane]) -> Traced:
    event = recorded.event
    return Traced(
        sequence=recorded.sequence,
        event=event,
        ends=recorded.ends,
        is_open=recorded.is_open,
        parent=event.ancestors[-1] if event.ancestors else None,
        tried=tuple(_tried(recorded, lanes)) if recorded.is_open else (),
    )


def _tried(recorded: Recorded, lanes: Iterable[Lane]) -> Iterable[Tried]:
    ended = {(end.module, end.route) for end in recorded.ends}
    for lane in lanes:
        spec = lane.spec
        tries = lane.tries_of(recorded.sequence) if (spec.module, spec.route) not in ended else None
        if tries is not None:
            yield Tried(
                module=spec.module,
                route=spec.route,
                failed=tries.failed,
                lost=tries.lost,
                last_error=tries.last_error,
            )
