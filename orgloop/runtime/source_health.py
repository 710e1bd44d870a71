"""
How a polled source is, for people: a frozen value, and what becomes of it. Pure: times are arguments.

    healthy ── a failure ──▶ degraded ── its circuit opens ──▶ unhealthy
       ▲                        │                                 │
       └────────────────── a poll that succeeds ──────────────────┘
"""

from __future__ import annotations

from typing import Literal

import attrs

from orgloop.delivery.retry import MAX_RETRY_AFTER_S

MAX_BACKOFF_S = 60.0
"""A source that fails is asked again at least as often as this, unless it, or its circuit, says otherwise."""

MAX_ERROR_CHARS = 1000
"""How much is kept of what went wrong."""


@attrs.frozen(kw_only=True)
class SourceHealth:
    """What is known of a source; the names are those of the original, times are ISO 8601 in UTC."""

    status: Literal["healthy", "degraded", "unhealthy"] = "healthy"
    consecutive_errors: int = 0
    last_error: str | None = None
    """Kept after the source has recovered."""
    last_poll_at: str | None = None
    last_success_at: str | None = None
    events_emitted: int = 0
    """Since the process began."""
    circuit_open: bool = False


def succeeded(health: SourceHealth, *, at: str, emitted: int) -> SourceHealth:
    """A poll has succeeded, and so many of its events are durable."""
    return SourceHealth(
        last_error=health.last_error,
        last_poll_at=at,
        last_success_at=at,
        events_emitted=health.events_emitted + emitted,
    )


def failed(health: SourceHealth, error: str, *, at: str, emitted: int, circuit_open: bool) -> SourceHealth:
    """A poll has failed, or what it found could not be published, or not all of it."""
    return SourceHealth(
        status="unhealthy" if circuit_open else "degraded",
        consecutive_errors=health.consecutive_errors + 1,
        last_error=error[:MAX_ERROR_CHARS],
        last_poll_at=at,
        last_success_at=health.last_success_at,
        events_emitted=health.events_emitted + emitted,
        circuit_open=circuit_open,
    )


def wait_after_s(failures: int, interval_s: float, asked_s: float | None = None) -> float:
    """
    How long to wait after so many failures in a row; ``asked_s`` is what the far side asked for.

    1 s, 2 s, 4 s, … up to a minute: never sooner than the source would have been polled, except that a long interval
    counts as a minute. What is asked for is the least there is, up to an hour.

    >>> [wait_after_s(failures, 1.0) for failures in (1, 2, 3, 10)]
    [1.0, 2.0, 4.0, 60.0]
    """
    wait_s = max(2.0 ** min(failures - 1, 16), interval_s)
    asked_s = min(asked_s, MAX_RETRY_AFTER_S) if asked_s is not None and asked_s > 0 else 0.0
    return max(min(wait_s, MAX_BACKOFF_S), asked_s)
