"""One notice is one line, and nothing in it moves a cursor or hides."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.loggers._escape import MAX_LINE_BYTES, MAX_TEXT, compact_json, escape, json_line, shortened
from tests.loggers.stage import notice

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
ANYTHING = st.text(st.characters(), max_size=20)


class Unshowable:
    """Something of a plug-in's that cannot even be looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain ümläut 日本 ✓", "plain ümläut 日本 ✓"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("\0\t\x7f", "\\0\\t\\x7f"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("⚠\ufe0f", "⚠\ufe0f"),
    ],
)
def test_what_is_not_drawn_is_written_out(text: str, written: str) -> None:
    """And all that is drawn stays as it is."""
    assert escape(text) == written


def test_every_control_and_format_character_is_written_out() -> None:
    """All that Unicode puts into the categories of control, format, surrogate and separator of lines."""
    hidden = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in HIDDEN]

    assert [character for character in hidden if escape(character) == character] == []


@given(ANYTHING)
def test_escaped_text_is_one_line_that_can_be_written(text: str) -> None:
    """Whatever comes in, UTF-8 comes out, and nothing in it ends a line or hides."""
    escaped = escape(text)

    escaped.encode()
    assert not {unicodedata.category(character) for character in escaped} & HIDDEN


@given(st.builds(dict, error=ANYTHING, source=ANYTHING, metadata=st.dictionaries(ANYTHING, ANYTHING, max_size=3)))
def test_a_line_of_json_hides_nothing(fields: dict[str, Any]) -> None:
    """It is one line of UTF-8 that a reader can read, whatever comes in."""
    line = json_line(notice(**fields))

    assert json.loads(line).keys() >= fields.keys()
    assert not {unicodedata.category(character) for character in line[:-1].decode()} & HIDDEN


@given(st.builds(dict, error=st.text(max_size=20), metadata=st.dictionaries(st.text(), st.text(), max_size=3)))
def test_a_line_of_json_says_what_the_notice_said(fields: dict[str, Any]) -> None:
    """A reader gets the same texts back, if they are texts."""
    line = json.loads(json_line(notice(**fields)))

    assert {name: line[name] for name in fields} == fields


def test_a_text_that_is_none_spoils_no_other_field() -> None:
    """A lone surrogate stays one, and what stands beside it keeps its form."""
    line = json.loads(json_line(notice(error="\ud800", metadata={"a": [1]})))

    assert (line["error"], line["metadata"]) == ("\ud800", {"a": [1]})


def test_absent_fields_are_left_out() -> None:
    """Except the ids, which are empty for what concerns no event."""
    assert json.loads(json_line(notice("system.start"))) == {
        "timestamp": "2023-11-14T22:13:20.250Z",
        "phase": "system.start",
        "event_id": "",
        "trace_id": "",
    }


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"a": object}, {"a": "<class 'object'>"}),
        ({"a": float("nan")}, {"a": None}),
        ({"a": {1}}, {"a": [1]}),
        ({"a": Unshowable()}, {"a": "<Unshowable>"}),
        ({"a": CIRCLE}, "{'a': [[...]]}"),
        ({"a": "\ud800"}, "{'a': '\\ud800'}"),
        ({("a", "b"): "\ud800"}, "{('a', 'b'): '\\ud800'}"),
    ],
)
def test_what_json_does_not_know_is_shown(metadata: Any, shown: object) -> None:
    """A value that cannot be written costs its form, never the line."""
    assert json.loads(json_line(notice(metadata=metadata)))["metadata"] == shown


def test_a_number_that_is_none_does_not_spoil_the_line() -> None:
    """Beside text that is no UTF-8, too."""
    line = json.loads(json_line(notice(error="\ud800", duration_ms=float("nan"), queue_depth=3)))

    assert (line["duration_ms"], line["queue_depth"]) == (None, 3)


def test_a_line_that_is_too_long_is_cut() -> None:
    """Its metadata goes first, then the ends of its texts."""
    line = json_line(notice(error="é" * MAX_LINE_BYTES, metadata={"a": 1}))

    assert json.loads(line)["error"] == "é" * MAX_TEXT + f"… ({MAX_LINE_BYTES - MAX_TEXT} more)"
    assert "metadata" not in json.loads(line)


def test_a_text_that_is_short_enough_is_not_cut() -> None:
    """The limit itself is allowed."""
    assert shortened("ab", 2) == "ab"


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"a": "\x7f\u202e"}, '{"a":"\\u007f\\u202e"}'), ("\ud800", "'\\ud800'"), (Unshowable(), '"<Unshowable>"')],
)
def test_a_value_is_shown_as_json_on_one_line(value: object, shown: str) -> None:
    """And as its repr where there is no JSON of it."""
    assert compact_json(value) == shown


@pytest.mark.parametrize("text", ["plain", "é", "\x7f", "\u202e", "\ud800", "x" * MAX_LINE_BYTES])
@pytest.mark.parametrize("metadata", [None, {}, {"none": None, "strange": object}, {1: 2}, {"nan": float("nan")}])
def test_a_notice_of_an_event_is_written_as_any_other(text: str, metadata: dict[Any, Any] | None) -> None:
    """Most of these lines are made in one go; what is in them is the same."""
    fields: dict[str, Any] = {"error": text, "queue_depth": 0, "metadata": metadata}

    of_event = json_line(notice(event_id="evt_1", trace_id="trc_1", **fields))

    without = of_event.replace(b"evt_1", b"", 1).replace(b"trc_1", b"", 1)
    assert without == json_line(notice(**fields))
