"""What the front door says of itself: never more than a listener can bear, and never nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import attrs
import trio

LONGEST = 200
"""Characters of a target, or of an error, in a notice."""


class Tell(Protocol):
    """Takes a notice: its phase, and its fields."""

    def __call__(self, phase: str, **fields: Any) -> object: ...


@attrs.define
class Refusals:
    """Tells of refusals, so many per second; those beyond are counted, and told of with the next that is."""

    tell: Tell
    per_s: int
    by_status: Counter[int] = attrs.field(factory=Counter)
    """All there have been."""
    _second: float = 0.0
    _told: int = 0
    _untold: int = 0

    def note(self, status: int, error: str, *, peer: str, target: str) -> None:
        """One more refusal."""
        self.by_status[status] += 1
        now_s = trio.current_time()
        if now_s - self._second >= 1:
            self._second, self._told = now_s, 0
        if self._told >= self.per_s:
            self._untold += 1
            return
        self._told += 1
        metadata: dict[str, Any] = {"status": status, "peer": peer, "target": target[:LONGEST]}
        if self._untold:
            metadata["others_untold"], self._untold = self._untold, 0
        self.tell("http.refused", result=error[:LONGEST], metadata=metadata)
