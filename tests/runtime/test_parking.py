"""Events that wait for their module, and come out of a log that gives no more than so much at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from orgloop.runtime.parking import Parked, Parking
from orgloop.sdk import Admitted
from orgloop.testing import event


async def test_a_read_that_ends_early_loses_nothing() -> None:
    """What stands behind the last one given is asked for again."""
    parking = Parking()
    for sequence in range(1, 8):
        parking.park("m", sequence, Parked(frozenset(), recovered=True))

    async def two_at_a_time(sequences: Sequence[int]) -> list[Admitted]:
        return [Admitted(sequence, event(sequence)) for sequence in sequences[:2]]

    async with aclosing(parking.fetch("m", two_at_a_time)) as waiting:
        fetched = [admitted.sequence async for admitted, _ in waiting]

    assert fetched == [1, 2, 3, 4, 5, 6, 7]


async def test_what_cannot_be_read_any_more_is_left_out() -> None:
    """In the middle, and at the end."""
    parking = Parking()
    for sequence in range(1, 6):
        parking.park("m", sequence, Parked(frozenset(), recovered=True))

    async def damaged(sequences: Sequence[int]) -> list[Admitted]:
        return [Admitted(sequence, event(sequence)) for sequence in sequences if sequence in (2, 4)]

    async with aclosing(parking.fetch("m", damaged)) as waiting:
        fetched = [admitted.sequence async for admitted, _ in waiting]

    assert fetched == [2, 4]
    assert parking.counts() == {}
