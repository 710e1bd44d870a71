"""The sanitizer: what it takes out, and that what it has done once it need not do twice."""

from __future__ import annotations

import copy
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.sdk import Event, TransformFailed
from orgloop_connectors.transforms._html import without_tags
from orgloop_connectors.transforms.sanitizer import OFFER, REDACTED, Sanitizer
from tests.connectors.stage import event, made
from tests.transforms.stage import applied


def sanitized(before: Event, **config: Any) -> Event:
    transform: Sanitizer = made(OFFER, config)
    after = applied(transform, before)
    assert after is not None
    return after


SECRETS = {
    "user": {"Password": "hunter2", "name": "Ann", "tokens": [{"token": "t1"}, {"token": None}]},
    "token": "t0",
    "keys": {"a": 1, "b": [2]},
}


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["*.password"], {"user": {**SECRETS["user"], "Password": REDACTED}}),  # type: ignore[dict-item]
        (["payload.token"], {"token": REDACTED}),
        (["payload.keys.*"], {"keys": {"a": REDACTED, "b": REDACTED}}),
        (["payload.keys"], {"keys": REDACTED}),
        (["payload.k?ys"], {"keys": REDACTED}),
        (["nothing"], {}),
        (["payload.user.tokens.0.token"], None),
    ],
)
def test_what_is_named_is_taken_out(globs: list[str], expected: dict[str, Any] | None) -> None:
    """As a whole, whatever it was; the case of a letter does not matter."""
    after = sanitized(event(SECRETS), redact=globs).payload

    if expected is None:
        assert after["user"]["tokens"] == [{"token": REDACTED}, {"token": None}]
    else:
        assert after == {**SECRETS, **expected}


def test_a_name_without_a_dot_is_a_key_wherever_it_is() -> None:
    """In lists, in provenance, and at the top."""
    before = event(SECRETS)
    before.provenance["token"] = "t2"

    after = sanitized(before, redact=["token"])

    assert [text for text in ("t0", "t1", "t2") if text in str(after)] == []
    assert after.payload["user"]["name"] == "Ann"


def test_the_platform_stays() -> None:
    """Without one there is no event."""
    assert sanitized(event({"a": 1}), redact=["*"]).provenance == {"platform": "github", "author": REDACTED}


def test_nothing_to_take_out_is_the_very_object() -> None:
    """And costs no copy."""
    there = event({"a": {"b": "c"}})

    assert sanitized(there, redact=["*.password"], strip_html=True, max_payload_size="1KB") is there


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>1 < 2, <b>really</b></p>", "1 < 2, really"),
        ("a<!-- b -->c", "ac"),
        ("a<!-- b", "a"),
        ("a<!-->b", "ab"),
        ("<SCRIPT src=x>alert(1)</script >b", "b"),
        ("a<script>alert(1)", "a"),
        ("<style>p{}</style>b", "b"),
        ("<styled>a</styled>", "a"),
        ("a <3 b", "a <3 b"),
        ("if a<b: x", "if a<b: x"),
        ("<<b>script>alert(1)</<b>script>", "< script>alert(1)</ script>"),
        ("<</<b>b>x>", "<</ b>x>"),
        ("<!DOCTYPE html><?php x ?>a", "a"),
        ("&lt;b&gt;", "&lt;b&gt;"),
    ],
)
def test_markup_goes_and_text_stays(text: str, expected: str) -> None:
    """What a browser would not show is not there."""
    assert sanitized(event({"body": text}), strip_html=True).payload["body"] == expected


HTML = st.lists(st.sampled_from([*"<>/!-ab ", "<!--", "-->", "<b>", "</", "<script>", "</script>", "<p x='>'>"])).map(
    "".join
)


@settings(max_examples=250, deadline=None)
@given(HTML)
def test_stripping_twice_changes_nothing(text: str) -> None:
    """No tag is left, nor put together of what is left."""
    once = without_tags(text)

    assert without_tags(once) == once
    assert re.search(r"</?[A-Za-z!?][^>]*>", once) is None


@pytest.mark.parametrize("piece", ["<", "<!--", "<script>", "<b>", "<<b>", "</", "<b", "<!-", "<p x=\"'"])
def test_no_markup_takes_long(piece: str) -> None:
    """Many beginnings: linear."""
    began_s = time.process_time()

    without_tags(piece * (400_000 // len(piece)))

    assert time.process_time() - began_s < 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=3), inner, max_size=3),
    max_leaves=12,
)
CONFIGS = st.fixed_dictionaries(
    {"redact": st.lists(st.sampled_from(["a", "*.b", "payload.a.*", "*a*"]), max_size=2), "strip_html": st.booleans()},
    optional={"max_payload_size": st.sampled_from(["16B", "100B", "1KB"])},
)


@settings(max_examples=60, deadline=None)
@given(VALUES, CONFIGS)
def test_what_was_sanitized_is_sane(payload: Any, config: Any) -> None:
    """Doing it again changes nothing, and the event that came is as it was."""
    before = event(payload)
    as_it_was = copy.deepcopy(before)
    try:
        once = sanitized(before, **config)
    except TransformFailed:
        return
    finally:
        assert before == as_it_was

    assert sanitized(once, **config) == once


@pytest.mark.parametrize("size", [60, 200, 1000])
def test_the_longest_texts_are_cut_until_it_fits(size: int) -> None:
    """Short ones, and what is no text, stay."""
    before = event({"title": "short", "body": "ü" * 5000, "log": ["x" * 300], "n": 7})

    after = sanitized(before, max_payload_size=f"{size}B").payload

    assert len(json.dumps(after, ensure_ascii=False, separators=(",", ":")).encode()) <= size
    assert (after["title"], after["n"]) == ("short", 7)
    assert after["body"].endswith("…")


@pytest.mark.parametrize(
    ("payload", "config"),
    [
        ({str(number): number for number in range(100)}, {"max_payload_size": "100B"}),
        ([0] * 100_001, {"redact": ["x"]}),
    ],
    ids=["no texts", "too many"],
)
def test_what_cannot_be_sanitized_does_not_go_on(payload: Any, config: Any) -> None:
    """on_error decides."""
    with pytest.raises(TransformFailed):
        sanitized(event(payload), **config)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"redact": ["user.password"]}, r"^redact\.0: 'user.password' is never found.*write '\*\.user\.password'"),
        ({"redact": ["a", " "]}, r"^redact\.1: ' ' is no path"),
        ({"redact": ["x" * 300]}, r"^redact\.0: .*at most 256"),
        ({"redact": ["a"] * 101}, "^redact: 101 are too many"),
        ({"max_payload_size": "1B"}, "^max_payload_size: 1 bytes hold no payload"),
    ],
)
def test_what_cannot_be_is_refused(config: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        made(OFFER, config)
