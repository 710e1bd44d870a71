"""Polling: one look, compared with the last."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import trio

from orgloop.sdk import Checked, Event, Place, Polled, PollFailed, timestamp_of
from orgloop_connectors.file_watch.changes import Comparison, Known
from orgloop_connectors.file_watch.config import FileWatchConfig, faults_in
from orgloop_connectors.file_watch.look import Found, Looker, Reader

MAX_CHECKPOINT_CHARS = 1024 * 1024
"""How long a checkpoint may be."""


class FileWatchSource:
    """Tells what has changed among files."""

    def __init__(self, config: FileWatchConfig, place: Place, *, now_s: Callable[[], float] = time.time) -> None:
        """ValueError, a line for each fault; ``now_s`` gives Unix seconds, for the debounce."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place, self._now_s = config, place, now_s
        self._looker = Looker(place.directory, config.paths, config.ignore, max_files=config.max_files)
        self._of = _digest_of(config)

    async def poll(self, checkpoint: str | None) -> Polled:
        """What has changed since the checkpoint, by path."""
        return await trio.to_thread.run_sync(self._poll, checkpoint)

    def _poll(self, checkpoint: str | None) -> Polled:
        known, config = _known_in(checkpoint, of=self._of), self._config
        reader = Reader(trio.from_thread.check_cancelled)
        comparison = Comparison(
            now_ms=round(self._now_s() * 1000),
            debounce_ms=round(config.debounce_s * 1000),
            digest=reader.digest if config.compare == "content" else lambda _: "",
        )
        seen = self._looker.look(trio.from_thread.check_cancelled)
        events: list[Event] = []
        if known is None and not config.report_existing:
            comparison.begin(seen)
        else:
            events = [
                event_of(self._place.id, one.kind, one.path, one.sign, found=one.found, digest=one.digest)
                for one in comparison.changes(known or {}, seen)
                if one.kind in config.events
            ]
        place = _written(self._of, comparison.known)
        if len(place) > MAX_CHECKPOINT_CHARS:
            raise PollFailed(
                "the names of the files that paths match are too long together; narrow them, or ignore some"
            )
        return Polled(events, None if place == checkpoint else place, config.debounce_s if comparison.waits else None)


def event_of(source: str, kind: str, path: str, sign: str, *, found: Found | None = None, digest: str = "") -> Event:
    """The event that a change is; without ``found``, of a file that is not there."""
    provenance: dict[str, Any] = {
        "platform": "file-watch",
        "platform_event": f"file.{kind}",
        "author_type": "system",
        "resource_id": f"{path}@{sign}" if found is not None else f"{path}@{sign}:removed",
    }
    payload: dict[str, Any] = {"action": f"file_{kind}", "path": path}
    if found is not None:
        payload |= {"size_bytes": found.size_bytes, "modified_at": timestamp_of(found.modified_ms / 1000)}
    if digest:
        payload["sha256"] = digest
    return Event(source, "resource.changed", provenance, payload)


async def check_source(config: FileWatchConfig, place: Place) -> list[Checked]:
    """How many files there are; none is read."""
    looker = Looker(place.directory, config.paths, config.ignore, max_files=config.max_files)
    try:
        found = await trio.to_thread.run_sync(looker.look, trio.from_thread.check_cancelled)
    except PollFailed as exc:
        return [Checked(name="paths", ok=False, detail=str(exc))]
    return [Checked(name="paths", ok=True, detail=f"{len(found)} files match below {place.directory}")]


# -- the checkpoint ----------------------------------------------------------------------------------------------------


def _digest_of(config: FileWatchConfig) -> str:
    """What a checkpoint belongs to: other globs are another beginning, or all they add would look created."""
    about = json.dumps([*config.paths, None, *config.ignore, config.compare])
    return hashlib.blake2b(about.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _written(of: str, known: Mapping[str, Known]) -> str:
    files = {
        path: [one.sign, one.digest] if one.since_ms is None else [one.sign, one.digest, one.since_ms]
        for path, one in known.items()
    }
    return json.dumps({"of": of, "files": files}, ensure_ascii=False, separators=(",", ":"))


def _known_in(checkpoint: str | None, *, of: str) -> dict[str, Known] | None:
    """What a checkpoint says; None if it is about other files, or cannot be read."""
    try:
        found = json.loads(checkpoint or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("of") != of or not isinstance(found.get("files"), dict):
        return None
    known = {path: _known(value) for path, value in found["files"].items()}
    return None if None in known.values() else {path: one for path, one in known.items() if one is not None}


def _known(value: object) -> Known | None:
    match value:
        case [str(sign), str(digest)]:
            return Known(sign, digest)
        case [str(sign), str(digest), int(since_ms)]:
            return Known(sign, digest, since_ms)
    return None
