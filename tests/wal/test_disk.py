"""The disk of this machine, and that the one in memory is like it."""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import stat
from collections.abc import Iterator
from os import rename
from pathlib import Path

import pytest
import trio

from orgloop.errors import WalFailed
from orgloop.event import Event
from orgloop.wal import Disk, RealDisk, Wal, WalLimits, open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import SMALL, event, events, open_events, settled

NAME = "0000000001-00000000.jsonl"


@pytest.fixture(params=["real", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return RealDisk(tmp_path / "wal") if request.param == "real" else MemoryDisk()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "data" / "wal"


# -- one contract ------------------------------------------------------------------------------------------------------


def test_a_new_disk_is_empty(disk: Disk) -> None:
    """And is made."""
    assert disk.names() == []


def test_what_is_written_can_be_read(disk: Disk) -> None:
    """At once, in parts, and no further than there is."""
    disk.names()
    handle = disk.create("a")
    assert handle.write(b"hello ") + handle.write(b"world") == 11
    handle.sync()
    handle.close()

    assert disk.names() == ["a"]
    assert disk.size("a") == 11
    assert [disk.read("a", 0, 5), disk.read("a", 6, 99), disk.read("a", 11, 1)] == [b"hello", b"world", b""]


def test_a_file_is_made_once(disk: Disk) -> None:
    """Nothing is ever written over."""
    disk.names()
    disk.write_new("a", b"1")
    with pytest.raises(FileExistsError):
        disk.create("a")
    with pytest.raises(FileExistsError):
        disk.write_new("a", b"2")
    assert disk.read("a", 0, 9) == b"1"


def test_files_are_cut_renamed_and_removed(disk: Disk) -> None:
    """By name."""
    disk.names()
    disk.write_new("a", b"123")
    disk.write_new("b", b"456")
    disk.truncate("a", 1)
    disk.rename("a", "c")
    disk.remove("b")
    disk.sync_directory()

    assert disk.names() == ["c"]
    assert disk.read("c", 0, 9) == b"1"


def test_what_is_not_there_is_an_error(disk: Disk) -> None:
    """Of one kind."""
    disk.names()
    for work in (disk.size, disk.remove, lambda name: disk.read(name, 0, 1), lambda name: disk.rename(name, "x")):
        with pytest.raises(FileNotFoundError):
            work("a")


async def test_a_log_is_the_same_on_both(disk: Disk) -> None:
    """Rotation and compaction included."""
    async with open_wal(disk, limits=SMALL) as wal:
        await wal.append([event(-1)])
        for number in range(50):
            wal.settle(settled(*await wal.append([event(number)])))
    assert await open_events(disk) == {1: -1}
    assert len(disk.names()) <= 3


# -- the real one ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o777])
def test_nobody_else_may_look(directory: Path, mask: int) -> None:
    """I41: whatever the umask."""
    with umask(mask):
        disk = RealDisk(directory)
        disk.names()
        disk.create("a").close()
        disk.write_new("b", b"")

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory, *directory.iterdir())
    }
    assert modes == {"data": 0o700, "wal": 0o700, "a": 0o600, "b": 0o600}


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "dangling"])
async def test_what_is_no_file_is_refused_and_named(directory: Path, kind: str) -> None:
    """L11: neither read, nor waited for, nor followed."""
    RealDisk(directory).names()
    (directory / "elsewhere").write_bytes(b"{}")
    path = directory / NAME
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(directory / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(WalFailed, match=rf"not a regular file: '{NAME}'"):
        async with open_wal(RealDisk(directory)):
            pass


@pytest.fixture
def linked(directory: Path, tmp_path: Path) -> Path:
    """Where the directory of the log leads."""
    directory.parent.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory.symlink_to(elsewhere)
    return elsewhere


async def test_a_linked_directory_is_refused(directory: Path, linked: Path) -> None:
    """Nothing is written elsewhere."""
    with pytest.raises(WalFailed, match="the log cannot be opened"):
        async with open_wal(RealDisk(directory)):
            pass
    assert os.listdir(linked) == []


async def insist(wal: Wal, number: int) -> None:
    """Append as often as it takes."""
    with trio.fail_after(5):
        while True:
            try:
                await wal.append([event(number)])
                return
            except WalFailed:
                await trio.sleep(0.01)


async def test_a_directory_that_is_moved_away_stops_it(directory: Path) -> None:
    """C2-37: what is written there would not be found again. When it is back, all goes on."""
    async with open_wal(RealDisk(directory), limits=SMALL) as wal:
        await wal.append([event(1)])
        rename(directory, directory.with_name("away"))
        with pytest.raises(WalFailed, match="No such file"):
            await wal.append([event(2)])
        rename(directory.with_name("away"), directory)
        await insist(wal, 3)

    assert await open_events(RealDisk(directory)) == {1: 1, 2: 3}


@contextlib.contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


async def test_a_full_disk_refuses_and_heals(directory: Path) -> None:
    """I31: EFBIG, as the nearest to ENOSPC that needs no file system of its own."""
    async with open_wal(RealDisk(directory), limits=SMALL) as wal:
        await wal.append([event(1)])
        with limited(resource.RLIMIT_FSIZE, 2000), pytest.raises(WalFailed, match="File too large"):
            await wal.append([event(2, pad="x" * 2000)])
        await insist(wal, 3)

    assert await open_events(RealDisk(directory)) == {1: 1, 2: 3}


async def test_too_many_open_files_refuse_and_heal(directory: Path) -> None:
    """C2-33: a segment cannot be begun."""
    async with open_wal(RealDisk(directory), limits=WalLimits(segment_bytes=1, heal_every_s=0.01)) as wal:
        await wal.append([event(1)])
        with limited(resource.RLIMIT_NOFILE, 3), pytest.raises(WalFailed, match="Too many open files"):
            await wal.append([event(2)])
        await insist(wal, 3)

    assert await open_events(RealDisk(directory)) == {1: 1, 2: 3}


async def test_it_does_not_wait_for_the_threads_of_others(directory: Path) -> None:
    """Somebody uses up all that Trio has."""
    limiter = trio.to_thread.current_default_thread_limiter()
    async with open_wal(RealDisk(directory)) as wal:
        for _ in range(int(limiter.total_tokens)):
            await limiter.acquire_on_behalf_of(object())
        with trio.fail_after(5):
            await wal.append([event(1)])


@pytest.mark.slow
async def test_a_large_event_comes_back(directory: Path) -> None:
    """C2-39: 25 MiB, as GitHub sends at most."""
    large = event(1, text="x" * 25 * 1024 * 1024)
    async with open_wal(RealDisk(directory)) as wal:
        await wal.append([large])
    async with open_wal(RealDisk(directory)) as wal:
        assert await wal.read([1]) == [(1, large)]


@pytest.mark.slow
async def test_one_event_among_a_hundred_thousand_settled_ones(directory: Path) -> None:
    """L14: the log is as small as if the others had never been."""
    limits = WalLimits(segment_bytes=256 * 1024)
    async with open_wal(RealDisk(directory), limits=limits) as wal:
        await wal.append([event(-1)])
        for start in range(0, 100_000, 500):
            wal.settle(settled(*await wal.append(events(range(start, start + 500)))))
        await wal.flush()
        assert wal.status().bytes < 3 * 256 * 1024

    assert await open_events(RealDisk(directory), limits=limits) == {1: -1}


@pytest.mark.slow
async def test_fifty_thousand_events_come_back(directory: Path) -> None:
    """From a real disk, in order."""
    chance = secrets.token_hex(100)
    made = [Event("s", "resource.changed", {"platform": "t"}, {"n": n, "text": chance}) for n in range(50_000)]
    limits = WalLimits(segment_bytes=4 * 1024 * 1024)
    async with open_wal(RealDisk(directory), limits=limits) as wal:
        for start in range(0, len(made), 500):
            await wal.append(made[start : start + 500])
        wal.settle(settled(*range(1, 25_001)))
    async with open_wal(RealDisk(directory), limits=limits) as wal:
        left, found = [sequence for sequence, _ in wal.unsettled()], list[tuple[int, Event]]()
        while some := await wal.read(left[len(found) :]):
            found += some

    assert found == list(enumerate(made[25_000:], start=25_001))
