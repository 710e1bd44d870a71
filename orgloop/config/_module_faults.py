"""
What is wrong between the parts of a module: names that are taken twice, or lead nowhere. Pure, over plain data.

Plain data and not values, so that one bad duration does not hide that an actor is missing: whatever is not of the form
it should be, the codec tells of, and here it is passed by.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from orgloop.config._plain import LIST, MAPPING, TEXT, kind_of
from orgloop.config._units import shown
from orgloop.errors import Fault

MAX_SHOWN = 10
"""How many known names a fault lists."""

MAX_SUGGESTIONS = 20
"""For how many names a near one is looked for: with thousands of both, that takes minutes."""

MAX_NAME_COMPARED = 200
"""How much of a name is compared with others."""

EVENT_FIELDS = ("provenance", "payload", "type", "source", "id", "timestamp", "trace_id", "module")
"""What a filter's path may begin with; ``orgloop.routing`` finds nothing else."""

_OPAQUE = {"config", "filter", "delivery", "labels"}
_MAX_DEPTH = 6

Path = tuple[str | int, ...]
Names = Mapping[str, None]
"""In order."""


def spelled_out(data: object, *, known: Collection[str]) -> object:
    """A copy without known keys that have nothing after them, and with each transform of a route as a mapping."""
    data = _without_nothing(data, known, _MAX_DEPTH)
    for _, route in _members(data, "routes"):
        if isinstance(route.get("transforms"), list):
            route["transforms"] = [{"ref": ref} if isinstance(ref, str) else ref for ref in route["transforms"]]
    return data


def _without_nothing(value: object, known: Collection[str], depth: int) -> object:
    if depth and (type(value) is dict or isinstance(value, Mapping)):
        return {
            key: member if key in _OPAQUE else _without_nothing(member, known, depth - 1)
            for key, member in value.items()
            if member is not None or key not in known
        }
    if depth and isinstance(value, list | tuple):
        return [_without_nothing(member, known, depth - 1) for member in value]
    return value


def faults_between(data: Mapping[Any, Any]) -> Iterator[Fault]:
    """Every fault that is not one of form."""
    for key, name in _NAMES.items():
        yield from _repeated(data, key, name)
    names = {key: _names(data, key) for key in _NAMES}
    emitters = (
        None
        if names["sources"] is None or names["actors"] is None
        else _in_order([*names["sources"], *names["actors"]])
    )
    look_up = _LookUp()
    own = _get(data, "metadata", "name")
    for number, route in _members(data, "routes"):
        at: Path = ("routes", number)
        yield from _strange_source(look_up, _get(route, "when", "source"), (*at, "when", "source"), emitters, own)
        yield from look_up.missing("Actor", _get(route, "then", "actor"), (*at, "then", "actor"), names["actors"])
        for place, step in _members(route, "transforms"):
            yield from look_up.missing(
                "Transform", step.get("ref"), (*at, "transforms", place, "ref"), names["transforms"]
            )
        yield from _filter_faults(look_up, _get(route, "when", "filter"), (*at, "when", "filter"))
    for number, transform in _members(data, "transforms"):
        type_ = transform.get("type")
        if type_ in ("script", "package") and type_ not in transform:
            yield Fault(("transforms", number), f'a transform of type "{type_}" needs the key "{type_}"', "OL1309")
    exports = data.get("exports")
    for place, name in enumerate(exports if isinstance(exports, list) else ()):
        yield from look_up.missing("Source", name, ("exports", place), emitters)


_NAMES = {"sources": "id", "actors": "id", "routes": "name", "transforms": "name", "loggers": "name"}


# -- plain data of any form --------------------------------------------------------------------------------------------


