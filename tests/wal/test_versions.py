"""Headers that are damaged or of a version to come, lines that nobody understands, and starts that are strict."""

from __future__ import annotations

import re

import pytest

from orgloop.errors import WalDamaged, WalVersion
from orgloop.event import encode
from orgloop.wal import open_wal
from orgloop.wal.frame import event_line, line_of, seal
from orgloop.wal.segment import SegmentName
from tests.wal.disk import MemoryDisk
from tests.wal.oracle import Contents, flipped, recover, recover_twice, replay, sample
from tests.wal.stage import event, open_events


@pytest.fixture(scope="module")
def log() -> Contents:
    return sample()


def salt_of(name: str) -> int:
    return int(name[11:19], 16)


def test_a_damaged_header_costs_nothing_else(log: Contents) -> None:
    """Number and salt are in the name."""
    for name in log:
        found = recover(flipped(log, name, 8 * 20))

        assert found.state == replay(log)
        assert found.status.damages[0].text.startswith("the header is damaged")


def test_a_header_alone_that_is_damaged_is_begun_anew() -> None:
    """It was the last, and held nothing: the second start is clean."""
    contents = sample()
    header = contents[max(contents)].splitlines(keepends=True)[0]
    first, second = recover_twice({**contents, max(contents): b"?" + header[1:]})

    assert not first.status.damages
    assert not second.noticed


def test_a_damaged_header_before_what_was_never_committed_is_put_aside_with_it(log: Contents) -> None:
    """Nothing of that segment was acknowledged."""
    name = SegmentName(4, 0)
    content = b"?" * 99 + b"\n" + event_line(13, encode(event(1)), 0)
    first, second = recover_twice({**log, str(name): content})

    assert first.state == second.state == replay(log)
    assert first.put_aside == {f".torn-{name}-0": content}
    assert not second.noticed


def test_a_header_that_is_whole_and_not_understood_is_damage(log: Contents) -> None:
    """It lacks what a header has."""
    name = min(log)
    lines = log[name].splitlines(keepends=True)
    lines[0] = line_of({"segment": 1, "format": 1}, salt_of(name))
    found = recover({**log, name: b"".join(lines)})

    assert found.state == replay(log)
    assert "a line that is whole, and not understood" in [one.text for one in found.status.damages]


async def test_a_format_to_come_is_refused_and_left_alone(log: Contents) -> None:
    """Not a byte is changed, nor a name."""
    name = max(log)
    line = log[name].splitlines(keepends=True)[0]
    newer = seal(line[:-19].replace(b'"format":1', b'"format":2'), salt_of(name))
    disk = MemoryDisk.of({**log, name: newer + b"\x00\x01binary"})
    with pytest.raises(WalVersion, match="has format 2, this version knows 1; nothing was changed"):
        async with open_wal(disk):
            pass
    assert disk.contents() == {**log, name: newer + b"\x00\x01binary"}
    assert disk.operations == 0


@pytest.mark.parametrize(
    "record",
    [
        b'{"settle":"delivered"',
        b'{"notes":[[1]]',
        b'{"notes":[[["a"],"b",1]]',
        b'{"commit":"x"',
        b'{"later":1',
        b"[1",
        b"{",
        b'{"seq":x,"event":{}',
    ],
)
def test_a_line_that_is_whole_and_not_understood_is_damage(log: Contents, record: bytes) -> None:
    """L8: the log opens all the same, and says so."""
    name = max(log)
    line = seal(record, salt_of(name))
    found = recover({**log, name: log[name] + line + line_of({"commit": 12}, salt_of(name))})

    assert found.state == replay(log)
    assert [one.text for one in found.status.damages] == ["a line that is whole, and not understood"]


async def test_a_strict_start_refuses_damage_and_changes_nothing(log: Contents) -> None:
    """It names the place."""
    name = min(log)
    disk = MemoryDisk.of(flipped(log, name, 8 * 400))
    before = disk.contents()
    with pytest.raises(WalDamaged, match=re.escape(name) + r" at \d+: \d+ bytes are damaged"):
        async with open_wal(disk, strict=True):
            pass
    assert disk.contents() == before


async def test_a_strict_start_forgives_a_torn_tail(log: Contents) -> None:
    """It was never acknowledged."""
    disk = MemoryDisk.of({**log, max(log): log[max(log)] + b"torn"})
    async with open_wal(disk, strict=True) as wal:
        assert wal.status().torn_bytes == 4


async def test_what_is_torn_is_put_aside_whole_even_if_that_was_cut_short(log: Contents) -> None:
    """The power went while the torn bytes were being copied, and left zeros there."""
    name = max(log)
    torn = {**log, name: log[name] + b"torn"}
    disk = MemoryDisk.of({**torn, f".torn-{name}-{len(log[name])}": bytes(4)})
    await open_events(disk)

    assert disk.contents()[f".torn-{name}-{len(log[name])}"] == b"torn"
