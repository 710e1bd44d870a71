r"""
A notice as a message of syslog, by RFC 5424: plain functions over values.

    <131>1 2026-01-31T09:00:00.000Z web-1 orgloop 4711 deliver.failure [orgloop@49999 event_id="evt_1"] deliver.f…

Law: a message is one line without control characters, whatever a notice says; what is not printable is written out
(``\x1b``). In structured data ``"``, ``\`` and ``]`` have a backslash before them, so no value can end it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from orgloop.sdk import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Notice

FACILITIES: Mapping[str, int] = {
    name: code
    for code, name in enumerate(
        ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"]
    )
} | {f"local{number}": 16 + number for number in range(8)}
"""By name."""

SD_ID = "orgloop@49999"
"""What our structured data is called; the number is the original's."""

MAX_VALUE_CHARS = 512
"""Of a value in structured data, and of an error."""

_CRITICAL, _ERROR, _WARNING, _INFO, _DEBUG = 2, 3, 4, 6, 7
_SEVERITIES = {DEBUG: _DEBUG, INFO: _INFO, WARNING: _WARNING, ERROR: _ERROR}
_PARAMS = ("event_id", "trace_id", "source", "event_type", "target", "route", "transform", "module")
_TO_ESCAPE = re.compile(r'["\\\]]')
_NO_NAME = re.compile(r"[^!-~]+")
_BOM = b"\xef\xbb\xbf"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@attrs.frozen(kw_only=True)
class Sender:
    """Who speaks: the parts of a header that are the same for every message."""

    facility: int
    hostname: str
    app_name: str
    process: str
    structured: bool = True


def severity(notice: Notice) -> int:
    """How grave, from 2 (critical) to 7 (debug)."""
    if notice.phase == "source.emit":
        return _DEBUG
    if notice.phase == "system.error" and (notice.metadata or {}).get("fatal") is True:
        return _CRITICAL
    return _SEVERITIES[SEVERITY_OF.get(notice.phase, INFO)]


def message(notice: Notice, sender: Sender, *, limit_bytes: int) -> bytes:
    """
    The message, of at most ``limit_bytes`` (not below 480): values are cut first, then left out, the text last.
    """
    header = _header(notice, sender)
    for most in (MAX_VALUE_CHARS, 64) if sender.structured else ():
        whole = b" ".join([header, _structured(notice, most), _text(notice)])
        if len(whole) <= limit_bytes:
            return whole
    whole = b" ".join([header, b"-", _text(notice)])
    # Only the text is at the end: what is cut off is a whole number of characters of it.
    return whole if len(whole) <= limit_bytes else whole[:limit_bytes].decode("utf-8", "ignore").encode()


def _header(notice: Notice, sender: Sender) -> bytes:
    when = notice.timestamp if _TIMESTAMP.fullmatch(notice.timestamp) else "-"
    parts = [
        f"<{sender.facility * 8 + severity(notice)}>1",
        when,
        _name(sender.hostname, 100),
        _name(sender.app_name, 48),
        _name(sender.process, 32),
        _name(notice.phase, 32),
    ]
    return " ".join(parts).encode()


def _structured(notice: Notice, most: int) -> bytes:
    params = "".join(f' {name}="{escaped(value, most)}"' for name, value in _values(notice))
    return f"[{SD_ID}{params}]".encode() if params else b"-"


def _values(notice: Notice) -> Iterator[tuple[str, str]]:
    for name in _PARAMS:
        if value := getattr(notice, name):
            yield name, value
    if notice.duration_ms is not None:
        yield "duration_ms", f"{notice.duration_ms:g}"
    if notice.error is not None:
        yield "error", notice.error


def _text(notice: Notice) -> bytes:
    parts = [f"[{part}]" for part in (notice.source, notice.event_type, notice.event_id) if part]
    if notice.error is not None:
        parts.append(f'[error="{notice.error[:MAX_VALUE_CHARS]}"]')
    text = printable(" ".join([notice.phase[:MAX_VALUE_CHARS], *parts]))
    return text.encode() if text.isascii() else _BOM + text.encode()


def escaped(value: str, most: int = MAX_VALUE_CHARS) -> str:
    r"""
    A value as it may stand between quotes in structured data.

    >>> escaped('one "two" ]')
    'one \\"two\\" \\]'
    """
    return _TO_ESCAPE.sub(r"\\\g<0>", printable(value[:most]))


def printable(text: str) -> str:
    r"""
    Text on one line, with all that cannot be seen written out.

    >>> printable("one\ntwo")
    'one\\x0atwo'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _name(text: str, most: int) -> str:
    """A field of the header: printable ASCII without spaces, and never empty."""
    return _NO_NAME.sub("_", text)[:most] or "-"
