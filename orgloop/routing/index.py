"""
The routes that want an event, found without looking at the others. Pure, and immutable: a change makes a new index.

An event names its bucket by module, source and type; what a bucket costs, ``bucket.py`` says.

Law: ``RouteIndex.of(routes).match(event.module, event)`` gives the routes for which :func:`matches` holds, those of one
module together, modules in the order in which they first appeared, routes in the order of the configuration.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from orgloop.event import Event
from orgloop.routing.bucket import Bucket, Shortcut, fill_bucket
from orgloop.routing.match import Route

Address = tuple[str, str, str]
"""Module, source and type: where an event looks for its routes."""


def _addresses(route: Route) -> Iterator[Address]:
    module, source = route.origin
    return ((module, source, type_) for type_ in dict.fromkeys(route.events))


@attrs.frozen
class RouteIndex:
    """
    All routes of all modules; empty unless made by :meth:`of`.

    Whether a route may listen to another module's source is the caller's to decide: what is here, matches.
    """

    _modules: Mapping[str, tuple[Route, ...]] = attrs.field(factory=dict)
    _buckets: Mapping[Address, Bucket | Shortcut] = attrs.field(factory=dict, repr=False)

    @classmethod
    def of(cls, routes: Iterable[Route]) -> RouteIndex:
        """Index routes of any modules."""
        modules: defaultdict[str, list[Route]] = defaultdict(list)
        for route in routes:
            modules[route.module].append(route)
        return cls()._changed({module: tuple(routes) for module, routes in modules.items()})

    def match(self, module: str, event: Event) -> tuple[Route, ...]:
        """The routes that want an event of a source of ``module``, in order."""
        bucket = self._buckets.get((module, event.source, event.type))
        return bucket.match(event) if bucket is not None else ()

    def with_module(self, name: str, routes: Iterable[Route]) -> RouteIndex:
        """
        The index with these routes as all that the module has; a module that was there keeps its place.

        Costs what the module's own routes cost, and those that listen to the same sources. Raises
        :class:`ValueError` for routes of another module.
        """
        routes = tuple(routes)
        if strangers := [route.name for route in routes if route.module != name]:
            raise ValueError(f"not routes of module {name}: {', '.join(strangers)}")
        return self._changed({name: routes})

    def without_module(self, name: str) -> RouteIndex:
        """The index without a module's routes."""
        return self._changed({name: ()})

    def _changed(self, changes: Mapping[str, tuple[Route, ...]]) -> RouteIndex:
        """Give modules other routes, and build the buckets anew in which these or the former ones stand."""
        modules = {name: routes for name, routes in {**self._modules, **changes}.items() if routes}
        place = {name: number for number, name in enumerate(modules)}
        fresh: defaultdict[Address, list[Route]] = defaultdict(list)
        for route in itertools.chain.from_iterable(changes.values()):
            for address in _addresses(route):
                fresh[address].append(route)
        former = itertools.chain.from_iterable(self._modules.get(name, ()) for name in changes)
        buckets = dict(self._buckets)
        for address in dict.fromkeys([*fresh, *(address for route in former for address in _addresses(route))]):
            before = buckets.pop(address, None)
            kept = [route for route in before.routes if route.module not in changes] if before else []
            if standing := sorted(kept + fresh[address], key=lambda route: place[route.module]):
                buckets[address] = fill_bucket(tuple(standing))
        return RouteIndex(modules, buckets)
