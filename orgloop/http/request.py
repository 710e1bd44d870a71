"""
The head of a request: bytes to values, and nothing waits here.

    POST /webhook/github HTTP/1.1 CRLF      method, target, version: one space between, nothing around
    Host: 127.0.0.1:4800 CRLF               name, colon, value; a line never folds, and ends in CRLF
    CRLF

Law: what can be read in two ways is refused. A body has one frame (a length, or chunks), a header that decides
something stands there once, and a path is decoded once and means nothing but itself. So no two readers of one request
(this one, the one behind the tunnel, a proxy before us) can take it for two different requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import attrs

from orgloop.http.answers import NOT_FOUND, Answer, refusal
from orgloop.http.limits import Limits

CHUNKED = -1
"""The length of a body that comes in chunks."""

_TEXT = bytes([9, *range(32, 127), *range(128, 256)])
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TARGET = bytes(range(33, 127))
_HEX = frozenset(b"0123456789abcdefABCDEF")
LONGEST_LENGTH = 18
"""Digits of a Content-Length that is a number; with more, it is just too long."""

SINGLE = frozenset(
    {
        *("authorization", "content-encoding", "content-length", "content-type", "expect", "host", "origin"),
        *("sec-fetch-site", "transfer-encoding", "upgrade"),
    }
)
"""Headers that decide something, and may therefore stand there once."""


@attrs.frozen
class Head:
    """A request before its body."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case; the values of one that is repeated are joined by commas."""
    length: int
    """Of the body, in bytes: 0 for none, :data:`CHUNKED` if only the chunks tell."""
    keep_alive: bool
    expects_continue: bool


@attrs.frozen
class Target:
    """A path, decoded once and known to mean only itself, and the query as it came."""

    path: str
    query: str


def read_head(block: bytes, limits: Limits) -> Head | Answer:
    """The head in a block that ends with its empty line, or why it is none."""
    lines = block[:-4].split(b"\r\n")
    # What is not text must be the line ends we have split at: no bare CR or LF, no NUL, no other control character.
    if block.translate(None, _TEXT) != b"\r\n" * (len(lines) + 1):
        return refusal(400, "Malformed request: a control character, or a line that does not end in CRLF")
    if len(lines) > limits.headers + 1:
        return refusal(431, f"More than {limits.headers} headers")
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[0] or words[0].translate(None, _TOKEN):
        return refusal(400, "Malformed request line")
    if not words[1] or words[1].translate(None, _TARGET):
        return refusal(400, "Malformed request line")
    method, target, version = words
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        return refusal(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(target) > limits.target_bytes:
        return refusal(414, f"The path is longer than {limits.target_bytes} bytes")
    fields = _fields(lines[1:])
    if isinstance(fields, Answer):
        return fields
    headers = folded(fields)
    if isinstance(headers, Answer):
        return headers
    is_newest = version == b"HTTP/1.1"
    if is_newest and not headers.get("host"):
        return refusal(400, "A request needs a Host header")
    length = _length_of(headers, is_newest)
    if isinstance(length, Answer):
        return length
    expected = headers.get("expect")
    if expected is not None and expected.lower() != "100-continue":
        return refusal(417, "The only expectation that can be met is 100-continue")
    keep_alive = is_newest and ("connection" not in headers or "close" not in _options(headers["connection"]))
    return Head(method.decode(), target.decode(), headers, length, keep_alive, expected is not None and is_newest)


def _fields(lines: list[bytes]) -> list[tuple[str, str]] | Answer:
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN):  # a folded line begins with a space
            return refusal(400, "Malformed header")
        fields.append((name.lower().decode(), value.strip(b" \t").decode("latin-1")))
    return fields


def folded(fields: Iterable[tuple[str, str]]) -> dict[str, str] | Answer:
    """Headers by name, in lower case already; refused if one that decides something is repeated."""
    headers: dict[str, str] = {}
    for name, value in fields:
        if name not in headers:
            headers[name] = value
        elif name in SINGLE:
            return refusal(400, f"The header {name} stands there twice")
        else:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def _length_of(headers: dict[str, str], is_newest: bool) -> int | Answer:
    """The frame of the body; one that two readers could see in two ways is none."""
    length, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if encoding is not None:
        if length is not None or not is_newest or encoding.lower() != "chunked":
            return refusal(400, "A body has a Content-Length, or Transfer-Encoding: chunked in HTTP/1.1, and no other")
        return CHUNKED
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit():
        return refusal(400, "Content-Length is not a number")
    if len(length) > LONGEST_LENGTH:
        return refusal(413, "The body is too large")
    return int(length)


def _options(value: str) -> set[str]:
    return {option.strip() for option in value.lower().split(",")}


@lru_cache(maxsize=256)
def read_target(target: str) -> Target | Answer:
    """
    The path of a target, or why it has none.

    Percent-encoding is decoded once. What another reader could take for another path is not found: empty and dot
    segments, an encoded slash, a backslash, a control character, a percent sign that is left over.
    """
    if not target.startswith("/"):
        return refusal(400, "The target of a request must be a path")
    raw, _, query = target.partition("?")
    path = raw if "%" not in raw else _decoded(raw)
    if path is None or "#" in target:
        return NOT_FOUND
    segments = path[1:].split("/")
    if any(segment in {"", ".", ".."} for segment in segments[:-1]) or segments[-1] in {".", ".."}:
        return NOT_FOUND
    if any(character in path for character in "\\;%") or not path.isprintable():
        return NOT_FOUND
    return Target(path, query)


def _decoded(raw: str) -> str | None:
    for escape in raw.split("%")[1:]:
        if len(escape) < 2 or not _HEX.issuperset(escape[:2].encode()) or escape[:2].lower() == "2f":
            return None
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None


def chunk_length(line: bytes) -> int | None:
    """
    The size in the line before a chunk, without its CRLF; None if there is none.

    >>> chunk_length(b"1f;name=value")
    31
    """
    size, _, extension = line.partition(b";")
    if not 1 <= len(size) <= 8 or not _HEX.issuperset(size) or extension.translate(None, _TEXT):
        return None
    return int(size, 16)
