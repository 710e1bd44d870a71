"""docs/wal-format.md is true: its examples are what the code writes and reads, its programs run."""

from __future__ import annotations

import itertools
import json
import re
import secrets
from pathlib import Path
from typing import Any

import google_crc32c
import jq  # type: ignore[import-not-found]
import pytest

from orgloop.event import Event
from orgloop.sdk import Settlement
from orgloop.wal import WalLimits, open_wal, recovery
from orgloop.wal.__main__ import main
from tests.wal.disk import MemoryDisk
from tests.wal.oracle import recovered

PAGE = (Path(__file__).parents[2] / "docs" / "wal-format.md").read_text(encoding="utf-8")
SEGMENTS = {
    name: (lines + "\n").encode()
    for name, lines in re.findall(r"`([0-9a-f-]+\.jsonl)`\n\n```jsonl\n(.*?)\n```", PAGE, re.DOTALL)
}
FIRST, COMPACTED = SEGMENTS


async def test_the_examples_are_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, given the same salts, ids and time."""
    salts = itertools.chain([0x9F3A12CD, 0x5E0B77A1, 0x11C2D3E4])
    monkeypatch.setattr(secrets, "randbits", lambda _: next(salts))
    monkeypatch.setattr(secrets, "token_hex", lambda _: "3f2a9c1e5b7d8046")
    disk = MemoryDisk()
    async with open_wal(disk, now_s=lambda: 1769860800.0) as wal:
        await wal.append([made(1, "one"), made(2, "two")], notes=[("checkpoint", "engineering/github", "page 2")])
        wal.settle(
            [Settlement(outcome="delivered", sequences=[1, 2], module="engineering", route="triage", still_open=[2])]
        )
        await wal.flush()
    assert disk.contents() == {FIRST: SEGMENTS[FIRST]}

    async with open_wal(disk, now_s=lambda: 1769860800.0, limits=WalLimits(segment_bytes=10)) as wal:
        await wal.append([made(3, "three")])
    assert disk.contents() == {COMPACTED: SEGMENTS[COMPACTED]}


def made(number: int, title: str) -> Event:
    at = "2026-01-31T12:00:00.000Z"
    place = {"platform": "github"}
    return Event(
        "github", "resource.changed", place, {"title": title}, f"evt_{number}", at, f"trc_{number}", "engineering"
    )


@pytest.mark.parametrize(("name", "open_events"), [(FIRST, 1), (COMPACTED, 2)])
async def test_the_examples_are_what_is_read(name: str, open_events: int) -> None:
    """Each as a log; the second one knows that the segments before it are gone."""
    found = await recovered(MemoryDisk.of({name: SEGMENTS[name]}))

    assert not found.noticed
    assert len(found.state.open) == open_events


def test_the_command_tells_what_the_page_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line."""
    (tmp_path / COMPACTED).write_bytes(SEGMENTS[COMPACTED])
    main([str(tmp_path)])

    [shown] = re.findall(r"((?:    .*\n)*    all is whole\n)", PAGE)
    assert capsys.readouterr().out == re.sub("^    ", "", shown, flags=re.MULTILINE)


def test_the_line_of_python_is_true() -> None:
    """The seal, from its salt."""
    [code] = re.findall(r"```python\n(.*?)\n```", PAGE)

    assert eval(code, {"google_crc32c": google_crc32c})


def test_the_lines_of_jq_do_what_they_say() -> None:
    """On the first example; its members are in the order that the page says."""
    events, ends, notes, open_ = (
        run_jq(options, program) for options, program in re.findall(r"jq (-c|-s) '(.*?)'", PAGE)
    )

    assert [event["id"] for event in events] == ["evt_1", "evt_2"]
    assert ends == [["delivered", "triage", [1, 2]]]
    assert notes == [{"checkpoint engineering/github": "page 2"}]
    assert [list(left) for left in open_] == [["2"]]


def run_jq(options: str, program: str) -> list[Any]:
    return list(jq.compile(program).input_text(SEGMENTS[FIRST].decode(), slurp=options == "-s"))


@pytest.mark.parametrize("kind", ["segment", "seq", "notes", "settle", "commit"])
def test_every_kind_of_line_is_explained_and_shown(kind: str) -> None:
    """In the table, and in the first example."""
    assert f"| `{kind}` |" in PAGE
    assert any(next(iter(json.loads(line))) == kind for line in SEGMENTS[FIRST].splitlines())


def test_every_member_of_a_header_is_explained() -> None:
    """By name."""
    header = json.loads(SEGMENTS[FIRST].splitlines()[0])
    explained = set(re.findall(r"`(\w+)`", PAGE))

    assert header.keys() - {"crc"} <= explained


def test_every_case_of_recovery_is_explained() -> None:
    """By the names in recovery.py."""
    names = re.findall(r"^    (\w+)  +\w", recovery.__doc__ or "", re.MULTILINE)
    assert len(names) == 8
    assert all(f"| {name} |" in PAGE for name in names)
