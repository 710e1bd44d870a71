"""What a word of YAML stands for: the core schema of YAML 1.2, within 64 bits. Pure."""

from __future__ import annotations

import math
import re

MAX_INTEGER_CHARACTERS = 20
"""A longer one is larger than 64 bits hold; it is not even read as a number."""

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
}

Scalar = str | int | float | bool | None


def scalar(text: str) -> Scalar:
    """
    The value of a word without quotes; ValueError if it is a number that cannot be one here.

    >>> [scalar(text) for text in ("no", "012", "1e3", "~", "1:30")]
    ['no', 12, 1000.0, None, '1:30']
    """
    first = text[:1]
    if first.isalpha() or not first or first == "~":
        return _WORDS.get(text, text)
    if not (first.isdecimal() or first in "+-."):
        return text
    if _INT.fullmatch(text):
        return _integer(text)
    if _NOT_A_NUMBER.fullmatch(text):
        raise ValueError("is not a finite number")
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _integer(text: str) -> int:
    if len(text) <= MAX_INTEGER_CHARACTERS:
        number = int(text, 0 if text[1:2] in ("o", "x") else 10)
        if -(2**63) <= number < 2**63:
            return number
    raise ValueError("is larger than 64 bits hold")
