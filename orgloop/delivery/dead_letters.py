"""
Obligations that were given up, one file each, so that a person can read them.

    00000000000000001202-9f86d081884c7d65.json      the sequence number, and which module, route and event

Law: a file is what was written, or it is told to be damaged; the last member is the CRC-32C of the bytes before it. The
same obligation given up twice is one file, so giving up may be repeated after a crash. Nothing but names is held in
memory. Every call blocks, syncs, and raises ``OSError``: call it in a thread.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import google_crc32c
import msgspec
from attrs.validators import ge, matches_re

from orgloop.delivery import _files
from orgloop.event import Event, encode

REASONS = (
    *("retries_exhausted", "rejected", "backpressure", "loop"),
    *("transform", "transform_halt", "expired", "route_removed"),
)
"""Why an obligation is given up. Files may hold others, of later versions."""

MAX_BYTES = 128 * 1024 * 1024
"""No dead letter is longer: twice the longest line of the log, for what indenting adds."""

MAX_ERROR = 8192
"""Characters kept of an error."""

_ID = re.compile(r"[0-9]{20}-[0-9a-f]{16}")
_SEAL = re.compile(rb',\n  "crc": "([0-9a-f]{8})"\n\}\n')
_SEAL_BYTES = 24


def sound(text: str) -> str:
    """An error as text that can be written: it may hold what came from outside, and be of any length."""
    return text[:MAX_ERROR].encode("utf-8", "backslashreplace").decode()


@attrs.frozen(kw_only=True)
class DeadLetter:
    """An obligation that was given up: which, why, after what, and the event to replay it with."""

    reason: str = attrs.field(validator=matches_re(r"[a-z_]{1,32}"))
    """One of :data:`REASONS`."""
    module: str
    route: str
    actor: str
    sequence: int = attrs.field(validator=[ge(0)])
    attempts: int
    first_error: str = attrs.field(default="", converter=sound)
    last_error: str = attrs.field(default="", converter=sound)
    at: str
    """When it was given up, ISO 8601, UTC."""
    event: Event
    """As it was admitted, before any transform."""

    @property
    def id(self) -> str:
        """The same for the same obligation; sorts by sequence number, and is a safe file name."""
        which = msgspec.json.encode([self.module, self.route, self.event.id])
        return f"{self.sequence:020d}-{hashlib.sha256(which).hexdigest()[:16]}"


@attrs.frozen
class Damaged:
    """A file that holds no dead letter of ours; ``id`` is its name if that is not one of ours either."""

    id: str
    why: str


@attrs.frozen(kw_only=True)
class Which:
    """Which dead letters are meant; None is any."""

    reason: str | None = None
    module: str | None = None
    route: str | None = None
    actor: str | None = None

    def covers(self, letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        wanted = attrs.asdict(self)
        return all(value in (None, getattr(letter, name)) for name, value in wanted.items())


class DeadLetters:
    """The dead letters in one directory, which is made when the first is added."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, letter: DeadLetter) -> str:
        """Write a dead letter, over an earlier one of the same obligation; durable when it returns. Gives its id."""
        _files.write_atomic(self._directory, f"{letter.id}.json", _encode(letter))
        return letter.id

    def list(
        self, which: Which | None = None, *, limit: int = 100, after: str | None = None
    ) -> tuple[DeadLetter | Damaged, ...]:
        """
        At most ``limit`` of them by sequence number, beginning after the id ``after``.

        Damaged ones are among them where all are asked for; of those nobody can tell which they are.
        """
        found: list[DeadLetter | Damaged] = []
        for id_, name in self._names():
            if len(found) >= limit:
                break
            entry = self._read(id_, name) if after is None or id_ > after else None
            if entry is not None and _is_meant(entry, which):
                found.append(entry)
        return tuple(found)

    def get(self, id_: str) -> DeadLetter | Damaged | None:
        """One of them; None if there is none of this id, or it is no id."""
        return self._read(id_, f"{id_}.json") if _ID.fullmatch(id_) else None

    def each(self, which: Which | None = None) -> Iterator[DeadLetter]:
        """
        All that can be read, by sequence number, read one at a time; for replay.

        Those added meanwhile are not among them, so a replay that fails again comes to an end.
        """
        for id_, name in self._names():
            entry = self._read(id_, name)
            if isinstance(entry, DeadLetter) and _is_meant(entry, which):
                yield entry

    def discard(self, id_: str) -> bool:
        """Remove one, damaged or not; False if there is none of this id. A file that is not ours is left alone."""
        return _ID.fullmatch(id_) is not None and _files.remove(self._directory, f"{id_}.json")

    def count(self) -> int:
        """How many files there are, damaged ones and strangers included."""
        return len(_files.names(self._directory))

    def sweep(self) -> int:
        """Remove what a crash left of writes; once, before the first :meth:`add`."""
        return _files.sweep(self._directory)

    def _names(self) -> Iterator[tuple[str, str]]:
        yield from sorted((_id_of(name), name) for name in _files.names(self._directory))

    def _read(self, id_: str, name: str) -> DeadLetter | Damaged | None:
        if name != f"{id_}.json":
            return Damaged(id_, "not a file of ours")
        try:
            letter = _decode(_files.read(self._directory, name, limit_bytes=MAX_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            return Damaged(id_, str(exc))
        return letter if letter.id == id_ else Damaged(id_, f"holds the dead letter {letter.id}")


def _is_meant(entry: DeadLetter | Damaged, which: Which | None) -> bool:
    return which is None or (isinstance(entry, DeadLetter) and which.covers(entry))


def _id_of(name: str) -> str:
    stem = name.removesuffix(".json")
    # The name of a stranger may hold bytes that are no text; what is shown of it is.
    return stem if stem != name and _ID.fullmatch(stem) else ascii(name)[1:-1]


# -- bytes -------------------------------------------------------------------------------------------------------------


def _encode(letter: DeadLetter) -> bytes:
    members: dict[str, object] = {"id": letter.id} | {
        field.name: getattr(letter, field.name) for field in attrs.fields(DeadLetter)
    }
    members["event"] = msgspec.Raw(encode(letter.event))
    record = msgspec.json.format(msgspec.json.encode(members), indent=2).removesuffix(b"\n}")
    return record + b',\n  "crc": "%08x"\n}\n' % google_crc32c.value(record)


def _decode(content: bytes) -> DeadLetter:
    """The dead letter in a file; ValueError if it is not as written."""
    record = content[:-_SEAL_BYTES]
    seal = _SEAL.fullmatch(content, len(record))
    if seal is None or int(seal[1], 16) != google_crc32c.value(record):
        raise ValueError("not as it was written: the checksum does not fit")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise ValueError(f"of another version, or not of ours: {exc}") from exc


_decoder = msgspec.json.Decoder(DeadLetter)
