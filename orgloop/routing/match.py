"""
When a route wants an event, and why. Pure.

The law of ``when.filter``: a wanted value and a found value match if they share a scalar, each being one scalar or a
list of them. So a wanted list means any of its members, a found list is searched for members, and a map, being no
scalar, never matches, nor does an empty list. Scalars are strict: ``42`` is not ``"42"``, ``true`` is neither ``1``
nor ``"true"``, null is not a missing value; but ``1`` is ``1.0``, as JSON has only one kind of number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from orgloop.event import Event
from orgloop.routing.path import MISSING, Path, compile_path

MAX_SHOWN_CHARS = 80
"""How much of a value an explanation shows."""

OF_LIST = ()
"""The key of a list."""

_BOOLS = {False: ("false",), True: ("true",)}  # tuples, because True == 1, and the keys of texts and numbers are none


def key_of(value: object) -> Hashable:
    """
    What a scalar is equal by: two are equal if their keys are. What equals nothing has one of :data:`NO_KEYS`.

    >>> key_of(1) == key_of(1.0), key_of(1) == key_of(True)
    (True, False)
    """
    kind = value.__class__
    if kind is str or kind is int or value is None:
        return value
    if isinstance(value, bool):
        return _BOOLS[value]
    if isinstance(value, float):
        return MISSING if math.isnan(value) else value
    if isinstance(value, list | tuple):
        return OF_LIST
    return value if isinstance(value, str | int) else MISSING  # an enum, that is: it becomes JSON as its value


NO_KEYS: frozenset[Hashable] = frozenset({MISSING, OF_LIST})
"""What :func:`key_of` says of all that is not a scalar."""


def keys_in(value: object) -> Iterator[Hashable]:
    """
    The keys of a scalar, or of the members of a list.

    An iterator and not a set: a sender can choose numbers with colliding hashes, so what is found is only ever looked
    up in sets of what is wanted.
    """
    return map(key_of, value if isinstance(value, list | tuple) else (value,))


@attrs.frozen
class Criterion:
    """One line of a filter."""

    path: Path
    wanted: Any
    keys: frozenset[Hashable]
    """Those of ``wanted``; if there are none, no event meets it."""

    def met_by(self, event: Event) -> bool:
        """Whether the event has at this path what is wanted there."""
        return not self.keys.isdisjoint(keys_in(self.path.find(event)))


def _tuple(events: Iterable[str]) -> tuple[str, ...]:
    return tuple(events)


@attrs.frozen(kw_only=True)
class Route:
    """
    What a module wants, and for which of its actors.

    ``source`` is one of the module's own, or ``module:source`` for one that another module exports; ``filter`` maps
    paths to wanted values. Raises :class:`ValueError` for a path that is none.
    """

    module: str
    name: str
    source: str
    events: tuple[str, ...] = attrs.field(converter=_tuple)
    filter: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    actor: str
    origin: tuple[str, str] = attrs.field(init=False, eq=False, repr=False)
    """The module and the source that it listens to."""
    criteria: tuple[Criterion, ...] = attrs.field(init=False, eq=False, repr=False)
    """The filter, compiled."""

    @origin.default
    def _split_source(self) -> tuple[str, str]:
        module, colon, source = self.source.partition(":")
        return (module, source) if colon else (self.module, self.source)

    @criteria.default
    def _compile_filter(self) -> tuple[Criterion, ...]:
        return tuple(
            Criterion(compile_path(path), wanted, frozenset(keys_in(wanted)) - NO_KEYS)
            for path, wanted in self.filter.items()
        )

    def accepts(self, event: Event) -> bool:
        """Whether the event meets the filter, whatever its source and type."""
        return all(criterion.met_by(event) for criterion in self.criteria)


def matches(route: Route, event: Event) -> bool:
    """Whether a route wants an event: the definition, to which :class:`RouteIndex` is equivalent."""
    return (event.module, event.source) == route.origin and event.type in route.events and route.accepts(event)


# -- in words ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Clause:
    """
    One condition of a route, beside what an event has in its place; as text, a sentence.

    >>> print(Clause("payload.pr", wanted=42, found="42", matched=False))
    payload.pr: wanted 42, found "42"
    """

    path: str
    wanted: Any
    found: Any
    matched: bool

    def __str__(self) -> str:
        if self.matched:
            return f"{self.path} is {_show(self.found)}"
        if isinstance(self.wanted, Mapping):
            return f"{self.path}: wanted a map, which never matches"
        any_of = "any of " if isinstance(self.wanted, list | tuple) else ""
        return f"{self.path}: wanted {any_of}{_show(self.wanted)}, found {_show(self.found)}"


def explain(route: Route, event: Event) -> list[Clause]:
    """Every condition of a route, and how the event stands to it; the route matches if all of them do."""
    module, source = route.origin
    return [
        Clause("module", module, event.module, event.module == module),
        Clause("source", source, event.source, event.source == source),
        Clause("type", route.events, event.type, event.type in route.events),
        *(
            Clause(criterion.path.text, criterion.wanted, criterion.path.find(event), criterion.met_by(event))
            for criterion in route.criteria
        ),
    ]


def _show(value: object) -> str:
    """A value as ASCII JSON, so that what an event says cannot move the reader's cursor."""
    text = "nothing" if value is MISSING else json.dumps(value, default=repr)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
