"""
Events of modules that are not loaded: they stay in the log, and come when their module does.

Kept as positions, with the obligations of each that have ended; so a module may be unloaded, or not be loaded yet after
a restart, and nothing of what it is owed is lost or settled in its absence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import attrs

from orgloop.sdk import Admitted
from orgloop.sdk.bus import looked_for

READ_AT_ONCE = 256
Ended = frozenset[tuple[str, str]]


@attrs.frozen
class Parked:
    """What has to be known of an event that waits, beyond its position."""

    ended: Ended
    """Its obligations (module, route) that have ended."""
    recovered: bool
    """Whether it may have been delivered before."""
    is_for_it_alone: bool = False
    """Whether no other module has a claim on it any more."""

    @classmethod
    def of(cls, admitted: Admitted, *, is_for_it_alone: bool) -> Parked:
        """As it came from the bus."""
        return cls(admitted.settled, admitted.recovered, is_for_it_alone)


@attrs.define(eq=False)
class Parking:
    """Positions by module, in order."""

    _parked: defaultdict[str, dict[int, Parked]] = attrs.field(factory=lambda: defaultdict(dict))

    def park(self, module: str, sequence: int, parked: Parked) -> None:
        """Keep the position of an event."""
        self._parked[module][sequence] = parked

    def count(self, module: str) -> int:
        """How many events wait for a module."""
        return len(self._parked[module]) if module in self._parked else 0

    def counts(self) -> dict[str, int]:
        """How many wait, by module."""
        return {module: len(parked) for module, parked in self._parked.items() if parked}

    async def fetch(
        self, module: str, read: Callable[[Sequence[int]], Awaitable[list[Admitted]]]
    ) -> AsyncGenerator[tuple[Admitted, str | None]]:
        """
        Take the events of a module out, oldest first; one is out when it has been given.

        With each comes the module, if that has the only claim on it.
        """
        parked = self._parked[module]
        while parked:
            wanted = sorted(parked)[:READ_AT_ONCE]
            given = await read(wanted)
            found = {admitted.sequence: admitted for admitted in given}
            for sequence in looked_for(wanted, given):
                one = parked.pop(sequence)
                if sequence in found:
                    admitted = attrs.evolve(found[sequence], settled=one.ended, recovered=one.recovered)
                    yield admitted, module if one.is_for_it_alone else None
