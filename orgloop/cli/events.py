"""Reading an event that a person names: a file, standard input, the JSON itself, or an id."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orgloop.cli.errors import USAGE, CommandFailed

MAX_EVENT_BYTES = 1024 * 1024
"""As much as the front door takes."""


def read_event(text: str, *, directory: Path) -> dict[str, Any] | str:
    """The fields of an event, or the id of one; raises :class:`CommandFailed` for what is neither."""
    if text == "-":
        return parse_object(sys.stdin.buffer.read(MAX_EVENT_BYTES + 1), where="standard input")
    if text.lstrip().startswith("{"):
        return parse_object(text.encode("utf-8", "surrogateescape"), where="the argument")
    path = directory / text
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file:
        with path.open("rb") as file:
            return parse_object(file.read(MAX_EVENT_BYTES + 1), where=str(path))
    if "/" in text or text.endswith(".json"):
        raise CommandFailed(f"There is no file {text}", where=str(path), next="check the path", exit_code=USAGE)
    return text


def parse_object(content: bytes, *, where: str) -> dict[str, Any]:
    """A JSON object; raises :class:`CommandFailed` if it is none, or too large."""
    if len(content) > MAX_EVENT_BYTES:
        raise CommandFailed("It is larger than 1 MiB", where=where, next="send less", code="too_large")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as exc:
        why = "it is empty" if not content.strip() else str(exc)
        raise CommandFailed("It is not JSON", where=where, why=why, next="give a JSON object", code="not_json") from exc
    if not isinstance(value, dict):
        raise CommandFailed(
            "It is JSON, but no object", where=where, why=f"it is a {type(value).__name__}", next="give a JSON object"
        )
    return value
