"""Several obligations under way at once; those with one key one after the other, as they were admitted."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Admitted

LOOK_AHEAD = 4
"""How many are taken for each that may be under way, to find one with a free key."""


@attrs.define(eq=False)
class Several:
    """At most ``most`` at once."""

    _take: Callable[[], Awaitable[Admitted]]
    _carry: Callable[[Admitted], Awaitable[None]]
    _order_key: Callable[[Event], object] | None
    """None: each has a key of its own."""
    _most: int
    _behind: dict[object, deque[Admitted]] = attrs.field(factory=dict)
    _taken: int = 0
    _ended: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def run(self) -> None:
        """Take as many as may be taken, until cancelled or until one of them crashes."""
        async with trio.open_nursery() as nursery:
            while True:
                while len(self._behind) >= self._most or self._taken >= LOOK_AHEAD * self._most:
                    await self._ended.park()
                admitted = await self._take()
                self._taken += 1
                key = self._key_of(admitted)
                if key in self._behind:
                    self._behind[key].append(admitted)
                else:
                    self._behind[key] = deque([admitted])
                    nursery.start_soon(self._carry_all, key)

    def _key_of(self, admitted: Admitted) -> Hashable:
        if self._order_key is None:
            return admitted.sequence
        key = self._order_key(admitted.event)
        # What an event says there may be anything, a list too.
        return key if isinstance(key, str | int | float | None) else repr(key)

    async def _carry_all(self, key: object) -> None:
        behind = self._behind[key]
        while behind:
            await self._carry(behind[0])
            behind.popleft()
            self._taken -= 1
            self._ended.unpark_all()
        del self._behind[key]
        self._ended.unpark_all()
