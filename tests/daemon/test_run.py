"""A runtime as a process, but in this one: it signals itself."""

from __future__ import annotations

import io
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from orgloop.daemon import Home, Limits, Owner, Serve, Serving, find_owner, read_token
from orgloop.daemon.owner import take_home
from orgloop.daemon.report import Word, Words
from orgloop.daemon.run import run_daemon
from orgloop.errors import ConfigError, HomeError

PATIENT = Limits(stop_s=20.0, close_s=20.0)


@attrs.frozen
class Ended:
    """How it ended, and what it said to people and to its supervising process."""

    code: int
    said: str
    words: list[Word]


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """A signal that comes too late must not end the test run."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@attrs.define
class Stage:
    """A home that is not made yet, and the place of a supervising process, that listens."""

    home: Home
    ear: socket.socket
    down: int
    words: list[Word] = attrs.field(factory=list)

    def run(self, serve: Serve, *, environ: dict[str, str] | None = None, limits: Limits = PATIENT) -> Ended:
        """Run it as if it were supervised, but with a lock of its own."""
        err = io.StringIO()
        down = {**(environ or {}), "ORGLOOP_PARENT_FD": str(self.down)}
        code = run_daemon(serve, self.home, environ=down, limits=limits, err=err)
        self.listen()
        return Ended(code, err.getvalue(), [word for word in self.words if word.word != "beat"])

    async def until_ready(self) -> None:
        """Wait until it has said so."""
        while Word("ready") not in [Word(word.word) for word in self.words]:
            await trio.lowlevel.wait_readable(self.ear)
            self.listen()

    def listen(self) -> None:
        self.words += Words().feed(self.ear.recv(65536))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Where each test plays."""
    ours, theirs = socket.socketpair()
    with ours:
        yield Stage(Home(tmp_path / "home"), ours, theirs.detach())


def test_ready_means_that_it_can_be_found(stage: Stage) -> None:
    """I29: after the last step of the start there are a pid, a port, a heartbeat and a token; after the end none of
    them is there but the token."""
    home = stage.home
    seen: dict[str, object] = {}

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        assert not home.pid.exists()
        task_status.started(Serving(port=4711, about=lambda: {"modules": 2}))
        await stage.until_ready()
        seen.update({path.name: home.read(path) for path in (home.pid, home.port)})
        seen["heartbeat"] = b'"modules": 2' in (home.read(home.heartbeat) or b"")

    ended = stage.run(serve)

    assert (ended.code, ended.said) == (0, "")
    assert seen == {"orgloop.pid": f"{os.getpid()}\n".encode(), "runtime.port": b"4711\n", "heartbeat": True}
    assert not any(path.exists() for path in (home.pid, home.port, home.heartbeat))
    assert read_token(home) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_it_to_return(stage: Stage, number: signal.Signals) -> None:
    """It ends by itself, without having been cancelled, and with exit code 0."""
    ledger = []

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        asked = trio.Event()
        task_status.started(Serving(stop=asked.set))
        await stage.until_ready()
        os.kill(os.getpid(), number)
        await asked.wait()
        await trio.lowlevel.checkpoint()
        ledger.append("clean")

    ended = stage.run(serve)

    assert (ended.code, ledger) == (0, ["clean"])
    assert ended.said == f"orgloop: {number.name} was received, stopping\n"
    assert ended.words == [Word("ready", pid=os.getpid()), Word("stopping")]


@pytest.mark.parametrize("has_stop", [True, False])
def test_what_does_not_return_is_cancelled(stage: Stage, has_stop: bool) -> None:
    """After its time, or at once if there is no way to ask; its clean-up runs."""
    ledger = []

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        task_status.started(Serving(stop=(lambda: ledger.append("asked")) if has_stop else None))
        await stage.until_ready()
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await trio.sleep_forever()
        finally:
            ledger.append("clean")

    ended = stage.run(serve, limits=Limits(stop_s=0.01, close_s=20.0))

    assert ended.code == 0
    assert ledger == (["asked", "clean"] if has_stop else ["clean"])


def test_it_can_be_stopped_before_it_is_ready(stage: Stage) -> None:
    """A long recovery does not have to be waited for; it was never ready, and that is no failure."""

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    ended = stage.run(serve)

    assert (ended.code, ended.words) == (0, [Word("stopping")])


def test_a_second_signal_has_the_kernels_effect(stage: Stage) -> None:
    """It ends the process whatever hangs, because nothing of ours stands in between any more."""
    effects: list[object] = []

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        effects.append(signal.getsignal(signal.SIGTERM))
        os.kill(os.getpid(), signal.SIGINT)
        effects.extend(map(signal.getsignal, (signal.SIGTERM, signal.SIGINT)))
        await trio.sleep_forever()

    stage.run(serve)

    assert effects[1:] == [signal.SIG_DFL] * 2 != [effects[0]] * 2


def test_a_hangup_reloads_once_it_is_ready(stage: Stage) -> None:
    """However many have come before that, as one; the supervising process is told when, and when it is done."""
    done = trio.Event()

    async def reload() -> None:
        done.set()

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await trio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGHUP)
        await trio.sleep(0.01)
        task_status.started(Serving(reload=reload))
        await done.wait()
        await stage.until_ready()

    words = [word.word for word in stage.run(serve).words]

    assert words.count("reloading") == 1
    assert words[-1] == "ready"


