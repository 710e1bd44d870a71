"""
From values back to what a file would have said: the other direction of the codec, for people who ask what is in force.

Law: ``read_module(dump(config), where="")`` is ``config`` again, but for what was read from other files (prompts). What
is as it would be by itself is left out; secrets are not, so what goes out goes through a masker first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orgloop.config._refused import opened

_UNITS: Mapping[str, Callable[[Any], object]] = {
    "duration": lambda seconds: _duration(round(seconds * 1000)),
    "size": lambda size: f"{size}B",
    "rate": lambda per_s: f"{per_s:f}/s",
    "ms": lambda seconds: seconds * 1000,
}


def dump(value: Any) -> Any:
    """Plain data of a value of configuration."""
    if attrs.has(type(value)):
        return {
            field.metadata.get("yaml", field.alias): _written(field, getattr(value, field.name))
            for field in attrs.fields(type(value))
            if field.metadata.get("written", True) and getattr(value, field.name) != _by_itself(field)
        }
    if isinstance(value, tuple | list):
        return [dump(member) for member in value]
    return opened(value)


def _written(field: attrs.Attribute[Any], value: Any) -> Any:
    unit = field.metadata.get("unit")
    return dump(value) if unit is None or value is None else _UNITS[unit](value)


def _duration(milliseconds: int) -> str:
    units = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
    fits = (
        f"{milliseconds // size}{unit}" for unit, size in units.items() if milliseconds and milliseconds % size == 0
    )
    return next(fits, f"{milliseconds}ms")


def _by_itself(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    # A factory of a class of configuration takes nothing: what a field is by itself does not depend on the others.
    return default.factory() if hasattr(default, "factory") else default
