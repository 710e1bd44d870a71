"""
One life of a child: the task, its capability, and the three ways it can be told to end.

    asked       ``draining`` is set, and it may take ``drain`` seconds to finish up
    cancelled   its own scope is cancelled; what it does in ``cleanup()`` scopes may take ``grace`` seconds
    reported    it is still there: ``stuck``, with its stack. Trio cannot kill a task, and abandoning one would break
                structure, so the supervisor keeps waiting.

Each life has a shielded scope of its own: an outer cancellation reaches all tasks of a nursery at once, and only the
supervisor, which stops them in order, may see it. The scope's deadline is the start limit and then the watchdog, so
neither needs a task.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs
import trio
from trio.lowlevel import Task, current_task, disable_ki_protection, enable_ki_protection

from orgloop_supervisors._errors import StartTimeout, WatchdogTimeout, split_fatal
from orgloop_supervisors._spec import ChildSpec, ChildState
from orgloop_supervisors._timers import Timer

if TYPE_CHECKING:
    from orgloop_supervisors._crew import Crew
    from orgloop_supervisors._inbox import Call

T = TypeVar("T")

LAST_MOMENT_S = 0.1
"""How long a child may take to unwind after its grace has run out before it is called stuck."""

current_life: ContextVar[Life | None] = ContextVar("orgloop_supervisors.current_life", default=None)
"""The innermost supervised life that the running code belongs to; it tells a call that would wait for its caller."""


@attrs.define(eq=False)
class Child:
    """A supervisor's record of one child across its lives."""

    spec: ChildSpec[Any]
    since: float
    state: ChildState = ChildState.STOPPED
    life: Life | None = None
    incarnation: int = 0
    restarts: int = 0
    last_error: BaseException | None = None
    failures_in_a_row: int = 0
    retry: Retry | None = None


@attrs.define(eq=False)
class Retry:
    """A restart to come: who failed, when it is due, and all that are down waiting for it."""

    child: Child
    due_s: float
    members: list[Child]
    timer: Timer | None = None

    def waiting(self) -> list[Child]:
        """The members that still wait; a terminated or superseded one does not."""
        return [member for member in self.members if member.retry is self]


@attrs.define(eq=False)
class Life:
    """One incarnation of a child, from its spawn until its task is gone."""

    child: Child
    crew: Crew
    number: int
    scope: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True))
    settled: trio.Event | None = attrs.field(factory=trio.Event)
    """Set when ready or over, whichever comes first; dropped once the supervisor has seen it."""
    task: Task | None = None
    value: Any = None
    ready_at_s: float = math.nan
    ended_at_s: float = math.nan
    error: BaseException | None = None
    stopping: str | None = None
    """Why the supervisor wants it gone; from then on, ending is what it was asked to do."""
    watch: Timer | None = None
    """Looks whether the watchdog has struck in vain."""
    _gone: trio.Event | None = None
    _draining: trio.Event | None = None
    _cleanups: weakref.WeakSet[trio.CancelScope] | None = None
    _grace_until_s: float = math.inf
    asking: tuple[Call, ...] = ()
    """What its code waits for from its own supervisor."""
    nested: tuple[Crew, ...] = ()
    """Supervisors that run inside this life, for the tree."""

    @property
    def ready(self) -> bool:
        """Whether it ever was ready; the line is the call of ``started()``."""
        return not math.isnan(self.ready_at_s)

    @property
    def ended(self) -> bool:
        """Whether its function has ended; its task ends in the same step."""
        return not math.isnan(self.ended_at_s)

    @property
    def ready_for_s(self) -> float:
        """How long a finished life had been ready; NaN if it never was."""
        return self.ended_at_s - self.ready_at_s

    @property
    def draining(self) -> trio.Event:
        """Set when the child is asked to finish up."""
        if self._draining is None:
            self._draining = trio.Event()
        return self._draining

    def report_ready(self, value: object) -> None:
        """Take the word ``started()``; too late, after the start limit has struck, it counts for nothing."""
        if self.ready:
            raise RuntimeError(f"child {self.child.spec.id!r} called started() twice")
        if self.scope.cancel_called and self.stopping is None:
            return
        self.ready_at_s = trio.current_time()
        self.value = value
        if self.stopping is None:
            self._set_deadline(self.ready_at_s + self.child.spec.watchdog)
        if self.settled is not None:
            self.settled.set()

    def beat(self) -> None:
        """Push the watchdog's deadline back; nothing to do while starting or stopping, or without a watchdog."""
        watchdog_s = self.child.spec.watchdog
        if watchdog_s < math.inf and self.ready and self.stopping is None:
            self._set_deadline(trio.current_time() + watchdog_s)

    def _set_deadline(self, deadline_s: float) -> None:
        if deadline_s != self.scope.deadline:
            self.scope.deadline = deadline_s
            self._limit_cleanups()

    def open_cleanup(self) -> trio.CancelScope:
        """Make a scope that outlives our cancellation by the grace, also one that the watchdog caused."""
        scope = trio.CancelScope(shield=True, deadline=self._cleanup_deadline_s())
        if self._cleanups is None:
            self._cleanups = weakref.WeakSet()
        self._cleanups.add(scope)
        return scope

    def _cleanup_deadline_s(self) -> float:
        if self.stopping is not None:
            return self._grace_until_s
        return self.scope.deadline + self.child.spec.shutdown.grace

    def _limit_cleanups(self) -> None:
        for scope in self._cleanups or ():
            scope.deadline = self._cleanup_deadline_s()

    def end(self, error: BaseException | None) -> None:
        """Note that the function has ended, and how: our own deadline, if it struck, is told apart from our wish."""
        self.ended_at_s = trio.current_time()
        self.error = error
        if self.scope.cancelled_caught and self.stopping is None and not split_fatal(error)[0]:
            self.error = self._timed_out()
            self.error.__cause__ = error
        for waiting in (self.settled, self._gone):
            if waiting is not None:
                waiting.set()

    def _timed_out(self) -> StartTimeout | WatchdogTimeout:
        spec = self.child.spec
        if self.ready:
            return WatchdogTimeout(f"child {spec.id!r} did not beat() for {spec.watchdog:g} s")
        return StartTimeout(f"child {spec.id!r} did not call started() within {spec.start_timeout:g} s")

    @property
    def stuck_at_s(self) -> float:
        """When a life that its own deadline has cancelled should be gone."""
        return self.scope.deadline + self.child.spec.shutdown.grace + LAST_MOMENT_S

    async def stop(self, *, cancelled: Callable[[Life], None], stuck: Callable[[Life], None]) -> None:
        """Ask, cancel, report; return when it is gone. ``stopping`` is set, and the caller shields."""
        limits = self.child.spec.shutdown
        self._gone = trio.Event()
        # A life that its own deadline has already cancelled cannot finish up any more.
        if limits.drain > 0 and self.ready and not self.scope.cancel_called:
            self._set_deadline(math.inf)
            self.draining.set()
            with trio.move_on_after(limits.drain):
                await self._gone.wait()
                return
        self.scope.cancel(self.stopping)
        cancelled(self)
        self._grace_until_s = trio.current_time() + limits.grace
        self._limit_cleanups()
        with trio.move_on_after(limits.grace + LAST_MOMENT_S):
            await self._gone.wait()
            return
        stuck(self)
        await self._gone.wait()


