"""
The kinds that a YAML file has, and the strict hooks that let nothing but the asked kind through.

Law: cattrs by itself turns ``"5"`` into 5, ``5`` into ``"5"`` and ``"abc"`` into a list of letters. Here the kind of
what was written must be the kind of what is wanted, with one mercy: a whole number is a number too.
"""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.cols import is_frozenset, is_mapping, is_sequence, list_structure_factory, mapping_structure_factory

from orgloop.config._refused import Refused, Substituted, opened
from orgloop.config._units import shown

_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")

Hook = Callable[[Any, Any], Any]

TEXT, WHOLE, NUMBER, SWITCH = "text", "a whole number", "a number", "true or false"
LIST, MAPPING, NOTHING = "a list", "a mapping", "nothing"

MAX_WHOLE = 2**63
"""Whole numbers lie below this, and not below its negative: what JSON readers and databases can hold."""


def make_strict(converter: Converter) -> None:
    """Put the strict hooks in front of the converter's own."""
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(Path, lambda value, _: Path(_text(value, str)))
    converter.register_structure_hook(bool, _switch)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(lambda type_: type_ is Any, lambda value, _: opened(value))
    converter.register_structure_hook_factory(_is_literal, _of_literal)
    converter.register_structure_hook_factory(_is_list, _of_list)
    converter.register_structure_hook_factory(is_mapping, _of_mapping)
    converter.register_structure_hook_factory(_is_plain_union, _of_union)


def must_be(wanted: str, value: object, advice: str = "") -> ValueError:
    """The refusal of a value; ``advice`` is appended."""
    return Refused("OL1201", f"must be {wanted}, got {shown(value)}{advice}")


def kind_of(value: object) -> str | None:
    """Which kind a value is of, if it is one that YAML has and we take."""
    kind = _EXACTLY.get(type(value))
    return kind or next((kind for kind, classes in _KINDS if isinstance(value, classes)), None)


_KINDS: tuple[tuple[str, Any], ...] = (
    (NOTHING, type(None)),
    (TEXT, str),
    (SWITCH, bool),
    (WHOLE, int),
    (NUMBER, float),
    (LIST, list | tuple),
    (MAPPING, Mapping),
)
_EXACTLY: Mapping[type, str] = {
    type(None): NOTHING,
    str: TEXT,
    bool: SWITCH,
    int: WHOLE,
    float: NUMBER,
    list: LIST,
    dict: MAPPING,
}
"""Of what a YAML file makes; ten thousand routes ask a hundred thousand times."""


# -- text, numbers, switches -------------------------------------------------------------------------------------------


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        quotable = kind_of(value) in {SWITCH, WHOLE, NUMBER}
        raise must_be(TEXT, value, f'; write "{shown(value)}", in quotes' if quotable else "")
    if _UNPRINTABLE.search(value):
        raise must_be("text without NUL and lone surrogates", value)
    return str(value)


def _switch(value: Any, _: Any) -> bool:
    typed = _typed(value)
    if not isinstance(typed, bool):
        meant = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
        likely = meant.get(value.lower()) if type(value) is str else None
        raise must_be(SWITCH, value, f"; write {likely}, without quotes" if likely else "")
    return typed


def _whole(value: Any, _: Any) -> int:
    typed = _typed(value)
    if kind_of(typed) != WHOLE:
        raise must_be(WHOLE, value, _unquoted(value))
    if not -MAX_WHOLE <= typed < MAX_WHOLE:
        raise must_be("a whole number of less than 64 bits", value)
    return int(typed)


def _number(value: Any, _: Any) -> float:
    typed = _typed(value)
    if kind_of(typed) == WHOLE:
        return float(_whole(value, int))
    if not isinstance(typed, float):
        raise must_be(NUMBER, value, _unquoted(value))
    if not math.isfinite(typed):
        raise must_be("a finite number", value)
    return typed


