"""
What the attrs class of a plug-in's options says of them by metadata, followed through plain data.

``secret`` and ``path`` are those of :mod:`orgloop.config.catalogue`; classes within classes are followed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import attrs

KeyPath = tuple[str | int, ...]


def spellings(field: attrs.Attribute[Any]) -> tuple[str, ...]:
    """The keys that a field may have in a file, its own first."""
    return (field.metadata.get("yaml", field.alias), *field.metadata.get("aliases", ()))


def keys_of(cls: Any) -> frozenset[str]:
    """All keys that a class takes; none if there is no class."""
    return frozenset(key for field in _fields(cls) for key in spellings(field))


def with_paths(cls: Any, options: dict[str, Any], absolute: Callable[[str], str]) -> dict[str, Any]:
    """Options with every field that is a path made absolute; a copy, if there is one."""
    for field, key, value in _given(cls, options):
        inner = class_in(field.type)
        if isinstance(value, dict) and inner is not None:
            options = {**options, key: with_paths(inner, value, absolute)}
        elif isinstance(value, str) and value and field.metadata.get("path"):
            options = {**options, key: absolute(value)}
    return options


def secrets_in(cls: Any, options: Mapping[str, Any], at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text of a field that is secret, with its place."""
    for field, key, value in _given(cls, options):
        inner = class_in(field.type)
        if isinstance(value, dict) and inner is not None:
            yield from secrets_in(inner, value, (*at, key))
        elif field.metadata.get("secret"):
            yield from _texts(value, (*at, key))


def class_in(type_: Any) -> Any:
    """The attrs class that a field holds, if it holds one."""
    if isinstance(type_, type) and attrs.has(type_):
        return type_
    return next((member for member in get_args(type_) if isinstance(member, type) and attrs.has(member)), None)


def _fields(cls: Any) -> tuple[attrs.Attribute[Any], ...]:
    return () if cls is None else tuple(attrs.fields(attrs.resolve_types(cls)))


def _given(cls: Any, options: Mapping[str, Any]) -> list[tuple[attrs.Attribute[Any], str, Any]]:
    return [
        (field, key, options[key]) for field in _fields(cls) for key in spellings(field) if options.get(key) is not None
    ]


def _texts(value: Any, at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict | list):
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(member, (*at, step))
    elif isinstance(value, str) and value:
        yield at, value
