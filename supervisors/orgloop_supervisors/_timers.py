"""What is to happen later: a heap of due times whose cancelled entries do not pile up."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Awaitable, Callable

import attrs

Action = Callable[[], Awaitable[None]]

FEW = 64
"""Below so many entries, the cancelled ones among them are not worth a sweep."""


@attrs.define(eq=False)
class Timer:
    """One action to come; cancelled when it has none."""

    due_s: float
    action: Action | None


@attrs.define(eq=False)
class Timers:
    """Actions in order of their due time, those of one instant in the order in which they were set."""

    _heap: list[tuple[float, int, Timer]] = attrs.field(factory=list)
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count)
    _cancelled: int = 0

    def set(self, due_s: float, action: Action) -> Timer:
        """Have something done at ``due_s``, in seconds of ``trio.current_time()``."""
        timer = Timer(due_s, action)
        heapq.heappush(self._heap, (due_s, next(self._numbers), timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Have it not done; no matter if it has been, or if there is none."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if len(self._heap) > FEW and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    @property
    def next_due_s(self) -> float:
        """When the first action is due; ``inf`` if there is none."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else math.inf

    def pop(self) -> Action:
        """Take out the first action; to be called when ``next_due_s`` has passed."""
        timer = heapq.heappop(self._heap)[2]
        action, timer.action = timer.action, None
        assert action is not None, "next_due_s has removed the cancelled ones before it"
        return action
