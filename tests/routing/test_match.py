"""The law of ``when.filter``: which wanted value matches which found value, and how a mismatch is put in words."""

from __future__ import annotations

import enum
import math
import time
from typing import Any

import attrs
import pytest

from orgloop.event import Event
from orgloop.routing import MISSING, Route, explain, matches

EVENT = Event("github", "resource.changed", {"platform": "github"}, {}, module="engineering")
ROUTE = Route(module="engineering", name="r", source="github", events=("resource.changed",), actor="agent")


class State(enum.StrEnum):
    """What a connector may put into a payload instead of text."""

    OPEN = "open"


class Level(enum.IntEnum):
    """What a connector may put into a payload instead of a number."""

    HIGH = 2


def is_match(wanted: object, payload: object) -> bool:
    """Whether a route that wants ``payload.v`` to be so wants an event of this payload."""
    return matches(attrs.evolve(ROUTE, filter={"payload.v": wanted}), attrs.evolve(EVENT, payload=payload))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a", "a"),
        ("", ""),
        (42, 42),
        (1, 1.0),
        (0.5, 0.5),
        (0, -0.0),
        (2**80, 2**80),
        (True, True),
        (False, False),
        (None, None),
        (["a", "b"], "b"),
        ([1, "1", None], None),
        ([True], True),
        ("bug", ["p1", "bug"]),
        (None, [None]),
        (1, [True, 1]),
        (["a", "bug"], ["p1", "bug"]),
        ([["a"], "b"], "b"),
        ("a", ("a", "b")),
        ("open", State.OPEN),
        (State.OPEN, "open"),
        (2, Level.HIGH),
    ],
    ids=repr,
)
def test_what_matches(wanted: object, found: object) -> None:
    """Equal scalars, any of a wanted list, a member of a found one."""
    assert is_match(wanted, {"v": found})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a", "A"),
        ("a", " a"),
        ("a", "ab"),
        (42, "42"),
        ("42", 42),
        (1, True),
        (True, 1),
        (0, False),
        (False, 0),
        (1.0, True),
        (True, "true"),
        ("true", True),
        (None, "null"),
        (None, ""),
        (None, 0),
        (None, False),
        ("", None),
        (2**53, 2**53 + 1),
        (math.nan, math.nan),
        ([], "a"),
        ([], []),
        ("a", []),
        (None, []),
        (["a", "b"], "c"),
        ("a", ["b", "c"]),
        ("a", [["a"]]),
        ("a", [{"a": "a"}]),
        ([["a"]], "a"),
        ([["a"]], ["a"]),
        ([["a"]], [["a"]]),
        ({"a": 1}, {"a": 1}),
        ({}, {}),
        ([{"a": 1}], [{"a": 1}]),
        ({"a": 1}, "a"),
        ("a", {"a": "a"}),
        (("true",), True),
        (b"a", "a"),
    ],
    ids=repr,
)
def test_what_does_not_match(wanted: object, found: object) -> None:
    """Other types, other values, maps, and lists in lists."""
    assert not is_match(wanted, {"v": found})


@pytest.mark.parametrize("wanted", [None, "", 0, False, [], [None], "undefined", MISSING])
def test_nothing_matches_what_is_missing(wanted: object) -> None:
    """Null is a value that must be there."""
    assert not is_match(wanted, {})


def test_every_line_of_a_filter_must_match() -> None:
    """Two lines are an and."""
    route = attrs.evolve(ROUTE, filter={"payload.a": 1, "payload.b": 2})

    assert matches(route, attrs.evolve(EVENT, payload={"a": 1, "b": 2}))
    assert not matches(route, attrs.evolve(EVENT, payload={"a": 1, "b": 3}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"type": "actor.stopped"}, False),
        ({"source": "linear"}, False),
        ({"source": "git"}, False),
        ({"module": "sales"}, False),
        ({"module": None}, False),
    ],
)
def test_module_source_and_type_must_be_those_of_the_route(change: dict[str, Any], expected: bool) -> None:
    """What a route listens to is named exactly."""
    assert matches(ROUTE, attrs.evolve(EVENT, **change)) is expected


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("github", ("engineering", "github")),
        ("sales:crm", ("sales", "crm")),
        ("sales:crm:eu", ("sales", "crm:eu")),
    ],
)
def test_a_source_may_be_another_modules(source: str, origin: tuple[str, str]) -> None:
    """Before the first colon stands the module."""
    assert attrs.evolve(ROUTE, source=source).origin == origin


