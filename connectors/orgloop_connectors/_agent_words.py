"""
What a headless agent says while it works: lines of JSON, of which little is kept. Pure.

Law: whatever comes out of an agent is data. A line that is no JSON, or no object, or longer than a line may be, is
counted and passed over; it ends nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

MAX_LINE_BYTES = 1024 * 1024
"""How long a line may be; those with pictures in them are longer, and nothing that is kept."""

MAX_DENIALS = 50
"""How many refused permissions are told."""

MAX_NUMBERS = 50
"""How many numbers a usage may have."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")


class Lines:
    """Cuts pieces into lines."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self.dropped = 0
        self._max_bytes = max_bytes
        self._begun = bytearray()
        self._too_long = False

    def of(self, piece: bytes) -> Iterator[bytes]:
        """The lines that a piece ends, without those that are too long."""
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self._take(end)
            if not self._too_long:
                yield bytes(self._begun)
            self._begun.clear()
            self._too_long = False
        self._take(rest)

    def last(self) -> Iterator[bytes]:
        """What came behind the last end of a line."""
        if self._begun:
            yield bytes(self._begun)
            self._begun.clear()

    def _take(self, part: bytes) -> None:
        if self._too_long:
            return
        if len(self._begun) + len(part) > self._max_bytes:
            self._too_long = True
            self.dropped += 1
            self._begun.clear()
        else:
            self._begun += part


@attrs.frozen(kw_only=True)
class Final:
    """What an agent has said of its end."""

    ok: bool
    kind: str
    """``success``, ``max_turns``, ``max_cost``, or any other way to end, in the agent's own word."""
    text: str = ""


@attrs.define
class Report:
    """What an agent has said of itself so far."""

    session_id: str | None = None
    final: Final | None = None
    asked: str | None = None
    """For which permission it waits, if it does: nobody is there to give it."""
    text: str = ""
    """The last thing it said."""
    model: str = ""
    steps: int = 0
    turns: int | None = None
    cost_usd: float | None = None
    usage: Mapping[str, Any] | None = None
    denied: Sequence[str] = ()
    """The tools that it asked for, and was refused."""
    unkept: str | None = None
    """Why its session will not be resumed, if the session has a key and cannot be kept."""
    garbage: int = 0
    """Lines that say nothing."""


def object_in(line: bytes) -> Mapping[str, Any] | None:
    """The object of a line; None if it has none."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def text_at(said: object, *path: str) -> str:
    """The text at a path of keys; empty if there is none."""
    for step in path:
        said = said.get(step) if isinstance(said, Mapping) else None
    return said if isinstance(said, str) else ""


def number_at(said: Mapping[str, Any], key: str) -> float | None:
    """The number at a key; None if there is none."""
    number = said.get(key)
    known = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    return number if known else None


def name_at(said: object, *path: str) -> str | None:
    """The text at a path of keys, if it can be a name or an id; None for any other."""
    text = text_at(said, *path)
    return text if _NAME.fullmatch(text) else None


def numbers_in(said: object) -> dict[str, float]:
    """The numbers of an object, by name: what a usage is."""
    if not isinstance(said, Mapping):
        return {}
    found = {key: number_at(said, key) for key in list(said)[:MAX_NUMBERS] if _NAME.fullmatch(key)}
    return {key: number for key, number in found.items() if number is not None}
