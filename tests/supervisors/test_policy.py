"""The pure core, decision by decision: tables in which every comparison, sign and boundary matters."""

from __future__ import annotations

import doctest
import itertools
import math
import random
from typing import Any

import pytest

from orgloop_supervisors import AutoShutdown, Backoff, ChildSpec, Restart, Strategy, _policy
from orgloop_supervisors._policy import (
    Failures,
    Verdict,
    after_exit,
    backoff_s,
    ends_supervisor,
    escalation_s,
    exceeded,
    group,
    misfits,
    row_after,
    spend,
)
from tests.supervisors.stage import idle

FIRST, SECOND, THIRD = OSError("first"), ValueError("second"), KeyError("third")


def test_the_examples_in_the_docstrings_hold() -> None:
    """There are some, and they all do."""
    failed, attempted = doctest.testmod(_policy)

    assert (failed, attempted > 0) == (0, True)


# -- an end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "clean", "verdict"),
    [
        (Restart.PERMANENT, True, Verdict.RESTART),
        (Restart.PERMANENT, False, Verdict.RESTART),
        (Restart.TRANSIENT, True, Verdict.KEEP),
        (Restart.TRANSIENT, False, Verdict.RESTART),
        (Restart.TEMPORARY, True, Verdict.FORGET),
        (Restart.TEMPORARY, False, Verdict.FORGET),
    ],
)
def test_after_exit(restart: Restart, clean: bool, verdict: Verdict) -> None:
    """B2, line by line."""
    assert after_exit(restart, clean=clean) is verdict


# -- the budget ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "now_s", "expected"),
    [
        pytest.param((), 7.0, ((7.0, THIRD),), id="the first"),
        pytest.param(((7.0, FIRST),), 7.0, ((7.0, FIRST), (7.0, THIRD)), id="at once"),
        pytest.param(((6.0, FIRST),), 7.0, ((6.0, FIRST), (7.0, THIRD)), id="within"),
        pytest.param(((2.0, FIRST),), 7.0, ((2.0, FIRST), (7.0, THIRD)), id="exactly a period ago"),
        pytest.param(((1.999, FIRST),), 7.0, ((7.0, THIRD),), id="longer ago"),
        pytest.param(((1.0, FIRST), (3.0, SECOND)), 7.0, ((3.0, SECOND), (7.0, THIRD)), id="the older one goes"),
        pytest.param(
            ((3.0, FIRST), (4.0, SECOND)), 7.0, ((3.0, FIRST), (4.0, SECOND), (7.0, THIRD)), id="oldest first"
        ),
    ],
)
def test_spend(failures: Failures, now_s: float, expected: Failures) -> None:
    """What is still in the closed window of 5 s stays, in order, and the new failure comes last."""
    assert spend(failures, THIRD, now_s=now_s, intensity=1, period_s=5.0) == expected


def test_spend_without_end() -> None:
    """An infinite intensity keeps nothing, not even the failure just seen."""
    assert spend(((6.0, FIRST),), THIRD, now_s=7.0, intensity=math.inf, period_s=5.0) == ()


@pytest.mark.parametrize(
    ("count", "intensity", "verdict"),
    [
        (0, 0, False),
        (1, 0, True),
        (1, 1, False),
        (2, 1, True),
        (2, 3, False),
        (3, 3, False),
        (4, 3, True),
        (5, 3, True),
    ],
)
def test_exceeded(count: int, intensity: int, verdict: bool) -> None:
    """As many as the intensity are forgiven, and not one more."""
    assert exceeded(((0.0, FIRST),) * count, intensity=intensity) is verdict


# -- the group -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "failed", "expected"),
    [
        (Strategy.ONE_FOR_ONE, 0, [0]),
        (Strategy.ONE_FOR_ONE, 1, [1]),
        (Strategy.ONE_FOR_ONE, 2, [2]),
        (Strategy.REST_FOR_ONE, 0, [0, 1, 2]),
        (Strategy.REST_FOR_ONE, 1, [1, 2]),
        (Strategy.REST_FOR_ONE, 2, [2]),
        (Strategy.ONE_FOR_ALL, 0, [0, 1, 2]),
        (Strategy.ONE_FOR_ALL, 1, [0, 1, 2]),
        (Strategy.ONE_FOR_ALL, 2, [0, 1, 2]),
    ],
)
def test_group(strategy: Strategy, failed: int, expected: list[int]) -> None:
    """B4: by position in the list, the failed one included."""
    children = [object(), object(), object()]

    assert group(strategy, children, children[failed]) == [children[index] for index in expected]


