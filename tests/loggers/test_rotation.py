"""Rotation: when a file is put aside, what it is called then, and what is deleted."""

from __future__ import annotations

import gzip
import json
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.loggers._rotation import rotated_files, tidy
from tests.loggers.stage import Clock, errors, file, limited, mode, names, notice

STAMP = "2023-11-14T22-13-20-250Z"
DAY_S = 86400.0


def tidied(directory: Path, *, now_s: float = 1_700_000_000.0, **kept: Any) -> list[str]:
    """What is left of a directory."""
    tidy(directory / "log", now_s=now_s, **{"compress": False, "max_files": 10, "max_age_s": 1e12} | kept)
    return names(directory)


# -- when --------------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_full_is_put_aside(tmp_path: Path) -> None:
    """Under the time in UTC, compressed; the next line stands in a new file."""
    async with file(tmp_path / "log", max_size_bytes=150) as logger:
        for number in range(3):
            logger.log(notice(error=str(number)))

    aside = tmp_path / f"log.{STAMP}.gz"
    assert names(tmp_path) == ["log", aside.name]
    assert [json.loads(line)["error"] for line in gzip.decompress(aside.read_bytes()).splitlines()] == ["0", "1"]
    assert errors(tmp_path / "log") == ["2"]


async def test_compression_can_be_declined(tmp_path: Path) -> None:
    """What was put aside stays readable."""
    async with file(tmp_path / "log", max_size_bytes=1, compress=False) as logger:
        logger.log(notice(error="0"))

    assert errors(tmp_path / f"log.{STAMP}") == ["0"]


async def test_all_of_it_is_private(tmp_path: Path) -> None:
    """The new file and the compressed one."""
    async with file(tmp_path / "log", max_size_bytes=1) as logger:
        logger.log(notice())

    assert {mode(tmp_path / name) for name in names(tmp_path)} == {0o600}


async def test_a_file_that_is_old_is_put_aside(tmp_path: Path) -> None:
    """By the clock, since its first line."""
    clock = Clock()
    async with file(tmp_path / "log", clock, max_age_s=DAY_S, compress=False) as logger:
        logger.log(notice(error="0"))
        clock.now_s += DAY_S
        logger.log(notice(error="1"))
        logger.log(notice(error="2"))

    assert errors(tmp_path / "log.2023-11-15T22-13-20-250Z") == ["0", "1"]
    assert errors(tmp_path / "log") == ["2"]


async def test_a_restart_makes_no_file_young(tmp_path: Path) -> None:
    """Its age is that of its first line."""
    clock = Clock()
    async with file(tmp_path / "log", clock) as logger:
        logger.log(notice())
    clock.now_s += DAY_S
    async with file(tmp_path / "log", clock, max_age_s=DAY_S, compress=False) as logger:
        logger.log(notice())

    assert "log.2023-11-15T22-13-20-250Z" in names(tmp_path)


@pytest.mark.parametrize("first", ["not ours\n", '{"timestamp":"2023-99-99T00:00:00Z"}\n'])
async def test_a_file_without_a_first_time_is_as_old_as_its_last_change(tmp_path: Path, first: str) -> None:
    """Somebody else began it."""
    clock = Clock()
    (tmp_path / "log").write_text(first)
    os.utime(tmp_path / "log", (clock.now_s - DAY_S, clock.now_s - DAY_S))
    async with file(tmp_path / "log", clock, max_age_s=DAY_S) as logger:
        logger.log(notice())

    assert len(names(tmp_path)) == 2


async def test_two_in_one_millisecond_have_two_names(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    async with file(tmp_path / "log", max_size_bytes=1, compress=False) as logger:
        for number in range(3):
            logger.log(notice(error=str(number)))

    aside = [tmp_path / f"log.{STAMP}{end}" for end in ("", "-2", "-3")]
    assert [errors(path) for path in aside] == [["0"], ["1"], ["2"]]


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(0, 200), max_size=40),
    max_size_bytes=st.integers(1, 1000),
    size=st.integers(1, 5),
    compress=st.booleans(),
)
def test_rotation_loses_no_line(lengths: list[int], max_size_bytes: int, size: int, compress: bool) -> None:
    """All lines are in some file, in order, whatever their lengths and the limits."""
    with tempfile.TemporaryDirectory() as directory:
        path, clock = Path(directory) / "log", Clock()
        logger = file(path, clock, size=size, max_size_bytes=max_size_bytes, compress=compress, max_files=999)
        for number, length in enumerate(lengths):
            clock.now_s += number % 2
            logger.log(notice(error="x" * length, queue_depth=number))
        logger._close()
        aside = [path.with_name(each.name) for each in sorted(rotated_files(path), key=lambda x: (x.at_s, x.number))]
        read = [gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes() for each in aside]
        lines = b"".join([*read, path.read_bytes() if lengths else b""]).splitlines()

    assert [json.loads(line)["queue_depth"] for line in lines] == [*range(len(lengths))]


# -- what is deleted ---------------------------------------------------------------------------------------------------


def test_the_newest_are_kept(tmp_path: Path) -> None:
    """Compressed or not, by the time in the name."""
    for name in ("2023-01-01T00-00-00-000Z.gz", "2023-01-02T00-00-00-000Z", "2023-01-02T00-00-00-000Z-2", STAMP):
        (tmp_path / f"log.{name}").touch()

    assert tidied(tmp_path, max_files=2) == ["log.2023-01-02T00-00-00-000Z-2", f"log.{STAMP}"]


