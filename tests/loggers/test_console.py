"""The console: what a line looks like, and what happens when nobody takes it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, TextIO

import attrs
import pytest

from orgloop.loggers import Console, ConsoleConfig
from orgloop.sdk import Notice
from tests.loggers.stage import notice

FAILURE: dict[str, Any] = {
    "source": "github",
    "target": "bot",
    "route": "triage",
    "transform": "dedup",
    "event_type": "resource.changed",
    "result": "error",
    "duration_ms": 1203.6,
    "error": "timed out",
}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def shown(what: Notice, **config: Any) -> str:
    """What stands in a stream in memory afterwards."""
    stream = io.StringIO()
    Console(ConsoleConfig(**config), stream=stream).log(what)
    return stream.getvalue()


# -- the line ----------------------------------------------------------------------------------------------------------


def test_a_line_has_what_applies_in_its_order() -> None:
    """Time, icon, phase, then the parts that are there."""
    assert shown(notice("deliver.failure", **FAILURE)) == (
        "22:13:20.250 ✗ deliver.failure src=github tgt=bot route=triage xform=dedup type=resource.changed "
        "result=error 1204ms err=timed out\n"
    )


def test_what_does_not_apply_is_left_out() -> None:
    """A notice about nothing in particular is its time and phase."""
    assert shown(notice("system.start")) == "22:13:20.250 ● system.start\n"


def test_the_time_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads a wall clock."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()

    assert shown(notice()).startswith("17:13:20.250 ")


def test_a_timestamp_that_is_none_is_shown_as_it_is() -> None:
    """It costs the form, not the line."""
    assert shown(notice(timestamp="soon\n")) == "soon\\n ● source.emit\n"


def test_the_long_form_adds_date_and_ids() -> None:
    """Without ``compact`` a line says when, and which event."""
    line = shown(notice(event_id="evt_1", trace_id="trc_1", module="eng", queue_depth=0), compact=False)

    assert line == "2023-11-14 22:13:20.250 ● source.emit module=eng event=evt_1 trace=trc_1 queue=0\n"


def test_metadata_is_shown_when_asked_for() -> None:
    """As JSON, at the end."""
    assert shown(notice(metadata={"a": [1]}), show_payload=True).endswith(' meta={"a":[1]}\n')


def test_metadata_is_not_shown_otherwise() -> None:
    """It may be long."""
    assert "meta" not in shown(notice(metadata={"a": [1]}))


@pytest.mark.parametrize("field", ["phase", "source", "target", "route", "transform", "event_type", "result", "error"])
def test_no_field_ends_the_line(field: str) -> None:
    """Whatever an event brings, one notice is one line, and no terminal obeys it."""
    line = shown(notice(**{field: "a\r\nb\x1b]0;x\x07\u202e\u200b"}))

    assert line.count("\n") == 1
    assert "a\\r\\nb\\x1b]0;x\\x07\\u202e\\u200b" in line


def test_a_part_that_is_too_long_is_cut() -> None:
    """With how much is missing."""
    assert shown(notice(error="x" * 5000)).endswith(f"err={'x' * 4092}… (908 more)\n")


@pytest.mark.parametrize(
    ("phase", "icon"),
    [
        ("source.emit", "●"),
        ("runtime.start", "●"),
        ("audit.record", "●"),
        ("transform.start", "◆"),
        ("transform.pass", "◆"),
        ("transform.drop", "✗"),
        ("transform.error", "⚠"),
        ("transform.error_halt", "⛔"),
        ("route.match", "►"),
        ("deliver.attempt", "▷"),
        ("deliver.success", "✓"),
        ("deliver.failure", "✗"),
        ("deliver.retry", "↻"),
        ("system.error", "⚠"),
        ("audit.held", "⛔"),
        ("loop.circuit_broken", "⛔"),
        ("pipeline.backpressure", "⚠"),
        ("inbox.notify", "✉"),
        ("of.tomorrow", "●"),
    ],
)
def test_a_phase_has_its_icon(phase: str, icon: str) -> None:
    """A phase that is not known has that of its gravity."""
    assert shown(notice(phase), level="debug") == f"22:13:20.250 {icon} {phase}\n"


@pytest.mark.parametrize(
    ("level", "phases"),
    [
        ("debug", ["route.no_match", "source.emit", "deliver.retry", "deliver.failure"]),
        ("info", ["source.emit", "deliver.retry", "deliver.failure"]),
        ("warn", ["deliver.retry", "deliver.failure"]),
        ("warning", ["deliver.retry", "deliver.failure"]),
        ("error", ["deliver.failure"]),
    ],
)
def test_what_is_less_grave_than_the_level_is_left_out(level: str, phases: list[str]) -> None:
    """One phase of each gravity, and what is left of them."""
    every = ["route.no_match", "source.emit", "deliver.retry", "deliver.failure"]

    assert [phase for phase in every if shown(notice(phase), level=level)] == phases


# -- where it goes -----------------------------------------------------------------------------------------------------


@attrs.define
class Ends:
    """Two ends of something, the writing one as a stream."""

    reading: int
    writing: TextIO

    def read(self) -> str:
        return os.read(self.reading, 100_000).decode()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, reading: int, writing: int, encoding: str = "utf-8") -> Ends:
    ends = Ends(reading, stack.enter_context(os.fdopen(writing, "w", encoding=encoding)))
    stack.callback(lambda: os.close(ends.reading) if ends.reading >= 0 else None)
    return ends


@pytest.fixture
def pipe(stack: ExitStack) -> Ends:
    return opened(stack, *os.pipe())


@pytest.fixture
def terminal(stack: ExitStack) -> Ends:
    return opened(stack, *os.openpty())


def fill(pipe: Ends) -> None:
    """Leave no room in a pipe."""
    flags = fcntl.fcntl(pipe.writing, fcntl.F_GETFL)
    fcntl.fcntl(pipe.writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe.writing.fileno(), b"x" * 4096)
    fcntl.fcntl(pipe.writing, fcntl.F_SETFL, flags)


def drain(ends: Ends) -> str:
    """Read all that is there."""
    os.set_blocking(ends.reading, False)
    text = ""
    with contextlib.suppress(BlockingIOError):
        while True:
            text += ends.read()
    return text


def test_a_line_goes_out_at_once(pipe: Ends) -> None:
    """Nothing is held back in a buffer."""
    Console(stream=pipe.writing).log(notice())

    assert pipe.read() == "22:13:20.250 ● source.emit\n"


def test_a_line_longer_than_a_page_goes_out_whole(pipe: Ends) -> None:
    """It takes more than one write."""
    Console(stream=pipe.writing).log(notice(source="é" * 4000, error="e" * 4000))

    assert len(drain(pipe)) == len("22:13:20.250 ● source.emit src= err=\n") + 8000


def test_a_stream_that_knows_fewer_letters_gets_what_it_knows(stack: ExitStack) -> None:
    """The icon is written out; the line is there."""
    pipe = opened(stack, *os.pipe(), encoding="ascii")

    Console(stream=pipe.writing).log(notice())

    assert pipe.read() == "22:13:20.250 \\u25cf source.emit\n"


def test_a_terminal_gets_color(terminal: Ends) -> None:
    """Red is for errors, and ends before the parts."""
    Console(stream=terminal.writing, environ={"TERM": "xterm"}).log(notice("deliver.failure", error="x"))

    assert terminal.read() == "22:13:20.250 \x1b[31m✗ deliver.failure\x1b[0m err=x\r\n"


@pytest.mark.parametrize(
    ("color", "environ"), [(False, {}), (True, {"NO_COLOR": "1"}), (True, {"TERM": "dumb"})], ids=str
)
def test_color_can_be_declined(terminal: Ends, color: bool, environ: dict[str, str]) -> None:
    """By the configuration, by NO_COLOR, and by a terminal that says it is dumb."""
    Console(ConsoleConfig(color=color), stream=terminal.writing, environ=environ).log(notice())

    assert "\x1b" not in terminal.read()


def test_no_color_that_is_empty_is_not_set(terminal: Ends) -> None:
    """As no-color.org has it."""
    Console(stream=terminal.writing, environ={"NO_COLOR": ""}).log(notice())

    assert "\x1b[36m" in terminal.read()


def test_what_is_no_terminal_gets_no_color(pipe: Ends) -> None:
    """Whatever the environment says."""
    Console(stream=pipe.writing, environ={"TERM": "xterm"}).log(notice())

    assert "\x1b" not in pipe.read()


# -- nobody there ------------------------------------------------------------------------------------------------------


def test_a_reader_that_left_costs_lines(pipe: Ends) -> None:
    """A broken pipe is counted, not raised."""
    console = Console(stream=pipe.writing)
    os.close(pipe.reading)
    pipe.reading = -1

    console.log(notice())

    assert console.lost == 1


def test_a_closed_stream_costs_lines(pipe: Ends) -> None:
    """So is one that somebody closed."""
    console = Console(stream=pipe.writing)
    pipe.writing.close()

    console.log(notice())

    assert console.lost == 1


def test_a_stream_that_was_closed_before_costs_lines(pipe: Ends) -> None:
    """Even if it was closed when the logger was made."""
    pipe.writing.close()
    console = Console(stream=pipe.writing)

    console.log(notice())

    assert console.lost == 1


def test_a_descriptor_that_was_closed_costs_lines(stack: ExitStack) -> None:
    """Below the stream, which does not know."""
    reading, writing = os.pipe()
    stream = stack.enter_context(os.fdopen(writing, "w", closefd=False))
    console = Console(stream=stream)
    os.close(writing)
    os.close(reading)

    console.log(notice())

    assert console.lost == 1


def test_a_full_disk_costs_lines() -> None:
    """Standard error may be a file."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        console = Console(stream=full)
        console.log(notice())

    assert console.lost == 1


