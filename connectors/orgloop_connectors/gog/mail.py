"""From a message as Gmail's API has it to an event. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from orgloop.sdk import Event, timestamp_of

MAX_BODY_CHARS = 100_000
"""How much of a body an event has."""

MAX_PARTS = 200
"""How many parts of a message are looked at."""

MAX_ADDRESSES = 200
"""How many addresses of a header are told."""

WEB = "https://mail.google.com/mail/u/0/#inbox/"


def mail_event(source: str, message: Mapping[str, Any], *, with_body: bool) -> Event:
    """``email.received``; ValueError if it is no message."""
    id_ = _text(message.get("id"))
    if not id_:
        raise ValueError("a message without an id")
    thread = _text(message.get("threadId")) or id_
    root = message.get("payload")
    headers = _headers(root if isinstance(root, Mapping) else {})
    senders = _addresses(headers.get("from", ""))
    sender = senders[0] if senders else {"name": "", "email": ""}
    payload: dict[str, Any] = {
        "message_id": id_,
        "thread_id": thread,
        "subject": _decoded(headers.get("subject", "")),
        "from": sender,
        "to": _addresses(headers.get("to", "")),
        "cc": _addresses(headers.get("cc", "")),
        "date": headers.get("date") or _date(message.get("internalDate")),
        "labels": _texts(message.get("labelIds")),
        "snippet": _text(message.get("snippet")),
    }
    if with_body:
        payload |= dict(_bodies(root))
    provenance = {
        "platform": "gmail",
        "platform_event": "email.received",
        "resource_id": id_,
        "author": sender["email"] or "unknown",
        "author_type": "external",
        "url": f"{WEB}{thread}",
    }
    return Event(source, "resource.changed", provenance, payload)


def label_event(
    source: str, history_id: str, id_: str, thread: str, *, added: Sequence[str], removed: Sequence[str]
) -> Event:
    """``email.label_changed``: who has done it, Gmail does not say."""
    provenance = {
        "platform": "gmail",
        "platform_event": "email.label_changed",
        "resource_id": f"{id_}-labels-{history_id}",
        "author": "unknown",
        "author_type": "unknown",
        "url": f"{WEB}{thread}",
    }
    payload = {"message_id": id_, "thread_id": thread, "labels_added": list(added), "labels_removed": list(removed)}
    return Event(source, "resource.changed", provenance, payload)


def _headers(part: Mapping[str, Any]) -> dict[str, str]:
    """The first of each name, in lower case."""
    found: dict[str, str] = {}
    listed = part.get("headers")
    for header in listed if isinstance(listed, list) else []:
        if isinstance(header, Mapping):
            found.setdefault(_text(header.get("name")).lower(), _text(header.get("value")))
    return found


def _addresses(value: str) -> list[dict[str, str]]:
    """Names with commas in quotes stay whole."""
    pairs = getaddresses([value])[:MAX_ADDRESSES]
    return [{"name": _decoded(name), "email": address} for name, address in pairs if address]


def _decoded(text: str) -> str:
    """With the words of RFC 2047 read, if they can be."""
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError):
        return text


def _date(internal: object) -> str:
    text = str(internal)
    return timestamp_of(int(text) / 1000) if text.isascii() and text.isdigit() and len(text) < 15 else ""


def _bodies(root: object) -> Iterator[tuple[str, str]]:
    """``body_text`` and ``body_html``: the first part of each kind, however deep it lies."""
    keys = {"text/plain": "body_text", "text/html": "body_html"}
    for part in _parts(root):
        key = keys.get(_text(part.get("mimeType")).lower())
        if key is not None and (text := _body_of(part)):
            del keys[_text(part.get("mimeType")).lower()]
            yield key, text[:MAX_BODY_CHARS]


def _parts(root: object) -> Iterator[Mapping[str, Any]]:
    left = [root]
    for _ in range(MAX_PARTS):
        if not left:
            return
        part = left.pop(0)
        if isinstance(part, Mapping):
            yield part
            inner = part.get("parts")
            left = [*(inner if isinstance(inner, list) else []), *left]


def _body_of(part: Mapping[str, Any]) -> str:
    body = part.get("body")
    coded = _text(body.get("data")) if isinstance(body, Mapping) else ""
    try:
        content = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
    except (binascii.Error, ValueError):
        return ""
    typed = Message()
    typed["content-type"] = _headers(part).get("content-type", "text/plain")
    try:
        return content.decode(typed.get_content_charset("utf-8"), "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
