"""
The circuit breaker of a route: after failures in a row nothing is tried for a while, then one attempt, to see.

    closed ── failure_threshold failures in a row ──▶ open ── cooldown_s, then allows() ──▶ half-open
      ▲ ▲                                              ▲                                        │ │
      │ └───────────────── the trial succeeded ────────┼────────────────────────────────────────┘ │
      │                                                └───────────── the trial failed ───────────┘
      └─ a success ends a row of failures

Law: in half-open there is one trial, until its outcome is handed in. Pure: each transition gives a new breaker; time is
an argument, of any clock that does not go backwards.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs
from attrs.validators import ge, lt


@attrs.frozen(kw_only=True)
class BreakerConfig:
    """When a breaker opens, and for how long."""

    failure_threshold: int = attrs.field(default=5, validator=ge(1))
    cooldown_s: float = attrs.field(
        default=30.0, validator=[ge(0), lt(math.inf)], metadata={"yaml": "cooldown", "unit": "duration"}
    )


@attrs.frozen
class Breaker:
    """A breaker as it is; a new one is closed."""

    config: BreakerConfig = attrs.field(factory=BreakerConfig)
    state: Literal["closed", "open", "half-open"] = "closed"
    failures: int = 0
    """In a row, while closed."""
    until_s: float = -math.inf
    """The end of the cooldown, while open."""
    openings: int = 0
    """How often it has opened: tells an attempt from before from one of now."""


def allows(breaker: Breaker, now_s: float) -> tuple[Breaker, bool]:
    """
    Whether an attempt may begin now, and the breaker that knows of it.

    Whoever is allowed hands in what came of it: :func:`succeeded`, :func:`failed` or :func:`abandoned`.
    """
    if breaker.state == "closed":
        return breaker, True
    if breaker.state == "open" and now_s >= breaker.until_s:
        return attrs.evolve(breaker, state="half-open"), True
    return breaker, False


def when_s(breaker: Breaker) -> float:
    """The earliest time at which an attempt is allowed; infinite while a trial is out: its outcome will tell."""
    return {"closed": -math.inf, "open": breaker.until_s, "half-open": math.inf}[breaker.state]


def succeeded(breaker: Breaker, *, since: int | None = None) -> Breaker:
    """
    An attempt succeeded, or was answered at all: what is refused for good says nothing against the far side.

    ``since`` is what ``openings`` was when the attempt was allowed. One from before the last opening says nothing
    about now; without ``since``, whatever comes in half-open is taken for the trial's.
    """
    if breaker.state == "open" or _is_stale(breaker, since):
        return breaker
    if breaker.state == "closed" and breaker.failures == 0:
        return breaker  # as it is, nearly always
    return Breaker(breaker.config, openings=breaker.openings)


def failed(breaker: Breaker, now_s: float, *, since: int | None = None) -> Breaker:
    """An attempt failed in a way that may pass; ``since`` as for :func:`succeeded`."""
    if breaker.state == "open" or _is_stale(breaker, since):
        return breaker
    failures = breaker.failures + 1
    if breaker.state == "closed" and failures < breaker.config.failure_threshold:
        return attrs.evolve(breaker, failures=failures)
    return Breaker(
        breaker.config,
        state="open",
        failures=failures,
        until_s=now_s + breaker.config.cooldown_s,
        openings=breaker.openings + 1,
    )


def abandoned(breaker: Breaker, *, since: int | None = None) -> Breaker:
    """An attempt ended without an outcome, as by a shutdown: if it was the trial, the next may begin at once."""
    if breaker.state != "half-open" or _is_stale(breaker, since):
        return breaker
    return attrs.evolve(breaker, state="open")


def _is_stale(breaker: Breaker, since: int | None) -> bool:
    return since is not None and since != breaker.openings
