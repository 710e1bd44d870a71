"""What hears what happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    A frozen fact about the runtime. Fields that do not apply are None; names are those of the original's log entry.

    ``event_id`` and ``trace_id`` are empty for what concerns no event. The names of all: ``Notice.__struct_fields__``.

    One is made for each step of an event, so it is a struct of msgspec's, which takes a fifth of the time to make.
    """

    timestamp: str
    phase: str
    event_id: str = ""
    trace_id: str = ""
    source: str | None = None
    target: str | None = None
    route: str | None = None
    transform: str | None = None
    event_type: str | None = None
    result: str | None = None
    duration_ms: float | None = None
    queue_depth: int | None = None
    error: str | None = None
    metadata: Mapping[str, Any] | None = None
    module: str | None = None


DEBUG, INFO, WARNING, ERROR = range(4)

_SEVERITIES = {
    DEBUG: ("transform.start", "route.no_match", "deliver.attempt", "audit.record"),
    WARNING: (
        *("transform.error", "transform.error_drop", "deliver.retry", "deliver.expired", "source.circuit_open"),
        *("audit.flag", "loop.detected", "pipeline.backpressure"),
    ),
    ERROR: (
        *("deliver.failure", "transform.error_halt", "system.error", "module.error"),
        *("audit.held", "loop.circuit_broken"),
    ),
}

SEVERITY_OF: Mapping[str, int] = {phase: level for level, phases in _SEVERITIES.items() for phase in phases}
"""How grave a phase is, from DEBUG (0) to ERROR (3); what is not named is INFO."""


class Logger(Protocol):
    """Receives notices."""

    def log(self, notice: Notice) -> None:
        """
        Take one notice. It is called in a task of its own, so it may take its time, but not for ever: what it cannot
        keep up with is dropped and counted. What it raises is counted and changes nothing.
        """
        ...
