"""The examples are programs that run: what they print, and how they end."""

import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pages import ROOT, Terminal

EXAMPLES = ROOT / "examples" / "supervision"
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


# -- hello -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hello(tmp_path: Path) -> Terminal:
    """A terminal in a copy of the example."""
    shutil.copytree(
        ROOT / "examples" / "hello", tmp_path / "hello", ignore=shutil.ignore_patterns(".orgloop", "greetings.txt")
    )
    return Terminal(tmp_path / "hello", tmp_path / "home")


@contextmanager
def started(terminal: Terminal) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the project in the foreground, as ``make run`` does, and read its port; killed at the end of the block."""
    command = [sys.executable, "-m", "orgloop", "start", "--force"]
    process = subprocess.Popen(
        command,
        cwd=terminal.folder,
        env=terminal.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        with process:
            yield process, read_until(process, r"OrgLoop is running.*http://127\.0\.0\.1:(\d+)")[1]
            process.kill()
    finally:
        limit.cancel()


def posting(page: Path) -> str:
    """The command with which a page posts."""
    [command] = re.findall(r"^    (curl .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return str(command)


def read_in_time(path: Path, *, wanted: str) -> str:
    """What is in a file, when what is wanted is in it or the limit has passed."""
    deadline_s = time.monotonic() + LIMIT_S
    while not (path.exists() and wanted in path.read_text()) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return path.read_text()


@pytest.mark.slow
def test_hello_greets_whoever_is_named_in_what_is_posted(hello: Terminal) -> None:
    """The command of its page, run as it stands, ends in the file that the page says; Ctrl-C ends it tidily."""
    page = hello.folder / "README.md"
    with started(hello) as (process, port):
        command = posting(page).replace(":4800/", f":{port}/")
        nameless = hello.bash(command.replace('"to": "world"', '"to": ""')).stdout
        unheard = hello.bash(command.replace('"hello"', '"good evening"')).stdout
        answer = hello.bash(f"{command} --silent").stdout
        greetings = read_in_time(hello.folder / "greetings.txt", wanted="world")
        rest = interrupt(process)

    assert '"ok":true' in nameless
    assert '"ok":true' in unheard
    assert re.fullmatch(r'\{"ok":true,"event_id":"evt_[0-9a-f]{16}"\}', answer)
    assert greetings == "hello, world!\n"
    assert process.returncode == 0
    assert "Traceback" not in rest


@pytest.mark.slow
@pytest.mark.parametrize("payload", [{"say": "hello"}, {"say": "hello", "to": None}, {"say": "hello", "to": ""}])
def test_hello_greets_nobody_who_is_not_named(hello: Terminal, payload: dict[str, str | None]) -> None:
    """No name, a null and an empty one are dropped by its transform."""
    provenance = {"platform": "webhook", "platform_event": "hello"}
    event = {"source": "door", "type": "resource.changed", "provenance": provenance, "payload": payload}
    (hello.folder / "event.json").write_text(json.dumps(event))

    assert "Transform: only-named — DROP" in hello.bash("orgloop test --dry-run event.json").stdout


def test_what_make_run_advises_is_what_the_page_says() -> None:
    """The command is written in three places, and is one."""
    command = posting(ROOT / "examples" / "hello" / "README.md")

    assert command in (ROOT / "examples" / "hello" / "orgloop.yaml").read_text()
    assert command in (ROOT / "Makefile").read_text().replace('\\"', '"')


# -- two teams ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("team", ["engineering", "support"])
def test_both_teams_are_valid(team: str, tmp_path: Path) -> None:
    """Each project holds together without the other, and needs variables only."""
    terminal = Terminal(ROOT / "examples" / "two-teams" / team, tmp_path / "home")

    ended = terminal.bash("orgloop validate")

    assert ended.returncode == 0, ended.stdout
    assert "0 errors" in ended.stdout


@pytest.mark.slow
def test_the_demo_finds_its_ledger_exact(tmp_path: Path) -> None:
    """Through a reload, a refused reload and a kill, every accepted event ends where it should, and nowhere else."""
    command = [sys.executable, str(ROOT / "examples" / "two-teams" / "demo.py")]
    environ = Terminal(tmp_path, tmp_path / "home").environ

    demo = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    assert demo.stdout.endswith("The ledger is exact.\n")


def test_each_example_is_in_the_list() -> None:
    """The page above them names every folder."""
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    folders = [path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != "__pycache__"]

    assert [name for name in folders if f"`{name}`" not in page] == []
