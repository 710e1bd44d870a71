"""
A runtime as a process of its own: it owns a home, says when it is ready, gives signs of life, and obeys signals.

    run_daemon                       lock, token; at the end pid, port and heartbeat files gone, lock released
    └── trio.run
        ├── serve                    the runtime and its front door, given by the caller
        ├── announce                 once it is ready: heartbeat, port and pid files, then the word
        ├── heartbeat                while it gets on
        ├── obey                     SIGTERM, SIGINT: stop; SIGHUP: reload
        └── watch the parent         gone: stop

To stop: ``serve`` is asked, has ``stop_s`` to return, is then cancelled, and has ``close_s`` to clean up. What even
then has not ended hangs, so a clock outside the event loop writes down where, and ends the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from typing import TextIO

import attrs
import trio

from orgloop.daemon.heartbeat import Heartbeat, encode_heartbeat
from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.identity import identity_of
from orgloop.daemon.logs import bound_log, fill_standard_descriptors
from orgloop.daemon.owner import Lock, inherit_home, take_home
from orgloop.daemon.report import Ties, Word, take_ties
from orgloop.daemon.sd_notify import Notifier, take_notifier
from orgloop.daemon.serving import Limits, Serve, Serving
from orgloop.daemon.signals import Signals, open_signals
from orgloop.daemon.token import ensure_token
from orgloop.errors import HomeError, OrgLoopError

FAILED = 1
"""The exit code of a runtime that did not start, or ended by an error."""


def run_daemon(
    serve: Serve,
    home: Home,
    *,
    environ: MutableMapping[str, str] = os.environ,
    limits: Limits | None = None,
    err: TextIO | None = None,
    tell_why: Callable[[BaseException], object] | None = None,
) -> int:
    """
    Own the home and run ``serve`` on it until it ends or a signal asks for it; the exit code.

    0 after a stop, 1 after an error, whose reason has then been printed and told to whoever started this process. To be
    called in the main thread. What was handed down by the starter is taken out of ``environ``. ``tell_why`` takes the
    place of printing the reason.
    """
    ties, err = Ties(), err or sys.stderr
    fill_standard_descriptors()
    try:
        ties = take_ties(environ)
        notifier = take_notifier(environ)
        prepare_home(home)
        with _owned(home, ties) as lock:
            ensure_token(home)
            trio.run(_Daemon(serve, lock, ties, notifier, limits or Limits(), err).run)
    except KeyboardInterrupt:  # before there was anything to end tidily
        return 128 + signal.SIGINT
    except BaseException as exc:  # whatever it was, the process ends here, and says why
        reason = _reason_of(exc, err)
        ties.say(Word("failed", reason=reason))
        if tell_why is None:
            _print(f"orgloop: {reason}", err)
        else:
            tell_why(_only(exc))
        return FAILED
    finally:
        ties.close()
    return 0


@attrs.define(eq=False)
class _Daemon:
    _serve: Serve
    _lock: Lock
    _ties: Ties
    _notifier: Notifier
    _limits: Limits
    _err: TextIO
    _serving: Serving | None = None
    _ready: trio.Event = attrs.field(factory=trio.Event)
    _reload_asked: trio.Event = attrs.field(factory=trio.Event)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _is_stopping: bool = False
    _began_s: float = attrs.field(factory=time.monotonic)
    _had_trouble: bool = False

    async def run(self) -> None:
        """Serve, and all that goes with it."""
        beat_s = self._limits.beat_s
        if self._notifier.watchdog_s is not None:
            beat_s = min(beat_s, self._notifier.watchdog_s / 2)
        heartbeat = Heartbeat(self._is_progressing, self._beat, self._look_after_files, beat_s)
        try:
            with open_signals() as signals:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._obey, signals)
                    nursery.start_soon(self._reload_when_asked)
                    nursery.start_soon(self._announce)
                    nursery.start_soon(heartbeat.run)
                    nursery.start_soon(self._watch_parent)
                    with self._scope:
                        await self._serve(self._lock.home, task_status=self)
                    if self._serving is None and not self._is_stopping:
                        raise RuntimeError("the runtime ended before it was ready, and gave no reason")
                    nursery.cancel_scope.cancel("the runtime has ended")
        finally:
            faulthandler.cancel_dump_traceback_later()

    # -- ready ---------------------------------------------------------------------------------------------------------

    def started(self, value: Serving | None = None) -> None:
        """Called by ``serve``, of which this is the task status."""
        self._serving = value or Serving()
        self._ready.set()

    async def _announce(self) -> None:
        await self._ready.wait()
        await self._look_after_files()
        await trio.to_thread.run_sync(self._write_address)
        self._say_ready()

    def _write_address(self) -> None:
        home, port = self._lock.home, self._serving and self._serving.port
        if port is not None:
            home.write(home.port, f"{port}\n".encode())
        home.write(home.pid, f"{os.getpid()}\n".encode())  # the last: who sees it finds the others

    def _say_ready(self) -> None:
        if self._is_stopping:  # it was asked to end while it was being announced
            return
        port = self._serving.port if self._serving else None
        self._notifier.tell("READY=1", f"STATUS=port {port}")
        self._ties.say(Word("ready", pid=os.getpid(), port=port))

    # -- signs of life -------------------------------------------------------------------------------------------------

    def _is_progressing(self) -> bool:
        return self._serving is None or self._serving.is_progressing()

    def _beat(self) -> None:
        self._notifier.tell("WATCHDOG=1")
        self._ties.say(Word("beat"))

    async def _look_after_files(self) -> None:
        """Write the heartbeat, and see that the home and its logs are as they should be."""
        home = self._lock.home
        if not self._lock.is_in_place():
            raise HomeError(
                f"{home.path} was moved or replaced while a daemon ran on it; put it back, then start again"
            )
        if self._serving is None:
            return
        about, uptime_s = self._serving.about(), time.monotonic() - self._began_s
        content = encode_heartbeat(uptime_s=uptime_s, now_s=time.time(), about=about)
        try:
            # Abandoned, if need be: a disk that hangs would hold up every later beat.
            await trio.to_thread.run_sync(_write_heartbeat, home, content, abandon_on_cancel=True)
        except OSError as exc:  # a full disk must not end what still serves
            if not self._had_trouble:
                _print(f"orgloop: the heartbeat cannot be written: {exc}", self._err)
            self._had_trouble = True
        else:
            self._had_trouble = False

    # -- what is asked of it -------------------------------------------------------------------------------------------

    async def _obey(self, signals: Signals) -> None:
        while True:
            number = await signals.next()
            if number == signal.SIGHUP:
                self._reload_asked.set()
            else:
                self._stop(f"{signal.Signals(number).name} was received")

    async def _watch_parent(self) -> None:
        """It says nothing to us, so all that can come is its end."""
        if self._ties.parent is not None:
            await trio.lowlevel.wait_readable(self._ties.parent)
            self._ties.is_orphan = True
            self._stop("the supervising process is gone")

    async def _reload_when_asked(self) -> None:
        await self._ready.wait()
        while self._serving is not None:
            await self._reload_asked.wait()
            self._reload_asked = trio.Event()
            self._notifier.reloading()
            self._ties.say(Word("reloading"))
            try:
                await self._serving.reload()
            except OrgLoopError as exc:
                _print(f"orgloop: nothing was reloaded: {exc}", self._err)
            self._say_ready()

    def _stop(self, reason: str) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        _print(f"orgloop: {reason}, stopping", self._err)
        self._notifier.tell("STOPPING=1")
        self._ties.say(Word("stopping"))
        with contextlib.suppress(
            AttributeError, RuntimeError, ValueError, io.UnsupportedOperation
        ):  # there is no stderr to write to
            faulthandler.dump_traceback_later(self._limits.stop_s + self._limits.close_s, exit=True, file=self._err)
        if self._serving is not None and self._serving.stop is not None:
            self._serving.stop()
            self._scope.deadline = trio.current_time() + self._limits.stop_s
        else:
            self._scope.cancel(reason)


@contextlib.contextmanager
def _owned(home: Home, ties: Ties) -> Iterator[Lock]:
    """The home, ours while the block runs: by a lock of our own, or by that of the supervising process."""
    lock = take_home(home) if ties.lock is None else inherit_home(home, ties.lock)
    us = identity_of(os.getpid())
    try:
        if not ties.is_supervised and us is not None:
            lock.note(us, us)
        yield lock
    finally:
        if lock.is_in_place():  # else these are another's
            home.remove(home.pid, home.port, home.heartbeat)
        if ties.is_supervised and not ties.is_orphan:
            lock.leave()
        else:
            lock.release()


def _write_heartbeat(home: Home, content: bytes) -> None:
    home.write(home.heartbeat, content)
    bound_log(home.stdout_log)
    bound_log(home.stderr_log)


def _reason_of(exc: BaseException, err: TextIO) -> str:
    """What to tell a person; of what nobody expected, the traceback goes to the log."""
    exc = _only(exc)
    if isinstance(exc, OrgLoopError):
        return str(exc)
    _print("".join(traceback.format_exception(exc)).rstrip(), err)
    return f"{type(exc).__name__}: {exc}"


def _only(exc: BaseException) -> BaseException:
    """What a group of one holds."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def _print(text: str, err: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # a terminal that is gone must not end what it showed
        print(text, file=err, flush=True)
