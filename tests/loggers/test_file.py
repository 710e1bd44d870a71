"""The log file: what is in it when, and what a bad disk costs."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
import trio

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.loggers import BUILT_IN, Console, File, FileConfig
from orgloop.loggers.file import Buffer, Rotation
from tests.loggers.stage import AT_S, Clock, errors, file, limited, mode, notice

# -- what is in it -----------------------------------------------------------------------------------------------------


async def test_a_notice_is_a_line_of_json(tmp_path: Path) -> None:
    """With the fields that apply."""
    async with file(tmp_path / "log") as logger:
        logger.log(notice("deliver.failure", error="x\ny", queue_depth=3))

    assert (tmp_path / "log").read_text() == (
        '{"timestamp":"2023-11-14T22:13:20.250Z","phase":"deliver.failure","event_id":"","trace_id":"",'
        '"queue_depth":3,"error":"x\\ny"}\n'
    )


async def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    """A restart goes on where it ended."""
    for number in ("1", "2"):
        async with file(tmp_path / "log") as logger:
            logger.log(notice(error=number))

    assert errors(tmp_path / "log") == ["1", "2"]


async def test_a_torn_end_is_ended_first(tmp_path: Path) -> None:
    """A line that a crash cut short does not swallow the next."""
    (tmp_path / "log").write_text('{"time')
    async with file(tmp_path / "log") as logger:
        logger.log(notice(error="1"))

    assert (tmp_path / "log").read_text().splitlines()[0] == '{"time'
    assert json.loads((tmp_path / "log").read_text().splitlines()[1])["error"] == "1"


async def test_file_and_directories_are_private(tmp_path: Path) -> None:
    """Whatever the umask allows or forbids."""
    for umask in (0, 0o777):
        before = os.umask(umask)
        try:
            async with file(tmp_path / f"{umask}" / "b" / "log"):
                pass
        finally:
            os.umask(before)
        made = [tmp_path / f"{umask}", tmp_path / f"{umask}" / "b", tmp_path / f"{umask}" / "b" / "log"]
        assert [mode(path) for path in made] == [0o700, 0o700, 0o600]


async def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    """It may be /var/log."""
    os.chmod(tmp_path, 0o755)
    async with file(tmp_path / "log"):
        pass

    assert mode(tmp_path) == 0o755


async def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default path begins with it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    async with File(FileConfig()):
        pass

    assert (tmp_path / ".orgloop/logs/orgloop.log").is_file()


async def test_a_relative_path_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that goes elsewhere writes on where it began."""
    monkeypatch.chdir(tmp_path)
    logger = file(Path("log"))
    monkeypatch.chdir("/")
    async with logger:
        logger.log(notice(error="1"))

    assert errors(tmp_path / "log") == ["1"]


# -- when --------------------------------------------------------------------------------------------------------------


async def test_a_notice_after_a_quiet_time_is_written_at_once(tmp_path: Path) -> None:
    """Who follows a quiet log waits for nothing."""
    async with file(tmp_path / "log", size=100) as logger:
        logger.log(notice(error="1"))
        assert errors(tmp_path / "log") == ["1"]


async def test_notices_in_quick_succession_are_held_back(tmp_path: Path) -> None:
    """Up to as many as the buffer holds."""
    async with file(tmp_path / "log", size=3) as logger:
        for number in range(3):
            logger.log(notice(error=str(number)))
        assert errors(tmp_path / "log") == ["0"]
        logger.log(notice(error="3"))
        assert errors(tmp_path / "log") == ["0", "1", "2", "3"]


@pytest.mark.parametrize("passed_s", [1, 3600, -5])
async def test_notices_are_held_back_no_longer_than_the_interval(tmp_path: Path, passed_s: float) -> None:
    """By the clock; one that was set back counts as time that has passed."""
    clock = Clock()
    async with file(tmp_path / "log", clock, size=100) as logger:
        logger.log(notice(error="1"))
        logger.log(notice(error="2"))
        clock.now_s += passed_s
        logger.log(notice(error="3"))
        assert errors(tmp_path / "log") == ["1", "2", "3"]


