"""What can be seen of a runtime: frozen snapshots, rendered by whoever shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.delivery.lane import Lane
from orgloop.runtime.notices import NoticeStatistics
from orgloop.runtime.source_health import SourceHealth


@attrs.frozen(kw_only=True)
class RouteCounts:
    """Obligations of a route since its module was loaded: ``admitted`` is always the sum of the others."""

    admitted: int
    delivered: int
    dropped: int
    dead: int
    in_flight: int


@attrs.frozen(kw_only=True)
class ModuleStatus:
    """A loaded module; ``state`` is ``loading``, ``active``, ``unloading``, or ``failed``: to be tried again."""

    name: str
    state: str
    loaded_at: str
    sources: Mapping[str, SourceHealth]
    routes: Mapping[str, RouteCounts]


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


def counts_of(lane: Lane) -> RouteCounts:
    """The counts of one route."""
    counts = lane.counts
    return RouteCounts(
        admitted=counts["admitted"],
        delivered=counts["delivered"],
        dropped=counts["dropped"],
        dead=counts["dead"],
        in_flight=lane.in_flight,
    )
