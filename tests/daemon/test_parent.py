"""The supervising process, with real children and real signals; it runs in this process, and the children ask it."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import attrs
import pytest

from orgloop.daemon import Home, Policy, find_owner, prepare_home, supervise
from orgloop.daemon.identity import identity_of
from orgloop.daemon.owner import Owner, Stale, take_home
from tests.daemon.light import program

HASTY = Policy(restarts=3, first_s=0.001, longest_s=0.002)


@attrs.frozen
class Ended:
    """How a supervising process has ended, and what there is to see of it."""

    code: int
    said: str
    ledger: list[str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is ready to be taken."""
    home = Home(tmp_path / "home")
    prepare_home(home)
    return home


def run(home: Home, body: str, *, policy: Policy = HASTY, environ: dict[str, str] | None = None) -> Ended:
    """Supervise a program until that ends."""
    out = io.StringIO()
    code = supervise(program(body), home, environ={**os.environ, **(environ or {})}, policy=policy, out=out)
    ledger = home.path / "ledger"
    return Ended(code, out.getvalue(), ledger.read_text().split() if ledger.exists() else [])


def test_what_ends_well_is_not_started_again(home: Home) -> None:
    """Exit code 0 is an end, not a crash; what was taken is given back."""
    ended = run(home, "sys.exit(0)")

    assert (ended.code, ended.ledger, ended.said) == (0, ["life"], "")
    assert find_owner(home) is None
    assert not home.supervisor_pid.exists()


@pytest.mark.parametrize(
    ("death", "how"),
    [("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"), ("os._exit(7)", "ended with exit code 7")],
)
def test_what_dies_is_started_again(home: Home, death: str, how: str) -> None:
    """However it dies, and it says how."""
    ended = run(home, f"if LIFE < 3: {death}")

    assert (ended.code, ended.ledger) == (0, ["life"] * 3)
    assert f"{how}; restart 1 of 3, in 0.001 s" in ended.said


def test_what_dies_too_often_is_given_up(home: Home) -> None:
    """Three restarts, then an exit code that says so, and the reason in the log."""
    ended = run(home, "os._exit(7)")

    assert (ended.code, len(ended.ledger)) == (1, 4)
    assert "gave up: " in ended.said
    assert "that is 4 times within 300 s, so it is not started again" in ended.said


def test_what_says_why_it_cannot_start_is_believed(home: Home) -> None:
    """A fault in the operator's file is not gone at the next start; its exit code is passed on."""
    ended = run(home, """say('{"word": "failed", "reason": "unknown key"}'); sys.exit(2)""")

    assert (ended.code, ended.ledger) == (2, ["life"])
    assert "gave up: unknown key" in ended.said


def test_what_could_start_once_is_tried_again(home: Home) -> None:
    """A fault that came while it ran may go again."""
    ended = run(
        home,
        """
if LIFE == 3: sys.exit(0)
say('{"word": "ready"}' if LIFE == 1 else '{"word": "failed", "reason": "port in use"}')
sys.exit(1)
""",
    )

    assert (ended.code, ended.ledger) == (0, ["life"] * 3)
    assert "ended with exit code 1 (port in use); restart 2 of 3" in ended.said


def test_a_command_that_cannot_be_run_is_said(home: Home) -> None:
    """Without a restart: it would not be there the next time."""
    out = io.StringIO()

    assert supervise(["/no/such/python"], home, out=out) == 1
    assert "'/no/such/python' cannot be run: No such file or directory" in out.getvalue()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_hands_that_on_and_waits(home: Home, number: signal.Signals) -> None:
    """A Ctrl-C as well; the runtime hears SIGTERM, once, and has time for its clean-up."""
    ended = run(
        home,
        f"""
wait = obey(signal.SIGTERM, signal.SIGINT)
tell_parent({number:d})
note(signal.Signals(wait()).name)
note("clean")
sys.exit(0)
""",
    )

    assert (ended.code, ended.ledger) == (0, ["life", "SIGTERM", "clean"])


def test_asked_twice_it_kills(home: Home) -> None:
    """The second time nobody wants to wait."""
    ended = run(
        home,
        """
wait = obey(signal.SIGTERM)
tell_parent(signal.SIGTERM)
wait()
tell_parent(signal.SIGTERM)
time.sleep(60)
""",
    )

    assert ended.code == 128 + signal.SIGTERM
    assert "asked a second time to end" in ended.said


def test_what_does_not_end_is_killed(home: Home) -> None:
    """After its time, and the exit code says that it was not tidy."""
    ended = run(
        home,
        "wait = obey(signal.SIGTERM); tell_parent(signal.SIGTERM); wait(); time.sleep(60)",
        policy=attrs.evolve(HASTY, stop_s=0.05),
    )

    assert (ended.code, ended.ledger) == (1, ["life"])


