"""A prompt file: instructions of the operator, with front matter that is kept apart from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from orgloop.config._compose import compose
from orgloop.config._files import MAX_FILE_BYTES, decoded, find, read_bytes

MAX_PROMPT_BYTES = MAX_FILE_BYTES

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@attrs.frozen
class PromptFile:
    """What is in a prompt file: the text without its front matter, and the front matter if it was a mapping."""

    text: str
    file: str
    meta: dict[str, Any] | None = None
    strange: str | None = None
    """Why there is front matter and no ``meta``; None if there is nothing to say."""


def read_prompt(file: str, *, bases: Iterable[Path]) -> PromptFile:
    """
    The prompt in a file, looked for below each of ``bases`` in turn.

    Front matter that is a mapping becomes ``meta``; in every case it is taken out of the text. ValueError, with every
    place that was looked at, if there is no such file, or none that can be a prompt.
    """
    path = find(file, [base.resolve() for base in bases])
    return parse_prompt(decoded(read_bytes(path, limit_bytes=MAX_PROMPT_BYTES), path), file=str(path))


def parse_prompt(text: str, *, file: str) -> PromptFile:
    """A prompt from its text."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return PromptFile(text, file)
    meta, flaws = compose(found[1])
    rest = text[found.end() :]
    if flaws:
        return PromptFile(rest, file, strange=f"line {flaws[0].span[0] + 2}: {flaws[0].text}")
    if isinstance(meta, dict):
        return PromptFile(rest, file, meta)
    return PromptFile(rest, file, strange=None if meta is None else "it is not a mapping")
