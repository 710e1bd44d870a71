"""Many lives of one log: each does as chance will have it, and ends at any operation, on what a crash then leaves."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import attrs
import pytest
import trio

from orgloop.errors import WalFailed
from orgloop.wal import Wal, WalLimits, open_wal
from tests.wal.disk import MemoryDisk, refused
from tests.wal.stage import ROUTES, event, payloads, play, settled

SEEDS = int(os.environ.get("LIVES", "100"))
LIMITS = WalLimits(segment_bytes=3000, heal_every_s=0.01)


@attrs.define
class Ledger:
    """What was promised to the outside; what it was shown once is promised, too."""

    made: int = 0
    owed: dict[int, int] = attrs.field(factory=dict)
    ended: dict[int, set[tuple[str, str]]] = attrs.field(factory=dict)
    """Whether or not that is durable."""
    gone: set[int] = attrs.field(factory=set)
    noted: dict[str, int] = attrs.field(factory=dict)

    def copy(self) -> Ledger:
        ended = {sequence: set(of) for sequence, of in self.ended.items()}
        return Ledger(self.made, dict(self.owed), ended, set(self.gone), dict(self.noted))


class Life:
    """One start of the log, and the moment at which it will have ended."""

    def __init__(self, disk: MemoryDisk, ledger: Ledger, chance: random.Random) -> None:
        self.disk, self.ledger, self.chance = disk, ledger, chance
        self.left, self.end = chance.randint(1, 60), (disk, ledger)
        disk.before = self.step
        disk.recover()
        if chance.random() < 0.3:
            disk.fail(
                at=chance.randint(1, 60), error=refused(), sticky=chance.random() < 0.1, short=chance.random() < 0.5
            )

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.end = self.chance.choice(list(self.disk.images())), self.ledger.copy()

    async def live(self) -> None:
        """Until the moment has come, or the disk will not."""
        with suppress(WalFailed):
            await self._live()

    async def _live(self) -> None:
        async with open_wal(self.disk, limits=LIMITS) as wal:
            await self.compare(wal)
            while self.left > 0:
                await self.chance.choice([self.append, self.append, self.settle, self.flush])(wal)

    async def compare(self, wal: Wal) -> None:
        ledger, found = self.ledger, await payloads(wal)
        assert ledger.owed.items() <= found.items()
        assert not ledger.gone & found.keys()
        assert len(set(found.values())) == len(found)
        for sequence, obligations in wal.unsettled():
            assert obligations <= ledger.ended.get(sequence, set())
        for key, number in ledger.noted.items():
            assert wal.note("c", key) >= number
        assert all("may never have been" in damage.text for damage in wal.status().damages)
        ledger.owed.update(found)

    async def append(self, wal: Wal) -> None:
        first = self.ledger.made
        self.ledger.made += self.chance.randint(1, 5)
        numbers, key = range(first, self.ledger.made), self.chance.choice("abc")
        pad = "x" * self.chance.choice([0, 0, 300, 2000])
        made = [event(number, pad=pad) for number in numbers]
        try:
            sequences = await wal.append(made, notes=[("c", key, first)])
        except WalFailed:
            await self.wait()
            return
        self.ledger.owed.update(zip(sequences, numbers, strict=True))
        self.ledger.noted[key] = first

    async def settle(self, wal: Wal) -> None:
        sequences = [sequence for sequence in self.ledger.owed if self.chance.random() < 0.4]
        if self.chance.random() < 0.3:
            for sequence in sequences:
                self.ledger.ended.setdefault(sequence, set()).add(ROUTES[1])
            wal.settle(settled(*sequences, still_open=sequences, route=ROUTES[1]))
            return
        for sequence in sequences:
            del self.ledger.owed[sequence]
        wal.settle(settled(*sequences))

    async def flush(self, wal: Wal) -> None:
        try:
            await wal.flush()
        except WalFailed:
            await self.wait()
            return
        still = {sequence for sequence, _ in wal.unsettled()}
        self.ledger.gone |= {sequence for sequence in range(1, wal.status().next_sequence) if sequence not in still}

    async def wait(self) -> None:
        await trio.sleep(1)
        if self.chance.random() < 0.2:
            self.disk.recover()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_log_has_many_lives(seed: int) -> None:
    """Twenty, one after the other: what was promised in any of them is kept in all that follow."""
    chance = random.Random(seed)
    disk, ledger = MemoryDisk(), Ledger()
    for _ in range(20):
        life = Life(disk, ledger, chance)
        play(life.live)
        assert not disk.broken_rules
        disk, ledger = life.end
