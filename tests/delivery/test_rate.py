"""The token bucket: what it gives at once, what over time, and how long it makes wait."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.delivery.rate import MIN_WAIT_S, Bucket, full, take

RATES = st.floats(1e-4, 1e5)
STEPS = st.lists(st.tuples(st.floats(0, 10), st.integers(0, 20)), max_size=60)


def test_a_full_bucket_gives_a_second_s_worth_at_once() -> None:
    """And then makes wait for the next."""
    bucket, wait_s = take(full(5, 0), 0, 5)

    assert (wait_s, take(bucket, 0)[1]) == (0, 0.2)


def test_a_slow_bucket_holds_one() -> None:
    """Or one an hour would be none at all."""
    bucket, wait_s = take(full(1 / 3600, 0), 0)

    assert (wait_s, round(take(bucket, 0)[1], 6)) == (0, 3600)


def test_a_bucket_fills_with_time() -> None:
    """At its rate."""
    bucket, _ = take(full(10, 0), 0, 10)

    assert [take(bucket, 0.5, n)[1] for n in (4, 5, 6)] == pytest.approx([0, 0, 0.1])


def test_a_bucket_overflows() -> None:
    """A quiet hour buys no burst."""
    assert take(full(10, 0), 3600, 10)[0].tokens == 0


def test_what_has_to_wait_takes_nothing() -> None:
    """So a waiter that is cancelled costs nobody anything."""
    bucket, _ = take(full(1, 0), 0)

    assert take(bucket, 0.5)[0] is bucket


def test_nothing_can_be_taken_at_any_time() -> None:
    """Zero tokens are always there."""
    bucket, _ = take(full(1, 0), 0)

    assert take(bucket, 0, 0)[1] == 0


def test_a_clock_that_was_set_back_is_waited_for() -> None:
    """Time that has been counted is not counted twice."""
    bucket, _ = take(full(1, 100), 100)

    assert take(bucket, 40)[1] == 61


@pytest.mark.parametrize("n", [6, -1])
def test_more_than_the_bucket_holds_is_never_given(n: int) -> None:
    """Whoever asks for it would wait for ever."""
    with pytest.raises(ValueError, match="never gives"):
        take(full(5, 0), 0, n)


@pytest.mark.parametrize("rate_per_s", [0, -1, math.inf, math.nan])
def test_a_rate_must_be_one(rate_per_s: float) -> None:
    """More than none, and finite."""
    with pytest.raises(ValueError, match="rate_per_s must be"):
        full(rate_per_s, 0)


@given(RATES, STEPS)
def test_never_more_than_the_rate_and_the_burst(rate_per_s: float, steps: list[tuple[float, int]]) -> None:
    """From any take to any later one, however it is asked."""
    bucket, now_s = full(rate_per_s, 0), 0.0
    given_at: list[tuple[float, int]] = []
    for passed_s, n in steps:
        now_s += passed_s
        bucket, wait_s = take(bucket, now_s, min(n, int(bucket.burst)))
        given_at += [(now_s, min(n, int(bucket.burst)))] if wait_s == 0 else []
    for first in range(len(given_at)):
        for last in range(first, len(given_at)):
            total = sum(n for _, n in given_at[first : last + 1])
            length_s = given_at[last][0] - given_at[first][0]
            assert total <= (rate_per_s * length_s + bucket.burst) * (1 + 1e-9)


@given(RATES, STEPS)
def test_a_wait_is_long_enough_and_no_longer(rate_per_s: float, steps: list[tuple[float, int]]) -> None:
    """Whoever waits as told is served then or, by rounding, a moment later; nobody could be served sooner."""
    bucket, now_s = full(rate_per_s, 0), 0.0
    for passed_s, n in steps:
        now_s += passed_s
        bucket, wait_s = take(bucket, now_s, min(n, int(bucket.burst)))
        if wait_s > MIN_WAIT_S:
            assert take(bucket, now_s + wait_s * 0.999, min(n, int(bucket.burst)))[1] > 0
        if wait_s > 0:
            bucket, again_s = take(bucket, now_s + wait_s, min(n, int(bucket.burst)))
            now_s += wait_s
            assert again_s in (0, MIN_WAIT_S)


@given(RATES, st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1)), max_size=30))
def test_a_bucket_stays_a_bucket(rate_per_s: float, steps: list[tuple[float, int]]) -> None:
    """Never below empty, never above full, no negative wait, whatever the clock does."""
    bucket = full(rate_per_s, 0)
    for now_s, n in steps:
        bucket, wait_s = take(bucket, now_s, n)
        assert 0 <= bucket.tokens <= bucket.burst
        assert wait_s == 0 or MIN_WAIT_S <= wait_s < math.inf


def test_a_bucket_is_a_value() -> None:
    """Taking leaves the old one as it was."""
    bucket = full(2, 0)
    take(bucket, 0)

    assert bucket == Bucket(2, 2, 0)
