"""Crashes of runs: each is counted once, and for those events only that may have been tried in it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.delivery.runs import MAX_CRASHES, Runs


def after(*ends: int, crashed: bool = True) -> Runs:
    """The runs before one that begins now, if those before it have ended there."""
    noted: Any = None
    runs = Runs.begin(noted, next_sequence=1)
    for next_sequence in ends:
        runs = Runs.begin(runs.note(is_open=crashed)[2], next_sequence=next_sequence)
    return runs


def test_the_first_run_has_none_before_it() -> None:
    """An empty log was not left by anybody."""
    assert Runs.begin(None, next_sequence=1).crashes == 0


@pytest.mark.parametrize("noted", [None, 7, [], [1, 2, True], [1, ["2"], True], ["1", [], True]], ids=repr)
def test_a_log_that_does_not_say_may_have_been_left_by_a_crash(noted: Any) -> None:
    """That of a version which did not count, for one."""
    assert Runs.begin(noted, next_sequence=5).unnoted(4, noted_at=None) == 1


def test_a_run_that_has_ended_in_order_has_noted_all_its_attempts() -> None:
    """None of what it has left is counted once more."""
    assert after(10, 20, crashed=False).unnoted(1, noted_at=None) == 0


@pytest.mark.parametrize(("sequence", "attempts"), [(1, 3), (9, 3), (10, 2), (19, 2), (20, 0)])
def test_an_event_may_have_been_tried_in_each_crash_since_it_was_admitted(sequence: int, attempts: int) -> None:
    """The third run has admitted nothing, and may have tried all the same."""
    assert after(10, 20, 20).unnoted(sequence, noted_at=None) == attempts


def test_what_was_noted_counts_from_there() -> None:
    """Whichever of its attempts it was."""
    assert after(10, 20, 30).unnoted(1, noted_at=2) == 1


def test_who_counts_nothing_expects_one() -> None:
    """A bus that does not say how far it is."""
    assert Runs().unnoted(7, noted_at=None) == Runs().unnoted(7, noted_at=None) == 1


def test_what_is_older_than_all_that_is_kept_has_seen_every_crash() -> None:
    """The list is bounded; the number of attempts still rises."""
    counts = [
        after(*range(10, 10 + lives)).unnoted(1, noted_at=None) for lives in range(MAX_CRASHES - 2, MAX_CRASHES + 5)
    ]

    assert counts == list(range(MAX_CRASHES - 2, MAX_CRASHES + 5))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30), st.integers(1, 40))
def test_a_life_that_crashed_counts_one_and_any_other_none(lives: list[tuple[int, bool]], sequence: int) -> None:
    """For every event that there was by then."""
    runs, next_sequence, expected = Runs.begin(None, next_sequence=1), 1, 0
    counts = [0]
    for admitted, crashed in lives:
        next_sequence += admitted
        runs = Runs.begin(runs.note(is_open=crashed)[2], next_sequence=next_sequence)
        expected += crashed and sequence < next_sequence
        counts.append(runs.unnoted(sequence, noted_at=None))

    assert counts[-1] == expected
    assert all(one <= other for one, other in pairwise(counts))
