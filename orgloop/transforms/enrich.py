"""Enrich: sets, copies and computes values into payload and provenance."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orgloop.event import Event, faults_of, timestamp_of
from orgloop.sdk import Context
from orgloop.transforms._fields import MISSING, Path, get, put, readable, refuse, text_of, writable


@attrs.frozen
class EnrichConfig:
    """
    What to write where, by dot path: ``set`` and ``add`` first, then ``copy``, then ``compute``, each seeing the last.

    ``set`` takes values as they are. ``add`` is the same, and knows one placeholder: ``{{ now }}`` in a text is the
    time, ISO 8601 in UTC. ``copy`` is from target to source, and leaves the target alone where the source is missing.
    ``compute`` takes one comparison, ``field OP value``, and writes true or false: OP is ``===``, ``!==``, ``>``,
    ``<``, ``>=`` or ``<=``; value a number, a quoted text or a bare word. Equality holds for values or for their
    texts (42 === "42"); order for two numbers only.
    """

    set: Mapping[str, Any] = attrs.field(factory=dict)
    add: Mapping[str, Any] = attrs.field(factory=dict)
    copy: Mapping[str, str] = attrs.field(factory=dict)
    compute: Mapping[str, str] = attrs.field(factory=dict)


Step = Callable[[Event, Context], Any]
"""What is to be written, or MISSING for nothing."""

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_EXPRESSION = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(===|!==|>=|<=|>|<)\s*(.*?)\s*", re.ASCII | re.DOTALL)
_OPERAND = re.compile(r"""(?P<number>-?\d+(?:\.\d+)?)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[\w.:/@-]+)""")
_ORDERS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


class Enrich:
    """Writes into a copy of the event. Raises TransformFailed where a value has no place in this event."""

    def __init__(self, config: EnrichConfig) -> None:
        """ValueError, a line for each fault."""
        faults = [f"add.{path}: is in set too; write it once" for path in config.add if path in config.set]
        self._steps: list[tuple[Path, Step]] = []
        for field, step_of in (("set", _literal), ("add", _template), ("copy", _copied), ("compute", _computed)):
            for path, value in getattr(config, field).items():
                try:
                    at = f"{field}.{path}"
                    self._steps.append((writable(path, at=at), step_of(value, at)))
                except ValueError as exc:
                    faults.append(str(exc))
        refuse(faults)

    def apply(self, event: Event, context: Context) -> Event:
        """The event with everything written."""
        for path, step in self._steps:
            if (value := step(event, context)) is not MISSING:
                event = put(event, path, value)
        return event


def _literal(value: Any, at: str) -> Step:
    probe = Event("enrich", "resource.changed", {"platform": ""}, {"value": value})
    if faults := faults_of(probe):
        raise ValueError(f"{at}: {value!r} cannot be in an event ({'; '.join(faults)}); write a JSON value")
    if at.endswith(".provenance.platform") and not isinstance(value, str):
        raise ValueError(f"{at}: {value!r} is not the name of a platform; write text, as in 'github'")
    return lambda _event, _context: value


def _template(value: Any, at: str) -> Step:
    names = _PLACEHOLDER.findall(value) if isinstance(value, str) else []
    if unknown := [name for name in names if name != "now"]:
        raise ValueError(
            f"{at}: '{{{{ {unknown[0]} }}}}' is not known, only '{{{{ now }}}}'; copy takes values from the event"
        )
    if not names:
        return _literal(value, at)
    return lambda _event, context: _PLACEHOLDER.sub(timestamp_of(context.now_s), value)


def _copied(source: str, at: str) -> Step:
    path = readable(source, at=at)
    return lambda event, _context: get(event, path)


def _computed(expression: str, at: str) -> Step:
    parts = _EXPRESSION.fullmatch(expression)
    operand = _OPERAND.fullmatch(parts[3]) if parts else None
    if parts is None or operand is None:
        raise ValueError(
            f"{at}: {expression!r} is not one comparison; write 'field OP value' with OP one of ===, !==, >, <, >=, <=,"
            " as in 'payload.priority >= 3', and quote a text that has spaces; for more, use a script or jq"
        )
    path, sign = readable(parts[1], at=at), parts[2]
    text = next(group for group in operand.groups() if group is not None)
    number = (float(text) if "." in text else int(text)) if operand["number"] else None
    if sign in _ORDERS:
        order = _ORDERS[sign]
        return lambda event, _context: (
            number is not None and _is_number(get(event, path)) and order(get(event, path), number)
        )
    text = text if number is None else text_of(number)
    return lambda event, _context: (text_of(get(event, path)) == text) is (sign == "===")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
