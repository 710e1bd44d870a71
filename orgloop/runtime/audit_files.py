"""
The files of the audit trail: lines of JSON, appended and synced, so that a person can read them with ``jq``.

    data/audit/audit-000000000001.jsonl  audit-000000000002.jsonl  …     the last one is appended to

Law: what :meth:`AuditFiles.append` has returned from is on the medium. Half a line, left by a crash or a full disk, is
ended before the next one, and passed over when it is read. Every call blocks and raises ``OSError``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

MAX_FILE_BYTES = 16 * 1024 * 1024
"""From which size on a file is followed by another."""

MAX_FILES = 64
"""How many files are kept; the oldest go."""

_NAME = re.compile(r"audit-(\d{12})\.jsonl")


@attrs.define(eq=False)
class AuditFiles:
    """Those in one directory, which is made with the first line."""

    directory: Path
    max_file_bytes: int = MAX_FILE_BYTES
    max_files: int = MAX_FILES

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines behind all others; each without its end."""
        self._make()
        numbers = self._numbers()
        number = numbers[-1] if numbers else 1
        if numbers and self._path(number).stat().st_size >= self.max_file_bytes:
            number += 1
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path(number), flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            content = b"".join(b"%b\n" % line for line in lines)
            rest = memoryview((b"" if _ends_whole(descriptor) else b"\n") + content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        if number not in numbers:
            self._sync_directory()
            self._prune()

    def newest_first(self) -> Iterator[bytes]:
        """All lines, one file at a time in memory; those appended meanwhile may be among them."""
        for number in reversed(self._numbers()):
            try:
                descriptor = os.open(self._path(number), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # it was the oldest, and has gone meanwhile
            with open(descriptor, "rb") as file:
                lines = file.read().split(b"\n")
            yield from (line for line in reversed(lines) if line)

    def _path(self, number: int) -> Path:
        return self.directory / f"audit-{number:012d}.jsonl"

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def _prune(self) -> None:
        for number in self._numbers()[: -self.max_files]:
            self._path(number).unlink(missing_ok=True)

    def _make(self) -> None:
        for directory in (*reversed(self.directory.parents), self.directory):
            if not directory.exists():
                directory.mkdir(exist_ok=True)
                directory.chmod(0o700)

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _ends_whole(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
