"""
Notices as server-sent events, for as long as the client listens and the door is open.

    id: 1f2e3d4c-1021                           what to send as Last-Event-ID when coming back
    data: {"phase":"deliver.success",…}         a notice
    event: lost  data: {"lost":17}              so many have left the ring before this client came for them
    : still here                                nothing was told for a while
    event: end  data: {"reason":…}              the server stops

(HTML Living Standard, 9.2)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import trio

from orgloop.http.app.given import Wanted
from orgloop.http.app.masks import Masks
from orgloop.http.app.plain import written
from orgloop.http.app.ring import Ring, plain_of_notice, wants

HEARTBEAT_S = 15.0
"""After so long without a notice there is a comment, so that proxies keep the connection and a dead one is found."""

MOST_FOLLOWERS = 64
"""How many may follow at once."""

_STILL_HERE = b": still here\n\n"


@attrs.define(eq=False)
class Followers:
    """Counts those who follow."""

    most: int = MOST_FOLLOWERS
    count: int = 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more."""
        return self.count >= self.most


@attrs.define(eq=False, kw_only=True)
class Stream:
    """What one client is sent: an async iterator of bytes, and a context manager that counts it."""

    ring: Ring
    wanted: Wanted
    masks: Masks
    stopping: trio.Event
    followers: Followers
    last: int
    """The number of the last notice that the client has."""
    heartbeat_s: float = HEARTBEAT_S
    _has_ended: bool = False
    _is_begun: bool = False

    async def __aenter__(self) -> Stream:
        """One more that follows."""
        self.followers.count += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """One less, whyever it ended."""
        self.followers.count -= 1

    def __aiter__(self) -> Stream:
        """It is its own."""
        return self

    async def __anext__(self) -> bytes:
        """The next bytes: notices, as many as there are; or a sign of life."""
        if not self._is_begun:  # so that the client knows at once that it is heard
            self._is_begun = True
            return b": listening\n\n"
        while not self._has_ended:
            told = b"".join(self._take())
            if told:
                await trio.lowlevel.checkpoint()
                return told
            if self.stopping.is_set():
                self._has_ended = True
                return _block({"reason": "the server stops"}, event="end")
            if self.last + 1 < self.ring.next:
                await trio.lowlevel.checkpoint()  # looked at some, and none was wanted: others first
            elif not await self._is_rung():
                return _STILL_HERE
        raise StopAsyncIteration

    def _take(self) -> list[bytes]:
        found = self.ring.after(self.last)
        if not found:
            return []
        lost = found[0][0] - self.last - 1
        blocks = [_block({"lost": lost}, event="lost")] if lost > 0 and self.last else []
        for number, notice in found:
            plain = plain_of_notice(notice)
            if wants(self.wanted, plain):
                blocks.append(_block(self.masks.plain(plain), id_=self.ring.id_of(number)))
        self.last = found[-1][0]
        return blocks

    async def _is_rung(self) -> bool:
        """Wait for a notice, or for the end; False if neither came in time."""
        with trio.move_on_after(self.heartbeat_s) as waiting:
            async with trio.open_nursery() as nursery:
                for wait in (partial(self.ring.wait_behind, self.last), self.stopping.wait):
                    nursery.start_soon(_first, wait, nursery.cancel_scope)
        return not waiting.cancelled_caught


async def _first(wait: Callable[[], Any], whole: trio.CancelScope) -> None:
    await wait()
    whole.cancel("one of both has come")


def _block(value: object, *, id_: str | None = None, event: str | None = None) -> bytes:
    head = b"" if id_ is None else f"id: {id_}\n".encode()
    kind = b"" if event is None else f"event: {event}\n".encode()
    return head + kind + b"data: " + written(value) + b"\n\n"
