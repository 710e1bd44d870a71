"""Bodies with placeholders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop_connectors._template import compile_template, template_faults

SAID = {
    "event": {"payload": {"n": 7, "title": "{{ event.id }}", "tags": ["a", "é"], "ok": True, "none": None}, "id": "x"}
}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("plain { } text", "plain { } text"),
        ("{{ event.payload.n }}", 7),
        ("{{event.payload.tags}}", ["a", "é"]),
        ("{{ event.payload.nothing }}", ""),
        ("{{ event.payload.none }}", ""),
        ("PR {{ event.payload.n }}!", "PR 7!"),
        ("{{ event.payload.tags }}{{ event.payload.ok }}", '["a","é"]true'),
        ("<{{ event.payload.none }}>", "<>"),
        (
            {"a": ["{{ event.payload.n }}", {"b": "{{ event.payload.ok }}"}], "c": 1.5},
            {"a": [7, {"b": True}], "c": 1.5},
        ),
        ({"{{ event.id }}": None}, {"{{ event.id }}": None}),
    ],
)
def test_a_template_is_filled_in(template: Any, filled: Any) -> None:
    """One placeholder keeps its kind; several, or text beside one, make text; keys stay."""
    assert compile_template(template)(SAID) == filled


def test_what_an_event_says_is_no_template() -> None:
    """One pass."""
    assert compile_template("<{{ event.payload.title }}>")(SAID) == "<{{ event.id }}>"


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="{}")))
def test_any_text_stands_as_it_is(said: str, around: str) -> None:
    """In a placeholder, and around one."""
    fill = compile_template(f"{around}{{{{ event }}}}.")

    assert fill({"event": said}) == f"{around}{said}."


def test_a_path_that_begins_with_nothing_we_have_is_a_fault() -> None:
    """It could only ever be empty."""
    faults = list(template_faults({"a": ["{{ payload.x }} {{ event.y }}"]}, roots=("event",), where="body"))

    assert faults == ["body.a.0: {{ payload.x }} begins with none of: event"]


def test_a_template_has_a_depth() -> None:
    """Beyond it, it is a fault, not a crash."""
    template: Any = "x"
    for _ in range(1000):
        template = [template]

    assert [fault.rpartition(": ")[2] for fault in template_faults(template, roots=(), where="b")] == [
        "nested deeper than 32"
    ]
