"""
When each source has its turn: one heap and one task for the timers of all of them.

    waiting ── due ──▶ in the queue ── there is a place ──▶ its turn ── over ──▶ waiting for the next
     (heap)                (FIFO)        (``max_polls``)

Law: a source has one turn at a time, and one that waits for a place keeps its own in the queue. When it is due is
decided in ``schedule.py``; all times are of Trio's clock, so the wall clock may be set to anything.

The tickets are the scheduler's, not its task's: if ``run`` crashes, nothing but lateness comes of it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from types import TracebackType

import attrs
import trio

from orgloop.errors import Closed
from orgloop.runtime.schedule import MIN_INTERVAL_S, first_due_s, next_due_s

PRECISION_S = 0.05
"""How soon the scheduler looks again; so late may turns be, but a wake-up costs more than the many that share it."""

PATIENCE_S = 5.0
"""How long a turn keeps its place while others wait for one; sources that hang must not stop those that do not."""

# -- tickets -----------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Ticket:
    """A source's right to its turns, for the one task that takes them."""

    key: str
    interval_s: float
    due_s: float
    """When its next turn is due; of one that is on, when that was."""
    _scheduler: Scheduler
    _task: trio.lowlevel.Task | None = None  # while it waits
    _entry: int = 0  # its valid entry in the heap, if any
    _is_on: bool = False
    _begun_s: float = -math.inf
    _ordered_s: float | None = None  # when the next turn is to be, if the grid does not decide
    _is_void: bool = False

    def turn(self) -> Turn:
        """Wait for the next turn; ``async with`` gives how late it begins, in seconds, and ends it at the end."""
        return Turn(self, self._scheduler)

    def retry_in(self, wait_s: float) -> None:
        """Have the next turn so many seconds from now; the grid goes on from there."""
        self._scheduler._order(self, trio.current_time() + wait_s)

    def _refuse_if_void(self) -> None:
        if self._is_void and not self._is_on:
            raise Closed(f"{self.key} is not registered any more")


