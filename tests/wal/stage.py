"""What the tests of the log play on: events, a run in virtual time, a story with a ledger, and what must hold of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import attrs
import trio
from trio.testing import MockClock

from orgloop.errors import WalFailed
from orgloop.event import Event
from orgloop.sdk import Settlement
from orgloop.wal import Disk, Wal, WalLimits, open_wal
from tests.wal.disk import MemoryDisk

T = TypeVar("T")

SMALL = WalLimits(segment_bytes=2000, heal_every_s=0.01)
"""Segments of a handful of events."""
ROUTES = (("m", "r1"), ("m", "r2"))


def event(number: int, **payload: Any) -> Event:
    """An event of which the payload says which one it is."""
    id_ = f"evt_{number}"
    return Event("s", "resource.changed", {"platform": "t"}, {"i": number, **payload}, id_, "2026-01-01", "trc_1")


def events(numbers: Iterable[int]) -> list[Event]:
    return [event(number) for number in numbers]


def settled(*sequences: int, still_open: Iterable[int] = (), route: tuple[str, str] = ROUTES[0]) -> list[Settlement]:
    """A delivery of these events to a route."""
    module, name = route
    open_ = list(still_open)
    return [Settlement(outcome="delivered", sequences=sequences, module=module, route=name, still_open=open_)]


def play(play_: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run to the end in virtual time, where a pytest fixture cannot."""
    return trio.run(play_, *args, clock=MockClock(autojump_threshold=0))


async def open_events(disk: Disk, *, limits: WalLimits = SMALL) -> dict[int, int]:
    """Which events come back, by sequence, as the numbers in their payloads."""
    async with open_wal(disk, limits=limits) as wal:
        return await payloads(wal)


async def payloads(wal: Wal) -> dict[int, int]:
    found = await wal.read([sequence for sequence, _ in wal.unsettled()])
    return {sequence: one.payload["i"] for sequence, one in found}


@attrs.define
class Ledger:
    """What the outside knows of a log: all that was promised to it, and all that it has asked for."""

    offered: set[int] = attrs.field(factory=set)
    """Events, by their numbers."""
    acknowledged: dict[int, int] = attrs.field(factory=dict)
    """Numbers, by sequence."""
    ended: dict[int, set[tuple[str, str]]] = attrs.field(factory=dict)
    """The obligations that were settled, whether or not that is durable."""
    closed: set[int] = attrs.field(factory=set)
    """Sequences settled as a whole, whether or not that is durable."""
    gone: set[int] = attrs.field(factory=set)
    """Those of them that were flushed."""
    checkpoint: int = -1
    """The last that was acknowledged."""

    def copy(self) -> Ledger:
        return Ledger(
            set(self.offered),
            dict(self.acknowledged),
            {sequence: set(ended) for sequence, ended in self.ended.items()},
            set(self.closed),
            set(self.gone),
            self.checkpoint,
        )

    def owed(self) -> dict[int, int]:
        """What must come back."""
        return {sequence: number for sequence, number in self.acknowledged.items() if sequence not in self.closed}


BATCHES, EACH = 12, 3
PROBE = -1
"""An event with which a recovered log is tried."""


async def story(disk: Disk, ledger: Ledger, *, limits: WalLimits = SMALL, pad: int = 0) -> None:
    """Three events a batch, with its checkpoint; most are settled soon, some in part, some late, one never."""
    async with open_wal(disk, limits=limits) as wal:
        for batch in range(BATCHES):
            sequences = await insist(wal, ledger, batch, pad)
            settle(wal, ledger, sequences, whole=batch > 0)
            if batch % 3 == 1:
                await flush(wal, ledger)
            if batch == 7:
                end(wal, ledger, [sequence for sequence in ledger.acknowledged if sequence > EACH])


async def insist(wal: Wal, ledger: Ledger, batch: int, pad: int) -> list[int]:
    """Append a batch, as often as it takes."""
    numbers = range(batch * EACH, (batch + 1) * EACH)
    ledger.offered.update(numbers)
    while True:
        try:
            made = [event(number, pad="x" * pad) for number in numbers]
            sequences = await wal.append(made, notes=[("checkpoint", "m/s", batch)])
        except WalFailed:
            await trio.sleep(1)
            continue
        ledger.acknowledged.update(zip(sequences, numbers, strict=True))
        ledger.checkpoint = batch
        return sequences


def settle(wal: Wal, ledger: Ledger, sequences: list[int], *, whole: bool) -> None:
    """Settle the first of a batch, and one route of the second."""
    first, second, _ = sequences
    if whole:
        end(wal, ledger, [first])
    ledger.ended.setdefault(second, set()).add(ROUTES[1])
    wal.settle(settled(second, still_open=[second], route=ROUTES[1]), notes=[("mark", str(second), True)])


def end(wal: Wal, ledger: Ledger, sequences: list[int]) -> None:
    ledger.closed.update(sequences)
    wal.settle(settled(*sequences))


async def flush(wal: Wal, ledger: Ledger) -> None:
    closed = set(ledger.closed)
    try:
        await wal.flush()
    except WalFailed:
        return
    ledger.gone |= closed


async def check(disk: MemoryDisk, ledger: Ledger, *, limits: WalLimits = SMALL) -> None:
    """Open a log and hold it to its promises."""
    async with open_wal(disk, limits=limits) as wal:
        ended = dict(wal.unsettled())
        found = await payloads(wal)
        assert found.keys() == ended.keys(), "what is open can be read"
        assert ledger.owed().items() <= found.items(), f"lost: {ledger.owed().items() - found.items()}"
        assert not ledger.gone & found.keys(), f"came back: {ledger.gone & found.keys()}"
        assert set(found.values()) <= ledger.offered | {PROBE}
        known = [number for number in found.values() if number != PROBE]
        assert len(set(known)) == len(known), "an event is there twice"
        for sequence, obligations in ended.items():
            assert obligations <= ledger.ended.get(sequence, set()), f"{sequence} was never settled for {obligations}"
        _check_checkpoint(wal, ledger, found)
        doubtful = [damage for damage in wal.status().damages if "may never have been" not in damage.text]
        assert not doubtful, doubtful
        [sequence] = await wal.append([event(PROBE)])
        assert sequence > max([0, *ledger.acknowledged, *found])
        wal.settle(settled(sequence))


def _check_checkpoint(wal: Wal, ledger: Ledger, found: dict[int, int]) -> None:
    noted = wal.note("checkpoint", "m/s")
    checkpoint = -1 if noted is None else noted
    assert checkpoint >= ledger.checkpoint, f"the checkpoint {ledger.checkpoint} is lost, there is {checkpoint}"
    covered = set(range((checkpoint + 1) * EACH))
    closed = {ledger.acknowledged[sequence] for sequence in ledger.closed}
    missing = covered - closed - set(found.values())
    refused = ledger.offered - set(ledger.acknowledged.values())
    if checkpoint > ledger.checkpoint:
        refused -= set(range(checkpoint * EACH, (checkpoint + 1) * EACH))
    assert not missing - refused, f"checkpoint {checkpoint} is ahead of {missing - refused}"
