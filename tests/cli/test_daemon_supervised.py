"""``start --supervised`` with the real runtime: killed, stopped and crashing, and what is left of its work."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest

from orgloop.cli.client import client_of
from orgloop.daemon import NotStarted, Started, find_owner, start_in_background
from orgloop.daemon.identity import is_alive
from orgloop.daemon.launch import Doorway, Launch
from orgloop.daemon.owner import is_free
from tests.cli.daemons import Desk, desk, python_s, until, written
from tests.cli.terminal import shell

__all__ = ["desk", "shell"]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def supervised(desk: Desk, *, policy: str) -> list[str]:
    """A supervising process of the real runtime, with figures of its own."""
    launch = Launch(projects=(desk.shell.folder / "orgloop.yaml",), doorway=Doorway(port=0))
    program = (
        "import sys, os; from orgloop.daemon import *;"
        f"sys.exit(supervise({launch.command('run')!r}, home_of(os.environ), policy=Policy({policy})))"
    )
    return [sys.executable, "-c", program]


def start(desk: Desk, command: list[str]) -> Started | NotStarted:
    return start_in_background(command, desk.home, environ=desk.shell.process_environ)


def test_a_runtime_that_is_killed_five_times_is_back_and_has_lost_nothing(desk: Desk) -> None:
    """Each time within 3 s; every event that was acknowledged is delivered, those under way at a kill included."""
    desk.start("--supervised")
    acknowledged: list[str] = []
    numbers, stopping = itertools.count(), threading.Event()

    def send() -> None:
        while not stopping.is_set():
            text = f"event {next(numbers)}"
            if desk.post(text):
                acknowledged.append(text)

    sender = threading.Thread(target=send)
    sender.start()
    took_s = []
    try:
        for _ in range(5):
            before, count = desk.owner.runtime, len(acknowledged)
            until(lambda: len(acknowledged) > count + 20, what="nothing is taken")  # noqa: B023
            desk.send(before, signal.SIGKILL)
            took_s.append(until(lambda: desk.is_back(before), what="it did not come back"))  # noqa: B023
    finally:
        stopping.set()
        sender.join()
    until(lambda: {written(text) for text in acknowledged} <= set(desk.lines), what="something was lost")
    status = desk.status()

    trio_s = python_s()
    print(f"back in {', '.join(f'{one:.2f}' for one in took_s)} s, import trio {trio_s:.2f} s")
    print(f"{len(acknowledged)} acknowledged, {len(desk.lines) - len(set(desk.lines))} delivered twice")
    assert max(took_s) < max(3.0, 20 * trio_s)  # the second is for a machine that others use as well
    assert len(acknowledged) > 100
    assert (status["supervised"], status["restarts"]) == (True, 5)
    assert desk.run("stop").code == 0


def test_a_runtime_that_stands_still_is_replaced(desk: Desk) -> None:
    """SIGSTOP: it says nothing any more. The figure is 30 s otherwise; it speaks every 5 s."""
    assert isinstance(start(desk, supervised(desk, policy="wedged_s=7")), Started)
    before = desk.owner.runtime
    desk.send(before, signal.SIGSTOP)
    took_s = until(lambda: desk.is_back(before), what="it was not replaced")

    print(f"back in {took_s:.1f} s")
    assert "was silent for" in desk.home.stderr_log.read_text()
    assert desk.post("world")


def test_a_runtime_that_crashes_eleven_times_is_given_up(desk: Desk) -> None:
    """Whoever looks is told, and the exit code is not 0. The waits, 51 s in all, are shortened here."""
    command = supervised(desk, policy="first_s=0.01, longest_s=0.05")
    environ = {**desk.shell.process_environ, "ORGLOOP_HOME": str(desk.home.path)}
    pid = os.posix_spawn(command[0], command, environ, file_actions=_quiet(desk))
    before = None
    for _ in range(11):
        until(lambda: desk.is_back(before), what="it did not come back")  # noqa: B023
        before = desk.owner.runtime
        desk.send(before, signal.SIGKILL)
    _, ended = os.waitpid(pid, 0)

    said = (desk.shell.folder / "said").read_text()
    print(said.splitlines()[-1])
    assert os.waitstatus_to_exitcode(ended) == 1
    assert said.count("; restart ") == 10
    assert "that is 11 times within 300 s, so it is not started again" in said
    assert is_free(desk.home)
    assert find_owner(desk.home) is None
    assert "OrgLoop is not running." in desk.run("status").out


def _quiet(desk: Desk) -> list[tuple[int, int, str, int, int]]:
    said = str(desk.shell.folder / "said")
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return [(os.POSIX_SPAWN_OPEN, number, said, flags, 0o600) for number in (1, 2)]


def test_a_supervised_project_in_the_foreground_says_that_it_runs_and_obeys(desk: Desk) -> None:
    """Ctrl-C reaches the supervising process alone, which has the runtime stop, and ends with 0."""
    with desk.popen("start", "--supervised", "--force", "--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(2)]
        until(lambda: desk.is_back(None), what="it is not ready")
        runtime = desk.owner.runtime
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert runtime is not None
    assert lines[0] == "Starting..."
    assert re.fullmatch(rf"OrgLoop is running. PID: {runtime.pid}, port [0-9]+, modules: hello", lines[1])
    assert (process.returncode, is_free(desk.home)) == (0, True)


def test_a_daemon_that_is_asked_over_http_to_end_does(desk: Desk) -> None:
    """With its supervising process, and without being started again."""
    owner = desk.start("--supervised")
    client_of(desk.home, environ={}).post("/control/shutdown", {"forget": True})
    until(lambda: is_free(desk.home) and not is_alive(owner.process), what="it goes on")
    assert not desk.home.modules.exists()


def test_a_supervised_daemon_stops_without_a_restart(desk: Desk) -> None:
    """Within a second when nothing is under way, and SIGHUP reaches the runtime through the supervising process."""
    owner = desk.start("--supervised")
    plugin = desk.shell.folder / "orgloop.yaml"
    plugin.write_text(plugin.read_text().replace("greeting: hello", "greeting: ciao"))
    desk.send(owner.process, signal.SIGHUP)
    until(lambda: desk.status()["modules"][0]["generation"] == 2, what="nothing was reloaded")
    took_s = until(lambda: desk.run("stop").code == 0, what="it was not stopped")

    print(f"stopped in {took_s:.2f} s, the command included")
    assert took_s < max(1.0, 7 * python_s())
    assert is_free(desk.home)