def _typed(value: Any) -> Any:
    """A variable holds text only, so what stands in it counts as a number or a switch where one is wanted."""
    if not isinstance(value, Substituted):
        return value
    text = str(value)
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text) else value


def _unquoted(value: object) -> str:
    is_number = type(value) is str and len(value) < 20 and value.removeprefix("-").replace(".", "", 1).isdigit()
    return f"; write {value}, without quotes" if is_number else ""


def _did_you_mean(near: list[str]) -> str:
    return f'; did you mean "{near[0]}"?' if near else ""


# -- choices, lists, mappings ------------------------------------------------------------------------------------------


def _is_literal(type_: Any) -> bool:
    return cast(Any, get_origin(type_)) is Literal


def _of_literal(type_: Any) -> Hook:
    choices = get_args(type_)
    words = [str(choice) for choice in choices]

    def structure_literal(value: Any, _: Any) -> Any:
        for choice in choices:
            if choice == value and type(choice) is type(value):
                return choice
        near = difflib.get_close_matches(shown(value).strip('"').lower(), words, n=1)
        raise Refused("OL1208", str(must_be(f"one of: {', '.join(words)}", value, _did_you_mean(near))))

    return structure_literal


def _is_list(type_: Any) -> bool:
    fixed = get_origin(type_) is tuple and get_args(type_)[-1] is not Ellipsis
    return type_ is not str and not fixed and (is_sequence(type_) or is_frozenset(type_))


def _of_list(type_: Any, converter: Converter) -> Hook:
    make: Hook = list_structure_factory(type_, converter)
    result: Any = {list: list, frozenset: frozenset}.get(get_origin(type_) or type_, tuple)

    def structure_list(value: Any, _: Any) -> Any:
        if kind_of(value) != LIST:
            raise must_be(LIST, value, f"; write [{shown(value)}]" if isinstance(value, str) else "")
        return result(make(value, type_))

    return structure_list


def _of_mapping(type_: Any, converter: Converter) -> Hook:
    make: Hook = mapping_structure_factory(type_, converter)
    is_opaque = get_args(type_)[1:] == (Any,)

    def structure_mapping(value: Any, _: Any) -> Any:
        if kind_of(value) != MAPPING:
            raise must_be(MAPPING, value)
        if is_opaque and isinstance(value, dict) and all(type(key) is str for key in value):
            return opened(value)  # what cattrs would make of it, sooner
        return make(value, type_)

    return structure_mapping


# -- either this or that -----------------------------------------------------------------------------------------------


def _kind_wanted_by(type_: Any) -> str | None:
    simple = {str: TEXT, Path: TEXT, bool: SWITCH, int: WHOLE, float: NUMBER, type(None): NOTHING}
    if type_ in simple:
        return simple[type_]
    if is_mapping(type_) or attrs.has(type_):
        return MAPPING
    if _is_literal(type_):
        return kind_of(get_args(type_)[0])
    return LIST if _is_list(type_) else None


def _is_plain_union(type_: Any) -> bool:
    """Whether the kind of the data tells which member is meant; where it does not, cattrs looks at the keys."""
    members = get_args(type_)
    kinds = {_kind_wanted_by(member) for member in members}
    is_union = get_origin(type_) in (Union, types.UnionType)
    return is_union and None not in kinds and len(kinds) == len(members)


def _of_union(type_: Any, converter: Converter) -> Hook:
    members = {_kind_wanted_by(member): member for member in get_args(type_)}
    wanted = [kind for kind in members if kind is not None and (kind != NOTHING or len(members) > 2)]

    def structure_union(value: Any, _: Any) -> Any:
        typed = value if TEXT in members else _typed(value)
        kind = NUMBER if kind_of(typed) == WHOLE and WHOLE not in members else kind_of(typed)
        if kind == NOTHING and kind in members:
            return None
        if len(wanted) == 1:
            kind = wanted[0]
        if kind not in members:
            raise must_be(" or ".join(wanted), value)
        return converter.structure(value, members[kind])

    return structure_union
