"""
Whether a runtime that died is started again, when, and how long one may be silent: decisions, with time as an argument.

    crash ──▶ fewer than ``restarts`` within ``period_s``?  ── yes ─▶ wait, twice as long as last time ──▶ start
                                                            └─ no ──▶ give up
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import attrs


@attrs.frozen
class Policy:
    """The figures; these are the documented ones."""

    restarts: int = 10
    """So many within the period; the crash after that ends it."""
    period_s: float = 300.0
    first_s: float = 0.05
    """Short, so that five kills in a row are each survived within three seconds, start included."""
    longest_s: float = 30.0
    steady_s: float = 60.0
    """A runtime that has lived for so long starts the back-off anew when it dies."""
    wedged_s: float = 30.0
    """One that has been silent for so long is killed; it speaks every 5 s."""
    stop_s: float = 14.0
    """One that was asked to end, and has not for so long, is killed."""


@attrs.frozen
class Crash:
    """One death: when, and after how long a life."""

    at_s: float
    lived_s: float


@attrs.frozen
class Restart:
    """Start again, after so long."""

    after_s: float
    number: int
    """The how-manieth within the period."""


@attrs.frozen
class GiveUp:
    """Too many of them in too short a time."""

    crashes: int
    within_s: float


def next_step(crashes: Sequence[Crash], *, now_s: float, policy: Policy) -> Restart | GiveUp:
    """
    What follows the last of these crashes.

    >>> next_step([Crash(at_s=9.0, lived_s=0.2), Crash(at_s=10.0, lived_s=0.2)], now_s=10.0, policy=Policy())
    Restart(after_s=0.1, number=2)
    """
    recent = within_period(crashes, now_s=now_s, policy=policy)
    if len(recent) > policy.restarts:
        return GiveUp(len(recent), policy.period_s)
    short = takewhile(lambda crash: crash.lived_s < policy.steady_s, reversed(recent[1:]))
    doublings = min(len(list(short)), 63)  # 2.0**1100 is no number
    return Restart(min(policy.first_s * 2.0**doublings, policy.longest_s), len(recent))


def within_period(crashes: Sequence[Crash], *, now_s: float, policy: Policy) -> tuple[Crash, ...]:
    """The crashes that still count."""
    return tuple(crash for crash in crashes if now_s - crash.at_s < policy.period_s)


def silent_s(before_s: float, *, passed_s: float, asked_s: float) -> float:
    """
    How long the runtime has been silent, in time during which we ourselves were awake to hear it.

    We had asked to sleep for ``asked_s``. If much more has passed, then it was we who were stopped, or the machine, and
    of that time only what we had asked for is held against the runtime.

    >>> silent_s(3.0, passed_s=8 * 3600.0, asked_s=1.0)
    4.0
    """
    return before_s + min(passed_s, asked_s)
