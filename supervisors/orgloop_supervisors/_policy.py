"""
Every decision of a supervisor, as pure functions: no await, no clock, no randomness, no I/O.

The law, after OTP's ``supervisor.erl`` (the differences are listed in the README):

    an end        PERMANENT restarts always, TRANSIENT after a failure, TEMPORARY never (its spec goes)
    the budget    a restart at ``now`` counts those since ``now - period``, ends included, itself as well;
                  more than ``intensity`` of them: give up
    the group     one_for_one: the child; rest_for_one: it and those after it in the list; one_for_all: all
    the wait      ``min(maximum, initial * factor**n)``, shortened by jitter, never lengthened
    the last one  the end of a significant child, not followed by a restart, may end the supervisor
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import dropwhile
from typing import Any, TypeVar

from orgloop_supervisors._spec import AutoShutdown, Backoff, ChildSpec, Restart, Strategy

K = TypeVar("K")

Failures = tuple[tuple[float, Exception], ...]
"""The restarts still held against a supervisor: when (seconds), and the failure that asked for each; oldest first."""

FLAT_AFTER = 60
"""From this many failures in a row on, the back-off curve is flat; ``2.0**1024`` would overflow."""


class Verdict(Enum):
    """What becomes of a child that ended by itself."""

    RESTART = "restart"
    KEEP = "keep"
    FORGET = "forget"


def after_exit(restart: Restart, *, clean: bool) -> Verdict:
    """Decide about a child that ended: ``clean`` if its function returned, not if it raised."""
    if restart is Restart.TEMPORARY:
        return Verdict.FORGET
    if restart is Restart.TRANSIENT and clean:
        return Verdict.KEEP
    return Verdict.RESTART


def spend(failures: Failures, failure: Exception, *, now_s: float, intensity: float, period_s: float) -> Failures:
    """
    Count one more restart; what falls out of the closed window ``[now - period, now]`` is forgotten.

    An infinite intensity never gives up, so nothing is kept for it.
    """
    if intensity == math.inf:
        return ()
    recent = [(stamp_s, earlier) for stamp_s, earlier in failures if stamp_s >= now_s - period_s]
    return (*recent, (now_s, failure))


def exceeded(failures: Failures, *, intensity: float) -> bool:
    """Whether the restarts in the window are more than the intensity forgives."""
    return len(failures) > intensity


def group(strategy: Strategy, order: Iterable[K], failed: K) -> list[K]:
    """Those restarted together with ``failed``, itself included, in start order."""
    if strategy is Strategy.ONE_FOR_ONE:
        return [failed]
    if strategy is Strategy.REST_FOR_ONE:
        return list(dropwhile(lambda child: child is not failed, order))
    return list(order)


def backoff_s(backoff: Backoff, failures_before: int, *, chance: float = 0.0) -> float:
    """
    Seconds to wait before a restart that follows ``failures_before`` failures in a row; ``chance`` is in [0, 1).

    >>> backoff_s(Backoff(initial=1.0, maximum=8.0), 2)
    4.0
    >>> backoff_s(Backoff(initial=1.0, maximum=8.0, jitter=0.5), 100, chance=0.5)
    6.0
    """
    try:
        curve_s = backoff.initial * backoff.factor ** min(failures_before, FLAT_AFTER)
    except OverflowError:
        curve_s = backoff.maximum if backoff.initial else 0.0
    return min(backoff.maximum, curve_s) * (1 - backoff.jitter * chance)


def row_after(failures_before: int, *, ready_for_s: float, reset_after_s: float) -> int:
    """The failures in a row that still count after a life that was ready for so many seconds."""
    return 0 if ready_for_s >= reset_after_s else failures_before


def escalation_s(backoff: Backoff, *, intensity: float) -> float:
    """
    Seconds that a child failing at once every time needs to use up the intensity: its first waits, added up.

    More than the period means that the supervisor would never give up, for ever and silently.
    """
    if intensity == math.inf or not backoff.initial:
        return 0.0
    waits = min(int(intensity), FLAT_AFTER)
    rest = int(intensity) - waits
    return math.fsum(backoff_s(backoff, n) for n in range(waits)) + rest * backoff_s(backoff, FLAT_AFTER)


def ends_supervisor(auto_shutdown: AutoShutdown, *, significant: bool, significant_left: bool) -> bool:
    """
    Whether the end of a child that is not restarted ends its supervisor.

    ``significant_left``: another significant child is not stopped; one that waits for its restart counts as alive.
    """
    if not significant:
        return False
    if auto_shutdown is AutoShutdown.ALL_SIGNIFICANT:
        return not significant_left
    return auto_shutdown is AutoShutdown.ANY_SIGNIFICANT


def misfits(
    children: Iterable[ChildSpec[Any]], *, intensity: float, period_s: float, auto_shutdown: AutoShutdown
) -> Iterator[str]:
    """What is wrong with children in a supervisor of this kind: what could never happen as it is written."""
    for child in children:
        needed_s = escalation_s(child.backoff, intensity=intensity)
        if needed_s > period_s and child.restart is not Restart.TEMPORARY:
            yield (
                f"child {child.id!r} could fail for ever without the supervisor giving up: {intensity:g} restarts wait "
                f"{needed_s:g} s, and only those within {period_s:g} s count; lengthen period, shorten backoff, or say "
                "intensity=inf"
            )
        if child.significant and auto_shutdown is AutoShutdown.NEVER:
            yield f"child {child.id!r} is significant, but auto_shutdown is NEVER; choose ANY_ or ALL_SIGNIFICANT"
