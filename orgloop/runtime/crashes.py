"""This run, counted: durable as open before it tries anything, and as ended when all of it has been noted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import trio

from orgloop.delivery.runs import KEY, KIND, Runs
from orgloop.delivery.settler import Settler
from orgloop.errors import OrgLoopError
from orgloop.sdk import EventBus

CLOSE_S = 5.0
"""How long the end may take; without it the next run takes this one for crashed, and counts an attempt more."""


@asynccontextmanager
async def counted(bus: EventBus, settler: Settler) -> AsyncGenerator[Runs]:
    """
    The runs before this one, around all that tries.

    A bus that does not say what comes next (``next_sequence`` in its status) outlives no run, or counts by itself.
    """
    next_sequence = bus.status().get("next_sequence")
    if next_sequence is None:
        yield Runs()
        return
    runs = Runs.begin(bus.note(KIND, KEY), next_sequence=next_sequence)
    await bus.publish([], notes=[runs.note(is_open=True)])
    try:
        yield runs
    finally:
        with trio.move_on_after(CLOSE_S, shield=True), suppress(OrgLoopError):
            settler.hand_over()
            await bus.flush()  # in the same commit, its beginning alone could be left of a torn one
            bus.settle([], notes=[runs.note(is_open=False)])