def _members(data: object, key: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    """The mappings of a list, with their places."""
    found = data.get(key) if isinstance(data, dict) else None
    if isinstance(found, list):
        yield from ((place, member) for place, member in enumerate(found) if isinstance(member, dict))


def _get(data: Mapping[Any, Any], *keys: str) -> Any:
    found: Any = data
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _names(data: Mapping[Any, Any], key: str) -> Names | None:
    """The names in a list; None if not all of them can be told, so that nothing can be said to be missing."""
    found = data.get(key, [])
    names = [name for _, member in _members(data, key) if isinstance(name := member.get(_NAMES[key]), str)]
    return _in_order(names) if isinstance(found, list) and len(names) == len(found) else None


def _in_order(names: Iterable[str]) -> Names:
    return dict.fromkeys(sorted(names))


# -- names -------------------------------------------------------------------------------------------------------------


def _repeated(data: Mapping[Any, Any], key: str, name: str) -> Iterator[Fault]:
    first: dict[str, tuple[int, str]] = {}
    for number, member in _members(data, key):
        value = member.get(name)
        if not isinstance(value, str):
            continue
        # Files of sources lie side by side, and some file systems do not tell cases apart.
        place, written = first.setdefault(value.lower() if name == "id" else value, (number, value))
        if place != number:
            like = "" if written == value else f" but for the case ({shown(written)})"
            yield Fault((key, number, name), f"{shown(value)} is the {name} of {key}.{place} already{like}", "OL1301")


def _strange_source(look_up: _LookUp, source: Any, path: Path, own_ids: Names | None, own: Any) -> Iterator[Fault]:
    module, colon, id_ = source.partition(":") if isinstance(source, str) else ("", "", "")
    if not colon:
        yield from look_up.missing("Source", source, path, own_ids)
    elif not module or not id_ or ":" in id_:
        yield Fault(path, f'{shown(source)} is not of the form "module:source"', "OL1306")
    elif module == own:
        yield from look_up.missing("Source", id_, path, own_ids)


_MISSING = {"Source": "OL1302", "Actor": "OL1303", "Transform": "OL1304"}


class _LookUp:
    """Says of names whether they lead anywhere, and where they might have been meant to."""

    def __init__(self) -> None:
        self._suggestions_left = MAX_SUGGESTIONS

    def missing(self, what: str, name: object, path: Path, known: Names | None) -> Iterator[Fault]:
        if isinstance(name, str) and name and known is not None and name not in known:
            yield Fault(path, f"{what} {shown(name)} not found{self._advice(name, known)}", _MISSING[what])

    def near(self, name: str, known: Collection[str]) -> list[str]:
        """The known name that may have been meant, so long as not too many have been asked for."""
        self._suggestions_left -= 1
        return difflib.get_close_matches(name[:MAX_NAME_COMPARED], known, n=1) if self._suggestions_left >= 0 else []

    def _advice(self, name: str, known: Names) -> str:
        if not known:
            return "; none is defined"
        near = self.near(name, known)
        if near:
            return f". Did you mean {shown(near[0])}?"
        more = ", …" if len(known) > MAX_SHOWN else ""
        return f"; known are: {', '.join(islice(known, MAX_SHOWN))}{more}"


# -- filters -----------------------------------------------------------------------------------------------------------


def _filter_faults(look_up: _LookUp, filter_: Any, at: Path) -> Iterator[Fault]:
    for path, wanted in filter_.items() if isinstance(filter_, Mapping) else ():
        if not isinstance(path, str):
            continue
        field = path.partition(".")[0]
        if field not in EVENT_FIELDS:
            near = look_up.near(field, EVENT_FIELDS)
            advice = f'; did you mean "{near[0]}"?' if near else f"; it has: {', '.join(EVENT_FIELDS)}"
            yield Fault((*at, path), f"no event has {shown(field)}{advice}", "OL1307")
        if kind_of(wanted) == LIST:
            if not wanted:
                yield Fault((*at, path), "an empty list never matches; name what is wanted", "OL1308")
            for place, member in enumerate(wanted):
                yield from _never_matching(member, (*at, path, place))
        else:
            yield from _never_matching(wanted, (*at, path))


def _never_matching(value: object, at: Path) -> Iterator[Fault]:
    kind = kind_of(value)
    if kind == MAPPING:
        yield Fault(at, "a mapping never matches; write a path to each of its members", "OL1308")
    elif kind in (LIST, None) or (isinstance(value, float) and math.isnan(value)):
        text = f"must be {TEXT}, a number, true, false or null, got {shown(value)}, which never matches"
        yield Fault(at, text, "OL1308")
