"""
When a source is due. Pure: time and chance are arguments.

Law: turns stand on a grid of the interval, so they do not drift. However many points of it have passed by without a
turn (a stall, a suspended machine, a poll that takes long), one turn makes up for all of them.
"""

from __future__ import annotations

import math

FIRST_WITHIN_S = 5.0
"""How long a first turn is put off at most, so that sources that were registered together do not poll together."""

MIN_INTERVAL_S = 0.001


def first_due_s(interval_s: float, *, now_s: float, chance: float) -> float:
    """When a source that is registered now has its first turn; ``chance`` is from 0 up to 1."""
    return now_s + min(interval_s, FIRST_WITHIN_S) * chance


def next_due_s(due_s: float, interval_s: float, *, begun_s: float) -> float:
    """
    When the next turn is due, after one that was due at ``due_s`` and began at ``begun_s``.

    The first point of the grid after that beginning, because a turn sees all that there was until it began.

    >>> next_due_s(100.0, 10.0, begun_s=100.2)
    110.0
    >>> next_due_s(100.0, 10.0, begun_s=28_900.5)
    28910.0
    """
    passed = max(0, math.floor((begun_s - due_s) / interval_s))
    next_s = due_s + (passed + 1) * interval_s
    return next_s if next_s > begun_s else next_s + interval_s  # the quotient may have been rounded down
