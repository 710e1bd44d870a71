"""
The children of one supervisor, and how they are started and stopped: no decision, only the doing.

Used by one loop, which does one thing at a time. What a child leaves behind is put down here: its state and last error,
an event, and, if it was fatal, a note for the loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import trio

from orgloop_supervisors import _policy
from orgloop_supervisors._child import Child, Life, live
from orgloop_supervisors._errors import ChildExited, split_fatal
from orgloop_supervisors._events import EventKind, Teller
from orgloop_supervisors._spec import ChildSpec, ChildState, Restart
from orgloop_supervisors._timers import Timers
from orgloop_supervisors._tree import stack_of

if TYPE_CHECKING:
    from orgloop_supervisors._recipe import SupervisorSpec


@attrs.define(eq=False)
class Crew:
    """Records and lives of all children, by id, in start order."""

    spec: SupervisorSpec
    enclosing: Life | None
    """The supervised life that this supervisor runs in."""
    teller: Teller
    timers: Timers
    ended: Callable[[Life], None] = attrs.field(init=False)
    """Told of every life that ends after it was ready."""
    being_stopped: Callable[[Life], None] = attrs.field(init=False)
    """Told of every life that is being stopped, once before it is asked and once when it has been cancelled."""
    nursery: trio.Nursery = attrs.field(init=False)
    children: dict[str, Child] = attrs.field(factory=dict)
    over_at_s: float | None = None
    """When the last of them was gone for good."""
    fatal: list[BaseException] = attrs.field(factory=list)
    """What children raised that must end the process."""
    beside_fatal: list[Exception] = attrs.field(factory=list)
    """What they raised in the same group."""
    _changed: trio.Event | None = None
    """Made by whoever waits for a change; set, and dropped, by the change."""
    _starting: Child | None = None

    def add(self, spec: ChildSpec[Any]) -> Child:
        """Make a record at the end of the list."""
        child = self.children[spec.id] = Child(spec, since=trio.current_time())
        return child

    def forget(self, child: Child) -> None:
        """Drop the record of a child that is down."""
        del self.children[child.spec.id]
        self.announce()

    def enter(self, child: Child, state: ChildState) -> None:
        """Note a child's state, and since when."""
        if child.state is not state:
            child.state, child.since = state, trio.current_time()

    async def wait_for_change(self) -> None:
        """Wait until a child has become ready, is to be stopped, or is forgotten."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def announce(self) -> None:
        """Have everyone look again who waits for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    # -- starting ----------------------------------------------------------------------------------------------------

    async def start(self, child: Child) -> Exception | None:
        """Begin a life and wait until it is ready; the failure, if it ended before."""
        spec = child.spec
        child.incarnation += 1
        child.retry = None
        life = child.life = Life(child, self, child.incarnation)
        self.enter(child, ChildState.STARTING)
        self._tell(EventKind.STARTED, child)
        if spec.notify:
            life.scope.deadline = trio.current_time() + spec.start_timeout
        self._starting = child
        self.nursery.start_soon(live, life, self._ended, name=spec.id)
        await self._settled(life)
        self._starting = None
        if not life.ready:
            return self.failure(child, self.bury(child), "returned before it was ready")
        self.enter(child, ChildState.RUNNING)
        self._tell(EventKind.READY, child)
        self.announce()
        self._watch(life)
        return None

    async def _settled(self, life: Life) -> None:
        settled = life.settled
        assert settled is not None
        if life.stuck_at_s < math.inf:
            with trio.move_on_at(life.stuck_at_s):
                await settled.wait()
            if not settled.is_set():
                self._report_stuck(life)
        await settled.wait()
        life.settled = None

    def _ended(self, life: Life) -> None:
        if life.ready:
            self.ended(life)

    def _watch(self, life: Life) -> None:
        """Look at a life when its watchdog, if it has struck, should have ended it: nobody else waits for that."""

        async def look() -> None:
            if life.scope.cancel_called and life.stuck_at_s <= trio.current_time():
                self._report_stuck(life)
            else:
                self._watch(life)

        if life.stuck_at_s < math.inf:
            life.watch = self.timers.set(life.stuck_at_s, look)

    # -- stopping ----------------------------------------------------------------------------------------------------

    async def stop_all(self, children: Sequence[Child], reason: str) -> list[Exception]:
        """
        Stop children, the one that is starting first, then last to first, or all at once if no order was asked for.

        Returns what those that are not temporary raised. Shielded by the caller, like :meth:`stop`.
        """
        failures: list[Exception] = []

        async def stop(child: Child) -> None:
            failure = await self.stop(child, reason)
            if failure is not None and child.spec.restart is not Restart.TEMPORARY:
                failures.append(failure)

        if self._starting is not None:
            await stop(self._starting)
        if self.spec.ordered:
            for child in reversed(children):
                await stop(child)
        else:
            async with trio.open_nursery() as nursery:
                for child in children:
                    nursery.start_soon(stop, child)
        return failures

    async def stop(self, child: Child, reason: str) -> Exception | None:
        """Stop one child and wait until it is gone; what it raised. A child that is down is left as it is, STOPPED."""
        life, failure = child.life, None
        if life is not None:
            if not life.ended:
                self.enter(child, ChildState.STOPPING)
                self._tell(EventKind.STOPPING, child)
                life.stopping = reason
                self.being_stopped(life)
                await life.stop(cancelled=self.being_stopped, stuck=self._report_stuck)
            failure = self.bury(child)
        self.enter(child, ChildState.STOPPED)
        return failure

    # -- what is left of a life --------------------------------------------------------------------------------------

    def bury(self, child: Child) -> Exception | None:
        """Close the record of a life that has ended; its failure, if it was one and not fatal."""
        life, child.life = child.life, None
        assert life is not None
        self.timers.cancel(life.watch)
        child.failures_in_a_row = _policy.row_after(
            child.failures_in_a_row, ready_for_s=life.ready_for_s, reset_after_s=child.spec.backoff.reset_after
        )
        self.enter(child, ChildState.STOPPED)
        if life.error is not None:
            child.last_error = life.error
            self._tell(EventKind.CRASHED, child, error=life.error)
        elif life.stopping is None:
            self._tell(EventKind.EXITED, child)
        if life.stopping is not None:
            self._tell(EventKind.STOPPED, child)
        fatal, failure = split_fatal(life.error)
        if fatal and failure is not None:
            self.beside_fatal.append(failure)
        self.fatal.extend(fatal)
        return None if fatal else failure

    def failure(self, child: Child, failure: Exception | None, otherwise: str) -> Exception:
        """What a child failed with: what it raised, or that it ended at all."""
        if failure is None:
            failure = ChildExited(f"child {child.spec.id!r} {otherwise}")
            if not self.fatal:
                child.last_error = failure
        return failure

    def _report_stuck(self, life: Life) -> None:
        self.enter(life.child, ChildState.STOPPING)
        self._tell(EventKind.STUCK, life.child, stack=stack_of(life.task))

    def _tell(self, kind: EventKind, child: Child, **details: Any) -> None:
        self.teller.tell(kind, child.spec.id, child.incarnation, **details)