# -- the wait --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backoff", "failures_before", "expected_s"),
    [
        pytest.param(Backoff(), 0, 0.0, id="the default never waits"),
        pytest.param(Backoff(), 10**9, 0.0, id="nor after any number of failures"),
        pytest.param(Backoff(initial=3), 0, 3.0, id="the first wait is the initial one"),
        pytest.param(Backoff(initial=3), 1, 6.0, id="the second is twice that"),
        pytest.param(Backoff(initial=3), 3, 24.0, id="and so on"),
        pytest.param(Backoff(initial=3, factor=5), 2, 75.0 - 15.0, id="up to the maximum, 60 s if not said"),
        pytest.param(Backoff(initial=3, factor=5, maximum=80), 2, 75.0, id="by the factor"),
        pytest.param(Backoff(initial=3, factor=1), 7, 3.0, id="a factor of 1 is a constant wait"),
        pytest.param(Backoff(initial=2, maximum=8), 2, 8.0, id="just at the maximum"),
        pytest.param(Backoff(initial=2, maximum=8), 3, 8.0, id="never above it"),
        pytest.param(Backoff(initial=1, factor=1.1, maximum=1e9), 59, 1.1**59, id="still rising"),
        pytest.param(Backoff(initial=1, factor=1.1, maximum=1e9), 60, 1.1**60, id="the last that rises"),
        pytest.param(Backoff(initial=1, factor=1.1, maximum=1e9), 61, 1.1**60, id="flat"),
        pytest.param(Backoff(initial=1), 1024, 60.0, id="2.0**1024 would overflow"),
        pytest.param(Backoff(initial=1), 10**100, 60.0, id="more failures than anybody lives to see"),
        pytest.param(Backoff(initial=1, factor=1e10), 30, 60.0, id="large, but a number"),
        pytest.param(Backoff(initial=1, factor=1e10), 31, 60.0, id="1e10**31 overflows"),
        pytest.param(Backoff(initial=1e-300, factor=1e10), 60, 60.0, id="however small the initial wait"),
        pytest.param(Backoff(initial=0, factor=1e10), 60, 0.0, id="but nought stays nought"),
        pytest.param(Backoff(initial=0, factor=1e10, maximum=0), 60, 0.0, id="also with no maximum"),
    ],
)
def test_backoff_s(backoff: Backoff, failures_before: int, expected_s: float) -> None:
    """The curve, without chance; exact, because so is the arithmetic."""
    assert backoff_s(backoff, failures_before) == expected_s


@pytest.mark.parametrize(
    ("jitter", "chance", "expected_s"),
    [(0.0, 0.75, 8.0), (0.5, 0.0, 8.0), (0.5, 0.25, 7.0), (0.5, 0.5, 6.0), (1.0, 0.75, 2.0), (1.0, 0.0, 8.0)],
)
def test_chance_takes_away_its_share(jitter: float, chance: float, expected_s: float) -> None:
    """At the maximum of 8 s as anywhere else."""
    assert backoff_s(Backoff(initial=1, maximum=8, jitter=jitter), 5, chance=chance) == expected_s


def test_no_chance_is_no_jitter() -> None:
    """Who does not ask for chance gets the curve itself."""
    assert backoff_s(Backoff(initial=2, jitter=1), 1) == 4.0


def test_jitter_never_lengthens() -> None:
    """Over ten thousand draws no wait is above the maximum, and none is below what the jitter leaves of the curve."""
    chances = random.Random(8)
    curve = Backoff(initial=0.1, maximum=10, factor=1.5)

    for _ in range(10_000):
        jitter, failures_before = chances.random(), chances.randrange(100)
        jittered = Backoff(initial=0.1, maximum=10, factor=1.5, jitter=jitter)
        wait_s = backoff_s(jittered, failures_before, chance=chances.random())
        longest_s = backoff_s(curve, failures_before)
        assert longest_s * (1 - jitter) <= wait_s <= longest_s <= 10


