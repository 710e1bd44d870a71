"""
From the body of a request to plain data: strict where readers differ, so that all of them read the same.

Law: what two readers of JSON might take for two things is refused: a key that comes twice, NaN, a number beyond what a
double holds, text that is not UTF-8. One thing is mended: a lone surrogate, which JSON can write and UTF-8 cannot,
becomes U+FFFD, as in every browser (``String.prototype.toWellFormed``); the rest of such a body is worth having.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

MAX_DEPTH = 64
"""How deeply a body may be nested."""

MAX_NODES = 100_000
"""How many values, keys not counted, a body may hold."""

MAX_DIGITS = 4000
"""How many digits a whole number may have: some runtimes refuse, or lose, longer ones."""

MAX_FORM_FIELDS = 1000

_SURROGATE = re.compile("[\ud800-\udfff]")


def from_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8; ValueError, in one sentence, if it is none or beyond a limit."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(f"not UTF-8, at byte {exc.start}") from exc
    if text.startswith("\ufeff"):
        raise ValueError("begins with a byte order mark")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_whole
        )
    except RecursionError as exc:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"{exc.msg}, at line {exc.lineno}, column {exc.colno}") from exc
    return _Tidy().tidy(value, MAX_DEPTH)


def from_form(body: bytes) -> Any:
    """
    What a form says: the JSON in its field ``payload`` if it has no other, as GitHub sends it, else its fields.

    A field that comes several times is a list. ValueError, in one sentence, if it is no form or beyond a limit.
    """
    if not body:
        raise ValueError("nothing was sent")
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except UnicodeError as exc:
        raise ValueError("a form holds ASCII, and percent-encoded UTF-8") from exc
    except ValueError as exc:
        raise ValueError(f"no form: {exc}") from exc
    if [name for name, _ in fields] == ["payload"]:
        return from_json(fields[0][1].encode())
    found: dict[str, Any] = {}
    for name, value in fields:
        known = found.get(name)
        found[name] = value if name not in found else [*known, value] if isinstance(known, list) else [known, value]
    return found


def found_at(value: Any, path: str) -> Any:
    """What lies at a dot path in plain data; None if nothing does."""
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name, count in times.items() if count > 1)
        raise ValueError(f"key {twice[:60]!r} comes twice")
    return made


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is more than a number can be")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


class _Tidy:
    """Goes through a value once: counts, measures, and mends its texts."""

    def __init__(self) -> None:
        self._nodes = 0

    def tidy(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values")
        if isinstance(value, str):
            return _mended(value)
        if not isinstance(value, dict | list):
            return value
        if not depth:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, list):
            return [self.tidy(member, depth - 1) for member in value]
        mended = {_mended(key): self.tidy(member, depth - 1) for key, member in value.items()}
        if len(mended) < len(value):
            raise ValueError("two keys that differ in lone surrogates only")
        return mended


def _mended(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
