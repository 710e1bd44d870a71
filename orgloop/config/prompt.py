"""A prompt file: instructions of the operator, with front matter that is kept apart from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

MAX_PROMPT_BYTES = 1024 * 1024

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@attrs.frozen
class PromptFile:
    """What is in a prompt file: the text without its front matter, and the front matter if it was a mapping."""

    text: str
    file: str
    meta: dict[str, Any] | None = None


def read_prompt(file: str, *, bases: Iterable[Path]) -> PromptFile:
    """
    The prompt in a file, looked for below each of ``bases`` in turn.

    Front matter that is a mapping becomes ``meta``; in every case it is taken out of the text. ValueError, with every
    place that was looked at, if there is no such file, or none that can be a prompt.
    """
    candidates = list(dict.fromkeys((base / file).resolve() for base in bases))
    for path in candidates:
        if path.is_file():
            return parse_prompt(_text_of(path), file=str(path))
    raise ValueError(f"prompt file {file!r} was not found; looked for {', '.join(map(str, candidates))}")


def parse_prompt(text: str, *, file: str) -> PromptFile:
    """A prompt from its text."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return PromptFile(text, file)
    return PromptFile(text[found.end() :], file, _meta(found[1]))


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_PROMPT_BYTES + 1)
    if len(content) > MAX_PROMPT_BYTES:
        raise ValueError(f"prompt file {path} is larger than {MAX_PROMPT_BYTES:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(f"prompt file {path} is not UTF-8: {exc}") from exc


def _meta(yaml: str) -> dict[str, Any] | None:
    try:
        meta = YAML(typ="safe", pure=True).load(yaml)
    except (YAMLError, ValueError, RecursionError):
        return None
    return meta if isinstance(meta, dict) else None
