"""
The file that lines are appended to, while it is open.

Law: it ends with a whole line. What a full disk left of a line is cut off again, or at least ended before the next.
All calls block.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from datetime import datetime
from pathlib import Path

import attrs

_FIRST_TIMESTAMP = re.compile(rb'\{"timestamp":"([0-9T:.Z+-]{10,40})"')


@attrs.define
class Target:
    """An open file; ``begun_s`` is when its first line was written, in Unix seconds."""

    descriptor: int
    is_regular: bool
    begun_s: float
    is_torn: bool

    @classmethod
    def open(cls, path: Path, *, now_s: float) -> Target:
        """
        Open for appending, and make what is missing: directories 0700, the file 0600.

        Raises ``OSError``; a symbolic link is followed below ``/dev/`` only.
        """
        for parent in reversed(path.parents):
            if not parent.exists():
                parent.mkdir(exist_ok=True)
                parent.chmod(0o700)  # whatever the umask
        link = 0 if path.is_relative_to("/dev") else os.O_NOFOLLOW
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | link
        descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return cls(descriptor, False, now_s, False)
            with contextlib.suppress(PermissionError):  # it is another user's, who let us write
                os.fchmod(descriptor, 0o600)
            if found.st_size == 0:
                return cls(descriptor, True, now_s, False)
            first, last = _ends(path, found.st_size)
            return cls(descriptor, True, _time_of(first) or found.st_mtime, last != b"\n")
        except OSError:
            os.close(descriptor)
            raise

    def write(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        """Append lines; gives how many of them are there as a whole, and why not all of them are."""
        content = b"".join([b"\n" * self.is_torn, *lines])
        done = 0
        try:
            while done < len(content):
                done += os.write(self.descriptor, memoryview(content)[done:])
        except OSError as exc:
            whole = content[:done].rfind(b"\n") + 1
            self._mend(done - whole)
            return max(0, content[:whole].count(b"\n") - content.startswith(b"\n")), exc
        self.is_torn = False
        return len(lines), None

    def size_bytes(self) -> int:
        """How long the file is."""
        return os.fstat(self.descriptor).st_size

    def is_at(self, path: Path) -> bool:
        """Whether the path still leads to this file."""
        try:
            found = os.stat(path, follow_symlinks=not self.is_regular)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self.descriptor))

    def is_removed(self) -> bool:
        """Whether what is written here is in no directory any more."""
        return os.fstat(self.descriptor).st_nlink == 0

    def close(self) -> None:
        """See it onto the medium and let go of it; a device need not be able to."""
        with contextlib.suppress(OSError):
            os.fsync(self.descriptor)
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _mend(self, torn_bytes: int) -> None:
        if torn_bytes == 0:
            return
        try:
            os.ftruncate(self.descriptor, self.size_bytes() - torn_bytes)
        except OSError:
            self.is_torn = True


def _ends(path: Path, size: int) -> tuple[bytes, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, 128, 0), os.pread(descriptor, 1, size - 1)
    finally:
        os.close(descriptor)


def _time_of(first: bytes) -> float | None:
    written = _FIRST_TIMESTAMP.match(first)
    try:
        return datetime.fromisoformat(written[1].decode()).timestamp() if written else None
    except (ValueError, OverflowError):
        return None
