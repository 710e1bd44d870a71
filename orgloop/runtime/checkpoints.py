"""
Where a source's checkpoint is kept, and where it is found again.

    publish(events, notes=place.notes(checkpoint))      the truth: a note on the bus, durable with its events
    place.saved(checkpoint)                             a copy for people, and for a bus that has been lost

Law: the place that a source begins from is never ahead of its events. What is missing, damaged, or another source's
never means "now": an older copy is taken if there is one, else the source begins where its configuration says (None).
A checkpoint is opaque: whatever time may stand in it is the source's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from orgloop.runtime.checkpoint_files import CheckpointFiles, Copy
from orgloop.sdk import Note

NOTE_KIND = "checkpoint"
"""Kind of the notes in which the bus keeps checkpoints; the key is of :func:`note_key`."""

Tell = Callable[..., None]
"""Takes the phase and the fields of a notice."""


def note_key(module: str, source: str) -> str:
    """
    What the bus knows a source's checkpoint by; no two sources share one.

    >>> note_key("engineering", "github")
    'engineering/github'
    """
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in (module, source))


def fingerprint_of(connector: str, config: Mapping[str, Any]) -> str:
    """
    What a checkpoint belongs to: a hash of the connector's name and the configuration.

    ``config`` is best given as the operator wrote it, with its ``${VARIABLES}`` unfilled: a token may then be changed
    without the source losing its place, and no hash of it is kept.
    """
    text = json.dumps([connector, config], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Place(Protocol):
    """One source's place in the outside, between its lives."""

    async def load(self) -> str | None:
        """The checkpoint to begin from; None for where the configuration says."""
        ...

    def notes(self, checkpoint: str) -> Sequence[Note]:
        """What has to be published with the events before this checkpoint; nothing if it is there already."""
        ...

    def saved(self, checkpoint: str) -> None:
        """It has been published."""
        ...


@attrs.define(eq=False)
class MemoryPlace:
    """A place that is forgotten with the process: ``checkpoint: {store: memory}``."""

    fingerprint: str = ""
    """What the checkpoint belongs to: a source that has another begins where its configuration says."""
    checkpoint: str | None = None

    async def load(self) -> str | None:
        """The checkpoint that was last saved."""
        return self.checkpoint

    def notes(self, checkpoint: str) -> Sequence[Note]:  # noqa: ARG002
        """Nothing is to outlive the process."""
        return ()

    def saved(self, checkpoint: str) -> None:
        """Keep it."""
        self.checkpoint = checkpoint


@attrs.frozen(eq=False, kw_only=True)
class BusPlace:
    """A place that is noted on the bus, with a copy in a file if ``files`` are given: ``checkpoint: {store: file}``."""

    module: str
    source: str
    fingerprint: str
    note: Callable[[str, str], Any]
    """What the bus last noted."""
    tell: Tell
    files: CheckpointFiles | None = None
    _key: str = attrs.field(init=False)

    @_key.default
    def _default_key(self) -> str:
        return note_key(self.module, self.source)

    async def load(self) -> str | None:
        """What the bus says; without a note, what a file says, as of the original, or of a log that was lost."""
        noted = self.note(NOTE_KIND, self._key)
        if noted is not None:
            if _is_sound(noted):
                return self._if_ours(noted["checkpoint"], noted["fingerprint"])
            self._alarm(f"the checkpoint of {self._key} on the bus is not one: {type(noted).__name__}")
        copy = await self.files.read(self.module, self.source) if self.files else None
        return None if copy is None else self._if_ours(copy.checkpoint, copy.fingerprint)

    def notes(self, checkpoint: str) -> Sequence[Note]:
        """The note that belongs into the same publish as the events before the checkpoint."""
        value = {"checkpoint": checkpoint, "fingerprint": self.fingerprint}
        return () if self.note(NOTE_KIND, self._key) == value else ((NOTE_KIND, self._key, value),)

    def saved(self, checkpoint: str) -> None:
        """Have the copy written, some time."""
        if self.files:
            self.files.put(Copy(checkpoint, self.module, self.source, self.fingerprint))

    def _if_ours(self, checkpoint: str, fingerprint: str | None) -> str | None:
        if fingerprint is None or fingerprint == self.fingerprint:  # the original's files have none
            return checkpoint
        self._alarm(
            f"{self._key} has another connector or configuration than the one whose checkpoint is kept; "
            "it begins where its configuration says"
        )
        return None

    def _alarm(self, error: str) -> None:
        self.tell("system.error", module=self.module, source=self.source, error=error)


def checkpoint_in(note: Callable[[str, str], Any], module: str, source: str) -> str | None:
    """The checkpoint of a source by what a bus has noted, for people to see; None if nothing sound is there."""
    noted = note(NOTE_KIND, note_key(module, source))
    return str(noted["checkpoint"]) if _is_sound(noted) else None


def _is_sound(noted: object) -> bool:
    return (
        isinstance(noted, dict)
        and isinstance(noted.get("checkpoint"), str)
        and isinstance(noted.get("fingerprint"), str)
    )
