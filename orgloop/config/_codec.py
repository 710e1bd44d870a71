"""
Plain data becomes frozen values here, and nowhere else.

Law: nothing is guessed and nothing is passed over. Text is not taken for a number, nor a number for text; an unknown
key is a fault; all faults come at once. What a class says of its fields by ``metadata`` is honoured:

    yaml     the key in the file, if it is not the field's name
    unit     "duration", "size" or "rate": the file has text with a unit, the field has seconds, bytes, times per
             second; "ms": the file has a number of milliseconds, the field has seconds
    aliases  other keys that are taken for it
    written  False: not for the file, whoever reads it fills it in

A field's validator is run with None for the instance, so that one bad field does not hide the next; what concerns
several fields belongs in ``__attrs_post_init__``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast, get_args

import attrs
from cattrs import Converter
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from orgloop.config._plain import MAPPING, Hook, kind_of, make_strict, must_be
from orgloop.config._refused import Refused
from orgloop.config._units import duration_s, rate_per_s, shown, size_bytes
from orgloop.errors import ConfigError, Fault

T = TypeVar("T")

MAX_ADVICE = 20
"""For how many unknown keys of one mapping a near one is looked for."""


def milliseconds_s(value: object) -> float:
    """Seconds, of a number of milliseconds."""
    return _converter.structure(value, float) / 1000


_UNITS: Mapping[str, Callable[[object], object]] = {
    "duration": duration_s,
    "size": size_bytes,
    "rate": rate_per_s,
    "ms": milliseconds_s,
}


def structure(cls: type[T], data: object, *, where: str) -> T:
    """
    Make a value of plain data.

    Raises :class:`ConfigError` with every fault, each as ``<where>.<path>: text``.
    """
    try:
        return _converter.structure(data, cls)
    except (ClassValidationError, IterableValidationError, ValueError) as exc:
        raise refusal(list(_faults(exc, ())), where=where) from exc


def refusal(faults: Sequence[Fault], *, where: str) -> ConfigError:
    """All faults in one error, each as ``<where>.<path>: text``."""
    return ConfigError("\n".join(_line(fault, where) for fault in faults), faults)


# -- faults ------------------------------------------------------------------------------------------------------------


def _line(fault: Fault, where: str) -> str:
    steps = [
        step if isinstance(step, str) and step.isprintable() and len(step) <= 60 else shown(step) for step in fault.path
    ]
    return f"{'.'.join([where, *steps] if where else steps)}: {fault.text}"


def _faults(exc: Exception, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if isinstance(exc, ClassValidationError):
        keys = {attribute.name: _key(attribute) for attribute in _fields(exc.cl)} | getattr(exc, "written", {})
        noted, bare = exc.group_exceptions()
        yield from _faults_within([(inner, keys[note.name]) for inner, note in noted], bare, path)
    elif isinstance(exc, IterableValidationError):
        members, bare = exc.group_exceptions()
        yield from _faults_within([(inner, note.index) for inner, note in members], bare, path)
    elif isinstance(exc, ForbiddenExtraKeysError):
        for number, key in enumerate(sorted(exc.extra_fields, key=shown)):
            yield _unknown((*path, _step(key)), key, exc.cl, with_advice=number < MAX_ADVICE)
    elif isinstance(exc, KeyError):
        yield Fault(path, "required, and not there", "OL1202")
    elif isinstance(exc, Refused):
        yield Fault(path, str(exc), exc.code)
    elif isinstance(exc, ValueError | TypeError):
        yield Fault(path, str(exc.args[0]) if exc.args else type(exc).__name__)
    else:
        raise exc  # not the operator's: a field that no hook is for, or a bug in a class


def _faults_within(
    members: list[tuple[Exception, str | int]], bare: list[Exception], path: tuple[str | int, ...]
) -> Iterator[Fault]:
    for inner, step in members:
        yield from _faults(inner, (*path, _step(step)))
    for inner in bare:
        yield from _faults(inner, path)


def _step(key: object) -> str | int:
    return key if isinstance(key, str | int) else shown(key)


def _unknown(path: tuple[str | int, ...], key: object, cls: Any, *, with_advice: bool) -> Fault:
    known = [_key(attribute) for attribute in _fields(cls)]
    taken_for = next((_key(attribute) for attribute in _fields(cls) if key in _aliases(attribute)), None)
    if taken_for is not None:
        return Fault(path, f'another name for "{taken_for}", which is given too: keep one of them', "OL1204")
    return Fault(path, f"unknown key{_did_you_mean(key, known) if with_advice else ''}", "OL1203")


def _did_you_mean(value: object, known: list[str]) -> str:
    near = difflib.get_close_matches(shown(value).strip('"').lower().replace("-", "_"), known, n=1)
    return f'; did you mean "{near[0]}"?' if near else f"; known are: {', '.join(known)}"


# -- classes -----------------------------------------------------------------------------------------------------------


def _fields(cls: Any) -> list[attrs.Attribute[Any]]:
    return [attribute for attribute in attrs.fields(cls) if attribute.init and attribute.metadata.get("written", True)]


def _unwritten(cls: Any) -> list[str]:
    return [attribute.name for attribute in attrs.fields(cls) if not attribute.metadata.get("written", True)]


def _key(attribute: attrs.Attribute[Any]) -> str:
    return cast(str, attribute.metadata.get("yaml", attribute.alias))


def _aliases(attribute: attrs.Attribute[Any]) -> tuple[str, ...]:
    return cast("tuple[str, ...]", attribute.metadata.get("aliases", ()))


def _of_class(cls: Any, converter: Converter) -> Hook:
    overrides = {
        attribute.name: override(rename=_key(attribute), struct_hook=_of_field(attribute, converter))
        for attribute in _fields(cls)
    }
    overrides |= {name: override(omit=True) for name in _unwritten(cls)}
    aliases = {alias: _key(attribute) for attribute in _fields(cls) for alias in _aliases(attribute)}
    # mypy cannot tell the keywords of the overrides from those of the function itself.
    make = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **overrides)  # type: ignore[arg-type]

    def structure_class(value: Any, _: Any) -> Any:
        if kind_of(value) != MAPPING:
            raise must_be(MAPPING, value)
        used = {key: alias for alias, key in aliases.items() if alias in value and key not in value}
        try:
            return make({_own(key, used): value[key] for key in value} if used else value, cls)
        except ClassValidationError as exc:
            # Faults are told in the words of the file.
            names = {attribute.name: used[_key(attribute)] for attribute in _fields(cls) if _key(attribute) in used}
            exc.written = names  # type: ignore[attr-defined]
            raise

    return structure_class


def _own(key: Any, used: Mapping[str, str]) -> Any:
    return next((own for own, alias in used.items() if alias == key), key)


def _of_field(attribute: attrs.Attribute[Any], converter: Converter) -> Hook:
    unit = _UNITS[attribute.metadata["unit"]] if "unit" in attribute.metadata else None

    hooks: list[Hook] = []  # looked up at first use: a class may hold itself

    def structure_field(value: Any, type_: Any) -> Any:
        if unit is None:
            if not hooks:
                hooks.append(converter.get_structure_hook(type_))
            made = hooks[0](value, type_)
        else:
            made = None if value is None and type(None) in get_args(type_) else unit(value)
        if attribute.validator is not None and attribute.converter is None:
            _validate(attribute, made)
        return made

    return structure_field


def _validate(attribute: attrs.Attribute[Any], value: object) -> None:
    try:
        cast(Any, attribute.validator)(None, attribute, value)
    except ValueError as exc:
        # attrs begins with the field's name, which the path has already, and in the words of the file.
        code = exc.code if isinstance(exc, Refused) else "OL1210"
        raise Refused(code, str(exc.args[0]).removeprefix(f"'{attribute.name}' ")) from exc


def _converter_of_ours() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    make_strict(converter)
    converter.register_structure_hook_factory(attrs.has, _of_class)
    return converter


_converter = _converter_of_ours()
