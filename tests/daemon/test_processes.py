"""Whole daemons: real processes, started, found, signalled, killed and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orgloop.daemon import (
    Home,
    NotStarted,
    NotStopped,
    Owner,
    Stale,
    Started,
    Stopped,
    find_owner,
    start_in_background,
    stop_owner,
)
from orgloop.daemon.identity import Identity, identity_of, pin
from orgloop.daemon.owner import is_free
from orgloop.wal import RealDisk, open_wal
from tests.daemon.standin import command, environ, ledger

pytestmark = pytest.mark.slow

PATIENCE_S = 20.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home; whatever still runs on it at the end is killed."""
    home = Home(tmp_path / "home")
    yield home
    found = find_owner(home)
    if isinstance(found, Owner):
        stop_owner(home, found, force=True, timeout_s=0.0)


def start(home: Home, *words: str, **variables: str) -> Owner:
    """A daemon in the background."""
    started = start_in_background(command(*words), home, environ={**environ(home), **variables})
    assert isinstance(started, Started), started
    return owner_of(home)


def owner_of(home: Home) -> Owner:
    found = find_owner(home)
    assert isinstance(found, Owner), found
    return found


def until(fact: Callable[[], bool], *, what: str) -> float:
    """Wait for a fact; how long it took."""
    began_s = time.monotonic()
    while not fact():
        assert time.monotonic() - began_s < PATIENCE_S, what
        time.sleep(0.002)
    return time.monotonic() - began_s


def send(identity: Identity | None, number: int) -> None:
    assert identity is not None
    with pin(identity) as pinned:
        assert pinned is not None
        pinned.signal(number)


def is_back(home: Home, after: Identity | None) -> bool:
    """Whether there is a runtime that is ready, and another one than that."""
    found = find_owner(home)
    pid = home.read(home.pid)
    return isinstance(found, Owner) and found.runtime not in {None, after} and pid is not None


def test_a_daemon_is_started_found_and_stopped(home: Home) -> None:
    """Ready within 0.8 s, gone within 1 s after its clean-up, and nothing left but what the next one needs."""
    began_s = time.monotonic()
    owner = start(home, "serve")
    took_s = time.monotonic() - began_s
    stopped = stop_owner(home, owner)
    print(f"ready in {took_s:.3f} s, {stopped}")

    assert owner.port == 4711
    assert isinstance(stopped, Stopped)
    assert (stopped.was_killed, stopped.took_s < 1.0) == (False, True)
    assert ledger(home) == ["ready", "clean"]
    assert find_owner(home) is None
    assert sorted(path.name for path in home.path.iterdir()) == ["control.token", "ledger", "logs", "orgloop.lock"]


def test_a_killed_runtime_is_back_five_times(home: Home) -> None:
    """Each time within 3 s, although the waits grow; then it is stopped like any other."""
    owner = start(home, "supervise", "serve")
    took_s = []
    for _ in range(5):
        before = owner_of(home).runtime
        send(before, signal.SIGKILL)
        took_s.append(until(lambda: is_back(home, before), what="it did not come back"))  # noqa: B023
    stopped = stop_owner(home, owner_of(home))
    print(f"back in {', '.join(f'{one:.2f}' for one in took_s)} s, {stopped}")

    assert owner.is_supervised
    assert max(took_s) < 3.0
    assert isinstance(stopped, Stopped)
    assert stopped.took_s < 1.0
    assert ledger(home) == ["ready"] * 6 + ["clean"]


async def test_what_a_killed_runtime_had_acknowledged_is_there(home: Home) -> None:
    """Five lives and deaths of one log, and each event that was said to be durable is found in it."""
    start(home, "supervise", "record")
    for _ in range(5):
        before = owner_of(home).runtime
        said = len(ledger(home))
        until(lambda: len(ledger(home)) > said + 20, what="nothing is acknowledged")  # noqa: B023
        send(before, signal.SIGKILL)
        until(lambda: is_back(home, before), what="it did not come back")  # noqa: B023
    stop_owner(home, owner_of(home))

    async with open_wal(RealDisk(home.data / "wal")) as wal:
        events = await wal.read([sequence for sequence, _ in wal.unsettled()])
    found = {one.payload["i"] for _, one in events}
    acknowledged = {int(word) for word in ledger(home) if word.isdigit()}
    print(f"{len(acknowledged)} acknowledged, {len(acknowledged - found)} lost")
    assert len(acknowledged) > 100
    assert acknowledged <= found


