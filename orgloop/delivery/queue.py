"""
What waits for its turn in a lane: events as long as there is room, and behind them positions in the log, which cost 44
bytes each.

Law: what was offered is taken in that order, or handed out by :meth:`Queue.offer` as too much, or told to be
unreadable. Taking is for one task at a time; offering never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice

import attrs
import trio

from orgloop.delivery.room import Room
from orgloop.sdk import Admitted
from orgloop.sdk.bus import looked_for

READ_AT_ONCE = 256
"""How many events a queue reads back at a time, if there is room for twice as many; one, if there is none."""

Read = Callable[[Sequence[int]], Awaitable[list[Admitted]]]
"""As :meth:`orgloop.sdk.EventBus.read`."""


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
    _room: Room = attrs.field(factory=Room)
    _held: deque[Admitted] = attrs.field(factory=deque)
    _held_bytes: int = 0
    _positions: deque[int] = attrs.field(factory=deque)
    """All behind what is held."""
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def __len__(self) -> int:
        return len(self._held) + len(self._positions)

    def __bool__(self) -> bool:
        return bool(self._held or self._positions)

    @property
    def held(self) -> int:
        """How many of them are events in memory."""
        return len(self._held)

    def offer(self, admitted: Admitted) -> int | None:
        """Add an obligation at the end; the sequence of the one that is too much, if one is."""
        held, positions, room, surplus = self._held, self._positions, self._room, None
        if len(held) + len(positions) >= self.depth:
            if not self.drop_oldest:
                return admitted.sequence
            surplus = self._pop().sequence if held else positions.popleft()
        size_bytes = admitted.size_bytes
        if positions or len(held) >= room.events or self._held_bytes + size_bytes > room.bytes:
            positions.append(admitted.sequence)
        else:
            room.events -= 1
            room.bytes -= size_bytes
            self._held_bytes += size_bytes
            held.append(admitted)
        if self._doorbell:
            self._doorbell.unpark()
        return surplus

    def empty(self) -> list[int]:
        """Take everything out at once; the sequences, in order."""
        left = [self._pop().sequence for _ in range(len(self._held))]
        left += self._positions
        self._positions.clear()
        return left

    def expire(self, before: int) -> list[int]:
        """Take out, from the front, what has a lower number than that; the numbers, in order."""
        held, positions, expired = self._held, self._positions, list[int]()
        while held and held[0].sequence < before:
            expired.append(self._pop().sequence)
        while not held and positions and positions[0] < before:
            expired.append(positions.popleft())
        return expired

    def put_first(self, sequences: Sequence[int]) -> None:
        """Put obligations to the front, in order, to be read when it is their turn."""
        self._positions = deque([*sequences, *self.empty()])
        self._doorbell.unpark()

    def put_back(self, taken: Iterable[Admitted]) -> None:
        """Put what was taken, and has not ended, back to the front, in order; for that there is always room."""
        for admitted in sorted(taken, key=lambda admitted: admitted.sequence, reverse=True):
            self._count(admitted)
            self._held.appendleft(admitted)
        self._doorbell.unpark()

    def take_held(self) -> Admitted | None:
        """The first obligation, if it can be had without waiting."""
        return self._pop() if self._held else None

    async def take(self) -> Admitted:
        """The first obligation, as soon as there is one; cancelled, nothing is taken."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while (first := await self.take_if_any()) is None:
            await self._doorbell.park()
        return first

    async def take_if_any(self) -> Admitted | None:
        """The first obligation, read back if need be; None if nothing waits that can be read."""
        while not self._held:
            if not self._positions:
                return None
            await self._read_back()
        return self._pop()

    def _pop(self) -> Admitted:
        first, room = self._held.popleft(), self._room
        size_bytes = first.size_bytes
        room.events += 1
        room.bytes += size_bytes
        self._held_bytes -= size_bytes
        return first

    def _count(self, admitted: Admitted) -> None:
        self._room.events -= 1
        self._room.bytes -= admitted.size_bytes
        self._held_bytes += admitted.size_bytes

    async def _read_back(self) -> None:
        """Replace positions at the front by their events."""
        count = min(READ_AT_ONCE, self._room.events // 2) if self._room.bytes > 0 else 1
        wanted = list(islice(self._positions, max(1, count)))
        given = await self._read(wanted)
        found = {admitted.sequence: admitted for admitted in given}
        answered = set(looked_for(wanted, given))
        # Meanwhile the oldest may have become too much: only what is still at the front is replaced.
        while self._positions and self._positions[0] in answered:
            sequence = self._positions.popleft()
            if sequence in found:
                self._count(found[sequence])
                self._held.append(found[sequence])
            else:
                self._unreadable(sequence)
