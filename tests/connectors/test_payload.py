"""From the body of a request to plain data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import MAX_DEPTH as MAX_EVENT_DEPTH
from orgloop_connectors._payload import MAX_DEPTH, MAX_NODES, found_at, from_form, from_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=50)
@given(plain)
def test_what_json_writes_is_read(value: Any) -> None:
    """As it was, whether it was written in ASCII or not."""
    assert from_json(json.dumps(value).encode()) == value
    assert from_json(json.dumps(value, ensure_ascii=False).encode("utf-8")) == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value, at line 1, column 1"),
        (b" ", "Expecting value"),
        (b'{"a":1', "at line 1"),
        (b'{"a":1}{"b":2}', "Extra data"),
        (b'{"a":1,}', "at line 1"),
        (b"{'a':1}", "property name"),
        (b"// hi\n1", "Expecting value"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not"),
        (b"1e999", "more than a number can be"),
        (b"9" * 5000, "4000 digits"),
        (b'{"a":1,"b":2,"a":3}', "key 'a' comes twice"),
        (b'{"x":{"\\u0061":1,"a":3}}', "key 'a' comes twice"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b"[" + b"0," * (MAX_NODES - 1) + b"0]", "more than 100000 values"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8, at byte 0"),
        ('{"é":1}'.encode("latin-1"), "not UTF-8, at byte 2"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"\\ud800":1,"\\udbff":2}', "lone surrogates only"),
    ],
)
def test_what_readers_may_differ_on_is_refused(body: bytes, why: str) -> None:
    """In one sentence."""
    with pytest.raises(ValueError, match=why):
        from_json(body)


def test_the_limits_themselves_pass() -> None:
    """Only one more does not."""
    assert MAX_DEPTH == MAX_EVENT_DEPTH
    assert from_json(b"[" * 64 + b"]" * 64)
    assert len(from_json(b"[" + b"0," * (MAX_NODES - 2) + b"0]")) == MAX_NODES - 1
    assert from_json(b"9" * 4000)


def test_a_lone_surrogate_is_replaced() -> None:
    """It could be written to no log; what it stands in is worth having. A pair is a character, and stays."""
    assert from_json(b'{"a\\ud800":["x\\udc00y","\\ud83d\\ude00"]}') == {"a\ufffd": ["x\ufffdy", "😀"]}


def test_nul_and_control_characters_are_text() -> None:
    """They are escaped where they are shown, not here."""
    assert from_json(b'"\\u0000\\u001b[31m\\u202e"') == "\0\x1b[31m\u202e"


def test_many_keys_that_come_twice_take_no_time() -> None:
    """A body of a megabyte is refused in a moment, wherever the second one is."""
    body = b"{" + b",".join(b'"k%d":1' % number for number in [*range(60_000), 59_999]) + b"}"

    with pytest.raises(ValueError, match="'k59999' comes twice"):
        from_json(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """By a ValueError, and nothing else."""
    for read in (from_json, from_form):
        try:
            read(body)
        except ValueError as exc:
            assert str(exc)  # noqa: PT017 - most bytes are refused, not all


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"payload=%7B%22a%22%3A1%7D", {"a": 1}),
        (b"text=hi+there&user=U1", {"text": "hi there", "user": "U1"}),
        (b"a=1&a=2&a=3&b=", {"a": ["1", "2", "3"], "b": ""}),
        (b"payload=x&b=1", {"payload": "x", "b": "1"}),
        (b"%C3%A9=%F0%9F%98%80", {"é": "😀"}),
    ],
)
def test_a_form_is_read(body: bytes, value: object) -> None:
    """GitHub's one field of JSON, Slack's many of text."""
    assert from_form(body) == value


@pytest.mark.parametrize("body", [b"", b"a", b"a=%ff", b"\xff=1", b"payload=%7B", b"&".join([b"a=1"] * 1001)])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    """Bad percent-encoding included."""
    with pytest.raises(ValueError, match=r"\w"):
        from_form(body)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.1", 3),
        ("a", {"b": [2, 3]}),
        ("a.b.2", None),
        ("a.b.-1", None),
        ("a.b.x", None),
        ("a.b.1.c", None),
        ("", None),
    ],
)
def test_a_path_leads_to_a_value_or_to_none(path: str, value: object) -> None:
    """Never to an attribute, never from the end."""
    assert found_at({"a": {"b": [2, 3]}}, path) == value
