"""
What statistics do not say and notices do: how long deliveries take, what fails, and when a route last had something.

Law: what is kept is bounded by the configuration (routes, sources, actors), never by what events say.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, MutableMapping
from typing import TypeVar

import attrs

from orgloop.sdk import Notice

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, those of the original; past the last there is one without end."""

MOST_UNDER_WAY = 10_000
"""Attempts whose beginning is remembered; of more, the oldest are not timed."""

T = TypeVar("T")

Of = tuple[str, str]
"""A module, and one of its routes, sources or actors."""


@attrs.define
class Histogram:
    """How long something took."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """By bucket, not summed up."""
    sum_s: float = 0.0

    def add(self, took_s: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS_S, took_s)] += 1
        self.sum_s += took_s

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.counts)


@attrs.define(eq=False)
class Meter:
    """Hears every notice, and keeps numbers; of routes that are gone, until :meth:`keep_only`."""

    clock_s: Callable[[], float] = time.perf_counter
    took: dict[Of, Histogram] = attrs.field(factory=dict)
    """From the beginning of an attempt to its end, by route."""
    errors: Counter[Of] = attrs.field(factory=Counter)
    """Polls, requests and attempts that failed, by source or actor."""
    last_matched: dict[Of, str] = attrs.field(factory=dict)
    """When, by route."""
    last_emitted: dict[Of, str] = attrs.field(factory=dict)
    """When, by source."""
    _begun_s: OrderedDict[tuple[Of, str], float] = attrs.field(factory=OrderedDict)

    def hear(self, notice: Notice) -> None:
        """Take note of a notice; waits for nothing."""
        note = _HEARD.get(notice.phase)
        if note is not None and notice.module is not None:
            note(self, notice, notice.module)

    def _begin(self, notice: Notice, module: str) -> None:
        self._begun_s[(module, notice.route or ""), notice.event_id] = self.clock_s()
        if len(self._begun_s) > MOST_UNDER_WAY:
            self._begun_s.popitem(last=False)

    def _end(self, notice: Notice, module: str) -> None:
        route = module, notice.route or ""
        begun_s = self._begun_s.pop((route, notice.event_id), None)
        if begun_s is not None:
            histogram = self.took.get(route)
            if histogram is None:
                histogram = self.took[route] = Histogram()
            histogram.add(self.clock_s() - begun_s)

    def _fail(self, notice: Notice, module: str) -> None:
        self._end(notice, module)
        self.errors[module, notice.target or ""] += 1

    def _match(self, notice: Notice, module: str) -> None:
        self.last_matched[module, notice.route or ""] = notice.timestamp

    def _emit(self, notice: Notice, module: str) -> None:
        self.last_emitted[module, notice.source or ""] = notice.timestamp

    def _alarm(self, notice: Notice, module: str) -> None:
        if notice.source and not notice.event_id:
            self.errors[module, notice.source] += 1

    def keep_only(self, *, routes: set[Of], members: set[Of]) -> None:
        """Forget what is not there any more."""
        _drop(self.took, routes)
        _drop(self.last_matched, routes)
        _drop(self.last_emitted, members)
        _drop(self.errors, members)


def _drop(table: MutableMapping[Of, T], kept: set[Of]) -> None:
    for gone in table.keys() - kept:
        del table[gone]


# Looked up for each notice there is, so a table.
_HEARD: dict[str, Callable[[Meter, Notice, str], None]] = {
    "deliver.attempt": Meter._begin,
    "deliver.success": Meter._end,
    "deliver.retry": Meter._fail,
    "deliver.failure": Meter._fail,
    "route.match": Meter._match,
    "source.emit": Meter._emit,
    "system.error": Meter._alarm,
}