class ChildStatus(trio.TaskStatus[T]):
    """
    All that a child with ``notify`` may touch of its supervisor: a ``trio.TaskStatus``, and a little more.

    A function that knows only ``task_status.started()``, such as ``trio.serve_tcp``, is a child as it stands.
    """

    __slots__ = ("_life",)

    def __init__(self, life: Life) -> None:
        self._life = life

    @overload
    def started(self: ChildStatus[None]) -> None: ...

    @overload
    def started(self, value: T) -> None: ...

    def started(self, value: T | None = None) -> None:
        """Say that the child is ready; ``value`` is what ``start_child`` and ``wait_running`` give to others."""
        self._life.report_ready(value)

    @property
    def draining(self) -> trio.Event:
        """Set when the child is asked to finish up, ``Shutdown.drain`` seconds before it is cancelled."""
        return self._life.draining

    @property
    def incarnation(self) -> int:
        """Which life of the child this is, counted from 1."""
        return self._life.number

    def beat(self) -> None:
        """Show the watchdog that the child is alive: its next ``watchdog`` seconds begin now."""
        self._life.beat()

    def cleanup(self) -> trio.CancelScope:
        """
        Open a scope for cleaning up: ``with status.cleanup(): await connection.aclose()``.

        It is shielded from the cancellation of the child and cancelled itself when the child's grace runs out.
        """
        return self._life.open_cleanup()


@enable_ki_protection
async def live(life: Life, ended: Callable[[Life], None]) -> None:
    """Run one life to its end; nothing it raises leaves here, it is put down and ``ended`` is told."""
    spec, error = life.child.spec, None
    life.task = current_task()
    current_life.set(life)
    try:
        with life.scope:
            if spec.notify:
                status: ChildStatus[Any] = ChildStatus(life)
                await _enter(spec.run, *spec.args, task_status=status)
            else:
                life.report_ready(None)
                await _enter(spec.run, *spec.args)
    # Every ending is the supervisor's to judge, and no Cancelled but the child's own can reach it past the shield.
    except BaseException as exc:
        error = exc.with_traceback(_of_the_child(exc.__traceback__))
    life.end(error)
    ended(life)
    del error  # no cycle from the exception through this frame


@disable_ki_protection
async def _enter(run: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    # Ctrl-C may interrupt a busy child, but not our own bookkeeping around it.
    await run(*args, **kwargs)


def _of_the_child(traceback: TracebackType | None) -> TracebackType | None:
    ours = (live.__code__, _enter.__code__)
    while traceback is not None and traceback.tb_frame.f_code in ours:
        traceback = traceback.tb_next
    return traceback
