"""
How much of what waits may be in memory: one budget for all lanes of a runtime.

Law: a lane may hold as much as is still free. So a lane alone takes half of the budget, and however many are crowded,
the next to come finds room: an actor that hangs fills the memory of nobody but itself.
"""

from __future__ import annotations

import attrs

HELD = 8192
"""How many events all lanes together hold; of the rest they keep positions in the log, and read them back."""

HELD_BYTES = 8 * 1024 * 1024
"""How much these may take in the log; in memory an event takes several times as much."""


@attrs.define
class Room:
    """What is left of the budget; less than nothing, if lanes had to take back what they had given out."""

    events: int = HELD
    bytes: int = HELD_BYTES
