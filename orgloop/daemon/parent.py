"""
The supervising process: it starts the runtime, listens for its heartbeat, and starts it again when it dies.

    SIGTERM, SIGINT    asked to end: SIGTERM to the runtime; a second one kills it
    SIGHUP             handed on
    the runtime dies   restart with back-off, give up after too many (:mod:`~orgloop.daemon.restart`)
    it falls silent    SIGUSR1, so that it says where it hangs; then SIGKILL, and so a restart
    it ends with 0     so do we
    it cannot start    and says why: so do we, if it never could; it would say the same again

Law: small, and without the runtime's libraries, so that what makes the runtime fail cannot make this fail. It has one
loop, which waits in one place, and never for the runtime.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

import attrs

from orgloop.daemon.child import Child, start_child
from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.identity import identity_of
from orgloop.daemon.logs import fill_standard_descriptors
from orgloop.daemon.owner import Lock, take_home
from orgloop.daemon.report import Ties, Word, take_ties
from orgloop.daemon.restart import Crash, GiveUp, Policy, Restart, next_step, silent_s, within_period
from orgloop.daemon.sd_notify import Notifier, take_notifier
from orgloop.errors import HomeError

TICK_S = 1.0
"""How often to look at the clock while nothing happens."""

LAST_WORDS_S = 0.2
"""How long a runtime that hangs has to say where, before it is killed."""

FAILED = 1
"""The exit code when the runtime did not start, died too often, or had to be killed at the end."""


def supervise(
    command: Sequence[str],
    home: Home,
    *,
    environ: Mapping[str, str] = os.environ,
    policy: Policy | None = None,
    out: TextIO | None = None,
) -> int:
    """
    Keep ``command`` running until it ends by itself or we are told to end; the exit code.

    The command is that of a runtime on this home: one that calls :func:`orgloop.daemon.run.run_daemon`. To be called in
    the main thread.
    """
    inherited, ties, say = dict(environ), Ties(), printer(out or sys.stderr)
    fill_standard_descriptors()
    try:
        ties, notifier = take_ties(inherited), take_notifier(inherited)
        prepare_home(home)
        lock = take_home(home)
    except HomeError as exc:
        ties.say(Word("failed", reason=str(exc)))
        say(str(exc))
        return FAILED
    try:
        with open_wakeups() as wakeups:
            return Parent(command, inherited, lock, ties, notifier, wakeups, say, policy or Policy()).run()
    finally:
        home.remove(home.pid, home.port, home.supervisor_pid, home.heartbeat)
        lock.release()
        ties.close()


@attrs.define
class Parent:
    """The state of the loop; the first lines of this file are its transitions."""

    command: Sequence[str]
    environ: Mapping[str, str]
    lock: Lock
    ties: Ties
    notifier: Notifier
    wakeups: socket.socket
    say: Callable[[str], None]
    policy: Policy
    child: Child | None = None
    crashes: tuple[Crash, ...] = ()
    start_at_s: float = 0.0
    """When the next life begins, while there is none."""
    is_stopping: bool = False
    was_ready: bool = False
    exit_code: int | None = None

    def run(self) -> int:
        """Turn until there is an exit code."""
        home = self.lock.home
        home.remove(home.pid, home.port, home.heartbeat)  # whoever left them was killed
        home.write(home.supervisor_pid, f"{os.getpid()}\n".encode())
        self.note()
        with selectors.DefaultSelector() as selector:
            selector.register(self.wakeups, selectors.EVENT_READ)
            try:
                while self.exit_code is None:
                    self.turn(selector)
                return self.exit_code
            finally:
                if self.child is not None:  # whatever ends the loop, nobody is left behind
                    self.child.kill()
                    self.child.bury()

    def turn(self, selector: selectors.BaseSelector) -> None:
        """Once around: start what is due, sleep, hear, look."""
        before_s = time.monotonic()
        if self.child is None and before_s >= self.start_at_s:
            self.start(selector)
        waiting_s = self.waiting_s(before_s)
        selector.select(waiting_s)
        if self.child is not None:
            passed_s = time.monotonic() - before_s
            self.child.silent_s = silent_s(self.child.silent_s, passed_s=passed_s, asked_s=waiting_s)
            self.hear(self.child)  # what was said while we slept counts more than how long we slept
        for number in self.signals():
            self.obey(number)
        if self.child is not None:
            self.look_after(self.child, selector)

    def waiting_s(self, now_s: float) -> float:
        """How long there is nothing to do, if nothing happens."""
        due_s = self.start_at_s if self.child is None else self.child.kill_at_s
        return TICK_S if due_s is None else max(0.0, min(TICK_S, due_s - now_s))

    # -- what is heard -------------------------------------------------------------------------------------------------

    def signals(self) -> bytes:
        """The numbers of what has come since the last turn."""
        with contextlib.suppress(BlockingIOError):
            return self.wakeups.recv(4096)
        return b""

    def obey(self, number: int) -> None:
        """What a signal asks for; a death has its signal as well, and needs only that we look."""
        if number == signal.SIGHUP and self.child is not None and self.child.has_spoken:
            self.child.signal(signal.SIGHUP)
        elif number in {signal.SIGTERM, signal.SIGINT}:
            self.stop(number)

    def stop(self, number: int) -> None:
        """Asked once, hand it on; asked again, end at once."""
        self.notifier.tell("STOPPING=1")
        if self.child is None:
            self.exit_code = 0
        elif self.is_stopping:
            self.say(f"asked a second time to end: process {self.child.pid} is killed")
            self.exit_code = 128 + number
        else:
            self.is_stopping = True
            self.child.signal(signal.SIGTERM)
            self.child.kill_at_s = time.monotonic() + self.policy.stop_s

    def hear(self, child: Child) -> None:
        """What the runtime says; what concerns others is passed on."""
        for word in child.hear():
            if word.word == "beat":
                self.notifier.tell("WATCHDOG=1")
            elif word.word == "ready":
                self.was_ready = True
                self.notifier.tell("READY=1", f"STATUS=process {child.pid}, port {word.port}")
                self.ties.say(attrs.evolve(word, pid=os.getpid()))
            elif word.word == "reloading":
                self.notifier.reloading()
            elif word.word == "failed":
                child.reason = word.reason

    # -- what is seen --------------------------------------------------------------------------------------------------

    def look_after(self, child: Child, selector: selectors.BaseSelector) -> None:
        """Whether it is dead, or must be."""
        now_s = time.monotonic()
        if child.has_ended():
            self.hear(child)  # its last words
            selector.unregister(child.ear)
            self.child = None
            self.bury(child, now_s)
        elif child.kill_at_s is not None and now_s >= child.kill_at_s:
            child.kill()
            child.kill_at_s = None  # nobody survives that
        elif child.silent_s >= self.policy.wedged_s and not self.is_stopping and not child.was_wedged:
            child.was_wedged, child.kill_at_s = True, now_s + LAST_WORDS_S
            child.signal(signal.SIGUSR1)

    def bury(self, child: Child, now_s: float) -> None:
        """Take note of a death, and of what follows from it."""
        code, home = child.bury(), self.lock.home
        home.remove(home.pid, home.port)
        if self.is_stopping:
            # Before it has learnt to obey, it ends by the signal itself, and has begun nothing.
            self.exit_code = 0 if code in {0, -signal.SIGTERM} else FAILED
        elif code == 0:
            self.exit_code = 0
        elif child.reason is not None and not self.was_ready:
            self.give_up(child.reason, code=max(code, FAILED))
        else:
            self.crashes = (
                *within_period(self.crashes, now_s=now_s, policy=self.policy),
                Crash(now_s, now_s - child.began_s),
            )
            self.follow(next_step(self.crashes, now_s=now_s, policy=self.policy), how_it_died(child, code), now_s)

    def follow(self, step: Restart | GiveUp, how: str, now_s: float) -> None:
        """Carry out what was decided."""
        if isinstance(step, GiveUp):
            often = f"that is {step.crashes} times within {step.within_s:g} s, so it is not started again"
            self.give_up(f"{how}; {often}", code=FAILED)
        else:
            self.say(f"{how}; restart {step.number} of {self.policy.restarts}, in {step.after_s:g} s")
            self.start_at_s = now_s + step.after_s
            self.note()

    def give_up(self, reason: str, *, code: int) -> None:
        """End, and say why."""
        self.say(f"gave up: {reason}")
        self.ties.say(Word("failed", reason=reason))
        self.exit_code = code

    def start(self, selector: selectors.BaseSelector) -> None:
        """Begin a life."""
        try:
            self.child = start_child(self.command, self.environ, self.lock, now_s=time.monotonic())
        except OSError as exc:
            self.give_up(f"{self.command[0]!r} cannot be run: {exc.strerror}", code=FAILED)
            self.start_at_s = float("inf")
        else:
            selector.register(self.child.ear, selectors.EVENT_READ)
            self.note()

    def note(self) -> None:
        """Say in the lock who we are, and who runs."""
        us = identity_of(os.getpid())
        runtime = identity_of(self.child.pid) if self.child is not None else None
        try:
            if us is not None:
                self.lock.note(us, runtime, restarts=len(self.crashes))
        except OSError as exc:  # a disk that fails must not end what still runs
            self.say(f"{self.lock.home.lock} cannot be written, so `orgloop status` may be wrong: {exc.strerror}")


def how_it_died(child: Child, code: int) -> str:
    """One clause about a death, for a person."""
    if child.was_wedged:
        return f"process {child.pid} was silent for {child.silent_s:.0f} s, and was killed"
    if code < 0:
        return f"process {child.pid} was ended by {signal.Signals(-code).name}"
    why = f" ({child.reason.splitlines()[0]})" if child.reason else ""
    return f"process {child.pid} ended with exit code {code}{why}"


def printer(out: TextIO) -> Callable[[str], None]:
    """What says things to whoever reads the terminal or the log, with the time."""

    def say(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone must not end what it showed
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} supervisor: {text}", file=out, flush=True)

    return say


@contextlib.contextmanager
def open_wakeups() -> Iterator[socket.socket]:
    """A socket from which the numbers of signals can be read, as they come; in the main thread."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    with reader, writer:
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
