"""
How long obligations are kept: a look at all lanes, now and then, for what has waited for too long.

What a module that is not loaded has been left is looked at when it is. Where nothing expires, nothing is noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs
import trio

from orgloop.delivery.ages import KEY, KIND, Ages
from orgloop.delivery.lane import Lane
from orgloop.runtime.router import Router
from orgloop.runtime.services import Services

LOOK_EVERY_S = 60.0
"""How late an obligation may expire."""

NOTE_EVERY_S = 600.0
"""How much of that a crash may make one forget."""


def ages_in(services: Services) -> Ages:
    """What earlier runs have noted of the events they have left; they are all at least as old as this run."""
    now_s = trio.current_time()
    ages = Ages.recall(services.bus.note(KIND, KEY), wall_s=services.now_s(), now_s=now_s)
    ages.look(services.bus.status().get("next_sequence", 0), now_s)
    return ages


@attrs.define(eq=False)
class Retention:
    """Looks for what has expired."""

    _services: Services
    _router: Router
    _noted_s: float = -math.inf

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await trio.sleep(LOOK_EVERY_S)
                self.look()
        finally:
            self._note()

    def look(self) -> None:
        """Look at all lanes."""
        now_s = trio.current_time()
        self._services.ages.look(self._router.next_sequence, now_s)
        for lane in self._lanes():
            lane.look_for_expired()
        if now_s - self._noted_s >= NOTE_EVERY_S:
            self._noted_s = now_s
            self._note()

    def _lanes(self) -> Iterable[Lane]:
        return [lane for lane in self._router.table.lanes.values() if lane.may_expire]

    def _note(self) -> None:
        if self._lanes():
            services = self._services
            self._services.ages.look(self._router.next_sequence, trio.current_time())
            note = services.ages.note(wall_s=services.now_s(), now_s=trio.current_time())
            services.settler.note(*note)
