"""
What has changed between two looks. Pure but for ``digest``, which reads a file.

    not known ── seen ──▶ waited for ── left alone for the debounce ──▶ known      file.created
    known ── its sign is another ──▶ waited for ── left alone ──▶ known             file.changed, if it says another
    known ── not seen ──▶ waited for ── not seen for the debounce ──▶ not known     file.removed

Law: what is waited for stays in the checkpoint as it was, and since when; so a daemon that stops meanwhile goes on
waiting. A file that is never left alone is told of all the same, after ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs

from orgloop_connectors.file_watch.look import Found

PATIENCE = 10
"""How many times the debounce a file may be written on before it is told of as it is."""

KEPT_DIGEST_CHARS = 16


@attrs.frozen
class Known:
    """What is known of a file."""

    sign: str
    """As it was told of; empty if it has not been yet."""
    digest: str = ""
    """The beginning of that of what it says; empty if it was not read."""
    since_ms: int | None = None
    """Since when it is waited for, if it is."""


@attrs.frozen
class Changed:
    """One thing to tell."""

    kind: str
    path: str
    sign: str
    found: Found | None = None
    digest: str = ""


@attrs.define
class Comparison:
    """What follows from one look; gone through by :meth:`changes`, and then whole."""

    now_ms: int
    debounce_ms: int
    digest: Callable[[Found], str | None]
    known: dict[str, Known] = attrs.field(factory=dict)
    """What will be known after it."""
    waits: bool = False
    """Whether something is waited for."""

    def changes(self, known: Mapping[str, Known], seen: Mapping[str, Found]) -> Iterator[Changed]:
        """What there is to tell, by path."""
        for path in sorted({*known, *seen}):
            old, found = known.get(path), seen.get(path)
            if found is not None:
                yield from self._seen(path, old, found)
            elif old is not None:
                yield from self._gone(path, old)

    def begin(self, seen: Mapping[str, Found]) -> None:
        """Know all that is there, and tell nothing of it; what is still being written changes from here on."""
        for path, found in seen.items():
            if (digest := self.digest(found)) is not None:
                self.known[path] = Known(found.sign, digest[:KEPT_DIGEST_CHARS])

    def _seen(self, path: str, old: Known | None, found: Found) -> Iterator[Changed]:
        if old is not None and old.sign == found.sign:
            self.known[path] = Known(old.sign, old.digest)
            return
        digest = None if self._is_busy(old, found) else self.digest(found)
        if digest is None:
            self._wait(path, old)
            return
        self.known[path] = Known(found.sign, digest[:KEPT_DIGEST_CHARS])
        if old is None or not old.sign:
            yield Changed("created", path, found.sign, found, digest)
        elif not digest or old.digest != digest[:KEPT_DIGEST_CHARS]:
            yield Changed("changed", path, found.sign, found, digest)

    def _gone(self, path: str, old: Known) -> Iterator[Changed]:
        if not old.sign:
            return
        if self._waited_ms(old) < self.debounce_ms:
            self._wait(path, old)
        else:
            yield Changed("removed", path, old.sign)

    def _is_busy(self, old: Known | None, found: Found) -> bool:
        age_ms = self.now_ms - found.modified_ms
        # A time that is yet to come says nothing about when it was written.
        enough_ms = self.debounce_ms if age_ms < 0 else PATIENCE * self.debounce_ms
        return age_ms < self.debounce_ms and self._waited_ms(old) < enough_ms

    def _waited_ms(self, old: Known | None) -> int:
        return 0 if old is None or old.since_ms is None else max(0, self.now_ms - old.since_ms)

    def _wait(self, path: str, old: Known | None) -> None:
        since_ms = self.now_ms if old is None or old.since_ms is None else min(old.since_ms, self.now_ms)
        self.known[path] = attrs.evolve(old or Known(""), since_ms=since_ms)
        self.waits = True
