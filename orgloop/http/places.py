"""
Which requests the listener serves itself, as a table; whatever is not in it belongs to the application.

    POST /webhook/<source>                    a pushed source of any module        open: the source authenticates
    POST /webhook/<module>/<source>           of this module                       open
    POST /api/v1/webhooks/<source>            as the first                         open
    POST /api/v1/events                       one event, a list, or lines          token
"""

from __future__ import annotations

import re
from functools import lru_cache

import attrs

from orgloop.http.answers import NOT_FOUND, Answer, refusal
from orgloop.http.request import read_target
from orgloop.http.walls import LIVENESS

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a source or a module can be called; nothing else is looked up."""

_NOT_HERE = refusal(405, "Method not allowed", ("Allow", "POST"))


@attrs.frozen
class Webhook:
    """Where a pushed source hears what is sent to it."""

    path: str
    query: str
    source: str
    module: str | None = None


@attrs.frozen
class Batch:
    """Where events are brought in as they are."""

    path: str
    query: str


@attrs.frozen
class Elsewhere:
    """The application's; ``is_open`` if no token is asked for."""

    path: str
    is_open: bool


Place = Webhook | Batch | Elsewhere


@lru_cache(maxsize=256)
def place_of(method: str, target: str) -> Place | Answer:
    """Where a request goes, or why nowhere."""
    found = read_target(target)
    if isinstance(found, Answer):
        return found
    path, query = found.path, found.query
    if path.startswith(("/webhook/", "/api/v1/webhooks/")):
        return _webhook(path, query) if method == "POST" else _NOT_HERE
    if path == "/api/v1/events" and method == "POST":
        return Batch(path, query)
    if method in {"CONNECT", "TRACE"}:
        return refusal(405, "Method not allowed")
    return Elsewhere(path, method in {"GET", "HEAD"} and path in LIVENESS)


def _webhook(path: str, query: str) -> Webhook | Answer:
    names = path.split("/")[2:] if path.startswith("/webhook/") else path.split("/")[4:]
    if not all(map(ID.fullmatch, names)):
        return NOT_FOUND
    if len(names) == 2 and path.startswith("/webhook/"):
        return Webhook(path, query, source=names[1], module=names[0])
    return Webhook(path, query, source=names[0]) if len(names) == 1 else NOT_FOUND