@pytest.mark.parametrize("fault", ["stopped", "hanging"])
def test_a_runtime_that_is_stopped_or_hangs_is_replaced(home: Home, fault: str) -> None:
    """Its silence is what gives it away; a loop that hangs says where before it is killed."""
    owner = start(home, "supervise", "serve" if fault == "stopped" else "hang", WEDGED_S="3")
    if fault == "stopped":
        send(owner.runtime, signal.SIGSTOP)
    until(lambda: is_back(home, owner.runtime), what="it was not replaced")

    log = home.stderr_log.read_text()
    assert log.count("was silent for") == 1
    assert ("in hang" in log) == (fault == "hanging")


def test_a_supervising_process_that_was_stopped_itself_kills_nobody(home: Home) -> None:
    """C2-6: it has heard nothing for longer than it would wait, because it could not listen."""
    owner = start(home, "supervise", "serve", WEDGED_S="2")
    send(owner.process, signal.SIGSTOP)
    time.sleep(3.0)  # this is the fault
    send(owner.process, signal.SIGCONT)
    send(owner.process, signal.SIGHUP)
    until(lambda: "reload" in ledger(home), what="it does not go on")

    assert owner_of(home) == owner


def test_a_runtime_that_always_dies_is_given_up(home: Home) -> None:
    """Eleven lives, of which whoever started it is told. The waits, 80 s in all, are shortened here."""
    program = (
        "import sys; from orgloop.daemon import *; import os;"
        "sys.exit(supervise([sys.executable, '-S', '-c', 'import os; os._exit(9)'], home_of(os.environ),"
        " policy=Policy(first_s=0.001, longest_s=0.01)))"
    )
    found = start_in_background([command()[0], "-c", program], home, environ=environ(home))

    assert isinstance(found, NotStarted)
    assert "ended with exit code 9; that is 11 times within 300 s, so it is not started again" in found.reason
    assert home.stderr_log.read_text().count("; restart ") == 10


@pytest.mark.parametrize("words", [["serve"], ["supervise", "serve"]])
def test_a_second_daemon_is_refused_with_the_reason(home: Home, words: list[str]) -> None:
    """The first one does not notice."""
    owner = start(home, *words)

    second = start_in_background(command(*words), home, environ=environ(home))

    assert isinstance(second, NotStarted)
    assert f"a daemon already runs on {home.path}: process {owner.process.pid}" in second.reason
    assert owner_of(home) == owner


def test_of_daemons_started_at_the_same_instant_one_runs(home: Home) -> None:
    """C2-17: the others say that there is one."""
    home.path.mkdir(mode=0o700)
    started = [subprocess.Popen(command("serve"), env=environ(home), stderr=subprocess.PIPE) for _ in range(6)]
    until(home.pid.exists, what="none became ready")
    owner = owner_of(home)
    losers = [process for process in started if process.pid != owner.process.pid]

    assert all(b"daemon already runs" in process.communicate(timeout=PATIENCE_S)[1] for process in losers)
    assert [process.returncode for process in losers] == [1] * 5
    assert isinstance(stop_owner(home, owner), Stopped)
    for process in started:
        process.communicate()


