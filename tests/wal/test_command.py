"""``python -m orgloop.wal``: what it tells of a log, and that it leaves it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orgloop.wal.__main__ import main
from orgloop.wal.frame import line_of
from orgloop.wal.segment import Header, parse_header, parse_name
from tests.wal.oracle import Contents, flipped, sample


@pytest.fixture(scope="module")
def contents() -> Contents:
    return sample()


@pytest.fixture
def log(tmp_path: Path, contents: Contents) -> Path:
    return lay(tmp_path / "wal", contents)


def lay(directory: Path, contents: Contents) -> Path:
    """Files on a real disk."""
    directory.mkdir()
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return directory


def files(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As a process of its own."""
    command = [sys.executable, "-m", "orgloop.wal", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


# -- exit statuses, by a real process ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_whole_log_is_status_0(log: Path) -> None:
    """And the last line says so."""
    ended = run(log)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("all is whole\n")


@pytest.mark.slow
def test_a_damaged_log_is_status_1(tmp_path: Path, contents: Contents) -> None:
    """With where, what and which events."""
    name = min(contents)
    ended = run(lay(tmp_path / "wal", flipped(contents, name, 8 * 250)))

    assert ended.returncode == 1
    assert f"damaged: {name} from byte 152 to 362, events 1 to 1: 210 bytes are damaged\ndamages: 1\n" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("path", ["nowhere", "notes.txt", "0000000001-00000000.jsonl"])
def test_what_is_no_log_is_status_2(tmp_path: Path, path: str) -> None:
    """One line, no traceback, and nothing is made."""
    (tmp_path / "notes.txt").touch()
    ended = run(tmp_path / path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "is neither a directory nor a segment" in ended.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_log_of_two_hundred_thousand_events_is_streamed(tmp_path: Path) -> None:
    """All of them settled, in 50 MB: it takes less than 128 MiB, most of which is Python."""
    seal_all = (
        "import sys, trio; from pathlib import Path; from orgloop.wal import RealDisk, open_wal\n"
        "from orgloop.sdk import Settlement; from tests.wal.stage import events\n"
        "async def main():\n"
        "    async with open_wal(RealDisk(Path(sys.argv[1]))) as wal:\n"
        "        for start in range(0, 200_000, 1000):\n"
        "            done = await wal.append(events(range(start, start + 1000)))\n"
        "            wal.settle([Settlement(outcome='delivered', sequences=done, module='m', route='r')])\n"
        "trio.run(main)\n"
    )
    subprocess.run([sys.executable, "-c", seal_all, tmp_path / "wal"], cwd=Path(__file__).parents[2], check=True)
    look = (
        "import resource, sys; from orgloop.wal.__main__ import main; main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    ended = subprocess.run([sys.executable, "-c", look, tmp_path / "wal"], capture_output=True, text=True, check=True)

    assert "all is whole" in ended.stdout
    assert int(ended.stdout.splitlines()[-1]) < 128


# -- what it tells -----------------------------------------------------------------------------------------------------


def test_it_touches_nothing(tmp_path: Path, contents: Contents) -> None:
    """Not even what a start would put aside."""
    log = lay(tmp_path / "wal", {**contents, max(contents): contents[max(contents)] + b"torn"})
    before = files(log)
    main([str(log), "--events"])

    assert files(log) == before


def test_it_lists_segments_notes_and_events(log: Path, contents: Contents, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person."""
    assert main([str(log), "--events"]) == 0

    told = capsys.readouterr().out
    assert "next sequence 13, open events 9\n" in told
    name = min(os.listdir(log))
    assert f"{name} {len(contents[name]):>13,}                  1 to 4           4           3\n" in told
    assert 'note "c" "s" in segment 3: "2 and a half"\n' in told
    assert 'event 3: "resource.changed" of "s", "evt_2", settled for "r2" of "m"\n' in told


def test_json_is_one_line_for_the_report_and_one_for_each_event(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a program."""
    main([str(log), "--json", "--events"])
    report, *events = map(json.loads, capsys.readouterr().out.splitlines())

    assert (report["state"], report["open_events"], report["damages"]) == ("whole", 9, [])
    assert [segment["last"] for segment in report["segments"]] == [4, 8, 12]
    assert [event["sequence"] for event in events] == [1, 3, 4, 5, 7, 8, 9, 11, 12]
    assert events[1]["settled"] == [["m", "r2"]]
    assert events[0]["event"]["payload"] == {"i": 0}


def test_json_tells_damage_and_what_a_start_would_do(
    tmp_path: Path, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that recovery found."""
    last = max(contents)
    torn = {**flipped(contents, min(contents), 8 * 250), last: contents[last] + b"torn", ".torn-x": b"old"}
    assert main([str(lay(tmp_path / "wal", torn)), "--json"]) == 1

    report = json.loads(capsys.readouterr().out)
    assert report["state"] == "damaged"
    assert report["damages"][0]["first"] == 1
    assert report["torn"] == {"segment": last, "start": len(contents[last]), "end": len(contents[last]) + 4}
    assert report["put_aside"] == [{"name": ".torn-x", "bytes": 3}]


def test_it_tells_what_a_start_would_do(tmp_path: Path, contents: Contents, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that recovery would put right, and what it has."""
    name = max(contents)
    salt = int(name[11:19], 16)
    late = line_of({"settle": "delivered", "events": [99]}, salt) + line_of({"commit": 12}, salt)
    stranger = Header(number=9, log="other", first=1, previous_bytes=0, doubts_previous=False, at="").line(0)
    log = lay(
        tmp_path / "wal",
        {
            **contents,
            name: contents[name] + late + b"torn",
            "0000000009-00000000.jsonl": stranger,
            "0000000004-00000000.jsonl": bytes(9),
            "0000000003-00000000.jsonl": _header_of(contents, name).line(0),
            ".damaged-x": b"old",
        },
    )
    assert main([str(log)]) == 1

    told = capsys.readouterr().out
    assert f"torn: {name} from byte" in told
    assert "torn: 0000000004-00000000.jsonl as a whole, the beginning of a segment" in told
    assert "superseded: 0000000003-00000000.jsonl; a start would remove it" in told
    assert "foreign: 0000000009-00000000.jsonl; a start would put it aside" in told
    assert "settlements of events that are not open: 1, ignored" in told
    assert "put aside earlier: .damaged-x, 3 bytes" in told
    assert "damaged: 0000000009-00000000.jsonl: is segment 9 of log other" in told


def _header_of(contents: Contents, name: str) -> Header:
    segment = parse_name(name)
    assert segment is not None
    header = parse_header(segment, contents[name].splitlines()[0])
    assert header is not None
    return header


def test_one_segment_under_a_wrong_number_is_damage(tmp_path: Path, contents: Contents) -> None:
    """Its header says what it is."""
    name = min(contents)
    log = lay(tmp_path / "wal", {name.replace("0000000001", "0000000002"): contents[name]})

    assert main([str(log / name.replace("0000000001", "0000000002"))]) == 1


def test_one_segment_that_was_only_begun_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A start would put it aside."""
    (tmp_path / "0000000001-00000000.jsonl").write_bytes(b'{"segm')

    assert main([str(tmp_path / "0000000001-00000000.jsonl")]) == 0
    assert "as a whole, the beginning of a segment" in capsys.readouterr().out


def test_one_segment_can_be_looked_at(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By itself, also where it is not at home: another one's events are none of its."""
    assert main([str(log / max(os.listdir(log)))]) == 0

    told = capsys.readouterr().out
    assert "next sequence 13, open events 3\n" in told
    assert "all is whole" in told


def test_one_segment_may_be_damaged(tmp_path: Path, contents: Contents, capsys: pytest.CaptureFixture[str]) -> None:
    """As above."""
    log = lay(tmp_path / "wal", flipped(contents, min(contents), 8 * 250))

    assert main([str(log / min(contents))]) == 1
    assert "events 1 to 1: 210 bytes are damaged" in capsys.readouterr().out


def test_an_empty_directory_is_a_log_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """L1."""
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "log ?, next sequence 1, open events 0\nall is whole\n"


def test_a_format_to_come_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    (tmp_path / "0000000001-00000000.jsonl").write_bytes(line_of({"segment": 1, "format": 2}, 0))
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])

    assert ended.value.code == 2
    assert "has format 2, this version knows 1" in capsys.readouterr().err


def test_nothing_in_a_log_reaches_the_terminal_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """I42: escape sequences are escaped."""
    header = Header(number=1, log="x", first=1, previous_bytes=0, doubts_previous=False, at="").line(0)
    note = line_of({"notes": [["\x1b[2J", "\x1b[2J", "\x1b[2J"]]}, 0)
    (tmp_path / "0000000001-00000000.jsonl").write_bytes(header + note + line_of({"commit": 0}, 0))
    main([str(tmp_path)])

    assert "\x1b" not in capsys.readouterr().out
