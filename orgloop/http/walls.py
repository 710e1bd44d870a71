"""
What every request must get past, before anything is done for it: default deny, by pure functions over its head.

    path        canonical, or 404                        request.read_target
    host        exactly one of ours, or 403              a page that has rebound its name to this address
    origin      none, or one of ours, or 403             a page of somebody else in the operator's browser
    token       the bearer token, or 401                 everything but webhooks and liveness
    body        JSON and not compressed, or 415          a form, which a browser posts without asking

The order matters: nobody learns what exists here without the token. There are no CORS headers, so no page may read an
answer. The door asks for the first request of a connection, and :mod:`orgloop.http.asgi` for each that goes through it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from functools import lru_cache

import attrs

from orgloop.http.answers import UNAUTHORIZED, Answer, refusal
from orgloop.http.limits import MIB

JSON = frozenset({"application/json"})
"""The one media type that a page cannot send without being asked first, unless a source's terms allow others."""

LINES = "application/x-ndjson"
"""One event per line, for batches."""

LIVENESS = frozenset({"/livez", "/api/v1/health", "/control/health", "/control/ready"})
"""Paths that need no token; what stands there must tell nothing but that it stands."""

_NAMES = ("localhost", "127.0.0.1", "[::1]")
_FORBIDDEN_HOST = refusal(403, "This Host is not allowed here; http.hosts names the others that are")
_FORBIDDEN_ORIGIN = refusal(403, "Pages of other origins are not served here")
_ENCODED = refusal(415, "A body must not be compressed")


@attrs.frozen(kw_only=True)
class Terms:
    """What a source takes, where it is not the usual."""

    body_bytes: int = MIB
    media_types: frozenset[str] = JSON


TermsOf = Callable[[str, str | None], Terms]
"""The terms of a source, by its id and the module that was named, if one was."""


def usual_terms(_source: str, _module: str | None) -> Terms:
    """The same for every source."""
    return _USUAL


_USUAL = Terms()


@attrs.frozen(kw_only=True)
class Walls:
    """Who may ask; :func:`walls_of` makes them from what was bound."""

    hosts: frozenset[str]
    """Exact values of Host, with their port."""
    origins: frozenset[str]
    token: bytes = attrs.field(repr=False)

    @token.validator
    def _long_enough(self, _: object, token: bytes) -> None:
        if len(token) < 32:
            raise ValueError("the token of the front door is shorter than 32 bytes; make it with secrets.token_hex(32)")

    def refusal(self, headers: dict[str, str], *, is_open: bool) -> Answer | None:
        """Why a request may not be heard at all; an open path needs no token."""
        if headers.get("host") not in self.hosts:
            return _FORBIDDEN_HOST
        origin = headers.get("origin")
        if origin is not None and origin not in self.origins:
            return _FORBIDDEN_ORIGIN
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return _FORBIDDEN_ORIGIN
        if not is_open and not self._knows(headers.get("authorization", "")):
            return UNAUTHORIZED
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        is_right = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token)
        return is_right and scheme == "Bearer"


def walls_of(
    ports: Iterable[int], *, token: bytes, hosts: Iterable[str] = (), origins: Iterable[str] = (), unix: bool = False
) -> Walls:
    """
    The walls of listeners on these ports of this host; ``hosts`` and ``origins`` are exact values beside our own.

    On a unix socket, which no page can reach, clients name a host without a port.
    """
    ours = {f"{name}:{port}" for name in _NAMES for port in ports}
    if unix or 80 in set(ports):
        ours |= set(_NAMES)
    allowed = frozenset(ours | set(hosts))
    return Walls(hosts=allowed, origins=frozenset({f"http://{host}" for host in ours} | set(origins)), token=token)


def body_refusal(headers: dict[str, str], *, has_body: bool, media_types: frozenset[str] = JSON) -> Answer | None:
    """Why a body is not read: it is compressed, or not of the media types that are taken here."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        return _ENCODED
    if has_body and not _is_of(headers.get("content-type", ""), media_types):
        return refusal(415, f"A body must be {' or '.join(sorted(media_types))}, in UTF-8")
    return None


@lru_cache(maxsize=64)
def _is_of(content_type: str, media_types: frozenset[str]) -> bool:
    """
    Whether a content type is one of these media types, in UTF-8.

    >>> _is_of("application/json; charset=utf-7", JSON)
    False
    """
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"]
    return media_type in media_types and all(charset in {"utf-8", "utf8"} for charset in charsets)
