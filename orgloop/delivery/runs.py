"""
How often a run has ended without a word: each time, it may have begun an attempt that it had no time to note.

    run 1              run 2               run 3 …
    admits 1 to 40     admits 41 to 90
          crashes at 41        crashes at 91        event 40 may have been tried by both, event 41 by one

Law: that a run is open is durable before it tries anything, and that it has ended in order is durable behind all that
it has noted. So whatever the power leaves, an attempt that may have been made is counted, and none is counted twice.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Self

import attrs

from orgloop.sdk import Note

KIND, KEY = "runs", "all"
"""Of the note: how many crashes, the sequences of the last of them, whether a run is open."""

MAX_CRASHES = 1000
"""How many are kept; what is older than all of these has seen every crash there ever was."""


@attrs.frozen
class Runs:
    """The runs before this one, as far as they have crashed."""

    crashes: int | None = None
    """How many; None if nobody counts them."""
    _ends: tuple[int, ...] = ()
    """What the next event would have been called at the last of them, oldest first."""

    @classmethod
    def begin(cls, noted: Any, *, next_sequence: int) -> Self:
        """The runs before one that begins now, from the last note; what is no such note counts as a crash."""
        match noted:
            case [int() as crashes, [*ends], bool() as is_open] if all(isinstance(end, int) for end in ends):
                pass
            case _:
                crashes, ends, is_open = 0, [], next_sequence > 1
        if is_open:
            crashes, ends = crashes + 1, [*ends, next_sequence][-MAX_CRASHES:]
        return cls(crashes, tuple(ends))

    def note(self, *, is_open: bool) -> Note:
        """What the next run has to know."""
        return KIND, KEY, [self.crashes, list(self._ends), is_open]

    def unnoted(self, sequence: int, *, noted_at: int | None) -> int:
        """
        How many attempts at an event an earlier run may have made of which there is no note.

        ``noted_at`` is how many crashes there had been when its attempts were last noted; None if they never were.
        """
        if self.crashes is None:
            return 1
        if noted_at is not None:
            return max(0, self.crashes - noted_at)
        if self._ends and sequence < self._ends[0]:
            return self.crashes
        return len(self._ends) - bisect_right(self._ends, sequence)
