"""
The file system, behind one object: what the log does to it can then be watched, refused, and cut short at every step.

Every method blocks and raises ``OSError``; :meth:`Disk.call` is how they are called from a task. A directory is flat:
names, not paths.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")


class Handle(Protocol):
    """A file that is appended to."""

    def write(self, content: bytes) -> int:
        """Append; how many bytes were taken, perhaps fewer than given."""
        ...

    def sync(self) -> None:
        """Return when all that was written is on the medium."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Disk(Protocol):
    """One directory of files."""

    async def call(self, work: Callable[[], T]) -> T:
        """Do blocking work without blocking other tasks; not cancelled once begun."""
        ...

    def names(self) -> list[str]:
        """What is in the directory; the directory is made if it is not there."""
        ...

    def size(self, name: str) -> int:
        """Bytes in a file."""
        ...

    def read(self, name: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer at its end."""
        ...

    def create(self, name: str) -> Handle:
        """Make a file that must not exist, and open it for appending."""
        ...

    def write_new(self, name: str, content: bytes) -> None:
        """Make a file with this content, durable when it returns; for what is put aside, not for the log itself."""
        ...

    def truncate(self, name: str, length: int) -> None:
        """Cut a file, durably."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def sync_directory(self) -> None:
        """Return when all names are on the medium."""
        ...


class _File:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: bytes) -> int:
        return os.write(self._descriptor, content)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class RealDisk:
    """A directory of this machine; files are made 0600, directories 0700, links are not followed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Threads of its own: whoever else uses up those of Trio does not hold up the log.
        self._threads = trio.CapacityLimiter(4)

    async def call(self, work: Callable[[], T]) -> T:
        """Do blocking work in a worker thread."""
        return await trio.to_thread.run_sync(work, limiter=self._threads)

    def names(self) -> list[str]:
        """What is in the directory; it is made if it is not there."""
        _make(self._directory)
        with _opened(self._directory) as at:
            return os.listdir(at)

    def size(self, name: str) -> int:
        """Bytes in a regular file."""
        with _opened(self._directory) as at:
            return _regular(name, os.stat(name, dir_fd=at, follow_symlinks=False)).st_size

    def read(self, name: str, start: int, length: int) -> bytes:
        """Bytes of a regular file."""
        with self._open(name, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            _regular(name, os.fstat(descriptor))
            return os.pread(descriptor, length, start)

    def create(self, name: str) -> Handle:
        """Make a file and open it for appending."""
        return _File(self._open_new(name))

    def write_new(self, name: str, content: bytes) -> None:
        """Make a durable file."""
        descriptor = self._open_new(name)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.sync_directory()

    def truncate(self, name: str, length: int) -> None:
        """Cut a file, durably."""
        with self._open(name, os.O_WRONLY | os.O_NONBLOCK) as descriptor:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        with _opened(self._directory) as at:
            os.rename(name, to, src_dir_fd=at, dst_dir_fd=at)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with _opened(self._directory) as at:
            os.unlink(name, dir_fd=at)

    def sync_directory(self) -> None:
        """Return when all names are on the medium."""
        with _opened(self._directory) as at:
            os.fsync(at)

    @contextmanager
    def _open(self, name: str, flags: int) -> Iterator[int]:
        with _opened(self._directory) as at:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_new(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with _opened(self._directory) as at:
            descriptor = os.open(name, flags, 0o600, dir_fd=at)
        os.fchmod(descriptor, 0o600)  # whatever the umask
        return descriptor


def _regular(name: str, found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    return found


@contextmanager
def _opened(directory: Path, flags: int = os.O_NOFOLLOW) -> Iterator[int]:
    at = os.open(directory, flags | os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield at
    finally:
        os.close(at)


def _make(directory: Path) -> None:
    """Make the directory, and those above it, so that they are still there after a crash."""
    if directory.is_dir():
        return
    _make(directory.parent)
    with suppress(FileExistsError):
        directory.mkdir()
        directory.chmod(0o700)
        with _opened(directory.parent, 0) as at:
            os.fsync(at)
