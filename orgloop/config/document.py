"""
One YAML file: read once, behind walls, and asked for places only when there is something to say.

Places are not kept: ten thousand routes have half a million of them, and a project without faults needs none. They
are composed anew from the text that was read, so they are those of the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from orgloop.config._compose import compose
from orgloop.config._files import decoded, read_bytes
from orgloop.config._flaws import Flaw, Places, Span
from orgloop.config._refused import Refused
from orgloop.errors import Fault, Place

KeyPath = tuple[str | int, ...]

MAX_LINE_SHOWN = 200
"""How much of a line is kept to be shown with a fault."""

_AT_THE_KEY = frozenset({"OL1202", "OL1203", "OL1204"})
"""What is wrong with a key is shown at the key."""


@attrs.define(eq=False)
class Document:
    """A file that has been read; ``data`` is None if it is empty, or could not be read to its end."""

    file: Path
    text: str
    data: Any
    flaws: list[Flaw]
    has_references: bool = attrs.field(init=False)
    """Whether a variable may stand in it."""
    _places: Places | None = attrs.field(default=None, init=False)
    _lines: list[str] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Look for variables once; each definition asks."""
        self.has_references = "${" in self.text

    def place(self, path: KeyPath, *, code: str = "") -> Place:
        """Where something stands, or the nearest of what is around it."""
        places = self._known_places()
        tables = (places.keys, places.values) if code in _AT_THE_KEY else (places.values, places.keys)
        for end in range(len(path), -1, -1):
            for table in tables:
                if path[:end] in table:
                    return self.at(table[path[:end]])
        return self.at((0, 0, 1))

    def holds(self, path: KeyPath) -> int:
        """How many steps of a path lead somewhere here."""
        found: Any = self.data
        for number, step in enumerate(path):
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return number
        return len(path)

    def at(self, span: Span) -> Place:
        """A place by its numbers."""
        line, column, width = span
        if self._lines is None:
            self._lines = self.text.split("\n")
        source = self._lines[line].rstrip("\r") if line < len(self._lines) else ""
        return Place(str(self.file), line + 1, column + 1, width, _windowed(source, column))

    @property
    def is_usable(self) -> bool:
        """Whether what it holds, or that it holds nothing, can be told."""
        return self.data is not None or not self.flaws

    def faults(self) -> list[Fault]:
        """What is wrong with the text itself."""
        return [Fault((), flaw.text, flaw.code, self.at(flaw.span)) for flaw in self.flaws]

    def _known_places(self) -> Places:
        if self._places is None:
            self._places = Places()
            compose(self.text, places=self._places)
        return self._places


def _windowed(source: str, column: int) -> str:
    """A line of which the beginning is enough; one in which the place comes later is not shown at all."""
    return source[:MAX_LINE_SHOWN] if column < MAX_LINE_SHOWN else ""


def read_document(path: Path) -> Document:
    """A document of a file. Raises :class:`Refused` if there is no text to be had; flaws are in the document."""
    return parse_document(decoded(read_bytes(path), path), path)


def parse_document(text: str, path: Path) -> Document:
    """A document of a text."""
    data, flaws = compose(text)
    document = Document(path, text, data, flaws)
    if any(flaw.code == "OL1103" for flaw in flaws):
        # Only with places it can be told where the first of two keys is.
        document._places = Places()
        document.flaws = compose(text, places=document._places)[1]
    return document


__all__ = ["Document", "KeyPath", "Refused", "parse_document", "read_document"]
