"""The filter by patterns: the reference's semantics as a table, and the regular expressions that cannot hang."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.transforms import Filter, FilterConfig
from tests.transforms.stage import applied, event

PAYLOAD = {
    "n": 42,
    "one": 1,
    "text": "42",
    "yes": True,
    "null": None,
    "empty": "",
    "labels": ["bug", "p1", 7],
    "title": "Fix: the Bug, again",
    "path": "/Users/alice/work/x",
    "map": {"a": 1},
    "accent": "CAFÉ",
}


@pytest.mark.parametrize(
    ("path", "pattern", "hits"),
    [
        # text: equal, or not
        ("payload.text", "42", True),
        ("payload.n", "42", False),
        ("provenance.author", "renovate[bot]", True),
        ("provenance.author", "Renovate[bot]", False),
        ("payload.empty", "", True),
        ("payload.nothing", "undefined", False),
        ("payload.path", "/Users/alice", False),
        ("type", "resource.changed", True),
        # text with commas: any of
        ("provenance.author", "alice, renovate[bot]", True),
        ("provenance.author", "alice,bob", False),
        ("provenance.author", "alice,,renovate[bot],", True),
        ("payload.n", "41,42", False),
        ("payload.title", "/nothing/,/Bug/", True),
        # numbers and booleans: strict
        ("payload.n", 42, True),
        ("payload.n", 42.0, True),
        ("payload.text", 42, False),
        ("payload.yes", True, True),
        ("payload.yes", 1, False),
        ("payload.one", True, False),
        ("payload.yes", "true", False),
        # null: null or missing
        ("payload.null", None, True),
        ("payload.nothing", None, True),
        ("payload.empty", None, False),
        ("payload.labels", None, False),
        # lists: any of, elements not split
        ("payload.n", [1, "42", 42], True),
        ("payload.text", ["41", "/^4/"], True),
        ("payload.title", ["Fix: the Bug, again"], True),
        ("payload.text", ["41,42"], False),
        ("payload.nothing", ["x", None], True),
        ("payload.n", [], False),
        # a list in the event: any member
        ("payload.labels", "bug", True),
        ("payload.labels", 7, True),
        ("payload.labels", "7", False),
        ("payload.labels", ["nothing", "p1"], True),
        ("payload.labels", "/^p\\d$/", True),
        ("payload.labels", "bug,p1", True),
        ("payload.labels", "bu", False),
        # regular expressions, as JavaScript means them
        ("payload.title", "/bug/", False),
        ("payload.title", "/nothing|bug/i", True),
        ("payload.title", "/bug/gi", True),
        ("payload.title", "/bug/iu", True),
        ("payload.accent", "/café/i", True),
        ("payload.accent", "/caf\\u00e9/i", True),
        ("payload.accent", "/caf\\u{e9}/iu", True),
        ("payload.title", "/the/y", False),
        ("payload.title", "/fix/iy", True),
        ("payload.title", "/^Fix.{1,40}$/", True),
        ("payload.path", "/^\\/Users\\/alice\\/work\\//", True),
        ("provenance.author", "/\\[bot\\]$/", True),
        ("payload.n", "/^4/", True),
        ("payload.yes", "/^true$/", True),
        ("payload.nothing", "/undefined/", True),
        ("payload.null", "/null/", True),
        ("payload.map", "/Object/", True),
        # letters that are no flags: not a regular expression, but a path
        ("payload.path", "/Users/alice/work/x", True),
    ],
)
def test_a_pattern_hits(path: str, pattern: Any, hits: bool) -> None:
    """The table of the reference, for match and for exclude."""
    there = event(PAYLOAD, author="renovate[bot]")

    assert applied(Filter(FilterConfig(match={path: pattern})), there) is (there if hits else None)
    assert applied(Filter(FilterConfig(exclude={path: pattern})), there) is (None if hits else there)


@pytest.mark.parametrize(
    ("flags", "hits"), [("", False), ("m", True), ("s", False)], ids=["without m", "with m", "with s"]
)
def test_the_flags_m_and_s_are_kept_apart(flags: str, hits: bool) -> None:
    """m is about lines, s about dots; and without either the end is the very end."""
    there = event({"body": "first\nsecond\n"})

    assert (applied(Filter(FilterConfig(match={"payload.body": f"/^second$/{flags}"})), there) is there) is hits
    assert (applied(Filter(FilterConfig(match={"payload.body": f"/first.second/{flags}"})), there) is there) is (
        flags == "s"
    )


@pytest.mark.parametrize(
    ("config", "passes"),
    [
        (FilterConfig(), True),
        (FilterConfig(match={"payload.a": 1, "payload.b": 2}), True),
        (FilterConfig(match={"payload.a": 1, "payload.b": 3}), False),
        (FilterConfig(match_any={"payload.a": 5, "payload.b": 2}), True),
        (FilterConfig(match_any={"payload.a": 5, "payload.b": 3}), False),
        (FilterConfig(match_any={}), False),
        (FilterConfig(match={"payload.a": 1}, exclude={"payload.b": 2, "payload.c": 9}), False),
        (FilterConfig(match={"payload.a": 1}, match_any={"payload.b": 3}), False),
        (FilterConfig(match={"payload.a": 0}, match_any={"payload.b": 2}), False),
        (FilterConfig(match={"payload.a": 1}, match_any={"payload.b": 2}, exclude={"payload.c": 9}), True),
    ],
)
def test_exclude_then_match_then_any(config: FilterConfig, passes: bool) -> None:
    """Any of exclude drops, all of match and one of match_any are needed."""
    there = event({"a": 1, "b": 2})

    assert (applied(Filter(config), there) is there) is passes


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ({"a": 1}, "never matches.*write text"),
        ([["a"]], r"\.0: .*never matches"),
        ("/(/", r"missing \).*without the slashes"),
        ("/a(?=b)/", "lookahead.*RE2"),
        ("/a(?!b)/", "lookahead.*RE2"),
        ("/(?<=a)b/", "lookbehind.*RE2"),
        ("/(?<!a)b/", "lookbehind.*RE2"),
        ("/(a)\\1/", "backreference.*RE2"),
        ("/(?<n>a)\\k<n>/", "backreference.*RE2"),
        ("/a/ii", "each flag once"),
        (f"/{'a' * 5000}/", "at most 4096"),
        ("/((a{99}){99}){99}/", "repetition"),
    ],
)
def test_what_cannot_be_met_is_refused(pattern: Any, why: str) -> None:
    """When the filter is made, with the field, the value and what to write instead."""
    with pytest.raises(ValueError, match=rf"(?s)^match\.payload\.x.*?{why}"):
        Filter(FilterConfig(match={"payload.x": pattern}))


def test_all_faults_are_named_at_once() -> None:
    """So that a file is mended in one go."""
    with pytest.raises(ValueError, match="not a regular") as caught:
        Filter(FilterConfig(match={"labels": "bug", "payload.x": "/(/"}, exclude={"payload.y": {}}, jq=".["))

    assert [fault.split(":")[0] for fault in str(caught.value).splitlines() if ":" in fault][:2] == [
        "exclude.payload.y",
        "match.labels",
    ]
    assert "match.payload.x: " in str(caught.value)
    assert "jq: " in str(caught.value)


@pytest.mark.parametrize("bomb", ["/(a+)+$/", "/^(a|a)*$/", "/(.*a){20}$/", "/^(a+)*b$/i"])
def test_a_regular_expression_does_not_hang(bomb: str) -> None:
    """What takes others seconds for 28 letters takes this one no time for 5,000."""
    there = event({"title": "a" * 5000 + "!"})
    sieve = Filter(FilterConfig(match={"payload.title": bomb}))

    began_s = time.perf_counter()
    assert applied(sieve, there) is None
    assert time.perf_counter() - began_s < 0.05


def test_text_that_is_not_unicode_is_looked_at_all_the_same() -> None:
    """A lone surrogate is one unknown character."""
    assert applied(Filter(FilterConfig(match={"payload.x": "/^.b$/"})), event({"x": "\ud800b"})) is not None


PATTERNS = st.sampled_from(["a", "a,b", "/a/i", None, 1, True, ["a", "/b/"]])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES, PATTERNS, PATTERNS)
def test_a_filter_changes_nothing(value: Any, match: Any, exclude: Any) -> None:
    """Out comes the very object that went in, as it was, or nothing."""
    there = event({"x": value})
    as_it_was = repr(there)

    out = applied(Filter(FilterConfig(match={"payload.x": match}, exclude={"payload.x": exclude})), there)

    assert out is there or out is None
    assert repr(there) == as_it_was


def test_a_configuration_is_read_once() -> None:
    """Changing it later changes nothing."""
    match = {"payload.a": [1]}
    sieve, there = Filter(FilterConfig(match=match)), event({"a": 1})
    before = copy.deepcopy(match)

    match["payload.a"].clear()

    assert before != match
    assert applied(sieve, there) is there


def test_a_filter_by_patterns_can_be_asked_without_a_context() -> None:
    """It says what applying it says."""
    opened = Filter(FilterConfig(match={"payload.action": "opened"}))
    assert opened.test is not None

    assert [opened.test(event({"action": action})) for action in ("opened", "closed")] == [True, False]


def test_a_jq_filter_cannot() -> None:
    """Its answer takes a while, and may be another event."""
    assert Filter(FilterConfig(jq="true")).test is None
