"""
What transforms remember: which event was the first to show a key, per route and transform.

A mark is made when the event is looked at, and noted on the bus together with what is settled then; so it survives a
restart with the settlement, and an event that is delivered again is still the first of its key.

    engineering          {"9": [5, 8]}                                 on shelf 9 there are groups 5 to 7
    engineering/9-5      [[place, key, sequence, until], …]            what was marked between two commits

One note for all that a module has marked between two commits, because a note costs as much as a delivery. It goes when
all in it are forgotten; so marks that are kept about as long stand on one shelf, which is the exponent of their window.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

import attrs

from orgloop.sdk import Admitted, Note

KIND = "mark"
"""Kind of the notes that keep marks."""

MAX_MARKS = 1_000_000
"""How many a module may keep at a time; the oldest of those that are most go first."""

MAX_GROUP = 10_000
"""How many marks are in one note."""

MAX_KEY_CHARS = 96
"""A key that is longer, or not ASCII, is kept as its hash."""

MAX_WINDOW_S = 10 * 365 * 86400.0
"""Nothing is remembered for longer than ten years."""

Marks = dict[str, tuple[int, float]]
"""The sequence that has a key, and until when."""

_Mark = tuple[str, str, int, float]
"""Place, key, sequence, and until when."""


@attrs.frozen
class _Group:
    """Marks that were noted together."""

    number: int
    until_s: float
    """When the last of them is forgotten."""
    keys: list[tuple[str, str]]
    """Places and keys."""


@attrs.define(eq=False)
class _Shelf:
    """Groups, oldest first."""

    next: int = 0
    groups: deque[_Group] = attrs.field(factory=deque)

    def add(self, number: int, marks: Sequence[_Mark]) -> None:
        until_s = max(map(itemgetter(3), marks), default=0.0)
        self.groups.append(_Group(number, until_s, list(map(itemgetter(0, 1), marks))))
        self.next = number + 1

    @property
    def span(self) -> tuple[int, int]:
        return (self.groups[0].number if self.groups else self.next, self.next)


@attrs.define(eq=False)
class MarkBook:
    """All marks of one module, whichever of its generations have made them."""

    module: str
    _noted: Callable[[str, str], object]
    """What the bus last noted."""
    _note_later: Callable[[Callable[[], Iterable[Note]]], None]
    """Asks for notes with the next commit."""
    _by_place: defaultdict[str, Marks] = attrs.field(factory=lambda: defaultdict(dict))
    _shelves: defaultdict[int, _Shelf] = attrs.field(factory=lambda: defaultdict(_Shelf))
    _count: int = 0
    _fresh: list[tuple[float, _Mark]] = attrs.field(factory=list)
    """What is in no group yet, and its window."""
    _now_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        """Take over what an earlier run has noted."""
        spans = self._noted(KIND, self.module)
        for name, span in spans.items() if isinstance(spans, dict) else ():
            if not (name.lstrip("-").isdecimal() and _is_whole(span, (int, int))):
                continue
            shelf = self._shelves[int(name)]
            for number in range(*span):
                noted = self._noted(KIND, self._key(int(name), number))
                marks = [mark for mark in noted if _is_whole(mark, _FIELDS)] if isinstance(noted, list) else []
                for place, key, sequence, until_s in marks:
                    self._by_place[place][key] = (sequence, until_s)
                shelf.add(number, marks)
                self._count += len(marks)

    def store(self, route: str, transform: str) -> MarkStore:
        """The marks of one transform of one route."""
        place = hashlib.blake2b(f"{route}\0{transform}".encode(), digest_size=8).hexdigest()
        return MarkStore(self, place, self._by_place[place])

    def remember(self, window_s: float, mark: _Mark, *, now_s: float) -> None:
        """Note a mark with the next commit."""
        if not self._fresh:
            self._note_later(self._gather)
        self._fresh.append((window_s, mark))
        self._now_s = now_s

    def _key(self, shelf: int, number: int) -> str:
        return f"{self.module}/{shelf}-{number}"

    def _gather(self) -> Iterator[Note]:
        """The notes of what was marked since the last time, and of what is forgotten."""
        sorted_: defaultdict[int, list[_Mark]] = defaultdict(list)
        for window_s, mark in self._fresh:
            sorted_[math.frexp(window_s)[1]].append(mark)
        self._count += len(self._fresh)
        self._fresh = []
        for name, marks in sorted_.items():
            shelf, rest = self._shelves[name], iter(marks)
            while some := list(islice(rest, MAX_GROUP)):
                yield KIND, self._key(name, shelf.next), some
                shelf.add(shelf.next, some)
        yield from self._forget_old()
        # Behind the groups: one that is not whole is then not looked for.
        yield KIND, self.module, {str(name): shelf.span for name, shelf in self._shelves.items()}

    def _forget_old(self) -> Iterator[Note]:
        for name, shelf in self._shelves.items():
            while shelf.groups and shelf.groups[0].until_s <= self._now_s:
                yield self._forget_oldest(name)
        while self._count > MAX_MARKS:
            yield self._forget_oldest(max(self._shelves, key=lambda name: len(self._shelves[name].groups)))

    def _forget_oldest(self, name: int) -> Note:
        group = self._shelves[name].groups.popleft()
        for place, key in group.keys:
            marks = self._by_place[place]
            mark = marks.get(key)
            if mark is not None and mark[1] <= group.until_s:  # or another event has it by now
                del marks[key]
        self._count -= len(group.keys)
        return KIND, self._key(name, group.number), None


@attrs.frozen
class MarkStore:
    """The marks of one transform of one route."""

    _book: MarkBook
    _place: str
    _marks: Marks

    def of(self, admitted: Admitted, now_s: float) -> EventMarks:
        """The marks as one event may use them."""
        return EventMarks(self, admitted.sequence, now_s, admitted.event.only_for is not None)

    def is_first(self, key: str, sequence: int, *, now_s: float, window_s: float) -> bool:
        """Whether this event is the first to show the key within the window; if so, it is remembered."""
        if len(key) > MAX_KEY_CHARS or not key.isascii():
            key = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        mark = self._marks.get(key)
        if mark is not None and mark[1] > now_s:
            return mark[0] == sequence
        window_s = min(window_s, MAX_WINDOW_S)
        self._marks[key] = (sequence, now_s + window_s)
        self._book.remember(window_s, (self._place, key, sequence, now_s + window_s), now_s=now_s)
        return True


_FIELDS = (str, str, int, int | float)


def _is_whole(value: object, kinds: tuple[Any, ...]) -> bool:
    """Whether this is a list of these: what is in a log may have been written by anybody."""
    return isinstance(value, list) and len(value) == len(kinds) and all(map(isinstance, value, kinds))


@attrs.define(eq=False)
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
