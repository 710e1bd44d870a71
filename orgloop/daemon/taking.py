"""
Takes in what hooks have left in the home while no daemon ran, or none that answered.

    waiting ──▶ receive ──┬─ answered with less than 400 ─▶ removed
                          ├─ refused for what it is ──────▶ put aside, and told
                          └─ not now, or nobody is there ─▶ stays for the next round

Law: oldest first, one at a time; a request that its source crashes over is put aside after some rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import attrs
import trio

from orgloop.daemon.home import Home
from orgloop.daemon.spool import Spooled, forget, put_aside, read, waiting
from orgloop.errors import EventError, OrgLoopError, UnknownSource
from orgloop.sdk import Request, Response

ROUND_S = 15.0
"""How often it is looked whether something waits."""

MOST_ROUNDS = 8
"""So often a request may fail that its source could have taken."""

_NOT_NOW = frozenset({408, 425, 429})


class Receive(Protocol):
    """The runtime's own."""

    def __call__(self, source: str, request: Request, *, module: str | None = None) -> Awaitable[Response]: ...


@attrs.define(eq=False)
class Taker:
    """One for each daemon."""

    _home: Home
    _receive: Receive
    _tell: Callable[..., None]
    _rounds: Counter[str] = attrs.field(factory=Counter)

    async def run(self) -> None:
        """Take in what waits, until cancelled."""
        while True:
            for path in await trio.to_thread.run_sync(waiting, self._home):
                await self.take(path)
            await trio.sleep(ROUND_S)

    async def take(self, path: Path) -> None:
        """Take in one request; whatever comes of it is told, and raises nothing that is expected."""
        try:
            spooled = await trio.to_thread.run_sync(read, path)
        except FileNotFoundError:
            return
        except (ValueError, OSError) as exc:
            await self._refuse(path, str(exc))
            return
        name = spooled.source if spooled.module is None else f"{spooled.module}/{spooled.source}"
        request = Request("POST", f"/webhook/{name}", spooled.headers, spooled.body)
        try:
            response = await self._receive(spooled.source, request, module=spooled.module)
        except EventError as exc:
            await self._refuse(path, str(exc))
        except UnknownSource:
            return  # its module may be loaded yet
        except OrgLoopError as exc:
            await self._again(path, str(exc))
        else:
            await self._settle(path, spooled, response)

    async def _settle(self, path: Path, spooled: Spooled, response: Response) -> None:
        if response.status < 400:
            await trio.to_thread.run_sync(forget, path)
        elif response.status >= 500 or response.status in _NOT_NOW:
            await self._again(path, f"source {spooled.source!r} answered {response.status}")
        else:
            await self._refuse(path, f"source {spooled.source!r} answered {response.status}: {response.body}")

    async def _again(self, path: Path, reason: str) -> None:
        self._rounds[path.name] += 1
        if self._rounds[path.name] >= MOST_ROUNDS:
            await self._refuse(path, f"{reason}, {MOST_ROUNDS} times")

    async def _refuse(self, path: Path, reason: str) -> None:
        self._rounds.pop(path.name, None)
        aside = await trio.to_thread.run_sync(put_aside, path)
        self._tell("system.error", error=f"what a hook has left was refused, and is now {aside}: {reason}")
