"""The rate limit: never more in a window than allowed, whatever comes, and never fewer than there is room for."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs
import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.sdk import Event
from orgloop.testing import FakeMarks
from orgloop_connectors.transforms.rate_limit import OFFER, RateLimit
from tests.connectors.stage import event, made
from tests.transforms.stage import context


def limit(**config: Any) -> RateLimit:
    transform: RateLimit = made(OFFER, {"window": "10s", **config})
    return transform


def passes(transform: RateLimit, marks: FakeMarks, at_s: float, *, id: str, payload: Any = None) -> bool:
    marks.now_s, marks.event_id = at_s, id
    one = attrs.evolve(event(payload), id=id)
    return transform.apply(one, msgspec.structs.replace(context(), marks=marks)) is not None


async def waited(transform: RateLimit, one: Event) -> float:
    """When an event passes that may have to wait."""
    made_of = transform.apply(one, context())
    assert isinstance(made_of, Awaitable)
    assert await made_of is one
    return trio.current_time()


def test_so_many_in_any_window() -> None:
    """The window moves with time: a place is free when it was taken so long ago."""
    transform, marks = limit(max=2), FakeMarks()

    passed = [passes(transform, marks, at_s, id=f"evt_{at_s}") for at_s in (0, 4, 5, 9, 10, 11, 14, 15)]

    assert passed == [True, True, False, False, True, False, True, False]
    assert transform.counts["dropped"] == 4


def test_an_event_that_comes_again_takes_the_place_it_had() -> None:
    """It was delivered, or nearly; it is no reason to drop it, nor another."""
    transform, marks = limit(max=1), FakeMarks()

    assert passes(transform, marks, 0, id="evt_1")
    assert not passes(transform, marks, 1, id="evt_2")
    assert passes(transform, marks, 2, id="evt_1")


def test_each_kind_has_a_limit_of_its_own() -> None:
    """Told apart with types; what is missing is a kind, too."""
    transform, marks = limit(max=1, key=["payload.a", "payload.b"]), FakeMarks()
    kinds: list[Any] = [{"a": 1}, {"a": "1"}, {"a": 1, "b": 2}, {}, None, {"a": 1}, {"c": 3}]

    passed = [passes(transform, marks, 0, id=f"evt_{n}", payload=kind) for n, kind in enumerate(kinds)]

    assert passed == [True, True, True, True, False, False, False]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.lists(st.floats(0, 8), max_size=40))
def test_never_more_and_never_fewer(most: int, gaps_s: list[float]) -> None:
    """An event passes just when fewer than so many have passed within the window before it."""
    transform, marks = limit(max=most), FakeMarks()
    passed_s: list[float] = []
    now_s = 0.0
    for number, gap_s in enumerate(gaps_s):
        now_s += gap_s
        room = sum(now_s < at_s + 10 for at_s in passed_s) < most

        assert passes(transform, marks, now_s, id=f"evt_{number}") is room

        if room:
            passed_s.append(now_s)


async def test_delay_lets_everything_through_in_its_time(autojump_clock: MockClock) -> None:
    """In order, and no sooner than there is room."""
    transform, began_s = limit(max=2, action="delay"), trio.current_time()

    passed = [round(await waited(transform, event({"n": n})) - began_s, 3) for n in range(5)]

    assert passed == [0, 0, 10, 10, 20]
    assert transform.counts["delayed"] == 2


async def test_events_that_wait_side_by_side_take_turns(autojump_clock: MockClock) -> None:
    """A lane may work on several at a time."""
    transform, began_s = limit(max=1, window="5s", action="delay"), trio.current_time()
    passed: list[float] = []

    async def pass_one() -> None:
        passed.append(round(await waited(transform, event()) - began_s, 3))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(pass_one)

    assert passed == [0, 5, 10]


async def test_who_is_called_off_gives_its_place_back(autojump_clock: MockClock) -> None:
    """The next does not wait for one that never passed."""
    transform, began_s = limit(max=1, action="delay"), trio.current_time()
    await waited(transform, event())
    with trio.move_on_after(1):
        await waited(transform, event())

    assert await waited(transform, event()) - began_s == pytest.approx(10)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"max": 0}, "^max: 0 is not from 1 to 1000"),
        ({"max": 1001}, "^max: 1001 is not from 1 to 1000"),
        ({"max": 1, "window": "0s"}, "^window: 0 s is no time"),
        (
            {"max": 1, "window": "5m", "action": "delay"},
            "^window: 300 s are too long .*write max_rate",
        ),
        ({"max": 1, "key": ["author"]}, r"^key\.0: 'author' is not in an event"),
    ],
)
def test_what_cannot_be_is_refused(config: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        limit(**config)
