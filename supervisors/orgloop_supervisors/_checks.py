"""The sentences of a refusal: each check says in words what is wrong with a value, or None."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from enum import Enum
from typing import Any, TypeGuard


def as_tuple(values: Iterable[Any]) -> Any:
    """
    Freeze what can be; the rest is left for ``sequence`` to refuse by name.

    Not plain ``tuple``, whose own type variable would reach the type checks of our users.
    """
    try:
        return values if isinstance(values, str | bytes) else tuple(values)
    except TypeError:
        return values


def sequence(name: str, value: object) -> str | None:
    """Say that a value was not a sequence."""
    return None if isinstance(value, tuple) else f"{name} must be a sequence, got {value!r}"


def refuse(where: str, problems: Iterable[str | None]) -> None:
    """Raise one ValueError that names the place and every problem, if there is any."""
    found = [problem for problem in problems if problem is not None]
    if found:
        raise ValueError(f"{where}: " + "; ".join(found))


def wrong_type(name: str, value: object, wanted: type) -> str | None:
    """Say that a value is not of its type, and for a choice, which words there are."""
    if isinstance(value, wanted):
        return None
    if issubclass(wanted, Enum):
        return f"{name} must be one of {', '.join(str(member) for member in wanted)}, got {value!r}"
    return f"{name} must be a {wanted.__name__}, got {value!r}"


def above_zero(name: str, value: object) -> str | None:
    """Say that a duration is not above 0; ``inf`` is."""
    return None if is_number(value) and value > 0 else f"{name} must be above 0 s (inf: no limit), got {value!r}"


def at_least_zero(name: str, value: object) -> str | None:
    """Say that a duration is below 0; ``inf`` is not."""
    return None if is_number(value) and value >= 0 else f"{name} must be 0 s or more (inf: for ever), got {value!r}"


def within(name: str, value: object, low: float, high: float, why: str) -> str | None:
    """Say that a value is not a finite number of a closed range, and why it must be."""
    fits = is_number(value) and low <= value <= high and value < math.inf
    return None if fits else f"{name} must be {why}, got {value!r}"


def non_empty(name: str, value: object) -> str | None:
    """Say that a value is not a text with something in it."""
    return None if isinstance(value, str) and value else f"{name} must be a non-empty string, got {value!r}"


def function(name: str, value: object, what: str) -> str | None:
    """Say that a value cannot be called."""
    return None if callable(value) else f"{name} must be {what}, got {value!r}"


def count(name: str, value: object, what: str) -> str | None:
    """Say that a value is not a whole number from 0 on, nor ``inf``."""
    whole = is_number(value) and value >= 0 and (value == math.inf or value == int(value))
    return None if whole else f"{name} must be a whole number, 0 or more ({what}), got {value!r}"


def is_number(value: object) -> TypeGuard[float]:
    """
    Whether a value is a number to compute with: not a bool, and no int that is too large for a float.

    NaN is one, but compares False with everything.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, int) or abs(value) <= sys.float_info.max
