"""Dot paths: what is read, what is written, and what is never touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import Event
from orgloop.sdk import TransformFailed
from orgloop.transforms._fields import MISSING, Path, get, put, readable, text_of, writable
from tests.transforms.stage import event

KEYS = st.sampled_from(["a", "b", "0", "1"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=8,
)
EVENTS = st.dictionaries(KEYS, VALUES, max_size=3).map(event)
PATHS = st.lists(KEYS, min_size=1, max_size=4).map(lambda steps: ("payload", *steps))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", "github"),
        ("type", "resource.changed"),
        ("id", "evt_1"),
        ("module", "engineering"),
        ("ancestors.0", "evt_0"),
        ("provenance.platform", "github"),
        ("payload.pr.labels.1.name", "bug"),
        ("payload.pr.labels.2.name", MISSING),
        ("payload.pr.labels.01.name", MISSING),
        ("payload.pr.labels.-1", MISSING),
        ("payload.pr.labels.length", MISSING),
        ("payload.pr.title.0", MISSING),
        ("payload.pr.body", None),
        ("payload.pr.body.x", MISSING),
        ("payload.nothing", MISSING),
    ],
)
def test_a_path_finds(path: str, value: object) -> None:
    """Steps are keys or places; null is something, and what is not there is MISSING."""
    there = event({"pr": {"labels": [{"name": "p1"}, {"name": "bug"}], "title": "x", "body": None}})

    assert get(there, readable(path, at="match")) == value


@pytest.mark.parametrize("path", ["", ".", "payload.", "payload..x", "labels", "metadata.x", "event.payload.x"])
def test_a_path_that_no_event_has_is_refused(path: str) -> None:
    """A filter on it would never match, and nobody would know."""
    with pytest.raises(ValueError, match=r"^match: '.*write"):
        readable(path, at="match")


@pytest.mark.parametrize(
    "path", ["id", "trace_id", "ancestors.0", "module", "timestamp", "source", "type", "payload", "metadata.priority"]
)
def test_identity_and_place_are_not_written(path: str) -> None:
    """What an event is, and where it stands, is not a transform's to change."""
    with pytest.raises(ValueError, match=r"^set: '.*' cannot be written.*write 'payload\."):
        writable(path, at="set")


@pytest.mark.parametrize(
    ("payload", "path", "expected"),
    [
        ({}, "payload.a.b", {"a": {"b": 1}}),
        (None, "payload.a", {"a": 1}),
        ({"a": None}, "payload.a.b", {"a": {"b": 1}}),
        ({"a": [{"b": 0}]}, "payload.a.0.b", {"a": [{"b": 1}]}),
        ([{"b": 0}, 2], "payload.0.b", [{"b": 1}, 2]),
    ],
)
def test_put_makes_the_way(payload: Any, path: str, expected: Any) -> None:
    """Maps are made where there is nothing or null."""
    assert put(event(payload), writable(path, at="set"), 1).payload == expected


@pytest.mark.parametrize(
    ("payload", "path"),
    [({"a": "text"}, "payload.a.b"), ({"a": [1]}, "payload.a.1"), ({"a": [1]}, "payload.a.b"), (7, "payload.a")],
)
def test_put_overwrites_nothing_that_stands_in_the_way(payload: Any, path: str) -> None:
    """A text, a number or a list without that place is not thrown away for a map."""
    with pytest.raises(TransformFailed, match="cannot be set"):
        put(event(payload), writable(path, at="set"), 1)


def test_put_makes_no_broken_event() -> None:
    """An event without a platform is none."""
    with pytest.raises(TransformFailed, match=r"provenance\.platform must be a string"):
        put(event(), ("provenance", "platform"), 5)


def _put(to: Event, path: Path, value: object) -> Event | None:
    try:
        return put(to, path, value)
    except TransformFailed:
        return None


@settings(deadline=None)
@given(EVENTS, PATHS, VALUES)
def test_what_was_put_is_found(before: Event, path: Path, value: object) -> None:
    """Where there is a place to put it."""
    after = _put(before, path, value)

    assert after is None or get(after, path) == value


@settings(deadline=None)
@given(EVENTS, PATHS)
def test_putting_back_what_is_there_changes_nothing(before: Event, path: Path) -> None:
    """The second law of a lens."""
    value = get(before, path)

    assert value is MISSING or put(before, path, value) == before


@settings(deadline=None)
@given(EVENTS, PATHS, VALUES, VALUES)
def test_the_last_put_counts(before: Event, path: Path, first: object, second: object) -> None:
    """The third law of a lens."""
    once = _put(before, path, second)
    twice = _put(before, path, first)

    assert once is None or twice is None or put(twice, path, second) == once


@settings(deadline=None)
@given(EVENTS, PATHS, VALUES)
def test_put_leaves_its_event_alone(before: Event, path: Path, value: object) -> None:
    """Other routes have the same object."""
    as_it_was = copy.deepcopy(before)

    _put(before, path, value)

    assert before == as_it_was


def test_put_copies_along_the_path_only() -> None:
    """A large payload is not copied for one small value."""
    before = event({"a": {"b": 1}, "large": [1, 2, 3]})

    after = put(before, ("payload", "a", "b"), 2)

    assert after.payload["large"] is before.payload["large"]
    assert after.provenance is before.provenance


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (MISSING, "undefined"),
        (None, "null"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        ([1, [2, None]], "1,2,"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_the_text_of_a_value_is_javascripts(value: object, text: str) -> None:
    """Patterns and expressions were written against that."""
    assert text_of(value) == text
