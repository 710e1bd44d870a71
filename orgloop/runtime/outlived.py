"""
Which notes in the log nobody will ask for again.

Whoever makes a note takes it away in time; but what an earlier run has made, the next one may not know of, and a module
may never come back. So the log asks here, at every start and now and then.

    delivery    until it may be admitted again, and no more for a source than a desk remembers
    mark        groups, until the last mark in them is forgotten
    attempts    while the event is open
    approved    while the event is open
    inbox       while the event is open that a session was notified of
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from orgloop.delivery.tries import ATTEMPTS
from orgloop.runtime import holds, inbox, marks, pushed
from orgloop.sdk import Note
from orgloop.wal import Outlived


def forgetting(now_s: Callable[[], float] = time.time) -> Outlived:
    """What a log is opened with: :func:`outlived`, by a clock."""

    def ask(notes: Iterable[Note], open_: Container[int]) -> Iterable[tuple[str, str]]:
        return outlived(notes, open_, now_s=now_s())

    return ask


def outlived(notes: Iterable[Note], open_: Container[int], *, now_s: float) -> Iterator[tuple[str, str]]:
    """Kind and key of each; ``notes`` come newest first, and may hold anything."""
    seen: Counter[str] = Counter()
    for kind, key, value in notes:
        if kind == pushed.KIND:
            source = key.rpartition("/")[0]
            seen[source] += 1
            is_over = seen[source] > pushed.MAX_SEEN or _until_s(value) <= now_s
        elif kind == marks.KIND:
            is_over = isinstance(value, list) and all(_until_s(mark) <= now_s for mark in value)
        elif kind == inbox.KIND:
            is_over = not isinstance(value, int) or value not in open_
        else:
            sequence = key.rpartition("-")[2]
            is_over = kind in (ATTEMPTS, holds.KIND) and sequence.isdecimal() and int(sequence) not in open_
        if is_over:
            yield kind, key


def _until_s(value: Any) -> float:
    """What stands last in it: Unix seconds."""
    match value:
        case [*_, int() | float() as until_s]:
            return until_s
    return 0.0