def test_it_ends_at_once_between_two_lives(home: Home) -> None:
    """Nobody waits for the back-off, and there is nothing to kill."""

    class Asking(io.StringIO):
        def write(self, text: str) -> int:
            if "restart" in text:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().write(text)

    patient = attrs.evolve(HASTY, first_s=60.0, longest_s=60.0)

    assert supervise(program("os._exit(3)"), home, policy=patient, out=Asking()) == 0
    assert (home.path / "ledger").read_text().split() == ["life"]


def test_a_hangup_is_handed_on_to_one_that_can_hear_it(home: Home) -> None:
    """It would end a runtime that has not learnt to obey yet."""
    ended = run(
        home,
        """
tell_parent(signal.SIGHUP)
time.sleep(0.03)
wait = obey(signal.SIGHUP)
tell_parent(signal.SIGHUP)
note(signal.Signals(wait()).name)
""",
    )

    assert (ended.code, ended.ledger) == (0, ["life", "SIGHUP"])


@pytest.mark.slow
def test_what_is_stopped_or_hangs_is_killed_and_started_again(home: Home) -> None:
    """SIGSTOP, and a loop that says nothing more: after a time of silence, not before."""
    ended = run(
        home,
        """
if LIFE == 1: os.kill(os.getpid(), signal.SIGSTOP)
if LIFE == 2: time.sleep(60)
for beat in range(6):
    time.sleep(0.05)
    say('{"word": "beat"}')
""",
        policy=attrs.evolve(HASTY, wedged_s=1.0),
    )

    assert (ended.code, ended.ledger) == (0, ["life"] * 3)
    assert len(re.findall(r"was silent for \d s, and was killed", ended.said)) == 2


@pytest.mark.slow
def test_what_hangs_has_time_for_last_words(home: Home) -> None:
    """SIGUSR1 comes before SIGKILL, so that the log says where it hung."""
    ended = run(
        home,
        """
if LIFE == 1:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.sigwait([signal.SIGUSR1])
    note("here")
    time.sleep(60)
""",
        policy=attrs.evolve(HASTY, wedged_s=1.0),
    )

    assert (ended.code, ended.ledger) == (0, ["life", "here", "life"])


def test_nobody_who_was_left_behind_meets_the_next_life(home: Home) -> None:
    """A command of an actor dies with the runtime that was killed: its delivery is about to be tried again."""
    ended = run(
        home,
        """
if LIFE == 1:
    left = os.fork()
    if left == 0: time.sleep(60)
    note(str(left))
    os.kill(os.getpid(), signal.SIGKILL)
""",
    )

    _, left, _ = ended.ledger
    assert identity_of(int(left)) is None


def test_the_home_is_owned_between_two_lives(home: Home) -> None:
    """A second daemon is refused while the first has no runtime, and told whom to ask."""
    seen: list[object] = []

    class Looking(io.StringIO):
        def write(self, text: str) -> int:
            if "restart" in text:
                seen.append(find_owner(home))
            return super().write(text)

    supervise(program("if LIFE == 1: os._exit(1)"), home, policy=HASTY, out=Looking())

    [owner] = seen
    assert isinstance(owner, Owner)
    assert owner.process.pid == os.getpid()


def test_a_second_supervising_process_is_refused(home: Home) -> None:
    """Before it has started anything."""
    lock = take_home(home)

    ended = run(home, "sys.exit(0)")

    assert (ended.code, ended.ledger) == (1, [])
    assert "is owned" in ended.said
    lock.release()


def test_what_a_killed_one_has_left_is_tidied_up(home: Home) -> None:
    """Its pid file names somebody else by now."""
    home.write(home.pid, b"1\n")
    home.write(home.port, b"4800\n")
    assert isinstance(find_owner(home), Stale)

    ended = run(home, "note(str(os.listdir(home).count('orgloop.pid')))")

    assert ended.ledger == ["life", "0"]


def test_it_speaks_to_systemd_for_its_runtime(home: Home, tmp_path: Path) -> None:
    """systemd listens to us only, and the runtime has not even got the address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))

        run(
            home,
            """
note(str("NOTIFY_SOCKET" in os.environ))
wait = obey(signal.SIGTERM)
say('{"word": "beat"}')
say('{"word": "reloading"}')
time.sleep(0.02)
tell_parent(signal.SIGTERM)
wait()
""",
            environ={"NOTIFY_SOCKET": str(tmp_path / "notify")},
        )

        said = [systemd.recv(999).decode().splitlines()[0] for _ in range(4)]

    assert said == ["READY=1", "WATCHDOG=1", "RELOADING=1", "STOPPING=1"]
    assert (home.path / "ledger").read_text().split()[1] == "False"


def test_whatever_ends_it_nobody_is_left_behind(home: Home) -> None:
    """An error of its own takes the runtime along."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise MemoryError

    with pytest.raises(MemoryError):
        supervise(program("os._exit(1)"), home, out=Broken(), policy=HASTY)

    assert find_owner(home) is None


def test_signals_are_given_back(home: Home) -> None:
    """Whoever called it has its own handlers again."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]

    run(home, "sys.exit(0)")

    assert [signal.getsignal(number) for number in numbers] == before
    assert subprocess.run(["true"], check=False).returncode == 0
