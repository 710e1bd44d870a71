"""``/api/v1``: sources, actors and routes of all modules, in pages, and each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from orgloop.config.module import ModuleConfig
from orgloop.errors import ModuleError
from orgloop.http.app import given, looking, shapes
from orgloop.http.app.problems import absent, bad
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.statistics import ModuleStatus

T = TypeVar("T")
Paged = Asked[given.Parts, None]
Named = Asked[given.InModule, None]


def loaded(api: Api, module: str | None) -> Iterator[tuple[ModuleStatus, ModuleConfig]]:
    """The loaded modules with their configurations, in order of their names; one only, if it is named."""
    for status in sorted(api.runtime.modules(), key=lambda one: one.name):
        if module in (None, status.name):
            try:
                yield status, api.runtime.config_of(status.name)
            except ModuleError:
                continue  # unloaded in this very moment


def only(found: Sequence[tuple[str, T]], kind: str, name: str) -> T:
    """The one that was found; 404 if none was, 400 if several modules have one."""
    if not found:
        raise absent(f"There is no {kind} {name!r}", next_=f"`GET /api/v1/{kind}s` shows those that there are.")
    if len(found) > 1:
        modules = ", ".join(module for module, _ in found)
        raise bad(f"Modules {modules} have a {kind} {name!r}", where="module", next_="Name one of them: ?module=…")
    return found[0][1]


def page(items: Sequence[T], key: Callable[[T], tuple[str, str]], query: given.Parts) -> tuple[list[T], str | None]:
    """
    A page of items that are sorted by their keys, and the cursor of the next.

    The cursor is the key of the last item, so that a page is right whatever was loaded since the page before.
    """
    after = None if query.after is None else tuple(query.after.split("/", 1))
    if after is not None and len(after) != 2:
        raise bad("This is not a cursor", where="after", next_="Give what `next` of the page before says.")
    rest = [item for item in items if after is None or key(item) > after]
    shown = rest[: query.limit]
    return shown, "/".join(key(shown[-1])) if len(rest) > len(shown) else None


# -- sources -----------------------------------------------------------------------------------------------------------


async def sources(api: Api, asked: Paged) -> shapes.SourcePage:
    """List the sources, and how they are."""
    found = [
        looking.source_shape(module, config, id_)
        for module, config in loaded(api, asked.query.module)
        for id_ in sorted(module.sources)
    ]
    items, cursor = page(found, lambda one: (one.module, one.id), asked.query)
    return shapes.SourcePage(items=items, next=cursor)


async def source(api: Api, asked: Named) -> shapes.SourceDetail:
    """Tell how a source is, where it goes on from, and which routes want what it emits."""
    module, config, id_ = _source(api, asked)
    shown = looking.source_shape(module, config, id_)
    fields = {name: getattr(shown, name) for name in shapes.Source.__struct_fields__}
    origins = (id_, f"{module.name}:{id_}")
    wanting = [
        route.name if other.name == module.name else f"{other.name}:{route.name}"
        for other, others in loaded(api, None)
        for route in others.routes
        if route.when.source == origins[1] or (other.name == module.name and route.when.source == origins[0])
    ]
    return shapes.SourceDetail(
        **fields, checkpoint=api.runtime.checkpoint(id_, module=module.name), routes=sorted(wanting)
    )


def _source(api: Api, asked: Named) -> tuple[ModuleStatus, ModuleConfig, str]:
    id_ = asked.path["id"]
    found = [(module.name, (module, config, id_)) for module, config in loaded(api, asked.query.module)]
    return only([(name, one) for name, one in found if id_ in one[0].sources], "source", id_)


async def poll(api: Api, asked: Asked[given.InModule, given.Nothing]) -> shapes.Polling:
    """Have a source look for itself at once."""
    id_ = asked.path["id"]
    having = [(module.name, module.name) for module, _ in loaded(api, asked.query.module) if id_ in module.sources]
    module = only(having, "source", id_)
    if not api.runtime.poll_now(id_, module=module):
        raise bad(f"Source {id_!r} is told by requests, and polls nothing", where="id")
    return shapes.Polling()


# -- actors ------------------------------------------------------------------------------------------------------------


async def actors(api: Api, asked: Paged) -> shapes.ActorPage:
    """List the actors, with what became of all that was for them."""
    found = [
        looking.actor_shape(module, config, id_)
        for module, config in loaded(api, asked.query.module)
        for id_ in sorted(module.actors)
    ]
    items, cursor = page(found, lambda one: (one.module, one.id), asked.query)
    return shapes.ActorPage(items=items, next=cursor)


async def actor(api: Api, asked: Named) -> shapes.ActorDetail:
    """Tell what became of all that was for an actor, route by route."""
    id_ = asked.path["id"]
    having = [
        (module.name, (module, config)) for module, config in loaded(api, asked.query.module) if id_ in module.actors
    ]
    module, config = only(having, "actor", id_)
    shown = looking.actor_shape(module, config, id_)
    fields = {name: getattr(shown, name) for name in shapes.Actor.__struct_fields__}
    routes = {name: looking.counts_of([counts]) for name, counts in looking.counts_of_actor(module, config, id_)}
    return shapes.ActorDetail(**fields, routes=routes)


# -- routes ------------------------------------------------------------------------------------------------------------


async def routes(api: Api, asked: Paged) -> shapes.RoutePage:
    """List the routes, with what became of all that they wanted."""
    found = [one for _, one in _routes(api, asked.query.module)]
    found.sort(key=lambda one: (one.module, one.name))
    items, cursor = page(found, lambda one: (one.module, one.name), asked.query)
    return shapes.RoutePage(items=items, next=cursor)


async def route(api: Api, asked: Named) -> shapes.RouteShape:
    """Tell what a route wants, and what became of it."""
    name = asked.path["id"]
    having = [(module, one) for module, one in _routes(api, asked.query.module) if one.name == name]
    return only(having, "route", name)


def _routes(api: Api, module: str | None) -> Iterator[tuple[str, shapes.RouteShape]]:
    for status, config in loaded(api, module):
        for one in config.routes:
            if one.name in status.routes:
                last = api.meter.last_matched.get((status.name, one.name))
                yield status.name, looking.route_shape(status, one, last)


ROUTES = (
    Route("GET", "/api/v1/sources", sources, shapes.SourcePage, query=given.Parts),
    Route("GET", "/api/v1/sources/{id}", source, shapes.SourceDetail, query=given.InModule, faults=(404,)),
    Route(
        *("POST", "/api/v1/sources/{id}/poll", poll, shapes.Polling),
        query=given.InModule,
        body=given.Nothing,
        faults=(404,),
    ),
    Route("GET", "/api/v1/actors", actors, shapes.ActorPage, query=given.Parts),
    Route("GET", "/api/v1/actors/{id}", actor, shapes.ActorDetail, query=given.InModule, faults=(404,)),
    Route("GET", "/api/v1/routes", routes, shapes.RoutePage, query=given.Parts),
    Route("GET", "/api/v1/routes/{id}", route, shapes.RouteShape, query=given.InModule, faults=(404,)),
)
