"""
The message that a delivery becomes. Pure.

Law: only the operator writes markup. What is filled in is text, escaped as Slack asks
(https://api.slack.com/reference/surfaces/formatting#escaping), whatever it was: never a block, a mention or a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orgloop_connectors._template import compile_template, has_placeholder

MAX_TEXT_CHARS = 4000
"""How long a message may be; Slack cuts longer ones in the middle of anything."""

MAX_HEADER_CHARS = 150
MAX_FIELD_CHARS = 2000
MAX_BLOCK_TEXT_CHARS = 3000

NOTHING = "-"
"""Stands in a block for what an event does not say: Slack refuses a message with an empty text in it."""

Said = Mapping[str, Any]

_ENTITY_CUT = re.compile(r"&[a-z]{0,3}\Z")


def escaped(value: Any) -> Any:
    """A value with all its texts made harmless."""
    if isinstance(value, str):
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, Mapping):
        return {escaped(key): escaped(member) for key, member in value.items()}
    return [escaped(member) for member in value] if isinstance(value, list | tuple) else value


def clipped(text: str, max_chars: int) -> str:
    """A text that is not too long, and does not end in half an entity."""
    return text if len(text) <= max_chars else f"{_ENTITY_CUT.sub('', text[: max_chars - 1])}…"


def line_about(event: Mapping[str, Any]) -> str:
    """What is said of an event (escaped already) if nobody says what."""
    provenance = event["provenance"]
    what = _text(provenance.get("platform_event")) or event["type"]
    author, url = _text(provenance.get("author")), _text(provenance.get("url"))
    return "".join((f"*{event['source']}*: {what}", f" by {author}" if author else "", f"\n{url}" if url else ""))


def compile_text(template: str) -> Callable[[Said], str]:
    """What fills in one text."""
    fill = compile_template(template)
    return lambda said: clipped(_text(fill(said)), MAX_TEXT_CHARS)


def compile_blocks(blocks: Sequence[Mapping[str, Any]]) -> Callable[[Said], list[Any]]:
    """What fills in blocks; their shape is as it was written."""
    fills = [
        _compile(block, MAX_HEADER_CHARS if block["type"] == "header" else MAX_BLOCK_TEXT_CHARS) for block in blocks
    ]
    return lambda said: [fill(said) for fill in fills]


def _compile(template: Any, max_chars: int) -> Callable[[Said], Any]:
    if isinstance(template, str) and has_placeholder(template):
        fill = compile_template(template)
        return lambda said: clipped(_text(fill(said)), max_chars) or NOTHING
    if isinstance(template, Mapping):
        members = {
            key: _compile(member, MAX_FIELD_CHARS if key == "fields" else max_chars) for key, member in template.items()
        }
        return lambda said: {key: fill(said) for key, fill in members.items()}
    if isinstance(template, list | tuple):
        fills = [_compile(member, max_chars) for member in template]
        return lambda said: [fill(said) for fill in fills]
    return lambda _: template


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
