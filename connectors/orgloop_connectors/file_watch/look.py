"""
Looking: which files there are, and what is in them. Synchronous; it runs in a thread, and may be cancelled there.

Links are not followed, neither to files nor to directories, so nothing outside of where it begins is ever seen.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from orgloop.sdk import PollFailed
from orgloop_connectors.file_watch.globs import Glob, Places

MAX_VISITED = 200_000
"""How many names one look may go through."""

MAX_READ_BYTES = 64 * 1024 * 1024
"""A longer file is not read: it has changed when it was written."""

MAX_READ_AT_ONCE_BYTES = 512 * 1024 * 1024
"""How much one look reads in all; the files after that are judged as if they were too long."""

NEVER = (".orgloop",)
"""Names that are never entered: our own state changes whenever we look."""


@attrs.frozen(kw_only=True)
class Found:
    """A file as it stands."""

    path: str
    """From the module's directory; what is not UTF-8 in it is written with backslashes."""
    sign: str
    """A digest of what changes when it is written, replaced, or its permissions change."""
    size_bytes: int
    modified_ms: int
    real: str = ""
    """The path by which the system knows it."""


class Looker:
    """Looks for the files of some globs below one directory."""

    def __init__(self, directory: Path, paths: Sequence[str], ignore: Sequence[str], *, max_files: int) -> None:
        self._directory, self._max_files = directory, max_files
        self._paths, self._ignore = [Glob(text) for text in paths], [Glob(text) for text in ignore]

    def look(self, checked: Callable[[], object]) -> dict[str, Found]:
        """All files, by path; ``checked`` is called in between, and may raise to end it."""
        found: dict[str, Found] = {}
        visited = 0
        stack: list[tuple[str, str, list[Places], list[Places]]] = [
            (str(self._directory), "", [glob.begin for glob in self._paths], [glob.begin for glob in self._ignore])
        ]
        while stack:
            checked()
            real, path, wanted, ignored = stack.pop()
            for entry in _entries(real, is_root=not path):
                visited += 1
                name = shown(entry.name)
                here = [glob.step(places, name) for glob, places in zip(self._paths, wanted, strict=True)]
                away = [glob.step(places, name) for glob, places in zip(self._ignore, ignored, strict=True)]
                if name in NEVER or not any(here) or _is_end(self._ignore, away):
                    continue
                below = f"{path}{name}"
                if entry.is_dir(follow_symlinks=False):
                    stack.append((entry.path, f"{below}/", here, away))
                elif _is_end(self._paths, here) and (file := _found(entry, below)) is not None:
                    found[below] = file
            if visited > MAX_VISITED or len(found) > self._max_files:
                raise PollFailed(self._too_many(visited))
        return found

    def _too_many(self, visited: int) -> str:
        if visited > MAX_VISITED:
            return (
                f"paths lead through more than {MAX_VISITED} names below {self._directory}; narrow them, or ignore some"
            )
        return f"paths match more than max_files: {self._max_files}; narrow them, ignore some, or raise it"


def _is_end(globs: Sequence[Glob], places: Sequence[Places]) -> bool:
    return any(glob.is_end(place) for glob, place in zip(globs, places, strict=True))


def _entries(real: str, *, is_root: bool) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(real) as entries:
            yield from entries
    except OSError as exc:
        # One below that has just gone is empty; all else would look as if its files had been removed.
        if is_root or not isinstance(exc, FileNotFoundError):
            raise PollFailed(f"cannot look into {real}: {exc.strerror}; it must be there, and readable") from exc


def _found(entry: os.DirEntry[str], path: str) -> Found | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    about = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}"
    return Found(
        path=path,
        sign=hashlib.blake2b(about.encode(), digest_size=8).hexdigest(),
        size_bytes=status.st_size,
        modified_ms=status.st_mtime_ns // 1_000_000,
        real=entry.path,
    )


class Reader:
    """Reads files for what they say, as many as one look may."""

    def __init__(self, checked: Callable[[], object]) -> None:
        self._checked, self._left_bytes = checked, MAX_READ_AT_ONCE_BYTES

    def digest(self, file: Found) -> str | None:
        """SHA-256 of what a file says; empty if it is too long or may not be read, None if it is not there any more."""
        if file.size_bytes > min(MAX_READ_BYTES, self._left_bytes):
            return ""
        try:
            descriptor = os.open(file.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError:
            return ""
        with open(descriptor, "rb", buffering=0) as stream:
            digest = hashlib.sha256()
            for _ in range(MAX_READ_BYTES // 65536 + 1):
                self._checked()
                if not (piece := stream.read(65536)):
                    return digest.hexdigest()
                self._left_bytes -= len(piece)
                digest.update(piece)
        return ""


def shown(name: str) -> str:
    """A name as text that can be written anywhere."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")
