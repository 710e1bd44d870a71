"""
All that one load reads, each file once, and all that is found wrong on the way.

Law: one snapshot. What is validated, hashed, cached and applied are the same bytes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs

from orgloop.config._files import decoded, read_bytes, refuse_stray_link
from orgloop.config._refused import Refused
from orgloop.config.cache import NO_CACHE, Cache
from orgloop.config.document import Document, parse_document
from orgloop.config.environment import Use
from orgloop.config.prompt import PromptFile, parse_prompt
from orgloop.errors import Fault, Place

MAX_FAULTS = 200
"""How many faults one load tells of; a person reads the first few."""

MAX_ADVICE = 20
"""For how many files that are missing a near one is looked for."""

MAX_FILES = 10_000
"""How many files a project may have."""


MAX_SCRIPT_BYTES = 64 * 1024 * 1024
"""Of a program that a transform runs."""


@attrs.define(eq=False)
class Findings:
    """Faults and warnings, in the order in which they were found."""

    faults: list[Fault] = attrs.field(factory=list)
    warnings: list[Fault] = attrs.field(factory=list)
    left_out: int = 0

    def fault(self, code: str, text: str, *, place: Place | None, path: tuple[str | int, ...] = ()) -> None:
        """Note a fault."""
        self.add(Fault(path, text, code, place))

    def warn(self, code: str, text: str, *, place: Place | None, path: tuple[str | int, ...] = ()) -> None:
        """Note a warning."""
        self._into(self.warnings, Fault(path, text, code, place))

    def add(self, *faults: Fault) -> None:
        """Note faults."""
        for fault in faults:
            self._into(self.faults, fault)

    def _into(self, found: list[Fault], fault: Fault) -> None:
        if len(found) < MAX_FAULTS:
            found.append(fault)
        else:
            self.left_out += 1


@attrs.define(eq=False)
class Session:
    """One load: what it has read, and what came of it."""

    findings: Findings = attrs.field(factory=Findings)
    cache: Cache = NO_CACHE
    contents: dict[Path, bytes] = attrs.field(factory=dict)
    documents: dict[Path, Document | None] = attrs.field(factory=dict)
    prompts: dict[Path, PromptFile | Refused] = attrs.field(factory=dict)
    uses: dict[str, list[tuple[Use, Place | None]]] = attrs.field(factory=dict)
    """Of each variable."""
    places_of: Counter[tuple[str, str | None]] = attrs.field(factory=Counter)
    """How many uses of a variable there are, by where its value came from."""
    secrets: set[str] = attrs.field(factory=set)
    is_partial: bool = False
    """A file could not be read, so nothing can be said to be nowhere."""

    def document(self, path: Path, *, named_at: Place | None, within: Iterable[Path] = ()) -> Document | None:
        """A YAML file; its faults are noted. None if it cannot be used; an empty file is a document without data."""
        if path not in self.documents:
            self.documents[path] = self._document(path, named_at, within)
        return self.documents[path]

    def _document(self, path: Path, named_at: Place | None, within: Iterable[Path]) -> Document | None:
        try:
            if len(self.contents) >= MAX_FILES:
                raise Refused("OL1007", f"a project may have {MAX_FILES:,} files; {path} is one more")
            refuse_stray_link(path, within=within)
            content = self.bytes_of(path)
            document = self.cache.document(content, path)
            if document is None:
                document = parse_document(decoded(content, path), path)
                self.cache.keep(content, document)
        except Refused as exc:
            has_advice = exc.code == "OL1001" and len(self.findings.faults) < MAX_ADVICE
            text = f"{exc}{_near(path)}" if has_advice else str(exc)
            self.findings.fault(exc.code, text, place=named_at or Place(str(path), 1, 1))
            self.is_partial = True
            return None
        self.is_partial = self.is_partial or not document.is_usable
        self.findings.add(*document.faults())
        return document if document.is_usable else None

    def bytes_of(self, path: Path) -> bytes:
        """What is in a file; raises :class:`Refused`."""
        if path not in self.contents:
            self.contents[path] = read_bytes(path)
        return self.contents[path]

    def prompt(self, path: Path) -> PromptFile:
        """A prompt file; raises :class:`Refused`."""
        if path not in self.prompts:
            try:
                text = decoded(self.bytes_of(path), path)
                if "\0" in text:
                    raise Refused("OL1113", f"{path} holds the character U+0000, and is no text")
                self.prompts[path] = parse_prompt(text, file=str(path))
            except Refused as exc:
                self.prompts[path] = exc
        found = self.prompts[path]
        if isinstance(found, Refused):
            raise found
        return found

    def note_script(self, path: Path) -> None:
        """Count a program among what was read, by the hash of its bytes; raises :class:`Refused`."""
        if path not in self.contents:
            content = read_bytes(path, limit_bytes=MAX_SCRIPT_BYTES)
            self.contents[path] = hashlib.blake2b(content, digest_size=32).digest()

    def digest(self, *more: str) -> str:
        """A hash of the contents of all files, by their names."""
        made = hashlib.blake2b(digest_size=16)
        for path in sorted(self.contents):
            for part in (str(path).encode(), self.contents[path]):
                made.update(len(part).to_bytes(8, "big"))
                made.update(part)
        made.update("\0".join(more).encode())
        return made.hexdigest()


def _near(path: Path) -> str:
    """The file beside it that may have been meant."""
    try:
        near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent))[:MAX_FILES], n=1)
    except OSError:
        return ""
    return f'; did you mean "{near[0]}"?' if near else ""
