"""The circuit breaker: when it opens, whom it lets try, and what it believes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config import structure
from orgloop.delivery.breaker import Breaker, BreakerConfig, abandoned, allows, failed, succeeded, when_s

CONFIG = BreakerConfig(failure_threshold=3, cooldown_s=30)
CLOSED = Breaker(CONFIG)
OPEN = failed(failed(failed(CLOSED, 0), 0), 0)
HALF_OPEN, _ = allows(OPEN, 30)


def test_a_new_breaker_is_closed() -> None:
    """And lets everything through, at any time."""
    assert (CLOSED.state, allows(CLOSED, 0), when_s(CLOSED)) == ("closed", (CLOSED, True), -math.inf)


def test_failures_in_a_row_open_it() -> None:
    """As many as the threshold says, and not one less."""
    assert [failed(CLOSED, 0).state, failed(failed(CLOSED, 0), 0).state, OPEN.state] == ["closed", "closed", "open"]


def test_a_success_ends_a_row() -> None:
    """The next failure is the first again."""
    breaker = succeeded(failed(failed(CLOSED, 0), 0))

    assert failed(failed(breaker, 0), 0).state == "closed"


@pytest.mark.parametrize(("now_s", "is_allowed"), [(0, False), (29.999, False), (30, True), (1000, True)])
def test_an_open_one_waits_for_its_cooldown(now_s: float, is_allowed: bool) -> None:
    """From the failure that opened it."""
    assert allows(OPEN, now_s)[1] is is_allowed


def test_an_open_one_knows_when() -> None:
    """So that nobody has to ask again and again."""
    assert when_s(OPEN) == 30


def test_the_first_to_ask_gets_the_trial() -> None:
    """And it is half-open from then on."""
    assert allows(OPEN, 30) == (HALF_OPEN, True)
    assert HALF_OPEN.state == "half-open"


def test_nobody_else_gets_one() -> None:
    """However late: the outcome of the trial is waited for."""
    assert (allows(HALF_OPEN, 1e9), when_s(HALF_OPEN)) == ((HALF_OPEN, False), math.inf)


def test_a_trial_that_succeeds_closes_it() -> None:
    """With no failure on its account."""
    breaker = succeeded(HALF_OPEN)

    assert (breaker.state, breaker.failures) == ("closed", 0)


def test_a_trial_that_fails_opens_it_again() -> None:
    """At once, for another cooldown."""
    breaker = failed(HALF_OPEN, 31)

    assert (breaker.state, when_s(breaker)) == ("open", 61)


def test_a_trial_without_an_outcome_is_given_again() -> None:
    """Or the route would wait for ever for what nobody does."""
    breaker = abandoned(HALF_OPEN)

    assert (breaker.state, allows(breaker, 30)[1]) == ("open", True)


@pytest.mark.parametrize("breaker", [CLOSED, OPEN])
def test_without_a_trial_there_is_none_to_abandon(breaker: Breaker) -> None:
    """Other attempts that end without an outcome say nothing."""
    assert abandoned(breaker) == breaker


@pytest.mark.parametrize("told", [succeeded, lambda breaker: failed(breaker, 10)])
def test_an_open_one_believes_nothing(told: Callable[[Breaker], Breaker]) -> None:
    """What comes back now began before."""
    assert told(OPEN) == OPEN


def test_a_late_success_does_not_end_a_trial() -> None:
    """It was allowed before the breaker opened, and says nothing about now."""
    assert succeeded(HALF_OPEN, since=CLOSED.openings) == HALF_OPEN


def test_a_late_failure_does_not_end_a_trial() -> None:
    """Nor does it lengthen the cooldown."""
    assert failed(HALF_OPEN, 31, since=CLOSED.openings) == HALF_OPEN


def test_a_late_end_does_not_end_a_trial() -> None:
    """Nor does one without an outcome."""
    assert abandoned(HALF_OPEN, since=CLOSED.openings) == HALF_OPEN


def test_the_trial_itself_is_believed() -> None:
    """It was allowed since the last opening."""
    assert succeeded(HALF_OPEN, since=HALF_OPEN.openings).state == "closed"


@given(st.lists(st.sampled_from(["ask", "tick", "succeed", "fail", "abandon"]), max_size=60), st.integers(1, 3))
def test_there_is_never_more_than_one_trial(steps: list[str], threshold: int) -> None:
    """Whatever happens in whatever order, with any number of attempts at once, the oldest ending first."""
    breaker, now_s = Breaker(BreakerConfig(failure_threshold=threshold, cooldown_s=2)), 0.0
    running: list[tuple[int, bool]] = []
    for step in steps:
        if step == "tick":
            now_s += 1
        elif step == "ask":
            is_trial = breaker.state != "closed"
            breaker, is_allowed = allows(breaker, now_s)
            running += [(breaker.openings, is_trial)] if is_allowed else []
        elif running:
            since, _ = running.pop(0)
            breaker = {
                "succeed": succeeded(breaker, since=since),
                "fail": failed(breaker, now_s, since=since),
                "abandon": abandoned(breaker, since=since),
            }[step]
        trials = [since for since, is_trial in running if is_trial]
        assert len(trials) <= 1
        assert (breaker.state == "half-open") == (trials == [breaker.openings] != [])


@given(st.lists(st.booleans(), max_size=50))
def test_a_closed_one_has_fewer_failures_than_its_threshold(outcomes: list[bool]) -> None:
    """Failures are counted while closed, and only in a row."""
    breaker = CLOSED
    for is_success in outcomes:
        breaker = succeeded(breaker) if is_success else failed(breaker, 0)
        assert (breaker.failures < 3) == (breaker.state == "closed")


def test_the_configuration_is_that_of_the_original() -> None:
    """Five failures, thirty seconds."""
    assert structure(BreakerConfig, {"cooldown": "30s"}, where="") == BreakerConfig()
    assert (BreakerConfig().failure_threshold, BreakerConfig().cooldown_s) == (5, 30)


@pytest.mark.parametrize("wrong", [{"failure_threshold": 0}, {"cooldown_s": -1}, {"cooldown_s": math.nan}])
def test_a_breaker_that_could_not_work_is_refused(wrong: dict[str, float]) -> None:
    """By plain values as by YAML."""
    with pytest.raises(ValueError, match="must be"):
        BreakerConfig(**wrong)  # type: ignore[arg-type]
