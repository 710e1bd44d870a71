"""What can be seen of a runtime: frozen snapshots, rendered by whoever shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from orgloop.delivery.lane import Lane
from orgloop.runtime.notices import NoticeStatistics
from orgloop.runtime.scheduler import SchedulerStatus
from orgloop.runtime.source_health import SourceHealth


@attrs.frozen(kw_only=True)
class RouteCounts:
    """Obligations of a route since its module was loaded: ``admitted`` is always the sum of the others."""

    admitted: int
    delivered: int
    dropped: int
    dead: int
    expired: int
    in_flight: int


@attrs.frozen(kw_only=True)
class SourceStatus:
    """A source of a loaded module."""

    connector: str
    kind: str
    """``polling``, or ``webhook`` if it is only told."""
    interval_s: float | None
    health: SourceHealth


@attrs.frozen(kw_only=True)
class ModuleStatus:
    """A loaded module; ``state`` is ``loading``, ``active``, ``unloading``, or ``failed``: to be tried again."""

    name: str
    state: str
    generation: int
    """Counts the configurations that were applied."""
    digest: str
    """A hash of the configuration."""
    loaded_at: str
    cause: str | None
    """What went wrong last, of one that has failed."""
    directory: str
    sources: Mapping[str, SourceStatus]
    actors: Mapping[str, str]
    """The connector of each."""
    routes: Mapping[str, RouteCounts]
    breakers: Mapping[str, str]
    """The circuit breaker of each route: ``closed``, ``open`` or ``half-open``."""


@attrs.frozen(kw_only=True)
class Statistics:
    """Everything that is counted."""

    modules: tuple[ModuleStatus, ...]
    parked: Mapping[str, int]
    """Events that wait for a module, by its name."""
    no_route: Mapping[str, int]
    loops: Mapping[str, int]
    notices: NoticeStatistics
    bus: Mapping[str, Any]
    scheduler: SchedulerStatus


def counts_of(lane: Lane, draining: Collection[Lane] = ()) -> RouteCounts:
    """The counts of one route; lanes that it had before, and that share its counts, may still have something."""
    counts = lane.counts
    return RouteCounts(
        admitted=counts["admitted"],
        delivered=counts["delivered"],
        dropped=counts["dropped"],
        dead=counts["dead"],
        expired=counts["expired"],
        in_flight=lane.in_flight + sum(other.in_flight for other in draining if other.counts is counts),
    )