async def test_what_is_held_back_can_be_asked_for(tmp_path: Path) -> None:
    """When there are no more notices to wait for."""
    async with file(tmp_path / "log", size=100) as logger:
        logger.log(notice(error="1"))
        logger.log(notice(error="2"))
        logger.flush()
        logger.flush()
        assert errors(tmp_path / "log") == ["1", "2"]


async def test_what_is_held_back_is_written_at_the_end(tmp_path: Path) -> None:
    """By cancellation, too."""
    with trio.CancelScope() as scope:
        async with file(tmp_path / "log", size=100) as logger:
            logger.log(notice(error="1"))
            logger.log(notice(error="2"))
            scope.cancel(reason="the test says so")
            await trio.lowlevel.checkpoint()

    assert errors(tmp_path / "log") == ["1", "2"]


async def test_a_notice_after_the_end_is_lost(tmp_path: Path) -> None:
    """It is counted; the file is not opened again."""
    async with file(tmp_path / "log") as logger:
        pass
    logger.log(notice())

    assert (logger.lost, (tmp_path / "log").read_text()) == (1, "")


# -- bad disks ---------------------------------------------------------------------------------------------------------


async def test_a_full_disk_costs_lines(tmp_path: Path) -> None:
    """Those that do not fit are counted, those that do are whole."""
    async with file(tmp_path / "log", size=5) as logger:
        logger.log(notice(error="0"))
        with limited(resource.RLIMIT_FSIZE, 300):
            for number in range(1, 6):
                logger.log(notice(error=str(number)))

    assert (errors(tmp_path / "log"), logger.lost) == (["0", "1"], 4)


async def test_a_disk_with_room_again_takes_lines_again(tmp_path: Path) -> None:
    """And the file says what is missing."""
    async with file(tmp_path / "log") as logger:
        with limited(resource.RLIMIT_FSIZE, 0):
            logger.log(notice(error="1"))
            logger.log(notice(error="2"))
        logger.log(notice(error="3"))
        logger.log(notice(error="4"))

    lost = "2 log lines have been lost so far, last because of: [Errno 27] File too large"
    assert errors(tmp_path / "log") == [lost, "3", "4"]


async def test_a_disk_that_fills_up_after_the_confession_counts_right(tmp_path: Path) -> None:
    """The line about the loss is none of the lines that were lost."""
    async with file(tmp_path / "log") as logger:
        with limited(resource.RLIMIT_FSIZE, 0):
            logger.log(notice(error="1"))
        with limited(resource.RLIMIT_FSIZE, 260):
            logger.log(notice(error="2" * 100))

    assert logger.lost == 2
    assert len(errors(tmp_path / "log")) == 1


async def test_a_device_is_written_and_never_rotated(tmp_path: Path) -> None:
    """As /dev/stdout in a container; here one that is always full."""
    async with file(Path("/dev/full"), max_size_bytes=1, max_age_s=1) as logger:
        logger.log(notice())
        logger.log(notice())

    assert (logger.lost, logger.failed_rotations) == (2, 0)
    assert logger.last_error == "[Errno 28] No space left on device"


async def test_a_device_takes_lines(tmp_path: Path) -> None:
    """One that takes everything."""
    async with file(Path("/dev/null"), max_size_bytes=1) as logger:
        logger.log(notice())

    assert (logger.lost, logger.failed_rotations) == (0, 0)


async def test_a_pipe_that_nobody_reads_costs_lines(tmp_path: Path) -> None:
    """Opening it does not wait for a reader."""
    os.mkfifo(tmp_path / "log")
    async with file(tmp_path / "log") as logger:
        logger.log(notice())

    assert logger.lost == 1


