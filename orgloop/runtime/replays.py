"""Dead letters, delivered again: each to the one route that gave it up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import attrs

from orgloop.delivery.dead_letters import DeadLetter, Which
from orgloop.errors import ModuleError
from orgloop.event import Event
from orgloop.runtime.loops import NO_ROUTE
from orgloop.runtime.modules import Modules
from orgloop.runtime.services import Services

REPLAYED_AT_ONCE = 100
"""How many dead letters are read, and published again, in one go."""


@attrs.frozen(eq=False)
class Replays:
    """Publishes dead letters again, and forgets each when that is durable."""

    _services: Services
    _modules: Modules

    async def replay(self, which: str | Which | None) -> int:
        """
        One by its id, or all that are meant; how many.

        Raises :class:`ModuleError` for one that is named by its id, and whose route is not there.
        """
        if not isinstance(which, str):
            return await self._replay_all(which)
        letter = await self._services.in_thread(self._services.graveyard.get, which)
        if not isinstance(letter, DeadLetter):
            return 0
        if not self._has_route(letter):
            raise ModuleError(f"there is no route {letter.route!r} in module {letter.module!r} to replay it to")
        await self._publish([letter])
        return 1

    async def _replay_all(self, which: Which | None) -> int:
        replayed, after, first_new = 0, None, math.inf
        while True:
            page = partial(self._services.graveyard.list, which, limit=REPLAYED_AT_ONCE, after=after)
            found = await self._services.in_thread(page)
            letters = [one for one in found if isinstance(one, DeadLetter) and one.sequence < first_new]
            again = [letter for letter in letters if self._has_route(letter)]
            if again:
                first_new = min(first_new, *await self._publish(again))  # what fails again is not for this time
                replayed += len(again)
            if not found or any(isinstance(one, DeadLetter) and one.sequence >= first_new for one in found):
                return replayed
            after = found[-1].id

    def _has_route(self, letter: DeadLetter) -> bool:
        loaded = self._modules.loaded.get(letter.module)
        return loaded is not None and (letter.route == NO_ROUTE or letter.route in loaded.module.wires)

    async def _publish(self, letters: Sequence[DeadLetter]) -> list[int]:
        sequences = await self._services.publish([_again(letter) for letter in letters])
        for letter in letters:
            await self._services.in_thread(self._services.graveyard.discard, letter.id)
        return sequences


def _again(letter: DeadLetter) -> Event:
    """The event of a dead letter, for the one route that gave it up; one that ran in circles begins at zero."""
    if letter.route == NO_ROUTE:
        return attrs.evolve(letter.event, ancestors=())
    return attrs.evolve(letter.event, only_for=(letter.module, letter.route))
