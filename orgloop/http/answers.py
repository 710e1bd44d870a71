"""What is sent back: values, and the bytes of them. JSON always, never a trace of ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

import attrs
import msgspec

from orgloop.sdk import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client waits for that has sent ``Expect: 100-continue``."""

LONGEST_ERROR = 4000
"""Characters of an error that is sent."""

_SAFETY = "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 205, 304})
_OURS = frozenset(
    {"connection", "content-length", "content-type", "date", "keep-alive", "transfer-encoding", "upgrade"}
)
"""What a source may not set: the frame of an answer is the door's."""


@attrs.frozen
class Answer:
    """An answer: JSON in ``body``, which may be empty."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer of any JSON value; :class:`TypeError` or :class:`ValueError` if it is none."""
    return Answer(status, msgspec.json.encode(body), headers)


def refusal(status: int, error: str, *headers: tuple[str, str]) -> Answer:
    """
    An answer that says why not, in at most :data:`LONGEST_ERROR` characters.

    >>> refusal(404, "Not found").body
    b'{"error":"Not found"}'
    """
    # What an event is refused for may quote it, lone surrogates and all.
    text = error[:LONGEST_ERROR].encode("utf-8", "backslashreplace").decode()
    return json_answer(status, {"error": text}, headers)


NOT_FOUND = refusal(404, "Not found")
UNAUTHORIZED = refusal(401, "Unauthorized", ("WWW-Authenticate", "Bearer"))
"""One answer for every fault of a credential: it tells nothing about what would have been right."""
BROKEN = refusal(500, "Internal error")


def busy(error: str, *, retry_after_s: int) -> Answer:
    """Not now: nothing was admitted, come back."""
    return refusal(503, error, ("Retry-After", str(retry_after_s)))


def answer_of(response: Response) -> Answer:
    """
    The answer that a source has given; :class:`ValueError` or :class:`TypeError` if it cannot be sent.

    Headers that belong to the frame of an answer are left out.
    """
    if response.status not in _REASONS or response.status < 200:
        raise ValueError(f"a source answered with status {response.status!r}, which is none of HTTP's final ones")
    body = b"" if response.status in _BODILESS else msgspec.json.encode(response.body)
    return Answer(response.status, body, tuple(_fields(response.headers)) if response.headers else ())


def _fields(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    fields = [(name, value) for name, value in headers.items() if name.lower() not in _OURS]
    for name, value in fields:
        if not name.replace("-", "").isalnum() or not name.isascii() or not value.isascii() or not value.isprintable():
            raise ValueError(f"a source answered with a header that cannot be sent: {name!r}")
    return fields


def render(answer: Answer, *, close: bool, bodiless: bool = False) -> bytes:
    """The bytes of an answer on a connection; of one to HEAD, without its body."""
    extra = "".join([f"{name}: {value}\r\n" for name, value in answer.headers]) if answer.headers else ""
    head = _head(answer.status, len(answer.body), int(time.time()), close, extra)
    return head if bodiless else head + answer.body


@lru_cache(maxsize=256)
def _head(status: int, length: int, second: int, close: bool, extra: str) -> bytes:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
    frame = "" if status in _BODILESS else f"Content-Type: application/json\r\nContent-Length: {length}\r\n"
    last = "Connection: close\r\n" if close else ""
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\nDate: {date}\r\n{frame}{_SAFETY}{extra}{last}\r\n".encode()


def asgi_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The headers of an answer as ASGI wants them; hypercorn adds the date."""
    fields = [("content-length", str(len(answer.body))), *answer.headers] if answer.body else list(answer.headers)
    safety = [line.split(": ", 1) for line in _SAFETY.split("\r\n") if line]
    named = [("content-type", "application/json"), *((name, value) for name, value in safety), *fields]
    return [(name.lower().encode(), value.encode()) for name, value in named]
