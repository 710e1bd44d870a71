"""Whatever is done to a log, it is as its history, and takes little more room than what lives in it."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.wal import Wal, WalLimits, open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import ROUTES, SMALL, event, payloads, play, settled


@attrs.define
class Model:
    """What a log should hold."""

    open: dict[int, int] = attrs.field(factory=dict)
    ended: dict[int, set[tuple[str, str]]] = attrs.field(factory=dict)
    notes: dict[str, Any] = attrs.field(factory=dict)
    made: int = 0

    async def append(self, wal: Wal, count: int, pad: int) -> None:
        numbers = range(self.made, self.made + count)
        self.made += count
        key = f"k{count}"
        value = None if pad == 7 else self.made
        sequences = await wal.append([event(n, pad="x" * pad) for n in numbers], notes=[("a", key, value)])
        self.open.update(zip(sequences, numbers, strict=True))
        self.notes[key] = value

    async def settle(self, wal: Wal, share: float, *, whole: bool) -> None:
        some = list(self.open)[: math.ceil(len(self.open) * share)]
        if not whole:
            wal.settle(settled(*some, still_open=some, route=ROUTES[1]))
            for sequence in some:
                self.ended.setdefault(sequence, set()).add(ROUTES[1])
            return
        wal.settle(settled(*some))
        for sequence in some:
            del self.open[sequence]
            self.ended.pop(sequence, None)

    async def compare(self, wal: Wal) -> None:
        assert await payloads(wal) == self.open
        assert dict(wal.unsettled()) == {at: frozenset(self.ended.get(at, ())) for at in self.open}
        assert {key: wal.note("a", key) for key in self.notes} == self.notes
        assert wal.status().state == "ok"


APPEND = st.tuples(st.just("append"), st.integers(1, 4), st.sampled_from([0, 7, 300, 2500]))
SETTLE = st.tuples(st.just("settle"), st.sampled_from([0.1, 0.5, 1.0]), st.booleans())
HISTORIES = st.lists(APPEND | SETTLE | st.just(("flush",)) | st.just(("reopen",)), max_size=60)


async def live(history: list[tuple[Any, ...]], *, limits: WalLimits = SMALL) -> None:
    """Do all that to a log, and look at it after every start."""
    disk, model, rest = MemoryDisk(), Model(), list(history)
    while True:
        async with open_wal(disk, limits=limits) as wal:
            await model.compare(wal)
            while rest and rest[0][0] != "reopen":
                step, *how = rest.pop(0)
                if step == "append":
                    await model.append(wal, *how)
                elif step == "settle":
                    await model.settle(wal, how[0], whole=how[1])
                else:
                    await wal.flush()
                    await wal.append([], notes=[("a", "tick", 1)])
                    bounded(wal, disk, limits)
        if not rest:
            return
        rest.pop(0)


def bounded(wal: Wal, disk: MemoryDisk, limits: WalLimits) -> None:
    """I13: what lives and two segments, each with the batch that filled it; up to twice what lives if that is much."""
    taken = sum(map(len, disk.contents().values()))
    lives = sum(one.open_bytes for one in wal._store.segments)
    rounds = max(0, lives - limits.segment_bytes)
    last_batch = 4 * 2700 + 1000
    assert taken <= lives + rounds + 2 * (limits.segment_bytes + last_batch)


@given(HISTORIES)
@settings(max_examples=15)
def test_a_log_is_as_its_history(history: list[tuple[Any, ...]]) -> None:
    """Appended, settled, reopened at will: what is open, what has ended, what is noted, and how much room it takes."""
    play(live, history)


@pytest.mark.slow
@given(HISTORIES)
@settings(max_examples=1500, deadline=None)
def test_a_log_is_as_its_history_often(history: list[tuple[Any, ...]]) -> None:
    """As above."""
    play(live, history)
