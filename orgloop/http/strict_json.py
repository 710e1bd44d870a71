"""
JSON of strangers: UTF-8, no key twice, no number that is none, not too deep, not too much.

The standard library's scanner calls back per object, which is where a repeated key is seen; a faster decoder would
keep the last one in silence.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import attrs

from orgloop.errors import EventError
from orgloop.http.limits import Limits


def read_json(body: bytes, limits: Limits) -> Any:
    """
    The value of a body; :class:`EventError`, saying what and where, if it is none that we take.

    Lone surrogates (``"\\ud800"``) pass here, as JSON may spell them; an event that has one is refused by name, since
    the log is UTF-8 (RFC 7493 forbids them).
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise EventError(f"the body is not UTF-8: byte {exc.start} cannot be read") from exc
    try:
        value = json.loads(
            text, object_pairs_hook=_Object(limits), parse_constant=_refuse_constant, parse_float=_finite
        )
    except json.JSONDecodeError as exc:
        raise EventError(f"the body is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}") from exc
    except RecursionError as exc:
        raise EventError(f"the body is nested deeper than {limits.json_depth}") from exc
    except EventError:
        raise
    except ValueError as exc:  # Python refuses to read whole numbers of more than 4,300 digits
        raise EventError("the body has a number that is too long") from exc
    _measure(value, len(text), limits)
    return value


@attrs.define
class _Object:
    """Makes a dict of the members of an object, and refuses one that names a key twice."""

    limits: Limits
    members: int = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self.members += len(pairs)
        if len(made) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in made if keys.count(key) > 1) if len(keys) < 1000 else ""
            raise EventError(f"the body names the key {twice!r} twice in one object")
        if self.members > self.limits.json_nodes:
            raise EventError(_too_much(self.limits))
        return made


def _refuse_constant(name: str) -> NoReturn:
    raise EventError(f"the body is not JSON: {name} is not a number there")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise EventError(f"the body has a number that is too large: {text[:20]}")
    return value


def _measure(value: Any, characters: int, limits: Limits) -> None:
    """Refuse what is too deep or too much; iterative, as depth is what is in question."""
    if characters <= limits.json_depth:  # too short to be too deep
        return
    level = [value]
    seen = 0
    for _ in range(limits.json_depth + 1):
        level = [one for one in level if one.__class__ is dict or one.__class__ is list]
        if not level:
            return
        level = [member for one in level for member in (one.values() if one.__class__ is dict else one)]
        seen += len(level)
        if seen > limits.json_nodes:
            raise EventError(_too_much(limits))
    raise EventError(f"the body is nested deeper than {limits.json_depth}")


def _too_much(limits: Limits) -> str:
    return f"the body has more than {limits.json_nodes} values"