def test_a_reload_that_is_refused_changes_nothing(stage: Stage) -> None:
    """The fault is printed, and it goes on."""
    refused = trio.Event()

    async def reload() -> None:
        refused.set()
        raise ConfigError("orgloop.yaml:3:1: unknown key 'sorces'")

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        task_status.started(Serving(reload=reload))
        os.kill(os.getpid(), signal.SIGHUP)
        await refused.wait()
        await trio.sleep(0.01)

    ended = stage.run(serve)

    assert (ended.code, ended.said) == (0, "orgloop: nothing was reloaded: orgloop.yaml:3:1: unknown key 'sorces'\n")


@pytest.mark.parametrize("is_ready", [False, True])
def test_an_error_ends_it_tidily_and_is_told(stage: Stage, is_ready: bool) -> None:
    """Exit code 1, the clean-up has run, the traceback is in the log, and no file is left."""
    home = stage.home
    ledger = []

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        if is_ready:
            task_status.started(Serving())
            await stage.until_ready()
        try:
            raise ZeroDivisionError("no such luck")
        finally:
            ledger.append("clean")

    ended = stage.run(serve)

    assert (ended.code, ledger) == (1, ["clean"])
    assert ended.words[-1] == Word("failed", reason="ZeroDivisionError: no such luck")
    assert "Traceback" in ended.said
    assert ended.said.endswith("orgloop: ZeroDivisionError: no such luck\n")
    assert find_owner(home) is None


def test_a_fault_of_the_operator_has_no_traceback(stage: Stage) -> None:
    """What, where, and nothing else."""

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        raise ConfigError("orgloop.yaml:3:1: unknown key 'sorces'")

    ended = stage.run(serve)

    assert (ended.code, ended.said) == (1, "orgloop: orgloop.yaml:3:1: unknown key 'sorces'\n")


def test_an_exit_that_somebody_asked_for_is_an_error(stage: Stage) -> None:
    """`sys.exit()` in a library does not make it a clean stop."""

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        raise SystemExit(0)

    assert stage.run(serve).code == 1


def test_an_end_before_it_was_ready_is_a_failure(stage: Stage) -> None:
    """Even if it raised nothing."""

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        pass

    ended = stage.run(serve)

    assert ended.code == 1
    assert "ended before it was ready" in ended.said


def test_an_end_by_itself_is_no_failure(stage: Stage) -> None:
    """Somebody may have asked for it over HTTP."""

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        task_status.started(Serving())

    assert stage.run(serve).code == 0


def test_while_it_runs_it_owns_the_home(tmp_path: Path) -> None:
    """Its supervising process would have said so in the lock; what runs alone says it itself."""
    home = Home(tmp_path / "home")
    found: list[object] = []

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        found.append(find_owner(home))
        task_status.started(Serving())

    assert run_daemon(serve, home, environ={}) == 0
    [owner] = found
    assert isinstance(owner, Owner)
    assert (owner.process.pid, owner.is_supervised) == (os.getpid(), False)


def test_a_home_that_is_taken_is_refused_before_anything_is_done(stage: Stage) -> None:
    """I26: the pid file of the other is still there afterwards."""
    home = stage.home
    home.path.mkdir(mode=0o700)
    lock = take_home(home)
    home.write(home.pid, b"7\n")

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        raise AssertionError("it must not come to this")

    ended = stage.run(serve)

    assert ended.code == 1
    assert [word.word for word in ended.words] == ["failed"]
    assert home.read(home.pid) == b"7\n"
    lock.release()


def test_when_the_supervising_process_is_gone_it_stops(tmp_path: Path) -> None:
    """C2-15: tidily, and it gives the home free."""
    home = Home(tmp_path / "home")
    ours, theirs = socket.socketpair()

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        task_status.started(Serving())
        ours.close()
        await trio.sleep_forever()

    err = io.StringIO()

    assert run_daemon(serve, home, environ={"ORGLOOP_PARENT_FD": str(theirs.detach())}, err=err) == 0
    assert err.getvalue() == "orgloop: the supervising process is gone, stopping\n"
    assert find_owner(home) is None


def test_systemd_hears_of_each_step(stage: Stage, tmp_path: Path) -> None:
    """READY only when it is, WATCHDOG while it gets on, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))

        async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
            task_status.started(Serving(port=1))
            await stage.until_ready()
            await trio.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()

        stage.run(serve, environ={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000"})

        said = [systemd.recv(999).decode().splitlines()[0]]
        while said[-1] != "STOPPING=1":
            said.append(systemd.recv(999).decode().splitlines()[0])

    assert said[0] == "WATCHDOG=1"
    assert said.count("READY=1") == 1
    assert said.count("WATCHDOG=1") >= 3


def test_a_home_that_was_replaced_ends_it(stage: Stage) -> None:
    """C2-37: whatever it wrote from then on would land in another's home; that one's files are left alone."""
    home = stage.home
    moved = home.path.with_name("moved")

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        home.path.rename(moved)
        home.path.mkdir(mode=0o700)
        (home.path / "orgloop.pid").write_text("7")
        task_status.started(Serving())
        await trio.sleep_forever()

    ended = stage.run(serve)

    assert ended.code == 1
    assert "was moved or replaced" in ended.said
    assert home.read(home.pid) == b"7"


def test_a_token_that_cannot_be_trusted_stops_the_start(stage: Stage) -> None:
    """K10: before anything listens."""
    home = stage.home
    home.path.mkdir(mode=0o700)
    home.token.write_text("short")

    async def serve(home: Home, *, task_status: trio.TaskStatus[Serving]) -> None:
        raise AssertionError("it must not come to this")

    assert stage.run(serve).code == 1


def test_a_home_error_is_an_error_of_ours() -> None:
    """Whoever catches OrgLoopError catches it; the command line needs no other."""
    assert HomeError.__mro__[1].__name__ == "OrgLoopError"