async def test_a_pipe_that_took_half_a_line_gets_its_end_before_the_next(tmp_path: Path) -> None:
    """What was written to a pipe cannot be taken back."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    async with file(tmp_path / "log") as logger:
        for number in range(30):
            logger.log(notice(error=str(number), result="x" * 4000))
        os.read(reader, 2**20)
        logger.log(notice(error="last"))
    confession, last = os.read(reader, 2**20).decode().removeprefix("\n").splitlines()
    os.close(reader)

    assert json.loads(confession)["error"].startswith(f"{logger.lost} log lines have been lost")
    assert json.loads(last)["error"] == "last"


async def test_a_file_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    """As a log rotation of the system does."""
    async with file(tmp_path / "log") as logger:
        logger.log(notice(error="1"))
        (tmp_path / "log").rename(tmp_path / "old")
        logger.log(notice(error="2"))

    assert (errors(tmp_path / "old"), errors(tmp_path / "log")) == (["1"], ["2"])


async def test_a_directory_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    """Lines are not written to where nobody finds them."""
    async with file(tmp_path / "logs" / "log") as logger:
        (tmp_path / "logs" / "log").unlink()
        (tmp_path / "logs").rmdir()
        logger.log(notice(error="1"))

    assert errors(tmp_path / "logs" / "log") == ["1"]


async def test_a_file_that_is_removed_for_good_costs_lines(tmp_path: Path) -> None:
    """Something else stands where its directory was."""
    async with file(tmp_path / "logs" / "log") as logger:
        (tmp_path / "logs" / "log").unlink()
        (tmp_path / "logs").rmdir()
        (tmp_path / "logs").touch()
        logger.log(notice())

    assert logger.lost == 1


async def test_a_moved_file_is_written_while_there_is_no_other(tmp_path: Path) -> None:
    """It is better than nothing."""
    async with file(tmp_path / "logs" / "log") as logger:
        (tmp_path / "logs").rename(tmp_path / "old")
        (tmp_path / "logs").touch()
        logger.log(notice(error="1"))

    assert errors(tmp_path / "old" / "log") == ["1"]


@pytest.mark.parametrize("obstacle", ["a directory", "a link", "a file above"])
async def test_a_path_that_only_the_operator_can_mend_is_refused(tmp_path: Path, obstacle: str) -> None:
    """At the start, with the path and the reason."""
    path = tmp_path / "log" / "log" if obstacle == "a file above" else tmp_path / "log"
    if obstacle == "a directory":
        path.mkdir()
    elif obstacle == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.parent.touch()

    with pytest.raises(ConfigError, match=f"^{path}: cannot be opened for logging: "):
        await file(path).__aenter__()

    assert not (tmp_path / "elsewhere").exists()


async def test_a_start_that_lacks_room_is_a_start(tmp_path: Path) -> None:
    """No log keeps an organisation from working; the file is opened when it can be."""
    logger = file(tmp_path / "log")
    lowest_free = os.dup(0)
    os.close(lowest_free)
    with limited(resource.RLIMIT_NOFILE, lowest_free):
        await logger.__aenter__()
        assert logger.last_error == f"[Errno 24] Too many open files: '{tmp_path / 'log'}'"
    logger.log(notice(error="1"))
    await logger.__aexit__(None, None, None)

    assert errors(tmp_path / "log") == ["1"]


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["rotation", "rotate"])
def test_the_configuration_of_the_original_is_taken(key: str) -> None:
    """By both names of the rotation, one of which the original knew from its documentation only."""
    data = {
        "path": "x.log",
        "format": "jsonl",
        key: {"max_size": "1MB", "max_age": "1d", "max_files": 2, "compress": False},
        "buffer": {"size": 7, "flush_interval": "250ms"},
    }

    assert structure(FileConfig, data, where="config") == FileConfig(
        path="x.log",
        rotation=Rotation(max_size_bytes=2**20, max_age_s=86400, max_files=2, compress=False),
        buffer=Buffer(size=7, flush_interval_s=0.25),
    )


def test_the_defaults_are_those_of_the_original() -> None:
    """100 MB, 7 days, 10 files, 100 lines, 1 second."""
    config = FileConfig()

    assert (config.rotation.max_size_bytes, config.rotation.max_age_s) == (104_857_600, 604_800)
    assert (config.rotation.max_files, config.buffer.size, config.buffer.flush_interval_s) == (10, 100, 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("console", Console), ("@orgloop/logger-console", Console), ("file", File), ("@orgloop/logger-file", File)],
)
def test_a_logger_is_found_by_both_its_names(name: str, kind: type) -> None:
    """And made of its configuration, all defaults."""
    built_in = BUILT_IN[name]

    assert isinstance(built_in.make(structure(built_in.config, {}, where="")), kind)


def test_the_clock_is_that_of_the_wall(tmp_path: Path) -> None:
    """Unless one is given: the names of rotated files are dates."""
    assert File(FileConfig(path=str(tmp_path / "log")))._clock() > AT_S
