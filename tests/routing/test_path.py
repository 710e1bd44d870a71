"""Dot paths: what they find, what they do not, and what is refused as a path."""

from __future__ import annotations

import copy
from typing import Any

import attrs
import pytest

from orgloop.event import MAX_DEPTH, Event
from orgloop.routing import FIELDS, MISSING, compile_path
from orgloop.routing.path import MAX_PATH_CHARS, MAX_SEGMENTS

PAYLOAD: dict[str, Any] = {
    "pr": {"number": 7, "draft": False, "body": None, "labels": ["bug", {"name": "p1"}]},
    "0": "a key that is a number",
    "": {"": "empty keys"},
    "a b": "a key with a space",
    "title": "text",
    "pair": ("left", "right"),
}
EVENT = Event(
    "github",
    "resource.changed",
    {"platform": "github", "author": "ada"},
    PAYLOAD,
    id="evt_1",
    timestamp="2026-01-02T03:04:05.678Z",
    trace_id="trc_1",
    module="engineering",
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("source", "github"),
        ("type", "resource.changed"),
        ("id", "evt_1"),
        ("timestamp", "2026-01-02T03:04:05.678Z"),
        ("trace_id", "trc_1"),
        ("module", "engineering"),
        ("provenance.author", "ada"),
        ("payload", PAYLOAD),
        ("payload.pr.number", 7),
        ("payload.pr.draft", False),
        ("payload.pr.labels.0", "bug"),
        ("payload.pr.labels.1.name", "p1"),
        ("payload.pair.1", "right"),
        ("payload.0", "a key that is a number"),
        ("payload..", "empty keys"),
        ("payload.a b", "a key with a space"),
    ],
)
def test_a_path_finds_what_is_there(path: str, found: object) -> None:
    """Fields, keys, indices: each segment is one step."""
    assert compile_path(path).find(EVENT) == found


@pytest.mark.parametrize(
    "path",
    [
        "payload.no",
        "payload.pr.no.deeper",
        "payload.pr.number.real",
        "payload.pr.labels.2",
        "payload.pr.labels.-1",
        "payload.pr.labels.00",
        "payload.pr.labels.+1",
        "payload.pr.labels.\N{SUPERSCRIPT TWO}",
        "payload.pr.labels.\N{ARABIC-INDIC DIGIT ZERO}",
        "payload.pr.labels.length",
        "payload.pr.labels.name",
        "payload.pr.labels." + "9" * 400,
        "payload.title.0",
        "payload.title.upper",
        "payload.items",
        "payload.__class__",
        "source.__class__",
        "source.0",
        "__class__",
        "__class__.__mro__",
        "ancestors",
        "event.payload.title",
        "metadata.x",
        "title",
        " payload.title",
    ],
)
def test_a_path_finds_nothing_elsewhere(path: str) -> None:
    """No attributes, no index from the end, no other digits than ours, no field that is not an event's."""
    assert compile_path(path).find(EVENT) is MISSING


def test_null_is_found() -> None:
    """Null is a value, and not missing."""
    assert compile_path("payload.pr.body").find(EVENT) is None


def test_a_module_that_is_not_known_is_null() -> None:
    """An event that no runtime has seen has no module, and that is null."""
    assert compile_path("module").find(attrs.evolve(EVENT, module=None)) is None


@pytest.mark.parametrize("payload", [None, 1, "text", True, [], {}])
def test_a_payload_of_any_kind_can_be_looked_into(payload: object) -> None:
    """A payload need not be an object."""
    assert compile_path("payload.a.0").find(attrs.evolve(EVENT, payload=payload)) is MISSING


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_one_of_the_event(field: str) -> None:
    """What a path may begin with exists."""
    assert compile_path(field).find(EVENT) is getattr(EVENT, field)


def test_looking_does_not_fill_in_what_a_dict_would() -> None:
    """A dict that makes what it is asked for is not asked in that way."""

    class Filling(dict[str, str]):
        def __missing__(self, key: str) -> str:
            raise AssertionError(key)

    assert compile_path("payload.no").find(attrs.evolve(EVENT, payload=Filling())) is MISSING


def test_missing_is_false_and_there_is_one_of_it() -> None:
    """A copy is the same object."""
    assert not MISSING
    assert copy.deepcopy(MISSING) is MISSING
    assert repr(MISSING) == "MISSING"


def test_paths_of_one_text_are_equal() -> None:
    """So they can be told apart, and put together, by what they say."""
    assert compile_path("payload.a") == compile_path("payload.a") != compile_path("payload.b")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("", "a path must not be empty"),
        ("payload." + "x" * MAX_PATH_CHARS, f"at most {MAX_PATH_CHARS} are allowed"),
        (".".join("p" * (MAX_SEGMENTS + 1)), f"has {MAX_SEGMENTS + 1} segments; at most {MAX_SEGMENTS} are allowed"),
    ],
)
def test_what_is_refused_as_a_path(path: str, complaint: str) -> None:
    """A fault is raised where the path is written, and says which limit."""
    with pytest.raises(ValueError, match=complaint):
        compile_path(path)


def test_a_path_reaches_the_bottom_of_the_deepest_event() -> None:
    """The limits of events and paths agree."""
    payload: Any = "bottom"
    for _ in range(MAX_DEPTH - 1):
        payload = [payload]

    assert compile_path("payload" + ".0" * (MAX_SEGMENTS - 1)).find(attrs.evolve(EVENT, payload=payload)) == "bottom"
