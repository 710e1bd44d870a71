"""
Where two values differ, and a value with such differences laid on it.

Law: ``patched(a, differences(a, b)) == b``, and there are no differences only where a program could not tell the two
apart: 1, 1.0 and true are three values. The order of the keys of a mapping is none of its content. Fields are those
that the classes have, whichever they are, so a field that is new to a class is compared from its first day.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast, get_type_hints

import attrs

from orgloop.config._plan_values import ABSENT, FieldChange, Path
from orgloop.errors import ConfigError

MAX_DEPTH = 100
"""How deep values may be nested; a value that contains itself ends here."""


@attrs.frozen
class Field:
    """A field of a class, as the file knows it."""

    key: str
    name: str
    alias: str
    unit: str | None
    secret: bool
    attribute: attrs.Attribute[Any]

    def default(self) -> object:
        """What holds where nothing is said; ABSENT if something has to be."""
        default = cast(Any, self.attribute.default)
        if default is attrs.NOTHING:
            return ABSENT
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to mypy
            # One that needs the other fields of its instance cannot be told without one.
            return ABSENT if default.takes_self else default.factory()
        return default


def _fields_of(cls: type) -> tuple[Field, ...]:
    return tuple(
        Field(
            attribute.metadata.get("yaml", attribute.alias),
            attribute.name,
            attribute.alias or attribute.name,
            attribute.metadata.get("unit"),
            bool(attribute.metadata.get("secret")),
            attribute,
        )
        for attribute in attrs.fields(cls)
        if attribute.init and attribute.eq
    )


fields_of: Callable[[type], tuple[Field, ...]] = functools.cache(_fields_of)
"""The fields that make a value what it is: those that are given, and count when two are compared."""


def hints_of(cls: type) -> Mapping[str, Any]:
    """The types of its fields; none, where they are names that only a type checker sees."""
    try:
        return get_type_hints(cls)
    except (NameError, TypeError):
        return {}


_is_value: Callable[[type], bool] = functools.cache(attrs.has)


# -- to tell -----------------------------------------------------------------------------------------------------------


def differences(before: object, after: object) -> tuple[FieldChange, ...]:
    """Every value that differs, in the order of the fields; ConfigError if one is nested too deeply."""
    found: list[FieldChange] = []
    _compare((), before, after, found)
    return tuple(found)


def whole(value: Any) -> tuple[FieldChange, ...]:
    """What is said of a value that is new: its fields, but those that are as they would be anyway."""
    return tuple(
        FieldChange((field.key,), ABSENT, member, field.unit, field.secret)
        for field in fields_of(type(value))
        if differences(field.default(), member := getattr(value, field.name))
    )


def _is_plainly_same(before: object, after: object) -> bool:
    """Whether two values are seen to be the same at a glance, as nearly all are."""
    return before is after or (type(before) is type(after) is str and before == after)


def _compare(
    path: Path, before: Any, after: Any, found: list[FieldChange], *, unit: str | None = None, secret: bool = False
) -> None:
    if _is_plainly_same(before, after):
        return
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"{'.'.join(map(str, path[:5]))}…: nested more than {MAX_DEPTH} deep")
    if type(before) is type(after) and _is_value(type(before)):
        for field in fields_of(type(before)):
            ours, theirs = getattr(before, field.name), getattr(after, field.name)
            if not _is_plainly_same(ours, theirs):
                _compare((*path, field.key), ours, theirs, found, unit=field.unit, secret=secret or field.secret)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*before, *(key for key in after if key not in before)):
            ours, theirs = before.get(key, ABSENT), after.get(key, ABSENT)
            if not _is_plainly_same(ours, theirs):
                _compare((*path, key), ours, theirs, found, secret=secret)
    elif isinstance(before, list | tuple) and type(before) is type(after):
        inside = _inside_of_lists(path, before, after, secret)
        found += [FieldChange(path, before, after, unit, secret)] if inside is None else inside
    elif not _is_same_leaf(before, after):
        found.append(FieldChange(path, before, after, unit, secret))


def _inside_of_lists(path: Path, before: Any, after: Any, secret: bool) -> list[FieldChange] | None:
    """The differences inside of members that stay where they are; None if there are others, and it is shown whole."""
    if len(before) != len(after):
        return None
    inside: list[FieldChange] = []
    for place, (ours, theirs) in enumerate(zip(before, after, strict=True)):
        if not _is_plainly_same(ours, theirs):
            _compare((*path, place), ours, theirs, inside, secret=secret)
    return inside if all(len(change.path) > len(path) + 1 for change in inside) else None


def _is_same_leaf(before: object, after: object) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return before == after  # of whichever class: text is text
    if isinstance(before, float) and isinstance(after, float):
        return repr(before) == repr(after)  # because nan is itself, and -0.0 is not 0.0
    return type(before) is type(after) and before == after


# -- to lay on ---------------------------------------------------------------------------------------------------------


def patched(value: object, changes: Iterable[FieldChange]) -> object:
    """The value after the changes."""
    return _patched(value, [(change.path, change.after) for change in changes])


def made(cls: type, changes: Iterable[FieldChange]) -> object:
    """A new value of a class, of what :func:`whole` says of it."""
    aliases = {field.key: field.alias for field in fields_of(cls)}
    return cls(**{aliases[str(change.path[0])]: change.after for change in changes})


def _patched(value: Any, changes: list[tuple[Path, object]]) -> Any:
    if not changes:
        return value
    if not changes[0][0]:
        return changes[-1][1]
    members: dict[Any, list[tuple[Path, object]]] = {}
    for path, after in changes:
        members.setdefault(path[0], []).append((path[1:], after))
    if isinstance(value, Mapping):
        mapping = {key: _patched(value.get(key, ABSENT), members.pop(key, [])) for key in value}
        mapping |= {key: _patched(ABSENT, inner) for key, inner in members.items()}
        return {key: member for key, member in mapping.items() if member is not ABSENT}
    if isinstance(value, list | tuple):
        return type(value)(_patched(member, members.get(place, [])) for place, member in enumerate(value))
    named = {field.key: field for field in fields_of(type(value))}
    return attrs.evolve(
        value, **{named[key].alias: _patched(getattr(value, named[key].name), inner) for key, inner in members.items()}
    )