def test_a_route_does_not_follow_the_mapping_it_was_made_of() -> None:
    """The filter is compiled once; what the configuration does with its map afterwards is its own affair."""
    wanted: dict[str, object] = {"payload.v": 1}
    route = attrs.evolve(ROUTE, filter=wanted)
    wanted["payload.v"] = 2

    assert matches(route, attrs.evolve(EVENT, payload={"v": 1}))


def test_a_bad_path_is_refused_with_the_route() -> None:
    """A filter without a path is a fault of the file, not of an event."""
    with pytest.raises(ValueError, match="a path must not be empty"):
        attrs.evolve(ROUTE, filter={"": 1})


def test_numbers_chosen_to_collide_cost_no_more_than_others() -> None:
    """A hundred thousand numbers of one hash are only looked up, never put in a set of their own."""
    modulus = 2**61 - 1
    found = [number * modulus for number in range(1, 100_000)]
    began_s = time.process_time()

    assert not is_match(["a", 0, 1], {"v": found})
    assert time.process_time() - began_s < 1  # a set of them takes a minute


# -- in words ----------------------------------------------------------------------------------------------------------


def test_an_explanation_names_every_condition() -> None:
    """Module, source, type, then the filter as it is written."""
    route = attrs.evolve(ROUTE, filter={"payload.b": 2, "payload.a": [1]})
    clauses = explain(route, attrs.evolve(EVENT, payload={"a": 1, "b": "2"}))

    assert [(clause.path, clause.wanted, clause.found, clause.matched) for clause in clauses] == [
        ("module", "engineering", "engineering", True),
        ("source", "github", "github", True),
        ("type", ("resource.changed",), "resource.changed", True),
        ("payload.b", 2, "2", False),
        ("payload.a", [1], 1, True),
    ]


@pytest.mark.parametrize(
    ("wanted", "payload", "sentence"),
    [
        (42, {"v": 42}, "payload.v is 42"),
        (["a", "b"], {"v": ["b", "c"]}, 'payload.v is ["b", "c"]'),
        (42, {"v": "42"}, 'payload.v: wanted 42, found "42"'),
        (True, {"v": None}, "payload.v: wanted true, found null"),
        (None, {}, "payload.v: wanted null, found nothing"),
        (["a", "b"], {"v": "c"}, 'payload.v: wanted any of ["a", "b"], found "c"'),
        ({"a": 1}, {"v": {"a": 1}}, "payload.v: wanted a map, which never matches"),
        ("a", {"v": "\x1b[2J\n\N{RIGHT-TO-LEFT OVERRIDE}"}, 'payload.v: wanted "a", found "\\u001b[2J\\n\\u202e"'),
        ("a", {"v": "x" * 78}, f'payload.v: wanted "a", found "{"x" * 78}"'),
        ("a", {"v": "x" * 79}, f'payload.v: wanted "a", found "{"x" * 79}…'),
    ],
)
def test_a_clause_in_words(wanted: object, payload: object, sentence: str) -> None:
    """Values are shown as JSON, so types can be told; they are cut, and cannot move the cursor."""
    route = attrs.evolve(ROUTE, filter={"payload.v": wanted})

    assert str(explain(route, attrs.evolve(EVENT, payload=payload))[-1]) == sentence


@pytest.mark.parametrize("event", [EVENT, attrs.evolve(EVENT, source="x"), attrs.evolve(EVENT, payload={"v": 1})])
def test_a_route_matches_if_all_its_clauses_do(event: Event) -> None:
    """The explanation and the decision agree."""
    route = attrs.evolve(ROUTE, filter={"payload.v": 1})

    assert all(clause.matched for clause in explain(route, event)) is matches(route, event)
