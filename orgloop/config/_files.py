"""
Bytes from disk, behind walls: a regular file, not too large, not through a link that leads somewhere else.

Law: nothing here waits and nothing here is read twice. A pipe, a device or a file that grows cannot hold it up.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from orgloop.config._refused import Refused, Substituted

MAX_FILE_BYTES = 1024 * 1024
"""Of a YAML file, a prompt or a .env; a project may have many."""


def read_bytes(path: Path, *, limit_bytes: int = MAX_FILE_BYTES) -> bytes:
    """
    All that is in a file.

    Raises :class:`Refused` if it is not there, not a regular file, too large, or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused("OL1002", f"{path} is not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused("OL1002", f"{path} is not a regular file")
            content = file.read(limit_bytes + 1)
    except Refused:
        raise
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise Refused("OL1001", f"{path} was not found") from exc
    except (OSError, ValueError) as exc:
        raise Refused("OL1005", f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    if len(content) > limit_bytes:
        raise Refused("OL1003", f"{path} is larger than {limit_bytes:,} bytes")
    return content


def decoded(content: bytes, path: Path) -> str:
    """
    The text of a file, which is UTF-8, with or without the mark that some editors put in front.

    Raises :class:`Refused`.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Refused("OL1004", f"{path} is not UTF-8 but UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        text = f"{path} is not UTF-8: the byte 0x{content[exc.start]:02x} in line {line}"
        raise Refused("OL1004", text) from exc


def find(written: str, bases: Iterable[Path]) -> Path:
    """
    Where a file is that may be below any of ``bases``; the first that is there.

    Raises :class:`Refused`, with every place that was looked at.
    """
    if "\0" in written:
        raise Refused("OL1001", "a path cannot hold NUL")
    folders = list(bases)
    candidates = list(dict.fromkeys(Path(os.path.normpath(base / written)) for base in folders))
    for candidate in candidates:
        # Not Path.exists, which raises where a name is too long or a folder is closed.
        if os.path.exists(candidate):
            refuse_stray_link(candidate, within=folders)
            return candidate
    places = ", ".join(map(str, candidates))
    shown = written.written if isinstance(written, Substituted) else written
    raise Refused("OL1001", f"{shown!r} was not found; looked for {places}")


def refuse_stray_link(path: Path, *, within: Iterable[Path]) -> None:
    """
    Refuse a file that is written as lying below a folder, and lies elsewhere.

    What is written to lie elsewhere (``../shared/x.yaml``, ``/etc/x.yaml``) is what the operator can see, and is taken.
    """
    real = os.path.realpath(path)
    folders = [str(folder) for folder in within]
    if any(_below(str(path), folder) for folder in folders) and not any(
        _below(real, os.path.realpath(folder)) for folder in folders
    ):
        raise Refused("OL1006", f"{path} is a link that leads out of the project, to {real}")


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
