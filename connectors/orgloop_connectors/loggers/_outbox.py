"""
Between the thread that logs and the task that sends: a bounded queue, and who empties it.

    log (a thread) ── put ──▶ outbox ── take ──▶ send (a task)

Law: ``put`` never waits. What was put is sent, lost or here, at every moment; if there is too much, the oldest is lost.
What was in the hand of a sender that was cancelled is lost too.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import trio

CLOSE_S = 2.0
"""How long what is left may take to be sent when a logger is left."""

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
"""Between two attempts at the same; doubled from one to the next."""

Send = Callable[[Sequence[bytes]], Awaitable[None]]


class Outbox:
    """
    Takes pieces in any thread, and gives them to a task of the run in which it was made.

    ``lost`` counts those that nobody will get, ``last_error`` is why the last of them was.
    """

    def __init__(self, depth: int) -> None:
        self.lost = 0
        self.last_error: str | None = None
        self._depth = depth
        self._pieces: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._token = trio.lowlevel.current_trio_token()
        self._stirred = trio.Event()
        self._wanted = math.inf
        """How many there must be for the task to be woken."""
        self._closed = False
        self.closed_s = math.inf
        """When it was closed, by the clock of the run."""

    def __len__(self) -> int:
        return len(self._pieces)

    def put(self, piece: bytes) -> None:
        """Add a piece, at the cost of the oldest if there are too many; at its own, once closed."""
        with self._lock:
            if self._closed:
                self._lose(1, "it came after the end")
                return
            if len(self._pieces) >= self._depth:
                self._pieces.popleft()
                self._lose(1, "more came than could be sent")
            self._pieces.append(piece)
            wakes = len(self._pieces) >= self._wanted
            if wakes:
                self._wanted = math.inf
        if wakes:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._stir)

    async def take(self, most: int, *, gather_s: float) -> list[bytes]:
        """
        The oldest pieces: as soon as there are ``most``, or so long after the first; none, once closed and empty.
        """
        await self._until(1)
        with trio.move_on_after(gather_s):
            await self._until(most)
        with self._lock:
            return [self._pieces.popleft() for _ in range(min(most, len(self._pieces)))]

    def close(self) -> None:
        """Take no more, and let whoever takes have what is left at once."""
        if not self._closed:
            self._closed, self.closed_s = True, trio.current_time()
        self._stir()

    def lose(self, count: int, reason: str) -> None:
        """Count pieces that were taken, and will not arrive."""
        with self._lock:
            self._lose(count, reason)

    def lose_rest(self, reason: str) -> None:
        """Give up what is here."""
        with self._lock:
            if self._pieces:
                self._lose(len(self._pieces), reason)
            self._pieces.clear()

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        self.last_error = reason

    def _stir(self) -> None:
        self._stirred.set()

    async def _until(self, count: int) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._closed:
            self._stirred = trio.Event()
            with self._lock:
                if len(self._pieces) >= count:
                    return
                self._wanted = count
            await self._stirred.wait()


@asynccontextmanager
async def emptied(outbox: Outbox, send: Send, *, most: int, gather_s: float) -> AsyncGenerator[None]:
    """
    Send what is put into the outbox until this is left; what is there then has :data:`CLOSE_S` to go.

    ``send`` tries for as long as it sees fit, and counts what it gives up. What it raises costs the pieces in its hand.
    """
    # A logger is still given notices while it is being cancelled: who sends them ends when it is left, not before.
    life = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_empty, outbox, send, most, gather_s, life)
        try:
            yield
        finally:
            outbox.close()
            life.deadline = outbox.closed_s + CLOSE_S


async def _empty(outbox: Outbox, send: Send, most: int, gather_s: float, life: trio.CancelScope) -> None:
    with life:
        while pieces := await outbox.take(most, gather_s=gather_s):
            try:
                await send(pieces)
            except trio.Cancelled:
                outbox.lose(len(pieces), outbox.last_error or f"not sent within {CLOSE_S:g} s of the end")
                raise
            # A bug of ours must not end whoever logs: it is counted like any other loss, and its words are kept.
            except Exception as exc:
                outbox.lose(len(pieces), f"{type(exc).__name__}: {exc}")
    outbox.lose_rest(outbox.last_error or f"not sent within {CLOSE_S:g} s of the end")


def waits_s(chance: Callable[[], float]) -> Callable[[int], float]:
    """How long to wait after so many failures, counted from 1; ``chance`` gives numbers from 0 to 1."""

    def wait_s(failures: int) -> float:
        full_s: float = min(FIRST_WAIT_S * 2 ** min(failures - 1, 16), LONGEST_WAIT_S)
        return full_s * (0.5 + 0.5 * chance())

    return wait_s
