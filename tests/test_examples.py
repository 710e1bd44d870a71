"""The examples are programs that run: what they print, and how they end."""

import itertools
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples" / "supervision"
LIMIT_S = 60.0
"""They take one to three seconds; a machine busy with other things may take longer."""


def run(name: str, *, broken: str = "") -> subprocess.CompletedProcess[str]:
    """Run an example to its end; ``broken`` is Python that runs before it, in the same process."""
    path = EXAMPLES / name
    start = f"import runpy, sys; sys.path.insert(0, {str(path.parent)!r})\n{broken}\n"
    command = [sys.executable, "-c", f"{start}runpy.run_path({str(path)!r}, run_name='__main__')"]
    return subprocess.run(
        command if broken else [sys.executable, str(path)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@contextmanager
def running(name: str) -> Iterator[subprocess.Popen[str]]:
    """Run an example in the background; killed when it outlives its limit, or the block."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        with process:
            yield process
            process.kill()
    finally:
        limit.cancel()


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read what a program prints up to the first line with a pattern."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    pytest.fail(f"{pattern!r} was never printed, but:\n{''.join(seen)}")


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; what is printed from then on."""
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    rest = process.stdout.read()
    process.wait()
    return rest


def hand_in(port: int, letter: str) -> str:
    """Bring a letter to the desk of the mail room, as ``nc`` would."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{letter}\n".encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile().read()


def desks(live: subprocess.Popen[str]) -> Iterator[int]:
    """The port of each incarnation of the desk, as it is printed."""
    known = 0
    while True:
        port = int(read_until(live, r"echo fire \| nc 127\.0\.0\.1 (\d+)")[1])
        if port != known:
            yield (known := port)


def test_the_tour_shows_what_it_claims() -> None:
    """Every claim is checked by the tour itself; its traceback names the causes at both levels."""
    tour = run("tour.py")

    assert (tour.returncode, tour.stderr) == (0, "")
    assert tour.stdout.count("  ok  ") == 23
    assert tour.stdout.count("Jammed: sorter-") == 4
    assert "RestartIntensityExceeded: supervisor 'mailroom' gave up" in tour.stdout
    assert tour.stdout.endswith("All of it was true.\n")


def test_the_tour_ends_at_the_first_claim_that_is_false() -> None:
    """A supervisor that hands out wrong children is found out: exit code 1, and which claim it was."""
    tour = run(
        "tour.py",
        broken="""
import orgloop_supervisors
right = orgloop_supervisors.Supervisor.which_children
def which_children(self):
    import attrs
    return tuple(attrs.evolve(info, incarnation=7) for info in right(self))
orgloop_supervisors.Supervisor.which_children = which_children
""",
    )

    assert tour.returncode == 1
    assert tour.stderr.startswith("not true: one sorter of three is new: ")
    assert "All of it was true" not in tour.stdout


def test_the_live_mail_room_survives_a_crash_and_stops_in_order() -> None:
    """It tells how to crash it, shows the second incarnation, and takes Ctrl-C as a wish, not as an accident."""
    with running("live.py") as live:
        port = int(read_until(live, r"echo crash \| nc 127\.0\.0\.1 (\d+)")[1])
        assert hand_in(port, "crash") == "crash: lost, its sorter crashed\n"
        read_until(live, r"sorter-.  running .* incarnation 2  1 restarts  last error Jammed")
        rest = interrupt(live)

    assert live.returncode == 0
    stopped = re.findall(r"^\* \S*/(\S+) stopped$", rest, re.MULTILINE)
    assert stopped == ["poller", "desk", "sorter-c", "sorter-b", "sorter-a", "sorters"]
    assert rest.endswith("\nstopped\n")
    assert "Traceback" not in rest


def test_the_live_mail_room_says_why_it_gave_up() -> None:
    """Seven fires within 5 s are more than it forgives: exit code 1, and the cause in one line."""
    with running("live.py") as live:
        for port in itertools.islice(desks(live), 7):
            assert hand_in(port, "fire") == ""
        assert live.stdout is not None
        rest = live.stdout.read()
        live.wait()

    assert live.returncode == 1
    assert "gave up: 7 failures within 5 s" in rest
    assert "DeskOnFire" in rest
    assert "Traceback" not in rest


def test_an_anyio_program_hosts_a_tree() -> None:
    """``tg.start`` gives the running supervisor; stopping it lets the task group end."""
    host = run("anyio_host.py")

    assert (host.returncode, host.stderr) == (0, "")
    assert "greetings from anyio: sorted by sorter-" in host.stdout
    assert host.stdout.endswith("* mailroom/sorters stopped\nthe task group is over\n")
