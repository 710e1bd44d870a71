"""``orgloop logs``: the log of a home, from its files and from the daemon."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
from pathlib import Path

import pytest

from orgloop.cli.logfiles import Entry, Tail, backwards
from orgloop.daemon.home import Home, prepare_home
from tests.cli.terminal import Shell, shell

__all__ = ["shell"]


def entry(second: int, phase: str = "deliver.success", **fields: object) -> Entry:
    """A line of a log, so many seconds into a day."""
    return {
        "timestamp": f"2026-01-31T09:{second // 60:02d}:{second % 60:02d}.000Z",
        "phase": phase,
        "event_id": f"evt_{second:08d}",
        "trace_id": "trc_1",
        **fields,
    }


def write(path: Path, entries: list[Entry]) -> None:
    """Append to a log, plain or compressed."""
    content = "".join(f"{json.dumps(one)}\n" for one in entries).encode()
    with path.open("ab") as file:
        file.write(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def log(shell: Shell) -> Path:
    """The log of a home: two files that were put aside, one of them compressed, and the one that is written."""
    home = Home(Path(str(shell.environ["ORGLOOP_HOME"])))
    prepare_home(home)
    write(home.logs / "orgloop.log.2026-01-31T09-00-10-000Z.gz", [entry(number) for number in range(10)])
    write(home.logs / "orgloop.log.2026-01-31T09-00-20-000Z", [entry(number) for number in range(10, 20)])
    write(home.log, [entry(number) for number in range(20, 30)])
    return home.log


def seconds(entries: list[Entry]) -> list[int]:
    return [int(one["event_id"].removeprefix("evt_")) for one in entries]


def asked(shell: Shell, *arguments: str) -> list[int]:
    """Which entries are shown."""
    ended = shell.run("logs", "--no-follow", "--json", *arguments)
    assert ended.code == 0, ended.err
    return seconds(ended.document)


def test_files_that_were_put_aside_are_read_too(shell: Shell, log: Path) -> None:
    """Oldest first, compressed ones as well."""
    assert asked(shell) == list(range(30))
    assert asked(shell, "--limit", "12") == list(range(18, 30))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--source", "github"], [40]),
        (["--route", "triage"], [41]),
        (["--module", "ops"], [42]),
        (["--event-type", "actor.stopped"], [43]),
        (["--event", "evt_00000044"], [44]),
        (["--event", "trc_2"], [45]),
        (["--phase", "transform.drop"], [46]),
        (["--phase", "transform."], [46, 47]),
        (["--result", "drop"], [46]),
        (["--result", "error"], [47, 48]),
        (["--result", "merged"], [49]),
        (["--level", "error"], [48]),
        (["--level", "warn"], [47, 48]),
        (["--since", "2026-01-31T09:00:49Z"], [49]),
        (["--since", "2026-01-31T10:00:49+01:00"], [49]),
    ],
)
def test_a_log_is_filtered(shell: Shell, log: Path, arguments: list[str], found: list[int]) -> None:
    """By each field, by what a result means, by severity and by time."""
    write(
        log,
        [
            entry(40, source="github"),
            entry(41, route="triage"),
            entry(42, module="ops"),
            entry(43, event_type="actor.stopped"),
            entry(44),
            entry(45) | {"trace_id": "trc_2"},
            entry(46, "transform.drop"),
            entry(47, "transform.error"),
            entry(48, "deliver.failure"),
            entry(49, result="merged"),
        ],
    )
    assert asked(shell, *arguments) == found


@pytest.mark.parametrize("since", ["yesterday", "5", "m", "-", "9999999999999d"])
def test_a_time_that_is_none_is_refused(shell: Shell, log: Path, since: str) -> None:
    """Before anything is read."""
    assert shell.run("logs", "--no-follow", "--since", since).code == 64


def test_a_line_shows_what_matters(shell: Shell, log: Path) -> None:
    """Time, phase, source, event, and what is left to say; nothing in it moves the cursor."""
    write(log, [entry(59, "deliver.failure", source="github", module="m", route="r", error="503\x1b[2J\nand more")])
    line = shell.run("logs", "--no-follow", "--result", "error").out
    assert line == "09:00:59 deliver.failure    github       evt_00000059         m/r 503\\x1b[2J ⏎ and more\n"


def test_what_is_no_entry_is_passed_over(shell: Shell, log: Path) -> None:
    """Half a line at the end, noise, JSON that is no object, a file that is not compressed but says so."""
    with log.open("ab") as file:
        file.write(b'\n[1]\n"x"\n\xff\xfe\n{"timestamp": "2026')
    (log.parent / "orgloop.log.2026-01-31T09-00-30-000Z.gz").write_bytes(b"not gzip")
    (log.parent / "orgloop.log.old").write_text(json.dumps(entry(99)))

    assert asked(shell) == list(range(30))


def test_a_home_without_a_log_has_nothing_to_show(shell: Shell) -> None:
    """And that is no failure."""
    assert shell.run("logs", "--no-follow", "--json").document == []
    assert "Nothing of that has happened" in shell.run("logs", "--no-follow").out


def test_a_log_larger_than_a_block_is_read_whole(tmp_path: Path) -> None:
    """From its end, a block at a time, whatever lies on the edge of one."""
    path = tmp_path / "orgloop.log"
    write(path, [entry(number, error="é" * (number % 900)) for number in range(2000)])
    assert seconds(list(backwards(path))) == list(range(1999, -1, -1))


# -- what is appended --------------------------------------------------------------------------------------------------


class Enough(Exception):
    """The test has seen what it wanted."""


def followed(tail: Tail, *steps: object) -> list[int]:
    """What a tail gives while these are done, one for each time that it sleeps."""
    waiting = iter(steps)
    found: list[Entry] = []

    def sleep(_: float) -> None:
        step = next(waiting, None)
        if step is None:
            raise Enough
        assert callable(step)
        step()

    with tail, contextlib.suppress(Enough):
        for line in tail.follow(sleep=sleep):
            found.append(line)  # noqa: PERF402 - what was found is wanted, however this ends
    return seconds(found)


def test_a_tail_begins_at_the_end(log: Path) -> None:
    """And gives what is appended, once it is a whole line."""
    whole = json.dumps(entry(51))

    def half() -> None:
        with log.open("a") as file:
            file.write(whole[:20])

    def rest() -> None:
        with log.open("a") as file:
            file.write(whole[20:] + "\n")

    assert followed(Tail(log), lambda: write(log, [entry(50)]), half, rest) == [50, 51]


def test_a_tail_survives_rotation_and_truncation(log: Path) -> None:
    """The old file is read to its end, and the new one from its beginning."""

    def rotate() -> None:
        write(log, [entry(50)])
        log.rename(log.with_name("orgloop.log.2026-01-31T09-00-51-000Z"))

    def begin() -> None:
        write(log, [entry(51)])

    def cut() -> None:
        os.truncate(log, 0)

    assert followed(Tail(log), rotate, begin, cut, lambda: write(log, [entry(5)])) == [50, 51, 5]


def test_a_tail_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    """As before the first daemon of a home."""
    path = tmp_path / "orgloop.log"
    assert followed(Tail(path), lambda: None, lambda: write(path, [entry(1)])) == [1]


@pytest.mark.slow
def test_following_goes_on_until_somebody_ends_it(shell: Shell, log: Path) -> None:
    """The last fifty first, then what comes; whoever reads no more ends it without a trace."""
    import subprocess

    from tests.cli.terminal import PROGRAM

    with subprocess.Popen(
        [*PROGRAM, "logs", "--json"], env=shell.process_environ, cwd=shell.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(30)]
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        write(log, [entry(60) | {"timestamp": now}])
        last = json.loads(process.stdout.readline())
        process.terminate()

    assert (seconds(first), seconds([last])) == (list(range(30)), [60])
