"""
Whether the loops of a runtime get on: a loop that had something to do when it was last asked has turned since.

    router       what was published is received; unless the bus says that it cannot give it just now
    settler      what has ended is handed over
    scheduler    nobody's turn is overdue

Law: only what a loop itself has counted says that it has turned. The answer is for whoever kills what is silent.
"""

from __future__ import annotations

import attrs
import trio

from orgloop.runtime.router import Router
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.services import Services

LATE_S = 5.0
"""So much later than due a source may get its turn while a machine is busy."""


@attrs.define
class Loop:
    """One of them, as it was when it was last looked at."""

    _turns: int = 0
    _had_work: bool = False

    def gets_on(self, turns: int, *, has_work: bool) -> bool:
        """Whether it has turned since, or had nothing to turn for."""
        is_stuck = self._had_work and has_work and turns == self._turns
        self._turns, self._had_work = turns, has_work
        return not is_stuck


@attrs.define(eq=False)
class Progress:
    """Remembers how far each loop was when it was last asked."""

    _services: Services
    _router: Router
    _scheduler: Scheduler
    _routing: Loop = attrs.field(factory=Loop)
    _settling: Loop = attrs.field(factory=Loop)

    def look(self) -> bool:
        """Whether all of them get on."""
        router, settler = self._router, self._services.settler
        is_behind = router.received < self._services.published and not router.is_refused
        is_late = trio.current_time() - self._scheduler.looks_s > LATE_S
        routes = self._routing.gets_on(router.received, has_work=is_behind)
        settles = self._settling.gets_on(settler.rounds, has_work=not settler.is_idle)
        return routes and settles and not is_late