def test_a_pid_file_that_names_a_stranger_harms_nobody(home: Home) -> None:
    """C2-18: after a crash the number is somebody else's; the start works, and a stop signals nobody."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        send(start(home, "serve").process, signal.SIGKILL)
        until(lambda: is_free(home), what="the lock was not let go of")
        home.pid.write_text(f"{stranger.pid}\n")

        assert isinstance(find_owner(home), Stale)
        assert isinstance(stop_owner(home, start(home, "serve")), Stopped)

        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["refuse"], "orgloop.yaml:3:1: unknown key 'sorces'; did you mean 'sources'?"),
        (["supervise", "refuse"], "orgloop.yaml:3:1: unknown key 'sorces'; did you mean 'sources'?"),
        (["vanish"], "ended with exit code 3 before it was ready:\nthe library has had enough"),
    ],
)
def test_a_start_that_fails_has_a_reason(home: Home, words: list[str], reason: str) -> None:
    """Its own, or, if it died without a word, the last lines of its log."""
    found = start_in_background(command(*words), home, environ=environ(home))

    assert isinstance(found, NotStarted)
    assert found.reason.endswith(reason)
    assert is_free(home)


def test_a_command_that_is_not_there_is_a_reason(home: Home) -> None:
    """And so is a home that cannot be used."""
    found = start_in_background(["/no/such/python"], home)
    assert found == NotStarted("/no/such/python: No such file or directory")

    home.path.chmod(0o777)
    found = start_in_background(command("serve"), home)
    assert isinstance(found, NotStarted)
    assert "chmod 700" in found.reason


def test_a_start_that_takes_long_is_not_given_up(home: Home) -> None:
    """It goes on, and whoever waits is told so."""
    found = start_in_background(["sleep", "60"], home, timeout_s=0.1)

    assert isinstance(found, NotStarted)
    assert "is not ready after 0.1 s, and goes on trying" in found.reason
    os.kill(int(found.reason.split()[1]), signal.SIGKILL)


def test_a_deaf_daemon_is_cancelled_in_time(home: Home) -> None:
    """What does not answer to the request is cancelled, and the process ends by itself."""
    stopped = stop_owner(home, start(home, "stubborn"))

    assert isinstance(stopped, Stopped)
    assert (stopped.was_killed, stopped.took_s < 2.0) == (False, True)


def test_a_loop_that_hangs_ends_when_it_is_asked_twice(home: Home) -> None:
    """The second signal needs no loop, and not even the first one has to have been noticed."""
    owner = start(home, "hang")
    send(owner.process, signal.SIGTERM)
    time.sleep(0.1)  # two signals of one kind that come together are one
    send(owner.process, signal.SIGTERM)

    until(lambda: is_free(home), what="it still hangs")


def test_a_loop_that_hangs_is_killed_by_force_only(home: Home) -> None:
    """Without, whoever asks is told what to do."""
    owner = start(home, "supervise", "hang")
    send(owner.process, signal.SIGSTOP)

    refused = stop_owner(home, owner, timeout_s=0.1)
    assert refused == NotStopped(
        owner.process.pid, f"process {owner.process.pid} has not ended within 0.1 s; kill it with: orgloop stop --force"
    )
    stopped = stop_owner(home, owner, force=True, timeout_s=0.5)

    assert isinstance(stopped, Stopped)
    assert stopped.was_killed
    assert identity_of(owner.process.pid) is None
    assert owner.runtime is not None
    assert identity_of(owner.runtime.pid) is None


def test_a_runtime_ends_with_its_supervising_process(home: Home) -> None:
    """C2-15: tidily, and the home is free for the next."""
    owner = start(home, "supervise", "serve")
    send(owner.process, signal.SIGKILL)

    took_s = until(lambda: is_free(home), what="it was left behind")

    print(f"gone in {took_s:.2f} s")
    assert ledger(home) == ["ready", "clean"]
    start(home, "supervise", "serve")


def test_a_hangup_reaches_the_runtime(home: Home) -> None:
    """Through the supervising process, whom a person or systemd knows."""
    owner = start(home, "supervise", "serve")
    send(owner.process, signal.SIGHUP)

    until(lambda: "reload" in ledger(home), what="nothing was reloaded")


def test_a_runtime_that_is_asked_directly_is_not_restarted(home: Home) -> None:
    """`kill $(cat orgloop.pid)` is a wish to stop; the supervising process ends as well."""
    owner = start(home, "supervise", "serve")
    os.kill(int(home.pid.read_text()), signal.SIGTERM)

    until(lambda: is_free(home), what="it was restarted")
    until(lambda: identity_of(owner.process.pid) is None, what="its supervising process still runs")
    assert ledger(home) == ["ready", "clean"]


def test_a_daemon_needs_no_terminal_and_no_open_files(home: Home) -> None:
    """C2-16: with stdin, stdout and stderr closed it starts, runs and stops."""
    closed = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command("serve")], env=environ(home), start_new_session=True
    )
    until(home.pid.exists, what="it did not start")

    assert isinstance(stop_owner(home, owner_of(home)), Stopped)
    assert closed.wait() == 0
