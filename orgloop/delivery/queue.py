"""
What waits for its turn in a lane: events as long as they are few, then positions in the log, which cost 36 bytes each.

Law: what was offered is taken in that order, or handed out by :meth:`Queue.offer` as too much, or told to be
unreadable. Taking is for one task at a time; offering never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import attrs
import trio

from orgloop.sdk import Admitted

HELD = 256
"""How many events a queue keeps in memory; of the rest it keeps positions, and reads them back."""

READ_AT_ONCE = 64
"""How many it reads back at a time; there is always room for as many."""

Read = Callable[[Sequence[int]], Awaitable[list[Admitted]]]


@attrs.define(eq=False)
class Queue:
    """One lane's obligations."""

    _read: Read
    _unreadable: Callable[[int], None]
    """Told the position of what cannot be read back; it is then no longer in the queue."""
    depth: float
    """How many may wait; ``inf``: any number."""
    drop_oldest: bool = True
    """Which one is too much: the oldest, or the one that comes."""
    _waiting: deque[Admitted | int] = attrs.field(factory=deque)
    _held: int = 0
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, admitted: Admitted) -> int | None:
        """Add an obligation at the end; the sequence of the one that is too much, if one is."""
        surplus = None
        if len(self._waiting) >= self.depth:
            if not self.drop_oldest:
                return admitted.sequence
            oldest = self._pop()
            surplus = oldest.sequence if isinstance(oldest, Admitted) else oldest
        if self._held < HELD - READ_AT_ONCE:
            self._held += 1
            self._waiting.append(admitted)
        else:
            self._waiting.append(admitted.sequence)
        self._doorbell.unpark()
        return surplus

    def empty(self) -> list[int]:
        """Take everything out at once; the sequences, in order."""
        left = [waiting.sequence if isinstance(waiting, Admitted) else waiting for waiting in self._waiting]
        self._waiting.clear()
        self._held = 0
        return left

    def put_first(self, sequences: Sequence[int]) -> None:
        """Put obligations to the front, in order, to be read when it is their turn."""
        self._waiting.extendleft(reversed(sequences))
        self._doorbell.unpark()

    def put_back(self, taken: Iterable[Admitted]) -> None:
        """Put what was taken, and has not ended, back to the front, in order."""
        for admitted in sorted(taken, key=lambda admitted: admitted.sequence, reverse=True):
            self._held += 1
            self._waiting.appendleft(admitted)
        self._doorbell.unpark()

    async def take(self) -> Admitted:
        """The first obligation, as soon as there is one; cancelled, nothing is taken."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            while not self._waiting:
                await self._doorbell.park()
            if isinstance(self._waiting[0], int):
                await self._read_back()
                continue
            first = self._pop()
            assert isinstance(first, Admitted)
            return first

    def _pop(self) -> Admitted | int:
        first = self._waiting.popleft()
        if isinstance(first, Admitted):
            self._held -= 1
        return first

    async def _read_back(self) -> None:
        """Replace the positions at the front by their events."""
        wanted: dict[int, Admitted | None] = {}
        for waiting in self._waiting:
            if not isinstance(waiting, int) or len(wanted) == READ_AT_ONCE:
                break
            wanted[waiting] = None
        wanted.update((admitted.sequence, admitted) for admitted in await self._read(list(wanted)))
        # Meanwhile the oldest may have become too much: only what is still at the front is replaced.
        present = []
        while self._waiting and isinstance(self._waiting[0], int) and self._waiting[0] in wanted:
            present.append(wanted[self._waiting[0]] or self._waiting[0])
            self._waiting.popleft()
        self.put_back(found for found in present if isinstance(found, Admitted))
        for missing in present:
            if isinstance(missing, int):
                self._unreadable(missing)
