"""
The routes that listen to one source for one type of event, told apart by their filters. Pure.

The routes that filter on the same paths form a group, and the values wanted there are the key of a route in the table
of its group; a list of wanted values makes several keys. So an event costs one look into a table per group, however
many routes the group has. A list in an event costs one look for each way to choose from it what is wanted.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

import attrs

from orgloop.event import Event
from orgloop.routing.match import OF_LIST, Criterion, Route, key_of, keys_in
from orgloop.routing.path import Path

MAX_KEYS = 64
"""How many keys the lists of one route may make; the lists beyond that are left out of it and looked at one by one."""

MAX_READY = 16
"""How many routes without a filter are made part of every ready answer."""

Key = tuple[Hashable, ...]


@attrs.frozen
class Group:
    """Routes of a bucket, as their places in it, by the values that they want at the same paths."""

    paths: tuple[Path, ...]
    table: Mapping[Key, tuple[int, ...]]
    columns: tuple[frozenset[Hashable], ...]
    """By path, all that is wanted there."""

    def hits(self, event: Event) -> Sequence[int]:
        key = _key(self.paths, event)
        return self._hits_of_lists(event) if OF_LIST in key else self.table.get(key, ())

    def _hits_of_lists(self, event: Event) -> Sequence[int]:
        """Try every key that the members of the lists make, or look through the table if that is shorter."""
        pairs = zip(self.columns, self.paths, strict=True)
        choices = [column.intersection(keys_in(path.find(event))) for column, path in pairs]
        keys: Iterable[Key] = itertools.product(*choices)
        if math.prod(map(len, choices)) > len(self.table):
            keys = (key for key in self.table if all(part in choice for part, choice in zip(key, choices, strict=True)))
        return list({hit for key in keys for hit in self.table.get(key, ())})


def _key(paths: tuple[Path, ...], event: Event) -> Key:
    if len(paths) == 1:
        return (key_of(paths[0].find(event)),)
    return tuple([key_of(path.find(event)) for path in paths])


@attrs.frozen
class Bucket:
    """The routes of one address."""

    routes: tuple[Route, ...]
    always: tuple[int, ...]
    """Those without a filter."""
    groups: tuple[Group, ...]
    partial: frozenset[int]
    """Those with criteria beyond their key."""

    def match(self, event: Event) -> tuple[Route, ...]:
        hits = list(self.always)
        for group in self.groups:
            hits += group.hits(event)
        hits.sort()
        if self.partial:
            hits = [hit for hit in hits if hit not in self.partial or self.routes[hit].accepts(event)]
        return tuple(map(self.routes.__getitem__, hits))


@attrs.frozen
class Shortcut:
    """A bucket of one group and few routes without a filter, as most are: the answers are ready."""

    paths: tuple[Path, ...]
    answers: Mapping[Key, tuple[Route, ...]]
    otherwise: tuple[Route, ...]
    bucket: Bucket

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.bucket.routes

    def match(self, event: Event) -> tuple[Route, ...]:
        key = _key(self.paths, event)
        return self.bucket.match(event) if OF_LIST in key else self.answers.get(key, self.otherwise)


def fill_bucket(routes: tuple[Route, ...]) -> Bucket | Shortcut:
    """Put routes in a bucket. One that wants what nothing equals has no key, and so is found by nothing."""
    tables: defaultdict[tuple[Path, ...], defaultdict[Key, list[int]]] = defaultdict(lambda: defaultdict(list))
    partial = set()
    for place, route in enumerate(routes):
        keyed = _keyed(route.criteria)
        if len(keyed) < len(route.criteria):
            partial.add(place)
        for key in itertools.product(*(criterion.keys for criterion in keyed)):
            tables[tuple(criterion.path for criterion in keyed)][key].append(place)
    always = tuple(place for place, route in enumerate(routes) if not route.criteria)
    tables.pop((), None)
    groups = tuple(_group(paths, table) for paths, table in tables.items())
    bucket = Bucket(routes, always, groups, frozenset(partial))
    return bucket if partial or len(groups) > 1 else _shortcut(bucket)


def _group(paths: tuple[Path, ...], table: Mapping[Key, Iterable[int]]) -> Group:
    columns = tuple(map(frozenset, zip(*table, strict=True)))
    return Group(paths, {key: tuple(hits) for key, hits in table.items()}, columns)


def _shortcut(bucket: Bucket) -> Bucket | Shortcut:
    otherwise = tuple(map(bucket.routes.__getitem__, bucket.always))
    if not bucket.groups:
        return Shortcut((), {}, otherwise, bucket)
    (group,) = bucket.groups
    if len(bucket.always) > MAX_READY:
        return bucket
    answers = {
        key: tuple(map(bucket.routes.__getitem__, sorted((*bucket.always, *hits)))) for key, hits in group.table.items()
    }
    return Shortcut(group.paths, answers, otherwise, bucket)


def _keyed(criteria: Iterable[Criterion]) -> tuple[Criterion, ...]:
    """The criteria that make the keys of a route, by path: the narrowest, until they would make too many."""
    narrow_first = sorted(criteria, key=lambda criterion: (len(criterion.keys), criterion.path.text))
    counts = itertools.accumulate((len(criterion.keys) for criterion in narrow_first), lambda a, b: a * b)
    # The first is always one of them: its list is only as long as somebody wrote it.
    size = max(1, sum(count <= MAX_KEYS for count in counts))
    return tuple(sorted(narrow_first[:size], key=lambda criterion: criterion.path.text))
