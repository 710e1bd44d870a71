"""
Bodies with ``{{ path }}`` in them, filled in with what a delivery says. Pure; compiled once, from the operator's file.

Law: one pass. What an event says is put in as it is, whatever it looks like. A text that is one placeholder and nothing
else keeps the kind of its value; anywhere else a value becomes text: itself, or JSON if it is none. What is missing is
an empty text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orgloop_connectors._payload import found_at

MAX_TEMPLATE_DEPTH = 32
"""How deeply a template may be nested."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}\r\n]+?)\s*\}\}")

Fill = Callable[[Mapping[str, Any]], Any]


def has_placeholder(text: str) -> bool:
    """Whether something is to be filled in."""
    return _PLACEHOLDER.search(text) is not None


def template_faults(template: Any, *, roots: Sequence[str], where: str, depth: int = 0) -> Iterator[str]:
    """What is wrong with a template, a sentence for each fault; ``roots`` are the names that a path may begin with."""
    if depth > MAX_TEMPLATE_DEPTH:
        yield f"{where}: nested deeper than {MAX_TEMPLATE_DEPTH}"
    elif isinstance(template, str):
        for path in _PLACEHOLDER.findall(template):
            if path.split(".")[0] not in roots:
                yield f"{where}: {{{{ {path} }}}} begins with none of: {', '.join(roots)}"
    elif isinstance(template, Mapping):
        for key, member in template.items():
            yield from template_faults(member, roots=roots, where=f"{where}.{key}", depth=depth + 1)
    elif isinstance(template, list | tuple):
        for index, member in enumerate(template):
            yield from template_faults(member, roots=roots, where=f"{where}.{index}", depth=depth + 1)


def compile_template(template: Any) -> Fill:
    """
    Make a function that fills a template in.

    >>> fill = compile_template({"text": "PR {{ event.payload.n }}", "n": "{{event.payload.n}}"})
    >>> fill({"event": {"payload": {"n": 7}}})
    {'text': 'PR 7', 'n': 7}
    """
    if isinstance(template, str):
        return _of_text(template)
    if isinstance(template, Mapping):
        members = {key: compile_template(member) for key, member in template.items()}
        return lambda said: {key: fill(said) for key, fill in members.items()}
    if isinstance(template, list | tuple):
        fills = [compile_template(member) for member in template]
        return lambda said: [fill(said) for fill in fills]
    return lambda _: template


def _of_text(text: str) -> Fill:
    if whole := _PLACEHOLDER.fullmatch(text):
        path = whole[1]
        return lambda said: "" if (value := found_at(said, path)) is None else value
    # Splitting by a pattern with one group gives text and path in turn.
    pieces = list(enumerate(_PLACEHOLDER.split(text)))
    if len(pieces) == 1:
        return lambda _: text
    return lambda said: "".join(_as_text(found_at(said, piece)) if at % 2 else piece for at, piece in pieces)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
