"""
One notice is one line, whatever is in it: what moves a cursor, turns the writing or hides is written out.

Law: escaped are the control characters (CR, LF, ESC, NUL, …), lone surrogates, line and paragraph separators, and all
that Unicode calls format or default-ignorable: bidi marks, zero-width characters, fillers, tags. Spared are the two
variation selectors that make a character text or emoji. What remains is drawn where it stands, as itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from orgloop.sdk import Notice

MAX_LINE_BYTES = 256 * 1024
"""A longer line is written without its metadata, and with its texts cut."""

MAX_TEXT = 4096

_UNSAFE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f\\u1160"
    "\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufe00-\\ufe0d"
    "\\ufeff\\uffa0\\ufff0-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001345f\\U0001bca0-\\U0001bca3"
    "\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
_SHORT = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    r"""
    Text that stays on its line and is what it looks like.

    >>> escape("one\ntwo\x1b[2J")
    'one\\ntwo\\x1b[2J'
    """
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_written_out, text)


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Text of at most ``limit`` characters, and how many were cut."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more)"


def json_line(notice: Notice) -> bytes:
    """
    A notice as a line of JSON with its newline; fields that do not apply are left out.

    It never fails: a value that JSON does not know is written as its ``repr``.
    """
    # Encoded, a notice lacks what does not apply; but empty ids, which are to be there, as well.
    line = _quickly(notice) if notice.event_id and notice.trace_id else None
    if line is not None and len(line) < MAX_LINE_BYTES:
        return line
    members = {name: value for name in _FIELDS if (value := getattr(notice, name)) is not None}
    line = _line(members)
    if len(line) <= MAX_LINE_BYTES:
        return line
    members.pop("metadata", None)
    return _line({name: shortened(value) if isinstance(value, str) else value for name, value in members.items()})


def compact_json(value: Any) -> str:
    """A value as JSON on one line, safe to show; its ``repr`` where JSON does not know it."""
    try:
        return _UNSAFE.sub(_json_written_out, msgspec.json.encode(value, enc_hook=_repr).decode())
    except Exception:  # whatever somebody's values raise while they are looked at
        return escape(_repr(value))


_FIELDS = Notice.__struct_fields__


def _quickly(notice: Notice) -> bytes | None:
    """The line of a notice that is plain ASCII, as nearly all are; None if it takes a closer look."""
    try:
        line = _encode(notice)
    except Exception:  # as below
        return None
    return line + b"\n" if line.isascii() and b"\x7f" not in line else None


def _line(members: Mapping[str, Any]) -> bytes:
    try:
        line = msgspec.json.encode(members, enc_hook=_repr)
    except Exception:  # lone surrogates, circles, keys that are no text
        line = json.dumps({name: _plain(value) for name, value in members.items()}, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
    if not line.isascii() or b"\x7f" in line:
        line = _UNSAFE.sub(_json_written_out, line.decode("utf-8", "surrogatepass")).encode()
    return line + b"\n"


def _plain(value: object) -> object:
    """A value as JSON can hold it, each for itself, so that one that is bad spoils no other."""
    if isinstance(value, str):
        return value
    try:
        return json.loads(msgspec.json.encode(value, enc_hook=_repr))
    except Exception:
        return _repr(value)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


_encode = msgspec.json.Encoder(enc_hook=_repr).encode


def _written_out(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    form = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(character, form)


def _json_written_out(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]
