"""Dedup: what is alike, for how long, and what is never compared."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orgloop.transforms import Dedup, DedupConfig
from tests.transforms.stage import FakeMarks, applied, context, event

ONE = ("payload.x",)


def passes(dedup: Dedup, payload: Any, marks: FakeMarks) -> bool:
    return applied(dedup, event(payload), context(marks)) is not None


def test_the_first_passes_and_what_is_like_it_does_not() -> None:
    """The event that passes is the very object."""
    dedup, marks, first = Dedup(DedupConfig(key=ONE)), FakeMarks(), event({"x": 1})

    assert applied(dedup, first, context(marks)) is first
    assert not passes(dedup, {"x": 1, "y": 2}, marks)
    assert passes(dedup, {"x": 2}, marks)


def test_the_window_counts_from_the_first_and_does_not_slide() -> None:
    """A repetition within it does not prolong it."""
    dedup, marks = Dedup(DedupConfig(key=ONE, window_s=300)), FakeMarks()

    passed = []
    for marks.now_s in (0, 200, 299, 300, 400):
        passed.append(passes(dedup, {"x": 1}, marks))

    assert passed == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1, True),
        (1, "1", False),
        (True, 1, False),
        (True, "true", False),
        ("a", "A", False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"c": 1, "d": 2}}, {"a": {"d": 2, "c": 1}}, True),
        ([1, 2], [2, 1], False),
        ([1, 2], "1,2", False),
        ("a\0b", "a", False),
    ],
)
def test_values_are_compared_with_their_types(one: object, other: object, alike: bool) -> None:
    """Maps by what is in them: in the original, all of them were equal."""
    dedup, marks = Dedup(DedupConfig(key=ONE)), FakeMarks()
    passes(dedup, {"x": one}, marks)

    assert passes(dedup, {"x": other}, marks) is not alike


def test_values_do_not_run_into_each_other() -> None:
    """(ab, c) is not (a, bc), nor (c, ab)."""
    dedup, marks = Dedup(DedupConfig(key=["payload.x", "payload.y"])), FakeMarks()

    assert all(passes(dedup, {"x": x, "y": y}, marks) for x, y in [("ab", "c"), ("a", "bc"), ("c", "ab"), ("c", None)])


@pytest.mark.parametrize("payload", [{}, {"x": None}, [], None])
def test_an_event_without_any_value_of_the_key_passes_and_is_counted(payload: Any) -> None:
    """All of them would be one otherwise, as happened."""
    dedup, marks = Dedup(DedupConfig(key=ONE)), FakeMarks()

    assert [passes(dedup, payload, marks) for _ in range(3)] == [True, True, True]
    assert dedup.counts["unkeyed"] == 3
    assert marks.seen == {}


def test_one_value_is_enough_of_a_key() -> None:
    """Missing and null are one value then."""
    dedup, marks = Dedup(DedupConfig(key=["source", "payload.x"])), FakeMarks()

    assert [passes(dedup, payload, marks) for payload in ({}, {"x": None}, {"x": ""})] == [True, False, True]
    assert dedup.counts["unkeyed"] == 0


def test_the_default_key_is_the_event_itself() -> None:
    """Source, type and id: the same again is dropped, another is not."""
    dedup, marks = Dedup(DedupConfig()), FakeMarks()

    assert [
        applied(dedup, attrs.evolve(event(), id=id_), context(marks)) is not None for id_ in ("evt_1", "evt_2", "evt_1")
    ] == [True, True, False]


def test_a_mark_has_no_text_of_the_event_in_it() -> None:
    """It is a hash: of one length, and nothing that could be a path."""
    marks = FakeMarks()
    passes(Dedup(DedupConfig(key=ONE)), {"x": "../../etc/passwd"}, marks)

    [mark] = marks.seen
    assert len(mark) == 32
    assert set(mark) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (DedupConfig(key=[]), r"^key: .*not a list of paths; write"),
        (DedupConfig(key="payload.x"), r"^key: 'payload.x' is not a list of paths; write"),
        (DedupConfig(key=["source", "resource_id"]), r"^key\.1: 'resource_id' .*write 'payload\.resource_id'"),
        (DedupConfig(window_s=0), r"^window: .*write one above 0"),
        (DedupConfig(store="redis"), r"^store: 'redis' is not known; write 'memory'"),
    ],
)
def test_what_cannot_be_a_key_is_refused(config: DedupConfig, why: str) -> None:
    """With the field, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        Dedup(config)
