"""
What a daemon in the background prints goes to two files, which are never longer than a limit for long.

The files are appended to by descriptors that nobody here has, so a file is not renamed: its content is copied to a
second file, over the one before, and then cut. What is printed in the moment between the two is lost; that is the price
for a log that every process of the daemon can go on writing to, whatever state it is in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
"""How long one of the files may be; there are two of each."""

TAIL_BYTES = 4096
"""How much of what a process said last is quoted when it did not start."""

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def open_log(path: Path) -> int:
    """A descriptor that appends to the file, which is 0600; ``OSError`` if something else is in its place."""
    bound_log(path)
    descriptor = os.open(path, _APPEND, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def fill_standard_descriptors() -> None:
    """Open what is closed of stdin, stdout and stderr on nothing, or the next file would take its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free, which is this one


def bound_log(path: Path, *, limit_bytes: int = LOG_BYTES) -> bool:
    """Put the content aside if there is too much of it; whether that was so. Raises ``OSError``."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_size > limit_bytes:
            older = path.with_name(f"{path.name}.1")
            older.unlink(missing_ok=True)
            shutil.copyfile(path, older, follow_symlinks=False)
            older.chmod(0o600)
            os.truncate(path, 0)
            return True
    return False


def tail_of(path: Path, *, start: int) -> str:
    """What was written after a place, but no more than the last of it."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = min(start, size)  # it may have been cut meanwhile
        file.seek(max(start, size - TAIL_BYTES))
        return file.read(TAIL_BYTES).decode(errors="replace").strip()
    return ""
