"""
The last notices, numbered: what a reader missed while it was away, and how far one that is slow may fall behind.

    runtime ── hear ──▶ ring ──┬──▶ after(number)     a follower goes on from the last that it has seen
                               └──▶ newest()          a question about the past

A follower holds a number and nothing else, so that a slow one costs nothing; what has left the ring before it came is
counted, and told to it.
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs
import trio

from orgloop.http.app.given import Wanted
from orgloop.http.app.plain import builtins
from orgloop.sdk import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Notice

RING = 4096
"""How many notices are kept for those who follow, and for questions."""

READ_AT_ONCE = 256
"""How many of them are looked at in one go."""

LEVELS = {"debug": DEBUG, "info": INFO, "warn": WARNING, "warning": WARNING, "error": ERROR}

_FIELDS = Notice.__struct_fields__


@attrs.define(eq=False)
class Ring:
    """The last notices of this process."""

    size: int = RING
    life: str = attrs.field(factory=lambda: secrets.token_hex(4))
    """Tells the numbers of this process from those of another."""
    _notices: deque[Notice] = attrs.field(init=False)
    _next: int = 1
    _bell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def __attrs_post_init__(self) -> None:
        """Room for as many."""
        self._notices = deque(maxlen=self.size)

    def hear(self, notice: Notice) -> None:
        """One more; waits for nothing."""
        self._notices.append(notice)
        self._next += 1
        if self._bell:
            self._bell.unpark_all()

    async def wait_behind(self, number: int) -> None:
        """Until there is one behind this number."""
        while self._next <= number + 1:
            await self._bell.park()

    @property
    def next(self) -> int:
        """The number of the next notice."""
        return self._next

    @property
    def first(self) -> int:
        """The number of the oldest that is kept."""
        return self._next - len(self._notices)

    @property
    def is_whole(self) -> bool:
        """Whether nothing has left it yet."""
        return self.first == 1

    def after(self, number: int) -> list[tuple[int, Notice]]:
        """Some of those behind this number, oldest first; empty only if there are none."""
        begin = max(number + 1, self.first)
        found = itertools.islice(self._notices, begin - self.first, begin - self.first + READ_AT_ONCE)
        return list(enumerate(found, begin))

    def newest(self) -> list[Notice]:
        """All of them, newest first, as they are now."""
        return list(reversed(self._notices))

    def before_newest(self, wanted: Wanted, count: int) -> int:
        """The number behind which the last so many stand of those that are wanted."""
        last = self._next - 1
        for number, notice in zip(range(last, 0, -1), reversed(self._notices), strict=False):
            if not count:
                break
            if wants(wanted, plain_of_notice(notice)):
                last, count = number - 1, count - 1
        return last

    # -- where a follower is, as it is told ----------------------------------------------------------------------------

    def id_of(self, number: int) -> str:
        """What a follower says when it comes back."""
        return f"{self.life}-{number}"

    def number_of(self, id_: str) -> int | None:
        """The number that an id means; 0 for one of another process; None if it is no id of ours."""
        life, dash, digits = id_.rpartition("-")
        if not dash or not life or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
            return None
        return min(int(digits), self._next - 1) if life == self.life else 0


def plain_of_notice(notice: Notice) -> dict[str, Any]:
    """A notice as plain data, as a logger writes it: without what does not apply."""
    plain = {name: value for name in _FIELDS if (value := getattr(notice, name)) is not None}
    return builtins(plain) if "metadata" in plain else plain


def wants(wanted: Wanted, found: Mapping[str, Any]) -> bool:
    """Whether a notice, as plain data, is among those that are wanted."""
    for name in ("module", "source", "route"):
        value = getattr(wanted, name)
        if value is not None and found.get(name) != value:
            return False
    phase = found.get("phase")
    if not isinstance(phase, str) or SEVERITY_OF.get(phase, INFO) < LEVELS[wanted.level]:
        return False
    if wanted.phase is not None and not is_of_phase(phase, wanted.phase):
        return False
    return wanted.event is None or wanted.event in (found.get("event_id"), found.get("trace_id"))


def is_of_phase(phase: str, wanted: str) -> bool:
    """
    Whether a phase is the wanted one, or of the wanted family.

    >>> is_of_phase("deliver.retry", "deliver."), is_of_phase("deliver.retry", "deliver")
    (True, False)
    """
    return phase == wanted or (wanted.endswith(".") and phase.startswith(wanted))
