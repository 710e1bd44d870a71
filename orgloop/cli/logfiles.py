"""
The log of a home as files: what stands in them, the last first, and what is appended.

    orgloop.log  orgloop.log.2026-01-31T23-59-59-250Z  orgloop.log.2026-01-31T12-00-00-000Z.gz  …

Law: what is no entry is passed over; a file that is put aside while it is read is read to its end.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs

BLOCK_BYTES = 256 * 1024
LONGEST_LINE = 4 * 1024 * 1024
"""A longer line is none of ours, and passed over."""

LOOK_EVERY_S = 0.2
"""How often it is looked whether something was appended."""

Entry = dict[str, Any]


def backwards(path: Path) -> Iterator[Entry]:
    """All entries of a log, the last first, those of the files that were put aside too."""
    from orgloop.loggers import rotated_files

    yield from _of_file(path)
    if not path.parent.is_dir():
        return
    for rotated in sorted(rotated_files(path), key=lambda file: (file.at_s, file.number), reverse=True):
        if rotated.ending in {"", ".gz"}:
            yield from _of_file(path.with_name(rotated.name))


def _of_file(path: Path) -> Iterator[Entry]:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                lines = deque(line for line in packed if len(line) <= LONGEST_LINE)
            yield from filter(None, map(entry_of, reversed(lines)))
        else:
            with path.open("rb") as file:
                yield from filter(None, map(entry_of, _lines_backwards(file.fileno())))
    except (FileNotFoundError, EOFError, gzip.BadGzipFile):
        return  # it was put aside, or deleted, in this very moment


def _lines_backwards(descriptor: int) -> Iterator[bytes]:
    end, rest = os.fstat(descriptor).st_size, b""
    while end > 0:
        size = min(BLOCK_BYTES, end)
        end -= size
        rest, *lines = (os.pread(descriptor, size, end) + rest).split(b"\n")
        yield from reversed(lines)
        if len(rest) > LONGEST_LINE:
            rest = b""
    yield rest


def entry_of(line: bytes) -> Entry | None:
    """The entry of a line; None if it is none."""
    try:
        entry = json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


@attrs.define
class Tail:
    """
    Where a log file ends now, to go on from there; a file that takes its name is read from its beginning.

    It is a context manager, which closes what it reads.
    """

    path: Path
    _file: BinaryIO | None = None
    """The one that is read, whatever it is called by now."""
    _read: int = 0
    _rest: bytes = b""

    def __attrs_post_init__(self) -> None:
        """Begin at the end."""
        if self._open():
            self._read = os.fstat(self._descriptor).st_size

    def __enter__(self) -> Tail:
        """It is its own."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        if self._file is not None:
            self._file.close()

    def follow(self, *, sleep: Callable[[float], object] = time.sleep) -> Iterator[Entry]:
        """Entries as they are appended, without end."""
        while True:
            for line in self._new_lines():
                if (entry := entry_of(line)) is not None:
                    yield entry
            sleep(LOOK_EVERY_S)

    @property
    def _descriptor(self) -> int:
        assert self._file is not None
        return self._file.fileno()

    def _open(self) -> bool:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return False
        if self._file is not None:
            self._file.close()
        self._file, self._read, self._rest = file, 0, b""
        return True

    def _new_lines(self) -> Iterator[bytes]:
        if self._file is not None:
            yield from self._rest_of_file()
        if self._is_another() and self._open():
            yield from self._rest_of_file()

    def _rest_of_file(self) -> Iterator[bytes]:
        if os.fstat(self._descriptor).st_size < self._read:  # it was cut
            self._read, self._rest = 0, b""
        while block := os.pread(self._descriptor, BLOCK_BYTES, self._read):
            self._read += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._rest = self._rest if len(self._rest) <= LONGEST_LINE else b""
            yield from lines

    def _is_another(self) -> bool:
        """Whether the name means another file now."""
        try:
            return self._file is None or not os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False
