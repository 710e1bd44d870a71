"""
Notices for a person at a terminal: one line each, on standard error.

    14:03:07.250 ✗ deliver.failure tgt=bot route=triage 1204ms err=timed out

A terminal that is gone, closed or stuck costs lines, which are counted, and nothing else.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, TextIO

import attrs

from orgloop.loggers._escape import compact_json, escape, shortened
from orgloop.sdk import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Notice

ICONS: Mapping[str, str] = {
    **dict.fromkeys(["transform.start", "transform.pass"], "◆"),
    **dict.fromkeys(["transform.drop", "transform.error_drop", "deliver.failure"], "✗"),
    **dict.fromkeys(["transform.error_halt", "audit.held", "loop.circuit_broken"], "⛔"),
    **dict.fromkeys(["route.match", "route.no_match"], "►"),
    **dict.fromkeys(["deliver.retry", "source.circuit_retry"], "↻"),
    **dict.fromkeys(["deliver.success", "source.circuit_close"], "✓"),
    "deliver.attempt": "▷",
    "inbox.notify": "✉",
}
"""What stands before a phase; a phase that is not named has ⚠ if it is a warning or worse, and ● if not."""

_LEVELS = {"debug": DEBUG, "info": INFO, "warn": WARNING, "warning": WARNING, "error": ERROR}
_COLORS = {DEBUG: "\x1b[2m", INFO: "\x1b[36m", WARNING: "\x1b[33m", ERROR: "\x1b[31m"}
_PLAIN = "\x1b[0m"
# A pipe that poll() calls writable takes this much at once without blocking (PIPE_BUF, at least; see poll(2), pipe(7)).
_AT_ONCE_BYTES = select.PIPE_BUF


@attrs.frozen(kw_only=True)
class ConsoleConfig:
    """What to show of the notices, and how."""

    level: Literal["debug", "info", "warn", "warning", "error"] = "info"
    """What is less grave is left out."""
    color: bool = True
    """Only on a terminal, and not where ``NO_COLOR`` is set."""
    compact: bool = True
    """False adds the date, the module, the ids of event and trace, and the queue depth."""
    show_payload: bool = False
    """Add the metadata of the notice, as JSON; there is no payload in a notice."""


class Console:
    """
    Writes to standard error, or to the stream given. ``lost`` counts the lines that could not be written.

    A stream that takes nothing for ``patience_s`` loses the line; from then on nothing is waited for until it takes a
    line again, so a pipe that nobody reads costs that time once.
    """

    def __init__(
        self,
        config: ConsoleConfig | None = None,
        *,
        stream: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
        patience_s: float = 0.25,
    ) -> None:
        self.lost = 0
        self._config = config or ConsoleConfig()
        self._least = _LEVELS[self._config.level]
        # None if the process was started without one: the number 2 may be any file by now.
        self._stream = sys.stderr if stream is None else stream
        self._terminal = _terminal_of(self._stream)
        self._colored = self._config.color and _takes_color(self._stream, environ)
        self._patience_s = patience_s
        self._patient = True
        self._torn = False

    def log(self, notice: Notice) -> None:
        """Write a line, if the notice is grave enough."""
        severity = SEVERITY_OF.get(notice.phase, INFO)
        if severity < self._least:
            return
        line = self._line(notice, severity)
        try:
            self._write(line)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.lost += 1

    def _line(self, notice: Notice, severity: int) -> str:
        icon = ICONS.get(notice.phase, "⚠" if severity >= WARNING else "●")
        head = f"{icon} {escape(shortened(notice.phase))}"
        if self._colored:
            head = f"{_COLORS[severity]}{head}{_PLAIN}"
        when = _local_time(notice.timestamp, dated=not self._config.compact)
        return " ".join([when, head, *(escape(shortened(part)) for part in self._parts(notice))])

    def _parts(self, notice: Notice) -> Iterator[str]:
        shown = {
            "src": notice.source,
            "tgt": notice.target,
            "route": notice.route,
            "xform": notice.transform,
            "type": notice.event_type,
            "result": notice.result,
        }
        if not self._config.compact:
            depth = None if notice.queue_depth is None else str(notice.queue_depth)
            shown |= {"module": notice.module, "event": notice.event_id, "trace": notice.trace_id, "queue": depth}
        yield from (f"{name}={value}" for name, value in shown.items() if value)
        if notice.duration_ms is not None:
            yield f"{notice.duration_ms:.0f}ms"
        if notice.error is not None:
            yield f"err={notice.error}"
        if self._config.show_payload and notice.metadata is not None:
            yield f"meta={compact_json(notice.metadata)}"

    def _write(self, line: str) -> None:
        if self._stream is None or self._stream.closed:
            raise ValueError("no stream to write to")
        text = f"\n{line}\n" if self._torn else f"{line}\n"
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # a stream in memory, as a notebook has
            self._stream.write(text)
            self._stream.flush()
        else:
            self._write_to(descriptor, text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        self._torn = False

    def _write_to(self, descriptor: int, content: bytes) -> None:
        if self._terminal is None:
            self._write_bytes(descriptor, content)
            return
        # A terminal that stops halfway would block. The descriptor we were given cannot be told not to wait without
        # telling all who share it, so the terminal is opened anew.
        ours = os.open(self._terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._write_bytes(ours, content)
        finally:
            os.close(ours)

    def _write_bytes(self, descriptor: int, content: bytes) -> None:
        """Past the stream's buffer: what stands in there would be written again, or raise, when the process ends."""
        rest = memoryview(content)
        while rest:
            self._wait_for(descriptor)
            written = os.write(descriptor, rest[:_AT_ONCE_BYTES])
            rest = rest[written:]
            self._torn = len(rest) > 0
        self._patient = True

    def _wait_for(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        if not poll.poll(self._patience_s * 1000 if self._patient else 0):
            self._patient = False
            raise BlockingIOError("nobody reads what is written")


def _terminal_of(stream: TextIO | None) -> str | None:
    try:
        return os.ttyname(stream.fileno()) if stream is not None and stream.isatty() else None
    except (OSError, ValueError):  # closed, in memory, or a terminal that has no name here
        return None


def _takes_color(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" or stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:
        return False


def _local_time(timestamp: str, *, dated: bool) -> str:
    try:
        at = datetime.fromisoformat(timestamp).astimezone()
    except (ValueError, OverflowError, OSError):
        return escape(shortened(timestamp, 40))
    return at.isoformat(sep=" " if dated else "T", timespec="milliseconds")[0 if dated else 11 : 23]
