"""
Obligations that wait for somebody, and not for their actor: until a session fetches them, or a person lets them go.

    carried ──▶ a keeper wants it ──▶ kept ──▶ ended by whom it waited for
                                       │  └──▶ back to the front of the lane
                                       └─────▶ too old: expired; too many: dead letters

Law: what is kept is open, so that it is there again after a restart; it is carried to no actor, and nobody who waits
until all is done waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import attrs

from orgloop.delivery.ages import Ages
from orgloop.delivery.settler import Settler
from orgloop.event import Event
from orgloop.sdk import Admitted

if TYPE_CHECKING:
    from orgloop.delivery.lane import Lane


class Keeper(Protocol):
    """Decides what a lane keeps, and knows what for."""

    @property
    def ttl_s(self) -> float | None:
        """How long it keeps anything, from its admission; None: for ever."""
        ...

    def wants(self, lane: Lane, admitted: Admitted, event: Event) -> bool:
        """
        Whether an obligation is to be kept, and not delivered: then it is this keeper's until it lets go of it.

        ``event`` is what the transforms have made of it. Asked again whenever the obligation comes to its turn.
        """
        ...

    def let_go(self, lane: Lane, sequence: int, *, has_ended: bool) -> None:
        """An obligation is not kept any more: it has ended, or has gone back to a lane, and comes again."""
        ...


@attrs.define(eq=False)
class Kept:
    """What one lane keeps."""

    _settler: Settler
    _keepers: dict[int, Keeper] = attrs.field(factory=dict)
    """By sequence, in the order in which they came."""

    def __len__(self) -> int:
        return len(self._keepers)

    def __contains__(self, sequence: object) -> bool:
        return sequence in self._keepers

    def __iter__(self) -> Iterator[int]:
        return iter(self._keepers)

    def add(self, sequence: int, keeper: Keeper) -> None:
        """Keep an obligation."""
        self._keepers[sequence] = keeper
        self._settler.open -= 1

    def remove(self, lane: Lane, sequence: int, *, has_ended: bool) -> None:
        """Keep it no longer."""
        keeper = self._keepers.pop(sequence)
        self._settler.open += 1
        keeper.let_go(lane, sequence, has_ended=has_ended)

    def empty(self, lane: Lane) -> list[int]:
        """Keep nothing any more; the sequences, in their order."""
        left = sorted(self._keepers)
        for sequence in left:
            self.remove(lane, sequence, has_ended=False)
        return left

    def expired(self, ages: Ages, retention_s: float | None, now_s: float) -> dict[int, float]:
        """What has been kept for too long, each with the time it had: no keeper has longer than the lane."""
        if not self._keepers:
            return {}
        limits = {keeper: _shorter(keeper.ttl_s, retention_s) for keeper in set(self._keepers.values())}
        before = {keeper: ages.expired(limit_s, now_s) for keeper, limit_s in limits.items()}
        return {
            sequence: limits[keeper] or 0.0 for sequence, keeper in self._keepers.items() if sequence < before[keeper]
        }


def _shorter(one_s: float | None, other_s: float | None) -> float | None:
    given = [limit_s for limit_s in (one_s, other_s) if limit_s is not None]
    return min(given, default=None)
