"""
From XML to elements, safely: nothing is expanded, nothing is fetched, and nothing grows beyond a limit. Pure.

The parser is the standard library's expat. A feed may name a DTD (RSS 0.91 does), which is not read; one that declares
an entity, even a harmless one, is refused: that is how a kilobyte becomes a gigabyte, and how a file becomes a title.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

MAX_ELEMENTS = 50_000
MAX_DEPTH = 64

_SEPARATOR = "\x1f"
"""Between a namespace and a name; no XML can hold it."""


@attrs.define(eq=False)
class Element:
    """One element; its name without the namespace, which every feed in the world has, leaves out or mistypes."""

    name: str
    namespace: str
    attributes: dict[str, str]
    _inside: list[str | Element] = attrs.field(factory=list)

    def add(self, piece: str | Element) -> None:
        """Take what comes next inside it."""
        self._inside.append(piece)

    def text(self) -> str:
        """All the text inside, without white space around it."""
        return "".join(self._pieces()).strip()

    def all(self, *names: str) -> Iterator[Element]:
        """The children of these names, by name, then as they stand."""
        for name in names:
            yield from (child for child in self._inside if isinstance(child, Element) and child.name == name)

    def first(self, *names: str) -> str:
        """The text of the first child of these names that has one; empty if none has."""
        return next((text for child in self.all(*names) if (text := child.text())), "")

    def _pieces(self) -> Iterator[str]:
        for piece in self._inside:
            if isinstance(piece, str):
                yield piece
            else:
                yield from piece._pieces()


def parsed(document: bytes) -> Element:
    """The root of a document; ValueError, in one sentence, if it is none or beyond a limit."""
    from xml.parsers import expat

    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.EntityDeclHandler = builder.entity
    try:
        parser.Parse(document, True)
    except expat.ExpatError as exc:
        raise ValueError(
            f"not XML: {expat.ErrorString(exc.code)}, at line {exc.lineno}, column {exc.offset + 1}"
        ) from exc
    except LookupError as exc:
        raise ValueError(f"not XML that can be read: {exc}") from exc
    assert builder.root is not None, "expat refuses a document without a root"
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise ValueError(f"more than {MAX_ELEMENTS} elements, or nested deeper than {MAX_DEPTH}")
        namespace, _, local = name.rpartition(_SEPARATOR)
        element = Element(
            local.lower(), namespace, {key.rpartition(_SEPARATOR)[2]: one for key, one in attributes.items()}
        )
        if self._open:
            self._open[-1].add(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].add(text)

    def entity(self, name: str, *_: object) -> None:
        raise ValueError(f"declares an entity, {name[:40]!r}, which is refused")
