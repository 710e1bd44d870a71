"""``/api``: what the original answers, under its names, but with a 4xx for what it passed over in silence."""

from __future__ import annotations

import os
from typing import Any

from orgloop.http.app import given, originals
from orgloop.http.app.events import instants
from orgloop.http.app.looking import age_ms, overall_health, when_shape
from orgloop.http.app.modules import port_of
from orgloop.http.app.parts import loaded
from orgloop.http.app.problems import not_offered
from orgloop.http.app.route import Api, Asked, Route
from orgloop.sdk import Recorded

Plain = Asked[given.Nothing, None]


async def status(api: Api, _: Plain) -> originals.OriginalStatus:
    """Tell how the runtime, its modules and their sources are."""
    statistics = api.runtime.statistics()
    now_s = api.now_s()
    return originals.OriginalStatus(
        health=overall_health(statistics),
        running=api.runtime.is_open,
        pid=os.getpid(),
        uptime_ms=round(api.uptime_s * 1000),
        http_port=port_of(api),
        modules=[
            originals.ShortModule(
                name=module.name,
                state=module.state,
                sources=len(module.sources),
                routes=len(module.routes),
                actors=len(module.actors),
                uptime_ms=age_ms(module.loaded_at, now_s),
            )
            for module in statistics.modules
        ],
        sources=[
            originals.ShortSource(
                id=id_,
                connector=source.connector,
                status=source.health.status,
                event_count=source.health.events_emitted,
                last_event=api.meter.last_emitted.get((module.name, id_)),
            )
            for module in statistics.modules
            for id_, source in module.sources.items()
        ],
    )


async def routes(api: Api, _: Plain) -> list[originals.OriginalRoute]:
    """List the routes."""
    return [
        originals.OriginalRoute(
            name=route.name,
            module=module.name,
            when=when_shape(route),
            actor=route.then.actor,
            sop_file=route.with_.prompt_file if route.with_ is not None else None,
            fire_count=module.routes[route.name].admitted,
            last_fired=api.meter.last_matched.get((module.name, route.name)),
        )
        for module, config in loaded(api, None)
        for route in config.routes
        if route.name in module.routes
    ]


async def sources(api: Api, _: Plain) -> list[originals.OriginalSource]:
    """List the sources."""
    return [
        originals.OriginalSource(
            id=id_,
            module=module.name,
            connector=source.connector,
            type=source.kind,
            status=source.health.status,
            last_event=api.meter.last_emitted.get((module.name, id_)),
            event_count=source.health.events_emitted,
            poll_interval=None if source.interval_s is None else f"{source.interval_s:g}s",
        )
        for module, _config in loaded(api, None)
        for id_, source in module.sources.items()
    ]


async def events(api: Api, asked: Asked[given.OriginalEvents, None]) -> list[originals.OriginalEvent]:
    """List events, newest first; a bad time or number is refused."""
    query = asked.query
    found = await api.runtime.history(source=query.source, route=query.route, limit=query.limit, **instants(query))
    wired = {
        (module.name, route.name): (route.then.actor, None if route.with_ is None else route.with_.prompt_file)
        for module, config in loaded(api, None)
        for route in config.routes
    }
    return [_event(one, wired) for one in found]


def _event(recorded: Recorded, wired: dict[tuple[str, str], tuple[str, str | None]]) -> originals.OriginalEvent:
    event = recorded.event
    ended = [(end.module or "", end.route) for end in recorded.ends if end.route is not None]
    known = [wired[one] for one in ended if one in wired]
    return originals.OriginalEvent(
        event_id=event.id,
        timestamp=event.timestamp,
        source=event.source,
        type=event.type,
        matched_routes=[route for _, route in ended],
        sop_files=[prompt for _, prompt in known if prompt],
        actors=list(dict.fromkeys(actor for actor, _ in known)),
        processing_ms=None,
        module=event.module,
        trace_id=event.trace_id,
        outcomes={end.route: end.outcome for end in recorded.ends if end.route is not None},
    )


async def doctor(api: Api, _: Plain) -> dict[str, Any]:
    """Look at everything outside that the projects depend on."""
    if api.control.doctor is None:
        raise not_offered("This runtime has nobody who examines it", next_="`orgloop doctor` does, from the shell.")
    return dict(await api.control.doctor())


ROUTES = (
    Route("GET", "/api/status", status, originals.OriginalStatus),
    Route("GET", "/api/routes", routes, list[originals.OriginalRoute]),
    Route(
        "GET",
        "/api/events",
        events,
        list[originals.OriginalEvent],
        query=given.OriginalEvents,
        faults=(503,),
        is_long=True,
    ),
    Route("GET", "/api/sources", sources, list[originals.OriginalSource]),
    Route("GET", "/api/doctor", doctor, dict[str, Any], faults=(501,)),
)
