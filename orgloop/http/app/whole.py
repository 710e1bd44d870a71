"""What is asked of the whole: numbers, status and tree under ``/api/v1``, and the description of this interface."""

from __future__ import annotations

from typing import Any

from orgloop.http.app import given, modules, shapes
from orgloop.http.app.metrics import Numbers, metrics_of, rendered
from orgloop.http.app.parts import loaded
from orgloop.http.app.route import PLAIN, Api, Asked, Route

Plain = Asked[given.Nothing, None]


async def metrics(api: Api, _: Plain) -> str:
    """Give all numbers for Prometheus, in its text format."""
    statistics = api.runtime.statistics()
    actors = {
        (module.name, route.name): route.then.actor for module, config in loaded(api, None) for route in config.routes
    }
    api.meter.keep_only(
        routes={(module.name, route) for module in statistics.modules for route in module.routes},
        members={(module.name, id_) for module in statistics.modules for id_ in (*module.sources, *module.actors)},
    )
    numbers = Numbers(
        statistics=statistics,
        meter=api.meter,
        actors=actors,
        dead_letters=await api.runtime.count_dead_letters(),
        followers=api.followers.count,
        uptime_s=api.uptime_s,
    )
    return rendered(metrics_of(numbers), mask=api.masks.text)


async def openapi(_api: Api, _: Plain) -> dict[str, Any]:
    """Describe this interface as OpenAPI 3.1."""
    from orgloop.http.app.openapi import document
    from orgloop.http.app.table import TABLE

    return document(TABLE)


ROUTES = (
    Route("GET", "/metrics", metrics, str, media_type=PLAIN),
    Route("GET", "/api/metrics", metrics, str, media_type=PLAIN),
    Route("GET", "/api/v1/status", modules.status, shapes.ControlStatus),
    Route("GET", "/api/v1/health", modules.health, shapes.Alive, needs_token=False),
    Route("GET", "/api/v1/tree", modules.tree, shapes.Tree),
    Route("GET", "/api/v1/openapi.json", openapi, dict[str, Any]),
)
