"""
Judges events by one jq program, a line of JSON in, a line out. Run as a program of its own, never imported.

The first line is the program and its deadline; each further line is an event, and is answered by ``drop``, ``pass``,
``replace <event>`` or ``error <text>``. What it cannot do is outlive its input, hold more memory than it was given, or
think longer than the deadline: the kernel ends it, and whoever asked starts another.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO

MEMORY_BYTES = 512 * 1024 * 1024
SPARE_S = 0.5
"""By how much the daemon's own deadline comes first."""


def judge(outputs: Iterable[Any]) -> str:
    """What ``jq -e`` would say of these outputs; they are read to the last."""
    count, last = 0, None
    try:
        for output in outputs:
            count, last = count + 1, output
    except ValueError as exc:
        return f"error {json.dumps(str(exc))}"
    if last is None or last is False:
        return "drop"
    if count == 1 and isinstance(last, dict) and "id" in last:
        return f"replace {json.dumps(last)}"
    return "pass"


def serve(lines: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    import jq  # type: ignore[import-not-found]

    order = json.loads(lines.readline())
    program, alarm_s = jq.compile(order["program"]), order["timeout_s"] + SPARE_S
    answer = "ready"
    while True:
        # Nobody handles SIGALRM, so it kills, even in the midst of jq; for when there is no daemon left to do so.
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(answer.encode() + b"\n")
        answers.flush()
        if not (line := lines.readline()):
            return
        signal.setitimer(signal.ITIMER_REAL, alarm_s)
        answer = judge(program.input_text(line.decode()))


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # whoever started us may have ignored it
    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # macOS knows no limit of the address space
            resource.setrlimit(limit, (value, value))
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
