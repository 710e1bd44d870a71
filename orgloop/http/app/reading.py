"""
From a request to the values that its route asks for, or to what is wrong with it, by name.

Law: nothing is guessed and nothing passed over. A parameter that stands twice, has another name, or is beyond its bound
is refused, and so is a body that is not what the table says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from orgloop.http.app.given import Given
from orgloop.http.app.problems import bad
from orgloop.http.app.route import Asked, Route
from orgloop.http.limits import Limits
from orgloop.http.strict_json import read_json

MOST_PARAMETERS = 50
LONGEST_PLACE = 200
"""Characters of a name in a path."""

_AT = re.compile(r"(?P<what>.*?)(?: - at (?:key in )?`\$(?P<at>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`", re.DOTALL)


def read_request(
    route: Route,
    *,
    path: Mapping[str, str],
    query: str,
    body: bytes,
    headers: Mapping[str, str | None],
    limits: Limits,
) -> Asked[Any, Any]:
    """A request as its route asks for it; :class:`Refused` or :class:`EventError` if it is not so."""
    for name, value in path.items():
        if len(value) > LONGEST_PLACE:
            raise bad(f"{name}: longer than {LONGEST_PLACE} characters", where=name)
    return Asked(
        query=read_query(route.query, query),
        body=None if route.body is None else read_body(route.body, body, limits),
        path=path,
        headers=headers,
    )


def read_query(cls: type[Given], query: str) -> Given:
    """The parameters of a query."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=MOST_PARAMETERS, errors="strict"
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise bad(f"The query cannot be read: {exc}", where="query", next_="Write it as in ?limit=10&route=x.") from exc
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(name for name in values if sum(name == each for each, _ in pairs) > 1)
        raise bad(f"{twice}: given more than once", where=twice)
    return _converted(cls, values, strict=False)


def read_body(cls: type[Given], body: bytes, limits: Limits) -> Given:
    """The value of a body; without one, that of an empty object."""
    value = read_json(body, limits) if body else {}
    return _converted(cls, cls.spelled_out(value), strict=True)


def _converted(cls: type[Given], value: Any, *, strict: bool) -> Given:
    try:
        return msgspec.convert(value, cls, strict=strict)
    except msgspec.ValidationError as exc:
        raise _refused(str(exc), cls) from exc


def _refused(text: str, cls: type[Given]) -> Exception:
    """What msgspec says, with the name of the parameter in front."""
    found = _AT.fullmatch(text)
    what, at = (text, "") if found is None else (found["what"], (found["at"] or "").removeprefix("."))
    named = _FIELD.match(what)
    if named is not None:
        at = ".".join(filter(None, (at, named["name"])))
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(cls)) or "none"
        if "unknown" in what:
            return bad(f"{at}: there is no such parameter", where=at, next_=f"There are: {known}.")
        return bad(f"{at}: is needed", where=at)
    where = at or "body"
    return bad(f"{where}: {what[:1].lower()}{what[1:]}", where=where)
