"""
Since when events wait: now and then, the number that the next one would get is put down with the time.

    event     1 … 40 | 41 … 90 | 91 …
    looked at      10 h      11 h          so at 16 h, those up to 40 have waited for at least six hours

Law: no event is ever taken for older than it is; for younger, by the time from one look to the next, and for what was
admitted right before a crash, by the time until the next start. Within a run it is Trio's clock that counts, so setting
the wall clock ages nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from operator import attrgetter
from typing import Any, Self

import attrs

from orgloop.sdk import Note

KIND, KEY = "ages", "all"
"""Of the note: numbers, and when they were looked at (Unix seconds)."""

MAX_LOOKS = 512
"""How many are kept; when there are more, every second one goes."""


@attrs.frozen
class _Look:
    """What was the next number, and when, by Trio's clock."""

    sequence: int
    at_s: float


@attrs.define
class Ages:
    """Those of all events of a bus."""

    _looks: list[_Look] = attrs.field(factory=list)
    """In order."""

    @classmethod
    def recall(cls, noted: Any, *, wall_s: float, now_s: float) -> Self:
        """As an earlier run has noted; what lies in the future by the clock of the wall is now."""
        ages = cls()
        for one in noted if isinstance(noted, list) else ():
            match one:
                case [int() as sequence, int() | float() as at_s] if math.isfinite(at_s):
                    ages.look(sequence, now_s - max(0.0, wall_s - at_s))
        return ages

    def note(self, *, wall_s: float, now_s: float) -> Note:
        """What the next run has to know."""
        return KIND, KEY, [[look.sequence, round(wall_s - (now_s - look.at_s), 3)] for look in self._looks]

    def look(self, next_sequence: int, now_s: float) -> None:
        """Put down that everything before this number was admitted by now."""
        looks = self._looks
        if looks and (next_sequence <= looks[-1].sequence or now_s < looks[-1].at_s):
            return
        looks.append(_Look(next_sequence, now_s))
        if len(looks) > MAX_LOOKS:
            del looks[:-1:2]

    def expired(self, retention_s: float | None, now_s: float) -> int:
        """The number before which all have waited for longer than that; 0 if none has."""
        if retention_s is None or not self._looks:
            return 0
        older = bisect_right(self._looks, now_s - retention_s, key=attrgetter("at_s"))
        return self._looks[older - 1].sequence if older else 0