def test_the_old_are_deleted(tmp_path: Path) -> None:
    """However few there are."""
    (tmp_path / f"log.{STAMP}").touch()
    (tmp_path / "log.2023-01-01T00-00-00-000Z").touch()

    assert tidied(tmp_path, max_age_s=DAY_S) == [f"log.{STAMP}"]


def test_none_may_be_kept(tmp_path: Path) -> None:
    """Zero files are none."""
    (tmp_path / f"log.{STAMP}.gz").touch()

    assert tidied(tmp_path, max_files=0) == []


STRANGERS = [
    *("log", "log.1", "log.old", "log.gz", "log.2023-11-14", f"log.{STAMP}.bak", f"log.{STAMP}.gz.gz", f"xlog.{STAMP}"),
    *(f"log.{STAMP}x", f"log.{STAMP}-", f"log.{STAMP}-x", f"Log.{STAMP}", f"log.{STAMP}\n", f"logs.{STAMP}"),
    *("log.2023-99-99T00-00-00-000Z", f"logx{STAMP}", f"log.{STAMP[:-1]}", f"log.{STAMP}.part"),
]


def test_only_our_own_are_deleted(tmp_path: Path) -> None:
    """A name that is nearly ours is somebody else's."""
    for name in STRANGERS:
        (tmp_path / name).touch()

    assert tidied(tmp_path, max_files=0, max_age_s=0, compress=True) == sorted(STRANGERS)


def test_what_is_no_file_is_not_ours(tmp_path: Path) -> None:
    """A directory or a link of such a name is left alone."""
    (tmp_path / f"log.{STAMP}").mkdir()
    (tmp_path / f"log.{STAMP}-2").symlink_to("/etc/passwd")

    assert len(tidied(tmp_path, max_files=0, compress=True)) == 2


def test_a_name_with_special_characters_is_taken_literally(tmp_path: Path) -> None:
    """The path is the operator's, and no pattern."""
    (tmp_path / f"a+b.{STAMP}").touch()
    (tmp_path / f"aab.{STAMP}").touch()

    assert [rotated.name for rotated in rotated_files(tmp_path / "a+b")] == [f"a+b.{STAMP}"]


# -- after a crash, and with a bad disk --------------------------------------------------------------------------------


async def test_what_a_crash_left_is_finished_at_the_start(tmp_path: Path) -> None:
    """Half of a compressed file is removed, the whole of the other compressed."""
    (tmp_path / f"log.{STAMP}").write_bytes(b"line\n")
    (tmp_path / f"log.{STAMP}.gz.part").write_bytes(b"\x1f\x8b")
    async with file(tmp_path / "log"):
        pass

    assert names(tmp_path) == ["log", f"log.{STAMP}.gz"]
    assert gzip.decompress((tmp_path / f"log.{STAMP}.gz").read_bytes()) == b"line\n"


async def test_a_crash_before_the_end_of_compression_costs_nothing(tmp_path: Path) -> None:
    """The compressed file is there, and so is the other: it is made again."""
    (tmp_path / f"log.{STAMP}").write_bytes(b"line\n")
    (tmp_path / f"log.{STAMP}.gz").write_bytes(gzip.compress(b"line\n"))
    async with file(tmp_path / "log"):
        pass

    assert names(tmp_path) == ["log", f"log.{STAMP}.gz"]


async def test_a_rotation_that_fails_costs_no_line(tmp_path: Path) -> None:
    """Here the name would be too long: the file is written on."""
    path = tmp_path / ("x" * 250)
    async with file(path, max_size_bytes=1) as logger:
        logger.log(notice(error="0"))
        logger.log(notice(error="1"))

    assert (errors(path), logger.lost) == (["0", "1"], 0)


async def test_a_rotation_that_failed_is_not_tried_at_every_line(tmp_path: Path) -> None:
    """But a minute later."""
    clock = Clock()
    async with file(tmp_path / ("x" * 250), clock, max_size_bytes=1) as logger:
        for _ in range(10):
            logger.log(notice())
        assert logger.failed_rotations == 1
        clock.now_s += 61
        logger.log(notice())
        assert logger.failed_rotations == 2


async def test_a_compression_that_fails_keeps_what_it_was_to_compress(tmp_path: Path) -> None:
    """Something stands in its way."""
    (tmp_path / f"log.{STAMP}.gz.part").mkdir()
    async with file(tmp_path / "log", max_size_bytes=1) as logger:
        logger.log(notice(error="0"))

    assert (errors(tmp_path / f"log.{STAMP}"), logger.failed_rotations) == (["0"], 1)


def test_a_full_disk_leaves_no_half_compressed_file(tmp_path: Path) -> None:
    """What there was is kept, what there was no room for is removed."""
    (tmp_path / f"log.{STAMP}").write_bytes(os.urandom(600))
    with limited(resource.RLIMIT_FSIZE, 500), pytest.raises(OSError, match="File too large"):
        tidied(tmp_path, compress=True)

    assert names(tmp_path) == [f"log.{STAMP}"]
