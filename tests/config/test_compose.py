"""The text of a file as data: scalars of YAML 1.2, walls, and places that point at what was written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from orgloop.config._compose import MAX_ALIASED_NODES, MAX_DEPTH, MAX_MEMBERS, _folded, compose
from orgloop.config._flaws import Places
from orgloop.config.document import parse_document
from tests.config.corpus import CORPUS, Bad

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
DATA = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def data_of(text: str) -> Any:
    data, flaws = compose(text)
    assert flaws == []
    return data


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-0.5", -0.5),
        ("5.", 5.0),
        ("1_000", "1_000"),
        ("1:30:00", "1:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("-", None),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        (".", "."),
        ("=", "="),
        ("é", "é"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("{u: http://127.0.0.1:18789, v: a:b}", {"u": "http://127.0.0.1:18789", "v": "a:b"}),
    ],
)
def test_a_scalar(written: str, value: object) -> None:
    """As the core schema of YAML 1.2 has it."""
    if written == "-":
        assert data_of("x:\n-\n") == {"x": [None]}
    else:
        assert data_of(f"x: {written}\n") == {"x": value}


@pytest.mark.slow
@given(DATA)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    """YAML 1.2 holds all of JSON."""
    assert data_of(json.dumps({"x": value}, ensure_ascii=False)) == {"x": value}


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    """There is data, or nothing, or a flaw: never an exception."""
    compose(text, places=Places())


@given(DATA)
def test_places_point_at_what_was_written(value: Any) -> None:
    """Every part of the data has a place, and the key that leads there stands at its own."""
    text = json.dumps({"x": value}, ensure_ascii=False, indent=1)
    places = Places()
    data, _ = compose(text, places=places)

    for path, (line, column, _) in places.keys.items():
        assert text.split("\n")[line][column:].startswith('"')
        assert path in places.values
    assert sum(1 for _ in places.values) == nodes(data)


def nodes(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(nodes, inner))


@pytest.mark.slow
def test_limits_pass_and_one_more_does_not() -> None:
    """Of depth, of values and of what aliases repeat."""
    for text, more in [
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)),
        ("- 1\n" * MAX_MEMBERS, "- 1\n" * (MAX_MEMBERS + 1)),
        (
            f"- [{'1,' * (MAX_MEMBERS - 1)}]\n" * 19 + f"- [{'1,' * (MAX_MEMBERS - 2)}]\n",
            f"- [{'1,' * (MAX_MEMBERS - 1)}]\n" * 20,
        ),
        ("- &a 1\n" + "- *a\n" * MAX_ALIASED_NODES, "- &a 1\n" + "- *a\n" * (MAX_ALIASED_NODES + 1)),
    ]:
        assert compose(text)[1] == []
        assert len(compose(more)[1]) == 1


def test_an_alias_is_what_it_repeats() -> None:
    """Lists and mappings too."""
    assert data_of("a: &x [1, {b: 2}]\nc: *x\nd: {e: *x, f: 3}\n") == {
        "a": [1, {"b": 2}],
        "c": [1, {"b": 2}],
        "d": {"e": [1, {"b": 2}], "f": 3},
    }


def test_several_flaws_are_told_at_once() -> None:
    """Of a file that can be read to its end."""
    flaws = compose("a: 1\na: .inf\n1: !x y\n")[1]

    assert [flaw.code for flaw in flaws] == ["OL1103", "OL1112", "OL1114", "OL1110"]


def test_the_key_that_was_first_is_told_by_its_line() -> None:
    """Only one of the two can count, so both are shown."""
    document = parse_document("x:\n  a: 1\n  b: 2\n  a: 3\n", Path("f.yaml"))

    (fault,) = document.faults()
    assert fault.text.startswith('the key "a" is there already, in line 2')
    assert fault.place is not None
    assert (fault.place.line, fault.place.column) == (4, 3)


def test_numbers_stay_what_they_are() -> None:
    """The largest and the smallest, and zero with its sign."""
    found = data_of("[9223372036854775807, -9223372036854775808, -0.0, 1e-320]")

    assert found[:2] == [2**63 - 1, -(2**63)]
    assert math.copysign(1, found[2]) == -1
    assert found[3] > 0


@pytest.mark.slow
@given(DATA)
def test_the_scanner_in_python_reads_the_same(value: Any) -> None:
    """Where there is none in C, a project is the same project."""
    text = json.dumps({"x": value}, ensure_ascii=False)

    assert _folded(YAML(typ="safe", pure=True).parse(text), text, None) == compose(text)


@pytest.mark.parametrize("bad", [bad for bad in CORPUS if bad.code.startswith("OL11")], ids=lambda bad: bad.name)
def test_the_scanner_in_python_refuses_the_same(bad: Bad) -> None:
    """Under the same code; in its own words, and for some of them at the next line."""
    text = bad.files.get(bad.file, "")
    assert isinstance(text, str)
    if len(text) < 20_000:
        _, of_c = compose(text)
        _, of_python = _folded(YAML(typ="safe", pure=True).parse(text), text, None)

        assert bool(of_c) == bool(of_python)
