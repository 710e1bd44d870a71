"""How many connections there may be, in all and per peer, and who has to go when there is no seat left."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Protocol

import attrs

from orgloop.http.limits import Limits


class Guest(Protocol):
    """A connection, as far as its seat is concerned."""

    @property
    def peer(self) -> str:
        """Who is at the other end."""
        ...

    def leave(self, reason: str) -> None:
        """Free its seat and close; it waits for a request or has sent its last, so no request is lost."""
        ...

    def end_if_late(self, now_s: float) -> None:
        """Close if it has taken too long."""
        ...


@attrs.define
class Seats:
    """
    Seats for so many connections.

    When all are taken, the one has to go that has said longest ago that it will send no more, or else that has waited
    longest for a request to begin, or to come whole: of this peer if it is the peer who has too many. So idle and slow
    connections never keep a sender out, and a busy door does.
    """

    limits: Limits
    guests: dict[Guest, None] = attrs.field(factory=dict)
    of_peer: Counter[str] = attrs.field(factory=Counter)
    waiting: dict[Guest, None] = attrs.field(factory=dict)
    """In the order in which they began to wait."""
    half_closed: dict[Guest, None] = attrs.field(factory=dict)
    """In the order in which they have closed their half; most of them are gone."""

    def take(self, guest: Guest) -> bool:
        """Whether there is a seat for this connection, which has it from now on."""
        of_this_peer = self.of_peer[guest.peer] >= self.limits.connections_per_peer
        is_full = of_this_peer or len(self.guests) >= self.limits.connections
        if is_full and not self._make_room(guest.peer if of_this_peer else None):
            return False
        self.guests[guest] = None
        self.of_peer[guest.peer] += 1
        return True

    def _make_room(self, peer: str | None) -> bool:
        for guest in chain(self.half_closed, self.waiting):
            if peer is None or guest.peer == peer:
                guest.leave("there are too many connections, and this one is the least missed")
                return True
        return False

    def free(self, guest: Guest) -> None:
        """This connection has gone, or is about to."""
        self.waiting.pop(guest, None)
        self.half_closed.pop(guest, None)
        del self.guests[guest]
        self.of_peer[guest.peer] -= 1
        if not self.of_peer[guest.peer]:
            del self.of_peer[guest.peer]

    def waits(self, guest: Guest) -> None:
        """It waits for a request."""
        self.waiting[guest] = None

    def half_closes(self, guest: Guest) -> None:
        """It will send no more, and may or may not want its answer."""
        self.half_closed[guest] = None

    def works(self, guest: Guest) -> None:
        """A request of it has come."""
        self.waiting.pop(guest, None)
