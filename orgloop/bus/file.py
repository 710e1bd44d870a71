"""The durable bus of one process: the log is the queue."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import trio

from orgloop.bus._outlet import Outlet
from orgloop.event import Event
from orgloop.sdk import Admitted, Note, Query, Recorded, Settlement
from orgloop.sdk.bus import looked_for

RECOVERED_AT_ONCE = 256
"""How many events of an earlier run are read back at a time."""


_NOTHING = frozenset[tuple[str, str]]()


class Log(Protocol):
    """What the bus needs of the write-ahead log."""

    async def append(self, events: Iterable[Event], *, notes: Iterable[Note] = ()) -> list[int]: ...
    def settle(self, settlements: Iterable[Settlement], *, notes: Iterable[Note] = ()) -> None: ...
    async def flush(self) -> None: ...
    def unsettled(self) -> Iterator[tuple[int, frozenset[tuple[str, str]]]]: ...
    async def read(self, sequences: Sequence[int]) -> list[tuple[int, Event]]: ...
    def sizes(self, sequences: Iterable[int]) -> list[int]: ...
    async def history(self, query: Query) -> list[Recorded]: ...
    def note(self, kind: str, key: str) -> Any: ...
    def status(self) -> Any: ...


class FileBus:
    """Publishes into a log, and begins with what an earlier run has left in it."""

    durability = "durable"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._outlet = Outlet()
        # A million positions in 8 MB; the events themselves stay on disk until it is their turn.
        self._left = array("Q")
        self._ended: dict[int, frozenset[tuple[str, str]]] = {}
        for sequence, ended in log.unsettled():
            self._left.append(sequence)
            if ended:
                self._ended[sequence] = ended
        self._next_left = 0
        self._unreadable = 0
        self._began = self._next = log.status().next_sequence
        self._early: dict[int, list[Admitted]] = {}

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        """Make events durable, and hand them on; their sequences."""
        await trio.lowlevel.checkpoint_if_cancelled()
        # Whoever is cancelled in here cannot take back what will be durable, and it must still be handed on.
        with trio.CancelScope(shield=True):
            sequences = await self._log.append(events, notes=notes)
        if sequences:
            self._hand_on(self._admitted(sequences, events))
        return sequences

    def _hand_on(self, batch: list[Admitted]) -> None:
        """Those who share a commit wake in any order; what they have published goes on in the log's."""
        self._early[batch[0].sequence] = batch
        while (following := self._early.pop(self._next, None)) is not None:
            self._next += len(following)
            self._outlet.put(following)

    async def receive(self) -> list[Admitted]:
        """What an earlier run has left, then what was admitted since the last call."""
        while self._next_left < len(self._left):
            wanted = self._left[self._next_left : self._next_left + RECOVERED_AT_ONCE]
            found = await self.read(wanted)
            # Only now, when nothing can fail any more: who is refused, or cancelled, asks again for the same.
            sequences = looked_for(wanted, found)
            self._next_left += len(sequences)
            self._give_up_on(set(sequences) - {admitted.sequence for admitted in found})
            if found:
                return [
                    attrs.evolve(admitted, settled=self._ended.pop(admitted.sequence, frozenset()))
                    for admitted in found
                ]
        return await self._outlet.take()

    def settle(self, settlements: Sequence[Settlement], *, notes: Sequence[Note] = ()) -> None:
        """Write ends of obligations with the next commit."""
        self._log.settle(settlements, notes=notes)

    async def flush(self) -> None:
        """Wait until all that was settled and noted is durable."""
        await self._log.flush()

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """Unsettled events, from the log."""
        found = await self._log.read(sequences)
        return self._admitted([sequence for sequence, _ in found], [event for _, event in found])

    async def history(self, query: Query) -> list[Recorded]:
        """Events of the past, as far as the log reaches back."""
        return await self._log.history(query)

    def _admitted(self, sequences: Sequence[int], events: Sequence[Event]) -> list[Admitted]:
        began = self._began
        return [
            Admitted(sequence, event, _NOTHING, sequence < began, size_bytes)
            for sequence, event, size_bytes in zip(sequences, events, self._log.sizes(sequences), strict=True)
        ]

    def note(self, kind: str, key: str) -> Any:
        """The value that was last noted."""
        return self._log.note(kind, key)

    def status(self) -> Mapping[str, Any]:
        """
        How the log is; ``unreadable`` counts events that were admitted and could not be read back, ``left`` those of an
        earlier run that have not been handed on yet.
        """
        status = attrs.asdict(self._log.status())
        if self._unreadable and status["state"] == "ok":
            status["state"] = "degraded"
        left = len(self._left) - self._next_left
        return {**status, "durability": self.durability, "unreadable": self._unreadable, "left": left}

    def _give_up_on(self, sequences: set[int]) -> None:
        """What cannot be read back is settled as that; its bytes have been put aside by recovery."""
        if sequences:
            self._unreadable += len(sequences)
            self._log.settle([Settlement(outcome="dead_letter(unreadable)", sequences=sorted(sequences))])
