"""
What is wrong, for people and for programs.

    routes/triage.yaml:7:15: OL1303 Actor "agnet" not found. Did you mean "agent"?
        7 |       actor: agnet
          |              ^^^^^
    why: Every name must lead somewhere …        orgloop help OL1303

Law: a text here has been through a :class:`orgloop.config.masking.Masker`; this only lays it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from orgloop.config.codes import CODES
from orgloop.config.gather import Gathered
from orgloop.errors import ConfigError, Fault, Place

_GROUP_WORDS = {
    "connectors": "connector group",
    "transforms": "transform group",
    "loggers": "logger group",
    "routes": "route group",
}
_MEMBER_WORDS = {"sources": "source", "actors": "actor", "transforms": "transform", "routes": "route"}


@attrs.frozen
class Checked:
    """One thing that was checked: a file, or a definition in it."""

    label: str
    """The file, or ``file#name``."""
    description: str
    """As ``valid route definition``."""
    is_valid: bool


def refusal_of(faults: Sequence[Fault], *, left_out: int = 0) -> ConfigError:
    """All faults in one error, a line for each."""
    lines = [line_of(fault) for fault in faults]
    if left_out:
        lines.append(f"… and {left_out:,} more")
    return ConfigError("\n".join(lines), faults)


def line_of(fault: Fault, *, base: Path | None = None) -> str:
    """One fault on one line; paths below ``base`` are shown from there."""
    where = "" if fault.place is None else f"{_shown_file(fault.place, base)}:{fault.place.line}:{fault.place.column}: "
    return f"{where}{fault.code} {fault.text}"


def report_of(fault: Fault, *, base: Path | None = None) -> str:
    """One fault on several lines: what and where, the line with a caret, why, and what to do."""
    return "\n".join([line_of(fault, base=base), *_excerpt(fault.place), *_advice(fault)])


def plain_of(fault: Fault, *, base: Path | None = None) -> dict[str, Any]:
    """One fault as plain data."""
    code = CODES.get(fault.code)
    place = fault.place
    return {
        "code": fault.code,
        "text": fault.text,
        "path": list(fault.path),
        "file": None if place is None else _shown_file(place, base),
        "line": None if place is None else place.line,
        "column": None if place is None else place.column,
        "source": place.source if place is not None and place.source else None,
        "why": None if code is None else code.why,
        "fix": fault.fix or (None if code is None else code.fix),
    }


def checked_rows(file: Path, gathered: Gathered | None, faults: Sequence[Fault]) -> list[Checked]:
    """What was checked, in the order of the original: project, groups and their definitions."""
    bad = {fault.place.file for fault in faults if fault.place is not None}
    if gathered is None:
        return [Checked(str(file), "invalid project manifest", is_valid=False)]
    rows = [_row(str(file), "project manifest", is_valid=str(file) not in bad)]
    for document, key in gathered.groups:
        rows.append(_row(str(document.file), _GROUP_WORDS.get(key, key), is_valid=str(document.file) not in bad))
    for key, word in _MEMBER_WORDS.items():
        members = gathered.data.get(key)
        broken = {fault.path[1] for fault in faults if len(fault.path) > 1 and fault.path[0] == key}
        for number, member in enumerate(members if isinstance(members, list) else ()):
            name = member.get("id", member.get("name", number)) if isinstance(member, dict) else number
            origin = gathered.members[key][number][0].document.file
            rows.append(_row(f"{origin}#{name}", f"{word} definition", is_valid=number not in broken))
    return rows


def _row(label: str, what: str, *, is_valid: bool) -> Checked:
    return Checked(label, f"{'valid' if is_valid else 'invalid'} {what}", is_valid)


def _excerpt(place: Place | None) -> Iterator[str]:
    if place is None or not place.source:
        return
    # A tab is as wide as the reader's terminal makes it, so the line under it has the same tabs.
    before = "".join("\t" if character == "\t" else " " for character in place.source[: place.column - 1])
    caret = "^" * max(1, min(place.width, len(place.source) - place.column + 1))
    yield f"  {place.line:>4} | {place.source}"
    yield f"       | {before}{caret}"


def _advice(fault: Fault) -> Iterator[str]:
    code = CODES.get(fault.code)
    if code is not None:
        yield f"  why: {code.why}"
    fix = fault.fix or (code.fix if code is not None else None)
    if fix:
        yield f"  fix: {fix}"
    yield f"  more: orgloop help {fault.code}"


def _shown_file(place: Place, base: Path | None) -> str:
    if base is None:
        return place.file
    try:
        return str(Path(place.file).relative_to(base))
    except ValueError:
        return place.file