@attrs.frozen(eq=False)
class Turn:
    """One turn of a source, as a block."""

    _ticket: Ticket
    _scheduler: Scheduler

    async def __aenter__(self) -> float:
        """Wait until it is due and there is a place; :class:`Closed` if the source is no longer registered."""
        ticket = self._ticket
        ticket._refuse_if_void()
        if ticket._is_on or ticket._task is not None:
            raise RuntimeError(f"{ticket.key} has one turn at a time")
        ticket._task = trio.lowlevel.current_task()
        self._scheduler._wait_until(ticket, ticket.due_s)
        await trio.lowlevel.wait_task_rescheduled(self._withdraw)
        ticket._refuse_if_void()
        return ticket._begun_s - ticket.due_s

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place to the next in the queue."""
        self._scheduler._end(self._ticket)

    def _withdraw(self, _: object) -> trio.lowlevel.Abort:
        self._scheduler._withdraw(self._ticket)
        return trio.lowlevel.Abort.SUCCEEDED


# -- the scheduler -----------------------------------------------------------------------------------------------------


@attrs.frozen
class SchedulerStatus:
    """A snapshot: how many sources there are, have their turn, and are due without a place."""

    sources: int
    polling: int
    queued: int


@attrs.define(eq=False)
class Scheduler:
    """Gives turns to registered sources while :meth:`run` runs, at most ``max_polls`` at a time."""

    max_polls: int = 64
    chance: Callable[[], float] = random.random
    _tickets: dict[str, Ticket] = attrs.field(factory=dict, init=False)
    _heap: list[tuple[float, int, Ticket]] = attrs.field(factory=list, init=False)
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _queue: deque[Ticket] = attrs.field(factory=deque, init=False)
    # Those that have a place, longest first. A turn whose place was given on is not among them any more.
    _placed: dict[Ticket, None] = attrs.field(factory=dict, init=False)
    _polling: int = attrs.field(default=0, init=False)
    _looked_s: float = attrs.field(default=-math.inf, init=False)
    _looks_s: float = attrs.field(default=math.inf, init=False)
    _bell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what gives nobody a turn; no validator, because with one attrs would run code at each assignment."""
        if self.max_polls < 1:
            raise ValueError(f"max_polls must be at least 1, not {self.max_polls}")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Give turns until cancelled."""
        task_status.started()
        while True:
            now_s = trio.current_time()
            self._looks_s = max(self._next_s(), self._looked_s + PRECISION_S)
            if self._looks_s > now_s:
                with trio.move_on_at(self._looks_s):
                    await self._bell.park()
            else:
                self._looked_s = now_s
                self._look(now_s)

    def register(self, key: str, interval_s: float) -> Ticket:
        """
        A ticket for a source that is to have a turn every ``interval_s``, the first one within a chance of that.

        Raises ``ValueError`` for an interval below a millisecond, or without end, and for a key that is registered.
        """
        if not MIN_INTERVAL_S <= interval_s < math.inf:
            raise ValueError(f"the interval of {key} must be finite and at least {MIN_INTERVAL_S} s, not {interval_s}")
        if key in self._tickets:
            raise ValueError(f"{key} is registered already")
        due_s = first_due_s(interval_s, now_s=trio.current_time(), chance=self.chance())
        ticket = self._tickets[key] = Ticket(key, interval_s, due_s, self)
        return ticket

    def unregister(self, key: str) -> None:
        """Forget a source, if it is known; a turn that is on may end, one that is waited for raises :class:`Closed`."""
        ticket = self._tickets.pop(key, None)
        if ticket is not None:
            ticket._is_void = True
            task = ticket._task
            self._withdraw(ticket)
            if task is not None:
                trio.lowlevel.reschedule(task)

    def poll_now(self, key: str) -> bool:
        """Make a source due at once, or again as soon as its present turn is over; whether it is known."""
        ticket = self._tickets.get(key)
        if ticket is not None:
            self._order(ticket, trio.current_time())
        return ticket is not None

    def retry_in(self, key: str, wait_s: float) -> bool:
        """Have the next turn of a source so many seconds from now; whether it is known."""
        ticket = self._tickets.get(key)
        if ticket is not None:
            ticket.retry_in(wait_s)
        return ticket is not None

    @property
    def looks_s(self) -> float:
        """When it looks next, on Trio's clock."""
        return self._looks_s

    def status(self) -> SchedulerStatus:
        """How it is."""
        return SchedulerStatus(len(self._tickets), self._polling, len(self._queue))

    # -- the way of a ticket -------------------------------------------------------------------------------------------

    def _wait_until(self, ticket: Ticket, due_s: float) -> None:
        ticket.due_s = due_s
        ticket._entry = number = next(self._numbers)
        heapq.heappush(self._heap, (due_s, number, ticket))
        if len(self._heap) > 2 * len(self._tickets) + 64:
            self._heap = [entry for entry in self._heap if entry[2]._entry == entry[1]]
            heapq.heapify(self._heap)
        looks_s = max(due_s, self._looked_s + PRECISION_S)
        if looks_s < self._looks_s:
            self._looks_s = looks_s
            self._bell.unpark()

    def _withdraw(self, ticket: Ticket) -> None:
        """Its task waits no more."""
        if ticket._task is not None:
            if not ticket._entry:
                self._queue.remove(ticket)
            ticket._task, ticket._entry = None, 0

    def _look(self, now_s: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            _, number, ticket = heapq.heappop(heap)
            if ticket._entry == number:
                ticket._entry = 0
                self._queue.append(ticket)
        self._give_places(now_s)

    def _give_places(self, now_s: float) -> None:
        while self._queue and (len(self._placed) < self.max_polls or self._has_lost_patience(now_s)):
            ticket = self._queue.popleft()
            task, ticket._task = ticket._task, None
            assert task is not None, "only those that wait are in the queue"
            ticket._is_on, ticket._begun_s, ticket._ordered_s = True, now_s, None
            self._placed[ticket] = None
            self._polling += 1
            trio.lowlevel.reschedule(task)

    def _has_lost_patience(self, now_s: float) -> bool:
        """Take the place of the turn that has been on for longest, if that is too long."""
        longest = next(iter(self._placed))
        if now_s < longest._begun_s + PATIENCE_S:
            return False
        del self._placed[longest]
        return True

    def _end(self, ticket: Ticket) -> None:
        now_s = trio.current_time()
        ticket._is_on = False
        ticket.due_s = next_due_s(ticket.due_s, ticket.interval_s, begun_s=ticket._begun_s)
        if ticket._ordered_s is not None:
            ticket.due_s = ticket._ordered_s
        self._placed.pop(ticket, None)
        self._polling -= 1
        self._give_places(now_s)

    def _order(self, ticket: Ticket, due_s: float) -> None:
        if ticket._is_on:
            ticket._ordered_s = due_s
        elif ticket._task is None:
            ticket.due_s = due_s
        elif ticket._entry:
            self._wait_until(ticket, due_s)
        elif due_s > trio.current_time():  # else it stays where it is in the queue
            self._queue.remove(ticket)
            self._wait_until(ticket, due_s)

    def _next_s(self) -> float:
        """When there is something to do."""
        heap = self._heap
        while heap and heap[0][2]._entry != heap[0][1]:
            heapq.heappop(heap)
        due_s = heap[0][0] if heap else math.inf
        if not self._queue:
            return due_s
        if len(self._placed) < self.max_polls:
            return -math.inf
        return min(due_s, next(iter(self._placed))._begun_s + PATIENCE_S)
