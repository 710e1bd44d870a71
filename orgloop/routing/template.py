"""
Texts with ``{{ path }}`` in them, filled in from an event. Pure: a template is compiled once, from the operator's file.

Law: one pass. What an event says is put in as it is; it is never a template, a path, a format or code, whatever it
looks like. A placeholder is on one line and has no brace inside; all other braces stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError
from orgloop.event import Event
from orgloop.routing.path import MISSING, Path, compile_path

MAX_TEMPLATE_CHARS = 65_536
"""How long the text of a template may be."""

MISSING_IN: Mapping[str, str] = {"session_key": "unknown", "thread_id": "unknown"}
"""What stands for a missing value in these keys of ``then.config``: an empty part would merge strange conversations."""

_PLACEHOLDER = re.compile(r"\{\{([^{}\r\n]+)\}\}")


@attrs.frozen
class Template:
    """A compiled text, made by :func:`compile_template`: strings that stand, and paths that are filled in."""

    parts: tuple[str | Path, ...]


def compile_template(text: str) -> Template:
    """Compile a text; :class:`ValueError` if it is too long, or holds a path that is none."""
    if len(text) > MAX_TEMPLATE_CHARS:
        raise ValueError(
            f"template {text[:40]!r}… has {len(text)} characters; at most {MAX_TEMPLATE_CHARS} are allowed"
        )
    # Splitting by a pattern with one group gives text and inner text in turn.
    pieces = enumerate(_PLACEHOLDER.split(text))
    return Template(tuple(compile_path(piece.strip()) if number % 2 else piece for number, piece in pieces))


def render(template: Template, event: Event, *, missing: str = "") -> str:
    """
    Fill in a template; ``missing`` is for what the event has not, or has as null.

    >>> event = Event("s", "resource.changed", {"platform": "p"}, {"pr": 7, "title": "{{ payload.pr }}"})
    >>> render(compile_template("pr:{{ payload.pr }} {{ payload.title }}"), event)
    'pr:7 {{ payload.pr }}'
    """
    return "".join(
        [part if isinstance(part, str) else _text_of(part.find(event), missing, part) for part in template.parts]
    )


def _text_of(value: object, missing: str, path: Path) -> str:
    if isinstance(value, str):
        return value
    if value is MISSING or value is None:
        return missing
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 7.0 is the number 7, and must not open another conversation
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise EventError(f"{path.text} cannot be written as text: {exc}") from exc


def compile_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """
    Compile what is a template in a route's ``then.config``: strings at the top level that hold a placeholder.

    Keys, other values, and all that is nested stay as they are. Raises :class:`ValueError` as
    :func:`compile_template`, with the key in front.
    """
    compiled = dict(config)
    for key, value in config.items():
        if isinstance(value, str) and "{{" in value:
            try:
                compiled[key] = compile_template(value)
            except ValueError as exc:
                raise ValueError(f"{key}: {exc}") from exc
    return compiled


def render_config(config: Mapping[str, Any], event: Event) -> dict[str, Any]:
    """
    Fill in a ``then.config``, as it was written or as :func:`compile_config` made it; a template becomes a string.

    >>> event = Event("s", "resource.changed", {"platform": "p"}, {"pr": 7})
    >>> render_config({"session_key": "pr:{{payload.pr}}", "inbox": True}, event)
    {'session_key': 'pr:7', 'inbox': True}
    """
    if not config:
        return {}  # as most are
    return {
        key: render(value, event, missing=MISSING_IN.get(key, "")) if isinstance(value, Template) else value
        for key, value in compile_config(config).items()
    }
