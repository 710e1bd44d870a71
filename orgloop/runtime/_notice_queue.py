"""
What waits for one logger, and the batch of it that a thread has in hand.

Law: each notice that was put is written, failed, dropped or waiting, at every moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
import trio

from orgloop.sdk import DEBUG, Logger, Notice

QUEUE_DEPTH = 10_000
"""How many notices may wait for a logger before the oldest are dropped."""

BATCH = 2048
"""How many notices a thread is given in one go."""


@attrs.frozen(kw_only=True)
class LoggerStatistics:
    """What became of the notices that a logger was to get: each is in one of the first four numbers."""

    written: int
    failed: int
    """``log`` raised."""
    dropped: int
    """Too many waited, or the logger was let go before their turn came."""
    waiting: int
    failed_flushes: int
    last_error: str | None
    is_served: bool
    """Whether a logger is there to take them."""


@attrs.define(eq=False)
class Batch:
    """Notices in the hand of a thread; only the thread writes here, but for ``given_up``."""

    notices: list[Notice]
    written: int = 0
    failed: int = 0
    failed_flushes: int = 0
    last_error: str | None = None
    in_thread: bool = False
    given_up: bool = False

    def write(self, logger: Logger, *, is_last: Callable[[], bool]) -> None:
        """Hand them over, one after the other; for a thread."""
        self.in_thread = True  # before given_up is read: whoever sets that, and then finds this False, is alone
        for notice in self.notices:
            if self.given_up:
                break
            error = _failure(logger.log, notice)
            self.last_error = error or self.last_error
            self.written += error is None
            self.failed += error is not None
        flush = getattr(logger, "flush", None)
        if flush is not None and is_last() and not self.given_up:
            error = _failure(flush)
            self.last_error = error or self.last_error
            self.failed_flushes += error is not None
        self.in_thread = False


@attrs.define(eq=False)
class Service:
    """One life of a logger."""

    leave: trio.Event = attrs.field(factory=trio.Event)
    """Set when it is to finish what waits, and go."""
    left: trio.Event = attrs.field(factory=trio.Event)
    """Set when its last call has been made."""
    has_failed: bool = False
    is_stuck: bool = False
    """It was let go inside a call."""


@attrs.define(eq=False)
class Queue:
    """The notices for one logger, over all its lives."""

    name: str
    least: int = DEBUG
    """What is less grave is not for it."""
    service: Service | None = None
    dropped: int = 0
    confessed: int = 0
    """How many of the dropped have been told of."""
    last_error: str | None = None
    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    """Its own, so that a logger that hangs takes no thread from the log, nor more than one at all."""
    _waiting: deque[Notice] = attrs.field(factory=deque)
    _written: int = 0
    _failed: int = 0
    _failed_flushes: int = 0
    _in_hand: Batch | None = None
    _filled: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    @property
    def module(self) -> str | None:
        """The module whose logger this is, if it is not the whole runtime's."""
        return self.name.rpartition("/")[0] or None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, notice: Notice) -> None:
        """Add one, at the cost of the oldest if there are too many; never waits."""
        waiting = self._waiting
        if len(waiting) >= QUEUE_DEPTH:
            waiting.popleft()
            self.dropped += 1
        waiting.append(notice)
        if self._filled:
            self._filled.unpark_all()

    def take(self) -> Batch:
        """The oldest, as many as a thread may have; to be settled."""
        count = min(BATCH, len(self._waiting))
        batch = self._in_hand = Batch([self._waiting.popleft() for _ in range(count)])
        return batch

    def settle(self, batch: Batch) -> None:
        """
        Count what came of a batch, and put back what no call was made for.

        The notice inside a call that has not returned counts as dropped; what its thread does after this, not at all.
        """
        batch.given_up = True
        written, failed = batch.written, batch.failed
        untouched = batch.notices[written + failed :]
        if batch.in_thread and untouched:
            self.dropped += 1
            del untouched[0]
        self._waiting.extendleft(reversed(untouched))
        self._written += written
        self._failed += failed
        self._failed_flushes += batch.failed_flushes
        self.last_error = batch.last_error or self.last_error
        self._in_hand = None

    def drop_rest(self) -> None:
        """Give up what waits."""
        self.dropped += len(self._waiting)
        self._waiting.clear()

    def wake(self) -> None:
        """Let who waits for notices look again."""
        self._filled.unpark_all()

    async def wait(self) -> None:
        """Wait for a notice, or for :meth:`wake`."""
        await self._filled.park()

    def statistics(self) -> LoggerStatistics:
        """A snapshot."""
        batch = self._in_hand or Batch([])
        written, failed = batch.written, batch.failed
        return LoggerStatistics(
            written=self._written + written,
            failed=self._failed + failed,
            dropped=self.dropped,
            waiting=len(self._waiting) + len(batch.notices) - written - failed,
            failed_flushes=self._failed_flushes + batch.failed_flushes,
            last_error=batch.last_error or self.last_error,
            is_served=self.service is not None,
        )


def _failure(call: Callable[..., object], *args: object) -> str | None:
    try:
        call(*args)
    # A plug-in in a thread of its own: even its SystemExit is nothing but a failed call, and no Cancelled is ours.
    except BaseException as exc:
        return words(exc)
    return None


def words(error: BaseException) -> str:
    """An exception in a few words, whatever its own code does when it is asked."""
    try:
        return repr(error)[:500]
    except Exception:
        return type(error).__name__
