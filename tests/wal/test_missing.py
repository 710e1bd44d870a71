"""Files that are gone, came back, belong to others, or were written by a version to come."""

from __future__ import annotations

import json

import pytest

from orgloop.wal import open_wal
from orgloop.wal.frame import line_of
from orgloop.wal.segment import Header, SegmentName
from tests.wal.disk import MemoryDisk
from tests.wal.oracle import Contents, recover, recover_twice, recovered, replay, sample
from tests.wal.stage import SMALL, event, settled


@pytest.fixture(scope="module")
def log() -> Contents:
    return sample()


def without(contents: Contents, *names: str) -> Contents:
    return {name: content for name, content in contents.items() if name not in names}


def salt_of(name: str) -> int:
    return int(name[11:19], 16)


async def compacted() -> tuple[Contents, Contents]:
    """A log before and after some of it was removed."""
    disk = MemoryDisk()
    async with open_wal(disk, limits=SMALL) as wal:
        for number in range(9):
            wal.settle(settled(*await wal.append([event(number)])))
    before = disk.contents()
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(99)])
    return before, disk.contents()


# -- missing -----------------------------------------------------------------------------------------------------------


def test_a_missing_segment_is_reported(log: Contents) -> None:
    """With the events that were in it; all others flow, also of its neighbour, which is longer than it was."""
    first, middle, last = sorted(log)
    found = recover(without(log, middle))

    assert found.state.open == replay(without(log, middle)).open
    assert [(one.segment, one.first, one.last, one.text) for one in found.status.damages] == [
        (last, 5, 8, "the segments 2 to 2 are missing")
    ]
    assert first in log


def test_the_oldest_segment_missing_is_reported(log: Contents) -> None:
    """No compaction has removed it: that would stand in a note."""
    found = recover(without(log, min(log)))

    assert [one.text for one in found.status.damages] == ["the segments 1 to 1 are missing"]


async def test_what_compaction_has_removed_is_not_missing() -> None:
    """It says so."""
    _, after = await compacted()

    assert int(min(after)[:10]) > 1
    assert (await recovered(MemoryDisk.of(after))).status.state == "ok"


def test_the_newest_segment_missing_cannot_be_seen(log: Contents) -> None:
    """Nothing else knows of it. The rest is as it was."""
    found = recover(without(log, max(log)))

    assert found.status.state == "ok"
    assert found.state.open == replay(without(log, max(log))).open


def test_the_end_of_a_segment_missing_is_reported(log: Contents) -> None:
    """The header of the next one knows how long it was."""
    name = min(log)
    lines = log[name].splitlines(keepends=True)
    found = recover({**log, name: b"".join(lines[:-3])})

    assert "bytes are missing at the end" in " ".join(one.text for one in found.status.damages)
    assert "events 4 to 4 are missing" in " ".join(one.text for one in found.status.damages)


def test_a_line_missing_is_reported(log: Contents) -> None:
    """Somebody has removed it: the numbers have a gap, or the commit says that there was more."""
    name = max(log)
    lines = log[name].splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.startswith(b'{"seq"'):
            found = recover({**log, name: b"".join(lines[:index] + lines[index + 1 :])})
            sequence = json.loads(line)["seq"]

            assert [(one.first, one.last) for one in found.status.damages] == [(sequence, sequence)]


# -- back again, or of others ------------------------------------------------------------------------------------------


async def test_a_segment_that_compaction_has_removed_may_come_back() -> None:
    """From a backup, or because the power went: nothing is delivered again, and it is removed once more."""
    before, after = await compacted()
    disk = MemoryDisk.of({**before, **after})
    first, second = await recovered(disk), await recovered(disk)

    assert list(first.state.open) == [10]
    assert first.state == second.state
    assert not first.noticed
    assert not second.noticed


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_segment_of_another_log_is_put_aside(log: Contents, number: int) -> None:
    """Older or younger than ours: it is reported, kept, and not taken for ours, nor ours for its."""
    other = sample()
    name = min(other)
    stranger = SegmentName(number, salt_of(name))
    header = Header(number, "another", 1, 0, False, "2026-01-01").line(stranger.salt)
    content = header + b"".join(other[name].splitlines(keepends=True)[1:])
    first, second = recover_twice({**log, str(stranger): content})

    assert first.state == second.state == replay(log)
    assert first.put_aside == {f".foreign-{stranger}": content}
    assert first.status.damages[0].text == f"is segment {number} of log another"
    assert not second.noticed


def test_a_segment_under_another_number_is_put_aside(log: Contents) -> None:
    """Its header says what it is."""
    name = min(log)
    renamed = name.replace("0000000001", "0000000009")
    found = recover({**without(log, name), renamed: log[name]})

    assert list(found.put_aside) == [f".foreign-{renamed}"]
    assert len(found.status.damages) == 2, "it, and that number 1 is missing"


def test_a_segment_under_another_salt_holds_nothing(log: Contents) -> None:
    """No line of it is whole."""
    name = max(log)
    renamed = name.replace(name[11:19], "00000000")
    found = recover({**without(log, name), renamed: log[name]})

    assert found.put_aside == {f".torn-{renamed}-0": log[name]}
    assert found.state.open == replay(without(log, name)).open


def test_a_second_beginning_of_a_segment_is_removed(log: Contents) -> None:
    """A first attempt at it has failed after its header was written, and could not be removed."""
    name = SegmentName(3, 0)
    original = json.loads(log[max(log)].splitlines()[0])
    header = Header(3, original["log"], original["first"], original["previous_bytes"], False, original["at"])
    first, second = recover_twice({**log, str(name): header.line(0)})

    assert first.state == second.state == replay(log)
    assert not first.noticed
    assert not first.put_aside


def test_a_second_segment_of_a_number_is_put_aside(log: Contents) -> None:
    """Somebody has copied it here: whatever it holds is kept, and reported."""
    name = SegmentName(3, 0)
    content = log[max(log)].splitlines()[0]
    original = json.loads(content)
    header = Header(3, original["log"], original["first"], original["previous_bytes"], False, original["at"])
    second = header.line(0) + line_of({"commit": 8}, 0)
    found = recover({**log, str(name): second})

    assert found.state == replay(log)
    assert found.put_aside == {f".foreign-{name}": second}
    assert [one.text for one in found.status.damages] == ["is a second segment 3"]


@pytest.mark.parametrize("content", [b"", b'{"segment":4,', bytes(200)])
def test_a_beginning_of_a_segment_is_no_damage(log: Contents, content: bytes) -> None:
    """The power went when it was begun: what there is of it is put aside."""
    name = str(SegmentName(4, 7))
    first, second = recover_twice({**log, name: content})

    assert first.state == second.state == replay(log)
    assert not first.status.damages
    assert first.put_aside == ({f".torn-{name}-0": content} if content else {})
    assert not second.noticed


@pytest.mark.parametrize("name", ["lost+found", ".torn-x", "0000000001-9f3a12cd.jsonl.swp", "notes.txt", "state.json"])
async def test_files_that_are_not_ours_are_left_alone(name: str) -> None:
    """Neither read nor removed."""
    disk = MemoryDisk.of({name: b"whatever"})
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(1)])
        assert wal.status().state == "ok"
    assert disk.contents()[name] == b"whatever"
