"""
What transforms remember: which event was the first to show a key, per module, route and transform.

A mark is made when the event is looked at, and noted on the bus together with what is settled then; so it survives a
restart with the settlement, and an event that is delivered again is still the first of its key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import attrs

from orgloop.sdk import Admitted

KIND = "mark"
"""Kind of the notes that keep marks."""

MAX_MARKS = 1_000_000
"""How many a transform may keep at a time; the oldest go first."""

Note = Callable[[str, str, object], None]


@attrs.define(eq=False)
class MarkStore:
    """The marks of one transform of one route."""

    module: str
    route: str
    transform: str
    _noted: Callable[[str, str], object]
    """What the bus last noted."""
    _note: Note
    _marks: OrderedDict[str, tuple[int, float]] = attrs.field(factory=OrderedDict)
    """The sequence that has a key, and until when, oldest first."""
    _prefix: str = attrs.field(init=False)

    @_prefix.default
    def _default_prefix(self) -> str:
        place = f"{self.module}\0{self.route}\0{self.transform}"
        return hashlib.blake2b(place.encode(), digest_size=8).hexdigest()

    def of(self, admitted: Admitted, now_s: float) -> EventMarks:
        """The marks as one event may use them."""
        return EventMarks(self, admitted.sequence, now_s, is_replayed=admitted.event.only_for is not None)

    def is_first(self, key: str, sequence: int, *, now_s: float, window_s: float) -> bool:
        """Whether this event is the first to show the key within the window; if so, it is remembered."""
        owner = self._owner_of(key, now_s)
        if owner is not None:
            return owner == sequence
        until_s = now_s + window_s
        self._marks[key] = (sequence, until_s)
        self._note(KIND, f"{self._prefix}-{key}", [sequence, until_s])
        self._forget_old(now_s)
        return True

    def _owner_of(self, key: str, now_s: float) -> int | None:
        mark = self._marks.get(key)
        if mark is None:
            noted = self._noted(KIND, f"{self._prefix}-{key}")
            if isinstance(noted, list) and len(noted) == 2:
                mark = self._marks[key] = (noted[0], noted[1])
        if mark is None or mark[1] <= now_s:
            return None
        return mark[0]

    def _forget_old(self, now_s: float) -> None:
        while self._marks:
            key, (_, until_s) = next(iter(self._marks.items()))
            if until_s > now_s and len(self._marks) <= MAX_MARKS:
                break
            del self._marks[key]
            self._note(KIND, f"{self._prefix}-{key}", None)


@attrs.frozen
class EventMarks:
    """:class:`orgloop.sdk.Marks` for one event."""

    _store: MarkStore
    _sequence: int
    _now_s: float
    is_replayed: bool = False
    """Somebody wants it again, so that it has been seen is no reason to drop it."""

    def is_first(self, key: str, *, window_s: float) -> bool:
        """Whether no other event has shown this key within the window; if so, it is this event's from now on."""
        return self.is_replayed or self._store.is_first(key, self._sequence, now_s=self._now_s, window_s=window_s)
