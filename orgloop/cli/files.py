"""Writing files of a project: all of them or none, and never over what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import attrs

from orgloop.cli.errors import CommandFailed
from orgloop.cli.scaffold import File


@attrs.frozen(kw_only=True)
class Written:
    """What was written below a folder, and what was left as it is."""

    files: tuple[str, ...]
    kept: tuple[str, ...]


def write_files(directory: Path, files: Mapping[str, File]) -> Written:
    """Write the files that are not there; raises :class:`CommandFailed`, and writes none, if one is in the way."""
    there = [path for path in files if os.path.lexists(directory / path)]
    in_the_way = [path for path in there if not files[path].may_stay]
    if in_the_way:
        raise CommandFailed(
            f"{in_the_way[0]} already exists" + (f", and {len(in_the_way) - 1} more" if in_the_way[1:] else ""),
            where=", ".join(str(directory / path) for path in in_the_way),
            why="nothing that is there is overwritten",
            next="choose another name or folder, or move it away",
            code="exists",
        )
    written: list[Path] = []
    try:
        for path, file in files.items():
            if path not in there:
                written.append(_write(directory / path, file))
    except BaseException:
        for done in written:
            done.unlink(missing_ok=True)
        raise
    return Written(files=tuple(path for path in files if path not in there), kept=tuple(there))


def _write(path: Path, file: File) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o777 if file.is_executable else 0o666  # what the umask leaves of it
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.text)
    return path


def replace_text(path: Path, text: str) -> None:
    """Write another text into a file that is there: as a whole, or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
    fresh.chmod(path.stat().st_mode & 0o7777)
    os.replace(fresh, path)
