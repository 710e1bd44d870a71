"""
Tags out of a text, in one pass from left to right: linear in its length, whatever it is.

Law: what comes out has no tags, so doing it again changes nothing; and a ``<`` that begins none stays.
"""

from __future__ import annotations

import re

_BEGINS_A_TAG = re.compile(r"</?[A-Za-z!?]")
_UNREAD = re.compile(r"<(script|style)(?=[\s/>])", re.IGNORECASE)
_CLOSING = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}


def without_tags(text: str) -> str:
    """
    The text between the tags; comments go, and so does what is between the tags of a script or a style.

    >>> without_tags("<p>1 < 2, <b>really</b></p><script>alert(1)</script>")
    '1 < 2, really'
    """
    if "<" not in text:
        return text
    kept: list[str] = []
    at = 0
    while (tag := _BEGINS_A_TAG.search(text, at)) is not None and (end := _end(text, tag.start())) is not None:
        _keep(kept, text[at : tag.start()])
        at = end
    _keep(kept, text[at:])
    return "".join(kept)


def _keep(kept: list[str], piece: str) -> None:
    # Two halves that only a tag kept apart must not become one: "<<b>script>".
    tail = "".join(one[-2:] for one in kept[-2:])[-2:]
    halves = _BEGINS_A_TAG.search(tail + piece[:2])
    if halves is not None and halves.start() < len(tail):
        kept.append(" ")
    if piece:
        kept.append(piece)


def _end(text: str, start: int) -> int | None:
    """Where the markup that begins here has ended; None if it never does."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 2)
        return len(text) if end < 0 else end + 3
    end = text.find(">", start)
    if end < 0:
        return None
    unread = _UNREAD.match(text, start)
    if unread is None:
        return end + 1
    closing = _CLOSING[unread[1].lower()].search(text, end)
    if closing is None:
        return len(text)
    end = text.find(">", closing.end())
    return len(text) if end < 0 else end + 1