def test_jitter_spreads_children_at_the_maximum() -> None:
    """A hundred children that fail together do not come back together, as they would if jitter came before the cap."""
    chances = random.Random(8)
    backoff = Backoff(initial=1, maximum=8, jitter=0.5)

    assert len({backoff_s(backoff, 50, chance=chances.random()) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("ready_for_s", "reset_after_s", "left"),
    [
        (0.0, 60.0, 7),
        (59.999, 60.0, 7),
        (60.0, 60.0, 0),
        (60.001, 60.0, 0),
        (0.0, 0.0, 0),
        (math.nan, 60.0, 7),
        (math.nan, 0.0, 7),
        (1e9, math.inf, 7),
    ],
)
def test_row_after(ready_for_s: float, reset_after_s: float, left: int) -> None:
    """Seven failures in a row are forgotten after a life that was ready long enough; NaN: it never was."""
    assert row_after(7, ready_for_s=ready_for_s, reset_after_s=reset_after_s) == left


# -- escalation ------------------------------------------------------------------------------------------------------

SLOW = Backoff(initial=1, factor=1.1, maximum=1e9)
SIXTY_S = math.fsum(1.1**n for n in range(60))


@pytest.mark.parametrize(
    ("backoff", "intensity", "expected_s"),
    [
        pytest.param(Backoff(), 3, 0.0, id="no waits"),
        pytest.param(Backoff(), math.inf, 0.0, id="no waits, for ever"),
        pytest.param(Backoff(initial=1), math.inf, 0.0, id="never gives up, so nothing to reach"),
        pytest.param(Backoff(initial=1), 0, 0.0, id="gives up before the first wait"),
        pytest.param(Backoff(initial=1), 1, 1.0, id="one wait"),
        pytest.param(Backoff(initial=1), 3, 7.0, id="1 + 2 + 4"),
        pytest.param(Backoff(initial=1, maximum=2), 5, 9.0, id="1 + 2 + 2 + 2 + 2"),
        pytest.param(Backoff(initial=1, jitter=1), 3, 7.0, id="counted without jitter"),
        pytest.param(SLOW, 59, pytest.approx(SIXTY_S - 1.1**59), id="just rising"),
        pytest.param(SLOW, 60, pytest.approx(SIXTY_S), id="all that rise"),
        pytest.param(SLOW, 61, pytest.approx(SIXTY_S + 1.1**60), id="the first flat one"),
        pytest.param(SLOW, 100, pytest.approx(SIXTY_S + 40 * 1.1**60), id="forty flat ones"),
        pytest.param(Backoff(initial=2, factor=1), 1e15, 2e15, id="answered without counting to 1e15"),
    ],
)
def test_escalation_s(backoff: Backoff, intensity: float, expected_s: float) -> None:
    """The first waits, as many as the intensity forgives, added up."""
    assert escalation_s(backoff, intensity=intensity) == expected_s


# -- the last one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auto_shutdown", "significant", "significant_left"),
    list(itertools.product(AutoShutdown, [True, False], [True, False])),
)
def test_ends_supervisor(auto_shutdown: AutoShutdown, significant: bool, significant_left: bool) -> None:
    """Three of the twelve do: any significant one, with others left or without, or the last of them."""
    ends = {
        (AutoShutdown.ANY_SIGNIFICANT, True, True),
        (AutoShutdown.ANY_SIGNIFICANT, True, False),
        (AutoShutdown.ALL_SIGNIFICANT, True, False),
    }

    verdict = ends_supervisor(auto_shutdown, significant=significant, significant_left=significant_left)

    assert verdict is ((auto_shutdown, significant, significant_left) in ends)


# -- what cannot work ------------------------------------------------------------------------------------------------

PLAIN = ChildSpec[Any](id="plain", run=idle)
SLOWING = ChildSpec[Any](id="slowing", run=idle, backoff=Backoff(initial=1))
SIGNIFICANT = ChildSpec[Any](id="significant", run=idle, restart=Restart.TRANSIENT, significant=True)
ENDLESS = (
    "child 'slowing' could fail for ever without the supervisor giving up: 3 restarts wait 7 s, and only those within "
    "5 s count; lengthen period, shorten backoff, or say intensity=inf"
)
UNHEARD = "child 'significant' is significant, but auto_shutdown is NEVER; choose ANY_ or ALL_SIGNIFICANT"


@pytest.mark.parametrize(
    ("children", "intensity", "period_s", "auto_shutdown", "expected"),
    [
        ([], 3, 5.0, AutoShutdown.NEVER, []),
        ([PLAIN], 3, 5.0, AutoShutdown.NEVER, []),
        ([SLOWING], 3, 5.0, AutoShutdown.NEVER, [ENDLESS]),
        ([SLOWING], 3, 7.0, AutoShutdown.NEVER, []),
        ([SLOWING], 3, 8.0, AutoShutdown.NEVER, []),
        ([SLOWING], 2, 5.0, AutoShutdown.NEVER, []),
        ([SLOWING], math.inf, 5.0, AutoShutdown.NEVER, []),
        ([SIGNIFICANT], 3, 5.0, AutoShutdown.NEVER, [UNHEARD]),
        ([SIGNIFICANT], 3, 5.0, AutoShutdown.ANY_SIGNIFICANT, []),
        ([SIGNIFICANT], 3, 5.0, AutoShutdown.ALL_SIGNIFICANT, []),
        ([SLOWING, PLAIN, SIGNIFICANT], 3, 5.0, AutoShutdown.NEVER, [ENDLESS, UNHEARD]),
    ],
)
def test_misfits(
    children: list[ChildSpec[Any]], intensity: float, period_s: float, auto_shutdown: AutoShutdown, expected: list[str]
) -> None:
    """Every child that could never do what it says is named, with the reason and the ways out."""
    assert list(misfits(children, intensity=intensity, period_s=period_s, auto_shutdown=auto_shutdown)) == expected