def test_a_full_pipe_costs_lines(pipe: Ends) -> None:
    """It is not waited for beyond the patience, and then not at all."""
    console = Console(stream=pipe.writing, patience_s=0.001)
    fill(pipe)

    for _ in range(1000):
        console.log(notice())

    assert console.lost == 1000


def test_a_full_pipe_that_does_not_block_costs_lines(pipe: Ends) -> None:
    """EAGAIN is as good as waiting in vain."""
    console = Console(stream=pipe.writing, patience_s=0)
    fill(pipe)
    os.set_blocking(pipe.writing.fileno(), False)

    console.log(notice())

    assert console.lost == 1


def test_a_pipe_that_is_read_again_takes_lines_again(pipe: Ends) -> None:
    """What is lost stays lost, what comes is written."""
    console = Console(stream=pipe.writing, patience_s=0)
    fill(pipe)
    console.log(notice("system.start"))
    drain(pipe)

    console.log(notice("system.stop"))

    assert drain(pipe) == "22:13:20.250 ● system.stop\n"


def test_a_line_that_was_torn_is_ended_before_the_next(pipe: Ends) -> None:
    """A pipe that took half a line does not get the next one behind it."""
    console = Console(stream=pipe.writing, patience_s=0)
    fill(pipe)
    os.read(pipe.reading, 4096)
    console.log(notice(source="a" * 4000, error="b" * 4000))
    drain(pipe)

    console.log(notice())

    assert (console.lost, drain(pipe)) == (1, "\n22:13:20.250 ● source.emit\n")


def test_a_terminal_that_stopped_costs_lines(terminal: Ends) -> None:
    """It would take a part of a line, and block: it is asked not to."""
    console = Console(stream=terminal.writing, patience_s=0)

    for _ in range(3000):
        console.log(notice(error="x" * 777))

    assert console.lost > 0


def test_a_terminal_that_hung_up_costs_lines(terminal: Ends) -> None:
    """As when a connection ends."""
    console = Console(stream=terminal.writing)
    os.close(terminal.reading)
    terminal.reading = -1

    console.log(notice())

    assert console.lost == 1


def test_a_process_without_standard_error_writes_nowhere() -> None:
    """The number 2 may belong to another file by then, which must not get log lines."""
    script = (
        "import os; file = os.open('/dev/null', os.O_RDWR); read, write = os.pipe()\n"
        "assert file == 2 or 2 in (read, write), (file, read, write)\n"
        "from orgloop.loggers import Console; from orgloop.sdk import Notice\n"
        "console = Console(); console.log(Notice(timestamp='', phase='x')); print(console.lost)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "1\n"


def test_the_stream_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless another one is given."""
    Console().log(notice())

    captured = capsys.readouterr()
    assert (captured.out, bool(re.search("source.emit", captured.err))) == ("", True)
