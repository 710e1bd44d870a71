"""
What is secret, taken out of texts and of plain data.

Law: what goes out to people or to disk goes through here, whoever wrote it. A secret is recognised by its text, also
where it was escaped, cut off after its beginning, or is one line of several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

MIN_SECRET = 4
"""Shorter values are not masked: a variable that holds ``1`` would take every 1 out of every text."""

MIN_CUT = 20
"""A secret of so many characters is recognised by the first half of it."""

_REST = r"""[^\s"'…,;)\]}>]*"""
"""What may be left of one that was cut off."""


class Masker:
    """Knows what is secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first, so that none is taken for another that it begins with; what is cut off comes last.
        whole = sorted(forms, key=lambda form: (-len(form), form))
        # Half of a path is the beginning of many others.
        cut = [form[: len(form) // 2] for form in whole if len(form) >= MIN_CUT and not form.startswith("/")]
        patterns = [*map(re.escape, whole), *(f"{re.escape(form)}{_REST}" for form in cut)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """A text without secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def plain(self, value: Any) -> Any:
        """A copy of plain data without secrets; keys are texts too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.plain(key): self.plain(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(member) for member in value]
        return value


def _forms(secret: str) -> Iterable[str]:
    for part in (secret, *secret.splitlines()):
        if len(part.strip()) >= MIN_SECRET:
            yield part
            yield json.dumps(part)[1:-1]
            yield json.dumps(part, ensure_ascii=False)[1:-1]
            yield repr(part)[1:-1]
            yield quote(part, safe="")
            yield quote(part)
            yield quote_plus(part)
