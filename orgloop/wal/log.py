"""
The write-ahead log: what was appended is durable when ``append`` returns, and comes back after any crash until settled.

One committer writes for all who wait (group commit): the lines of a batch and their commit line in one write, one sync
in a worker thread, then everyone is told. Settlements and notes ride along with the next commit.

After a failed write or sync that file is never written again, and nothing in it counts beyond what was durable before:
a new segment is begun, whose header says so, and until that works every append is refused.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio

from orgloop.errors import Closed, WalDamaged, WalFailed
from orgloop.event import Event
from orgloop.sdk import Note, Query, Recorded, Settlement
from orgloop.wal.batch import Batch, entry_of, json_of
from orgloop.wal.disk import Disk
from orgloop.wal.findings import Damage
from orgloop.wal.history import Extent, Look
from orgloop.wal.recovery import examine
from orgloop.wal.repair import repair
from orgloop.wal.segment import length_of
from orgloop.wal.store import DEFAULT_LIMITS, Outlived, Store, WalLimits

READ_BYTES = 1024 * 1024
"""How much is read back at a time, unless one event is larger than that."""

LOOK_AGAIN = 3
"""How often a look back that compaction has crossed is begun anew."""


@attrs.frozen(kw_only=True)
class WalStatus:
    """What an operator should know of a log."""

    state: str
    """``ok``, ``degraded`` (damage was found; the rest flows) or ``failed`` (appends are refused)."""
    segments: int
    bytes: int
    open_events: int
    next_sequence: int
    damages: tuple[Damage, ...]
    torn_bytes: int
    error: str | None


@asynccontextmanager
async def open_wal(
    disk: Disk,
    *,
    limits: WalLimits = DEFAULT_LIMITS,
    strict: bool = False,
    now_s: Callable[[], float] = time.time,
    outlived: Outlived | None = None,
) -> AsyncGenerator[Wal]:
    """
    Recover the log of a directory, and keep it open around a block; leaving the block commits what waits.

    A torn tail is put aside as ``.torn-…`` and cut off, damage is copied to ``.damaged-…``. Raises
    :class:`WalDamaged` instead if ``strict`` and anything acknowledged is damaged or missing, :class:`WalVersion` for a
    log of another version, and changes nothing then; :class:`WalFailed` if the disk refuses.

    Notes that count are kept for ever, but for those that ``outlived`` names: it is asked now and whenever a segment is
    begun in turn.

    Leaving takes as long as the disk takes for what has been begun: a commit is never abandoned.
    """
    try:
        findings = await disk.call(partial(examine, disk))
        if strict and findings.damages:
            raise WalDamaged("; ".join(f"{d.segment} at {d.start}: {d.text}" for d in findings.damages[:8]))
        torn_bytes = await disk.call(partial(repair, disk, findings))
        store = Store(disk, limits, findings, now_s, outlived)
        await disk.call(store.start)
    except OSError as exc:
        raise WalFailed(f"the log cannot be opened: {exc}") from exc
    wal = Wal(disk, store, limits, torn_bytes)
    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wal.commit_until_closed)
        try:
            yield wal
        except BaseException as exc:  # raised again below, without the group that the nursery would put around it
            error = exc
        finally:
            wal.close()
    if error is not None:
        raise error


class Wal:
    """An open log; :func:`open_wal` makes one."""

    def __init__(self, disk: Disk, store: Store, limits: WalLimits, torn_bytes: int) -> None:
        self._disk, self._store, self._limits, self._torn_bytes = disk, store, limits, torn_bytes
        self._next = store.durable
        self._batch = Batch()
        self._being_written: Batch | None = None
        self._wanted = trio.Event()
        self._error: BaseException | None = None
        self._closing = trio.Event()
        self._looking = trio.Lock()

    # -- what others ask -----------------------------------------------------------------------------------------------

    async def append(self, events: Iterable[Event], *, notes: Iterable[Note] = ()) -> list[int]:
        """
        Make events, and the notes that belong to them, durable together; their sequence numbers, in order.

        Raises :class:`EventError` for an event or a note that cannot be written, and then writes none;
        :class:`WalFailed` if the disk refuses, and :class:`Closed` after the end: then nothing was admitted.
        """
        lines = [json_of(event) for event in events]
        entries = [entry_of(note, with_events=True) for note in notes]
        self._refuse_if_down()
        while self._batch.waiting_bytes > self._limits.waiting_bytes:
            await self._batch.done.wait()
            self._refuse_if_down()
        batch, sequences = self._batch, list(range(self._next, self._next + len(lines)))
        self._next += len(lines)
        batch.events.extend(zip(sequences, lines, strict=True))
        batch.waiting_bytes += sum(map(len, lines))
        batch.note(entries)
        self._wanted.set()
        await batch.done.wait()
        if batch.error is not None:
            raise WalFailed(f"nothing was admitted: {batch.error}") from batch.error
        return sequences

    def settle(self, settlements: Iterable[Settlement], *, notes: Iterable[Note] = ()) -> None:
        """
        Note ends of obligations; durable with the next commit, and repeated by a delivery if that never comes.

        Raises :class:`EventError` for a note that cannot be written, and then takes nothing.
        """
        entries = [entry_of(note) for note in notes]
        self._batch.settlements.extend(settlements)
        self._batch.note(entries)
        self._wanted.set()

    async def flush(self) -> None:
        """Wait until all that was settled and noted before is durable; :class:`WalFailed` if it cannot be now."""
        batch = self._batch or self._being_written
        if batch is None:
            await trio.lowlevel.checkpoint()
            return
        self._refuse_if_down()
        self._wanted.set()
        await batch.done.wait()
        if batch.error is not None:
            raise WalFailed(f"not durable: {batch.error}") from batch.error

    def unsettled(self) -> Iterator[tuple[int, frozenset[tuple[str, str]]]]:
        """The events that have an obligation left, oldest first, and the obligations of each that have ended."""
        nothing: frozenset[tuple[str, str]] = frozenset()
        for sequence in sorted(self._store.places):
            ended = self._store.settled.get(sequence)
            yield sequence, frozenset(ended) if ended else nothing

    async def read(self, sequences: Sequence[int]) -> list[tuple[int, Event]]:
        """
        Read events back that have an obligation left; those that have none, or are damaged, are left out.

        At most :data:`READ_BYTES` of them: what comes behind the last that is given is to be asked for again. If none
        is given, there is none. Raises :class:`WalFailed` if the disk refuses, which says nothing about the events.
        """
        rest = iter(sequences)
        while portion := self._portion(rest):
            found = await self._read(portion)
            if found:
                return [(sequence, found[sequence]) for sequence in portion if sequence in found]
        return []

    def _portion(self, sequences: Iterator[int]) -> list[int]:
        """The next of them, as many as may be read at once, or one that is larger than that."""
        portion, left_bytes = [], READ_BYTES
        for sequence in sequences:
            portion.append(sequence)
            place = self._store.places.get(sequence)
            left_bytes -= 0 if place is None else length_of(place)
            if left_bytes <= 0:
                break
        return portion

    async def _read(self, sequences: Sequence[int]) -> dict[int, Event]:
        places, found = self._places_of(sequences), dict[int, Event]()
        while places:
            try:
                found |= await self._disk.call(partial(self._store.read, places))
            except OSError as exc:
                raise WalFailed(f"the log cannot be read at present: {exc}") from exc
            before, places = places, self._places_of([sequence for sequence in places if sequence not in found])
            for sequence in [sequence for sequence, place in places.items() if place == before[sequence]]:
                self._store.lose(sequence, places.pop(sequence))  # the rest was moved meanwhile, by compaction
        return found

    async def history(self, query: Query) -> list[Recorded]:
        """
        Events of the past, newest first, as far back as there are segments; see :meth:`orgloop.sdk.EventBus.history`.

        One look at a time; it costs a second for some hundreds of megabytes, and whoever is cancelled does not go on.
        Raises :class:`WalFailed` if the disk refuses.
        """
        async with self._looking:
            found: list[Recorded] = []
            for _ in range(LOOK_AGAIN):
                look = Look(self._disk, query, self._extents())
                try:
                    while not await self._disk.call(look.step):
                        pass
                    is_open = {sequence: sequence in self._store.places for sequence in look.sequences}
                    found = await self._disk.call(partial(look.recorded, self._extents(), is_open))
                except OSError as exc:
                    raise WalFailed(f"the log cannot be read at present: {exc}") from exc
                if not look.has_moved:
                    break
            return found

    def _extents(self) -> tuple[Extent, ...]:
        return tuple(map(Extent.of, self._store.segments))

    def sizes(self, sequences: Iterable[int]) -> list[int]:
        """Bytes of the lines of events, in order; 0 for those that have no obligation left."""
        places = self._store.places
        return [length_of(places.get(sequence, 0)) for sequence in sequences]

    def note(self, kind: str, key: str) -> Any:
        """The value that was last noted, as a copy; None if none is, or it was removed."""
        entry, _ = self._store.notes.get((kind, key), (None, 0))
        return None if entry is None else entry.value()

    def status(self) -> WalStatus:
        """How the log is."""
        segments, damages = self._store.segments, tuple(self._store.damages)
        return WalStatus(
            state="failed" if self._error is not None else "degraded" if damages else "ok",
            segments=len(segments),
            bytes=sum(segment.bytes for segment in segments),
            open_events=len(self._store.places),
            next_sequence=self._next,
            damages=damages,
            torn_bytes=self._torn_bytes,
            error=None if self._error is None else str(self._error),
        )

    def _places_of(self, sequences: Iterable[int]) -> dict[int, int]:
        places = self._store.places
        return {sequence: places[sequence] for sequence in sequences if sequence in places}

    def _refuse_if_down(self) -> None:
        if self._closing.is_set():
            raise Closed("the log is closed")
        if self._error is not None:
            raise WalFailed(f"the log takes nothing at present: {self._error}") from self._error

    # -- the committer -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take nothing more, and let the committer end with what waits."""
        self._closing.set()
        self._wanted.set()

    async def commit_until_closed(self) -> None:
        """Commit what waits, over and over, one batch at a time; not to be cancelled, but closed."""
        with trio.CancelScope(shield=True):
            ended = False
            while not ended:
                await self._wanted.wait()
                ended = self._closing.is_set()
                if self._error is not None and not ended:
                    await self._heal()
                else:
                    self._wanted = trio.Event()
                    await self._commit()
            await self._disk.call(self._store.let_go)

    async def _commit(self) -> None:
        self._being_written, self._batch = self._batch, Batch()
        batch = self._being_written
        try:
            if batch and self._store.is_full():
                await self._disk.call(self._store.rotate)
            elif batch and self._store.is_crowded():
                await self._disk.call(self._store.compact)
            if batch:
                self._store.take(batch, await self._disk.call(partial(self._store.write, batch)))
        except OSError as exc:
            self._fail(batch, exc)
        self._being_written = None
        batch.done.set()

    def _fail(self, batch: Batch, error: OSError) -> None:
        """What was to be admitted is not; what was settled is kept for the next commit."""
        behind, self._batch = self._batch, self._batch.left_by(batch)
        self._error = batch.error = behind.error = error
        self._next = self._store.durable
        self._wanted.set()
        behind.done.set()

    async def _heal(self) -> None:
        with trio.move_on_after(self._limits.heal_every_s):
            await self._closing.wait()
        try:
            await self._disk.call(self._store.begin)
        except OSError as exc:
            self._error = exc
        else:
            self._error = None
