"""
What is wrong with a text, and the places of what is in it.

Lines and columns are counted from 0 here, as the scanner counts them; people are told them from 1.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Path = tuple[str | int, ...]
Span = tuple[int, int, int]
"""Line and column, counted from 0, and how many characters of the line."""

FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""What may not stand in a text: control characters, surrogates, and what is no character."""


@attrs.frozen
class Flaw:
    """What is wrong with the text, and where."""

    code: str
    text: str
    span: Span


@attrs.define
class Places:
    """Where each part of a document stands: its value, and the key that leads to it."""

    values: dict[Path, Span] = attrs.field(factory=dict)
    keys: dict[Path, Span] = attrs.field(factory=dict)


def span_of(event: Any) -> Span:
    """Where an event of the scanner stands; of several lines only the first character is meant."""
    start, end = event.start_mark, event.end_mark
    return start.line, start.column, max(end.column - start.column, 1) if end.line == start.line else 1


def forbidden(character: str, span: Span) -> Flaw:
    """A character that may not stand in a text."""
    return Flaw("OL1113", f"the character U+{ord(character):04X} is not allowed", span)


def syntax_flaw(exc: YAMLError, text: str) -> Flaw:
    """What the scanner refused, in its words, but for the most common slip."""
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    problem = exc.problem if isinstance(exc, MarkedYAMLError) and exc.problem else "cannot be read as YAML"
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.split("\n", line + 1)
    written = lines[line] if line < len(lines) else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent:
        return Flaw("OL1102", "a tab is no indentation; write spaces", (line, indent.index("\t"), 1))
    context = f" ({exc.context})" if isinstance(exc, MarkedYAMLError) and exc.context else ""
    return Flaw("OL1101", f"cannot be read as YAML: {problem}{context}", (line, column, 1))
