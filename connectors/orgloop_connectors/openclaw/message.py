"""
From an event and a prompt to the one text that an agent reads. Pure, and the same for every attempt.

    [github] resource.changed (pull_request.review_submitted) by ann      what happened, and who did it

    Context:                                                              provenance, but for what stands above
      pr_number: 7

    Payload:                                                              texts as they are, all else as JSON
      review_body: Please split this.
        It does two things.

    Instructions:                                                         the route's prompt, last
    Review it.

Law: a heading begins a line, and what an event says never does: a text of several lines goes on four spaces in, so none
can pass for instructions. What would not be seen (controls, marks that turn the direction, …) is written out. What is
too long is cut, and says so; instructions are never cut.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orgloop.sdk import Event, encode

MAX_VALUE_CHARS = 20_000
"""How much of one value a message has."""

MAX_NAME_CHARS = 200
"""How much of the name of a value, an author or a kind of event."""

MAX_CONTEXT_BYTES = 16 * 1024
"""How much of a provenance."""

ABOVE = ("platform", "platform_event", "author", "author_type")
"""What the first line says of a provenance, or what goes without saying."""

# Not U+200C and U+200D: there are scripts, and families of emoji, that cannot be written without them.
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_SEEN = frozenset("\n\t\u200c\u200d")


def message_of(event: Event, prompt: str | None, *, max_payload_bytes: int) -> str:
    """The whole message; :class:`orgloop.sdk.EventError` for an event that cannot be written."""
    said: dict[str, Any] = json.loads(encode(event))
    provenance, payload = said["provenance"], said["payload"]
    context = {key: value for key, value in provenance.items() if key not in ABOVE}
    sections = [
        _first_line(said["source"], said["type"], provenance),
        _section("Context:", _laid_out(context, _as_plain), MAX_CONTEXT_BYTES),
        _section("Payload:", _laid_out(payload, _as_json), max_payload_bytes),
        f"Instructions:\n{prompt}" if prompt else "",
    ]
    return "\n\n".join(section for section in sections if section)


def _first_line(source: str, type_: str, provenance: Mapping[str, Any]) -> str:
    line = f"[{_name(source)}] {type_}"
    if kind := provenance.get("platform_event"):
        line += f" ({_name(kind)})"
    if author := provenance.get("author"):
        line += f" by {_name(author)}"
    return line


def _section(heading: str, entries: Iterator[str], limit_bytes: int) -> str:
    """A heading and as many entries as fit; empty if there are none."""
    lines: list[str] = []
    left_out = 0
    for entry in entries:
        size_bytes = len(entry.encode()) + 1
        if left_out or size_bytes > limit_bytes:
            left_out += 1
        else:
            lines.append(entry)
            limit_bytes -= size_bytes
    if left_out:
        lines.append(f"  … ({left_out} more do not fit)")
    return "\n".join([heading, *lines]) if lines else ""


def _laid_out(values: Any, write: Callable[[Any], str]) -> Iterator[str]:
    if not isinstance(values, Mapping):
        yield f"  {_indented(write(values))}"
        return
    for key, value in values.items():
        yield f"  {_name(key)}: {_indented(write(value))}"


def _indented(text: str) -> str:
    text = shown(text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) > MAX_VALUE_CHARS:
        text = f"{text[:MAX_VALUE_CHARS]}… ({len(text) - MAX_VALUE_CHARS} more characters)"
    return text.replace("\n", "\n    ")


def _name(text: object) -> str:
    """A text that stays on its line."""
    line = shown(text if isinstance(text, str) else _as_json(text)).replace("\n", "\\n")
    return line if len(line) <= MAX_NAME_CHARS else f"{line[:MAX_NAME_CHARS]}…"


def _as_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _as_plain(value: Any) -> str:
    """As the original writes it: lists with commas; only mappings, which it cannot write, are JSON."""
    return ",".join(map(_as_plain, value)) if isinstance(value, list) else _as_json(value)


def shown(text: str) -> str:
    """
    A text with all that would not be seen written out.

    >>> shown("review\\u202emoor")
    'review\\\\u202emoor'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in _SEEN or unicodedata.category(c) not in _UNSEEN else _written(c) for c in text)


def _written(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
