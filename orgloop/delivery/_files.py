"""
Small files in one directory, each whole or not there: the only place in which this room touches a disk.

Every call blocks and raises ``OSError``. A name never leads out of its directory: files are opened relative to it, and
no link is followed. Directories are made 0700, files 0600 unless told otherwise, whatever the umask.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)


def write_atomic(directory: Path, name: str, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file, over one of that name; it is on the medium when this returns, and never there in part."""
    _make(directory)
    with _opened(directory) as at:
        temporary = f".{name}.{secrets.token_hex(8)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=at)
        try:
            _fill(descriptor, content, mode)
            os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
        finally:
            with contextlib.suppress(OSError):  # after the rename it is not there
                os.unlink(temporary, dir_fd=at)
        os.fsync(at)


def read(directory: Path, name: str, *, limit_bytes: int) -> bytes:
    """The content of a regular file; ``OSError`` if it is none, or longer than the limit."""
    with _opened(directory) as at:
        # O_NONBLOCK: a named pipe may stand there, and nobody may ever write to it.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        if found.st_size > limit_bytes:
            raise OSError(errno.EFBIG, f"longer than {limit_bytes} bytes", name)
        return file.read(limit_bytes)


def remove(directory: Path, name: str) -> bool:
    """Remove a file, durably; False if there is none."""
    try:
        with _opened(directory) as at:
            os.unlink(name, dir_fd=at)
            os.fsync(at)
    except FileNotFoundError:
        return False
    return True


def names(directory: Path) -> list[str]:
    """What is in the directory, but for what a crash left of a write; nothing if there is no directory."""
    return [name for name in _all_names(directory) if not _LEFT_OVER.fullmatch(name)]


def sweep(directory: Path) -> int:
    """Remove what a crash left of writes, and say how much; only while nobody writes."""
    left_over = [name for name in _all_names(directory) if _LEFT_OVER.fullmatch(name)]
    return sum(remove(directory, name) for name in left_over)


def _all_names(directory: Path) -> list[str]:
    try:
        with _opened(directory) as at:
            return os.listdir(at)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield at
    finally:
        os.close(at)


def _fill(descriptor: int, content: bytes, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    """Make the directory, and those above it, so that they are still there after a crash."""
    if directory.is_dir():
        return
    _make(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir()
        directory.chmod(0o700)
        with _opened(directory.parent) as at:
            os.fsync(at)
