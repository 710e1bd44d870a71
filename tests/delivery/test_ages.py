"""Since when events wait: never for longer than they do."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.delivery.ages import MAX_LOOKS, Ages

WALL_S = 1_700_000_000.0


def looked(*looks: tuple[int, float]) -> Ages:
    ages = Ages()
    for sequence, at_s in looks:
        ages.look(sequence, at_s)
    return ages


@pytest.mark.parametrize(("now_s", "before"), [(99.9, 0), (100.0, 41), (109.9, 41), (110.0, 91), (1e9, 91)])
def test_what_was_there_at_a_look_is_as_old_as_the_look(now_s: float, before: int) -> None:
    """What came behind the last one has no age yet."""
    assert looked((41, 0.0), (91, 10.0)).expired(100.0, now_s) == before


def test_without_a_retention_nothing_expires() -> None:
    """However old it is."""
    assert looked((41, 0.0)).expired(None, 1e12) == 0


def test_what_was_looked_at_before_a_restart_goes_on_ageing() -> None:
    """Also while nothing ran."""
    _, _, noted = looked((41, 0.0), (91, 50.0)).note(wall_s=WALL_S, now_s=60.0)
    ages = Ages.recall(noted, wall_s=WALL_S + 1000.0, now_s=7.0)

    assert ages.expired(1059.0, 7.0) == 41
    assert ages.expired(1061.0, 7.0) == 0


def test_what_lies_in_the_future_is_new() -> None:
    """The wall clock was set back meanwhile."""
    ages = Ages.recall([[41, WALL_S + 9999.0]], wall_s=WALL_S, now_s=7.0)

    assert [ages.expired(10.0, 16.9), ages.expired(10.0, 17.0)] == [0, 41]


@pytest.mark.parametrize(
    "noted", [None, 7, {}, [7], [[1]], [["1", 2]], [[1, float("inf")]], [[1, float("nan")]]], ids=repr
)
def test_what_is_no_note_says_nothing(noted: Any) -> None:
    """A log may hold anything."""
    assert Ages.recall(noted, wall_s=WALL_S, now_s=0.0).expired(1.0, 1e9) == 0


def test_no_more_looks_are_kept_than_may_be() -> None:
    """And the newest always."""
    ages = looked(*((number, float(number)) for number in range(1, 10 * MAX_LOOKS)))

    _, _, noted = ages.note(wall_s=WALL_S, now_s=0.0)
    assert len(noted) <= MAX_LOOKS
    assert ages.expired(0.0, 1e9) == 10 * MAX_LOOKS - 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100), st.booleans()), max_size=40),
    st.floats(0, 1000),
    st.floats(0, 500),
)
def test_nothing_is_taken_for_older_than_it_is(
    steps: list[tuple[int, float, bool]], retention_s: float, later_s: float
) -> None:
    """Whatever is admitted between two looks, and whatever restarts there are."""
    ages, now_s, admitted_s = Ages(), 0.0, list[float]()
    for count, wait_s, restarted in steps:
        now_s += wait_s
        admitted_s += [now_s] * count
        if restarted:
            _, _, noted = ages.note(wall_s=WALL_S + now_s, now_s=now_s)
            ages = Ages.recall(noted, wall_s=WALL_S + now_s, now_s=now_s)
        ages.look(len(admitted_s) + 1, now_s)
    now_s += later_s

    really = bisect_right(admitted_s, now_s - retention_s + 0.01) + 1  # what is noted is rounded
    assert ages.expired(retention_s, now_s) <= really
