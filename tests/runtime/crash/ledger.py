"""
What the outside knows of a runtime: all that it was promised and all that reached it, kept where no crash gets to it.

It hears every word in the order in which it was said, looks at the disk after every crash, and raises AssertionError
for the first broken promise.

    offer [[id, kind]…]        these may be admitted now           admit [id…]     these were: the promise
    place number               the counter was polled from there: all below is durable, and so is the place
    deliver id route attempt key done                              an attempt has reached the actor
    counts {route: {…}}        the statistics at this moment       life, end       a life begins, the last one is over
    drained                    the runtime says that all has ended, and that this is durable
"""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs

from tests.runtime.crash.log import Log
from tests.runtime.crash.stage import ENDS, IN_ORDER, ONCE

Obligation = tuple[str, str]
"""Id of an event, and a route."""


@attrs.define
class Ledger:
    """All that was said, and what must be so because of it."""

    kinds: dict[str, str] = attrs.field(factory=dict)
    """Of every event that was offered, by id."""
    admitted: set[str] = attrs.field(factory=set)
    place: int = 0
    """All numbers below were admitted."""
    counted: set[int] = attrs.field(factory=set)
    """Numbers that were found in the log, or delivered."""
    done: Counter[Obligation] = attrs.field(factory=Counter)
    """How often each was delivered."""
    letters: dict[Obligation, str] = attrs.field(factory=dict)
    """Reasons, of all dead letters that were found."""
    settled: dict[Obligation, str] = attrs.field(factory=dict)
    """Outcomes that were found in the log after a crash, so durable."""
    seen: dict[str, int] = attrs.field(factory=dict)
    """Sequences of events that were found in the log."""
    unfinished: set[str] = attrs.field(factory=set)
    """Admitted or seen, and not yet found closed."""
    keys: dict[str, Obligation] = attrs.field(factory=dict)
    attempts: dict[Obligation, int] = attrs.field(factory=dict)
    """The last attempt at each."""
    unrisen: int = 0
    """How often an attempt of a later life had no higher number than one before it."""
    life: int = 0
    lives: dict[Obligation, int] = attrs.field(factory=dict)
    """In which life each was delivered last."""
    firsts: defaultdict[str, list[str]] = attrs.field(factory=lambda: defaultdict(list))
    """Ids in the order of their first delivery, by route."""
    counts: dict[str, dict[str, int]] = attrs.field(factory=dict)
    ended: bool = False

    def copy(self) -> Ledger:
        """As it is now."""
        return copy.deepcopy(self)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def hear(self, word: str, *parts: Any) -> None:
        """Take one word."""
        match word, parts:
            case "offer", [offered]:
                self.kinds.update(offered)
            case "admit", [ids]:
                self.admitted.update(ids)
                self.unfinished.update(set(ids) - self.seen.keys())
            case "place", [place]:
                assert place >= self.place, f"the checkpoint went back from {self.place} to {place}"
                self.place = place
            case "deliver", [id_, route, attempt, key, done]:
                self._deliver((id_, route), attempt, key, done=done)
            case "counts", [counts]:
                self._count(counts)
            case "drained", []:
                delivered = {obligation for obligation, times in self.done.items() if times}
                self.settled |= dict.fromkeys(delivered - self.settled.keys(), "delivered")
            case "life", []:
                self.life += 1
            case "end", []:
                self.ended = True
            case _:
                raise AssertionError(f"no word of ours: {word} {parts}")

    def _deliver(self, obligation: Obligation, attempt: int, key: str, *, done: bool) -> None:
        id_, route = obligation
        what = f"{self.kinds.get(id_)} {obligation}"
        assert obligation not in self.settled, f"{what} is delivered again, but was settled: {self.settled[obligation]}"
        assert route in self._ends(id_), f"{what} is no obligation"
        assert self.keys.setdefault(key, obligation) == obligation, f"{what} has the key of {self.keys[key]}"
        assert not (self.done[obligation] and self.lives[obligation] == self.life), f"{what} twice in one life"
        if obligation not in self.attempts:
            self.firsts[route].append(id_)
        elif attempt <= self.attempts[obligation]:
            assert self.lives[obligation] < self.life, f"{what}: attempt {attempt} twice in one life"
            self.unrisen += 1
        if obligation in self.lives and self.lives[obligation] < self.life:
            assert attempt > 1, f"{what} was tried in an earlier life, and is told to be new"
        if route == "count":
            self.counted.add(int(self.kinds[id_].split()[1]))
        self.attempts[obligation] = attempt
        self.lives[obligation] = self.life
        self.done[obligation] += done

    def _count(self, counts: dict[str, dict[str, int]]) -> None:
        self.counts = counts
        for route, of in counts.items():
            ends = of["delivered"] + of["dropped"] + of["dead"] + of["in_flight"]
            assert of["admitted"] == ends, f"{route} is not conserved: {of}"

    def _ends(self, id_: str) -> Mapping[str, str]:
        return ENDS[self.kinds[id_].split()[0]]

    def _was_promised(self, id_: str) -> bool:
        kind, _, number = self.kinds[id_].partition(" ")
        return id_ in self.admitted or (kind == "count" and int(number) < self.place)

    # -- looking at the disk -------------------------------------------------------------------------------------------

    def compare(self, log: Log, letters: Iterable[tuple[str, str, str]]) -> None:
        """Hold what a crash has left (or the end) to what was said; letters are id, route and reason."""
        for id_, route, reason in letters:
            known = self.letters.setdefault((id_, route), reason)
            assert known == reason, f"{id_} of {route} is a dead letter for {known} and for {reason}"
        self._compare_events(log)
        self._compare_settlements(log)
        for id_ in list(self.unfinished):
            if id_ not in log.kinds and not self._was_promised(id_):
                self.unfinished.discard(id_)  # it was in a batch that is torn, and is cut off now
                self.seen.pop(id_, None)
                continue
            ended = log.ended[id_] if id_ in log.open else self._ends(id_).keys()
            for route in ended:
                self._must_have_ended(id_, route)
            if id_ not in log.open:
                self.unfinished.discard(id_)

    def _compare_events(self, log: Log) -> None:
        for id_, kind in log.kinds.items():
            assert self.kinds.get(id_) == kind, f"nobody has offered {id_}, {kind}"
        self.unfinished |= log.kinds.keys() - self.seen.keys()
        self.seen |= {id_: sequence for sequence, id_ in log.ids.items()}
        self.counted |= {int(kind.split()[1]) for kind in log.kinds.values() if kind.startswith("count ")}
        assert log.place >= self.place, f"the checkpoint {self.place} is lost, there is {log.place}"
        missing = set(range(log.place)) - self.counted
        assert not missing, f"the checkpoint {log.place} is ahead of its events {sorted(missing)[:5]}"

    def _compare_settlements(self, log: Log) -> None:
        for id_, route, outcome in log.settled:
            obligation = id_, route
            assert self.settled.setdefault(obligation, outcome) == outcome, f"{obligation} has several ends"
            wanted = self._ends(id_)[route]
            assert wanted in (outcome, ONCE), f"{self.kinds[id_]} {obligation} ended as {outcome}, not {wanted}"
        twice = [one for one, times in Counter(log.settled).items() if times > 1]
        assert not twice, f"settled twice: {twice[:3]}"

    def _must_have_ended(self, id_: str, route: str) -> None:
        what = f"{self.kinds[id_]} {id_} of {route}" + ("" if id_ in self.seen else ", which is in no log,")
        outcome = self.settled.get((id_, route), self._ends(id_)[route])
        if outcome == "delivered":
            assert self.done[id_, route], f"lost: {what} is not open, and was never delivered"
        elif outcome.startswith("dead_letter("):
            letter = f"dead_letter({self.letters.get((id_, route))})"
            assert letter == outcome, f"lost: {what} is not open, and there is no {outcome}"

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self, log: Log) -> None:
        """When all is said to be over: nothing is open, and every admitted event has had each of its ends."""
        assert self.ended, "the last life came to no end"
        assert not log.open, f"{len(log.open)} events are open"
        assert not self.unfinished, f"lost: {len(self.unfinished)} events"
        for route, of in self.counts.items():
            assert of["in_flight"] == 0, f"{route} has {of['in_flight']} in flight"
        dead = {(id_, route) for id_ in self.all() for route, end in self._ends(id_).items() if end.startswith("dead_")}
        assert self.letters.keys() == dead, f"dead letters that are missing or too many: {self.letters.keys() ^ dead}"
        assert not self.out_of_order, f"{self.out_of_order} were delivered behind a later event"
        self._close_twins()

    def _close_twins(self) -> None:
        """Of those alike exactly one is delivered."""
        audited = Counter(self.kinds[id_] for id_, route in self.done if route == "audit" and self.done[id_, route])
        for kind in {kind for id_ in self.all() if (kind := self.kinds[id_]).startswith("twin ")}:
            assert audited[kind] == 1, f"{kind} was let through {audited[kind]} times"

    def all(self) -> set[str]:
        """Every event that is known to have been admitted."""
        return self.admitted | self.seen.keys() | {id_ for id_, _ in self.attempts}

    @property
    def duplicates(self) -> int:
        """Deliveries beyond the first, each of an obligation whose settlement was not durable."""
        return sum(times - 1 for times in self.done.values() if times > 1)

    @property
    def out_of_order(self) -> int:
        """First deliveries on routes that carry one after the other that came behind one of a later event."""
        found = 0
        for route in IN_ORDER:
            sequences = [self.seen[id_] for id_ in self.firsts[route] if id_ in self.seen]
            found += sum(one < highest for one, highest in zip(sequences, accumulate(sequences, max), strict=True))
        return found

    def tally(self) -> Counter[str]:
        """How the obligations of all events that were ever admitted have ended."""
        found = Counter({"admitted": 0})
        for id_ in self.all():
            for route, end in self._ends(id_).items():
                found["admitted"] += 1
                if end == ONCE:
                    end = "delivered" if self.done[id_, route] else "dropped"
                found[end.split("(")[0]] += 1
        return found


def letters_in(directory: Path, known: set[str]) -> list[tuple[str, str, str]]:
    """Dead letters that are not known yet: id, route and reason of each; what a crash left of a write is none."""
    found = []
    for path in directory.glob("*.json") if directory.is_dir() else ():
        if path.name not in known and not path.name.startswith("."):
            known.add(path.name)
            letter = json.loads(path.read_bytes())
            found.append((letter["event"]["id"], letter["route"], letter["reason"]))
    return found
