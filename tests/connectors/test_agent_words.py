"""The words of headless agents: lines out of pieces, and what of them is kept."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop_connectors._agent_prompt import visible
from orgloop_connectors._agent_words import Lines, Report, name_at, number_at, numbers_in, object_in, text_at
from orgloop_connectors.claude_code.actor import ClaudeCode
from orgloop_connectors.claude_code.config import ClaudeCodeConfig
from orgloop_connectors.codex.actor import Codex
from orgloop_connectors.codex.config import CodexConfig
from tests.connectors.stage import place

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=12), max_size=8))
def test_lines_are_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    """A pipe cuts where it likes."""
    lines = Lines(1000)
    said = [line for piece in pieces for line in lines.of(piece)] + list(lines.last())

    whole = b"".join(pieces).split(b"\n")
    assert said == (whole if whole[-1] else whole[:-1])
    assert lines.dropped == 0


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")), max_size=8), st.integers(1, 7))
def test_long_lines_are_dropped_and_counted(said: list[bytes], size: int) -> None:
    """And no other; what is held meanwhile is never more than a line may be."""
    lines = Lines(5)
    written = b"".join(line + b"\n" for line in said)
    kept = [line for at in range(0, len(written), size) for line in lines.of(written[at : at + size])]

    assert kept == [line for line in said if len(line) <= 5]
    assert lines.dropped == len(said) - len(kept)


@settings(max_examples=25)
@given(
    st.sampled_from(["system", "assistant", "result", "control_request", "thread.started", "item.completed", "error"])
    | st.sampled_from(["turn.completed", "turn.failed"]),
    st.dictionaries(
        st.sampled_from(
            ["subtype", "message", "item", "usage", "request", "errors", "thread_id", "permission_denials"]
        ),
        ANYTHING,
    ),
)
def test_no_words_break_a_dialect(kind: str, said: dict[str, Any]) -> None:
    """Whatever a later version says, or one that has been talked into it; and what is kept can be in an event."""
    report = Report()
    for dialect in (ClaudeCode(ClaudeCodeConfig(), place()), Codex(CodexConfig(), place())):
        dialect.hear({**said, "type": kind}, report)

    kept = [report.session_id, report.usage, report.turns, report.cost_usd, list(report.denied)]
    json.dumps(kept, allow_nan=False).encode()


def test_what_is_no_object_is_none() -> None:
    """Nor is what is nested beyond reading."""
    assert [object_in(line) for line in (b"", b"[1]", b"{", b"\xff", b"[" * 100_000)] == [None] * 5
    assert object_in(b'{"a":1}') == {"a": 1}


def test_fields_are_taken_only_as_what_they_should_be() -> None:
    """Anything else is as if it were not there."""
    said = {"a": {"b": "x"}, "n": 7, "t": True, "inf": float("inf"), "bad": "-rf"}

    assert (text_at(said, "a", "b"), text_at(said, "a"), text_at(said, "n", "x")) == ("x", "", "")
    assert (name_at(said, "a", "b"), name_at(said, "bad"), name_at(said, "none")) == ("x", None, None)
    assert [number_at(said, key) for key in ("n", "t", "inf", "bad")] == [7, None, None, None]
    assert numbers_in({**said, "two words": 1}) == {"n": 7}


@given(st.text())
def test_what_is_shown_is_the_same_json(text: str) -> None:
    """Escapes stand only where the character cannot be seen."""
    shown = visible(json.dumps(text, ensure_ascii=False))

    assert json.loads(shown) == text
    assert all(c.isprintable() or c == "\n" for c in shown)
