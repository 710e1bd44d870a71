"""From what the runtime says of itself to what is answered: pure functions, one for each shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

import attrs

from orgloop.config.module import ModuleConfig, RouteConfig
from orgloop.event import Event
from orgloop.http.app import shapes
from orgloop.runtime.asking import Damaged, DeadLetter
from orgloop.runtime.checks import Flag
from orgloop.runtime.history import Traced
from orgloop.runtime.source_health import SourceHealth
from orgloop.runtime.statistics import ModuleStatus, RouteCounts, Statistics
from orgloop.sdk import End, Recorded


def counts_of(routes: Iterable[RouteCounts]) -> shapes.Counts:
    """
    The sum of the counts of routes.

    >>> counts_of([])["admitted"]
    0
    """
    total: Counter[str] = Counter({field.name: 0 for field in attrs.fields(RouteCounts)})
    for counts in routes:
        total.update(attrs.asdict(counts))
    return dict(total)


def health_of(id_: str, health: SourceHealth) -> shapes.SourceHealth:
    """How a source is, by the names of the original."""
    return shapes.SourceHealth(
        source_id=id_,
        status=health.status,
        last_successful_poll=health.last_success_at,
        last_poll_attempt=health.last_poll_at,
        consecutive_errors=health.consecutive_errors,
        last_error=health.last_error,
        total_events_emitted=health.events_emitted,
        circuit_open=health.circuit_open,
    )


def age_ms(at: str, now_s: float) -> int:
    """How long ago a time was, written as the runtime does."""
    return max(0, round((now_s - datetime.fromisoformat(at).timestamp()) * 1000))


def module_status(module: ModuleStatus, now_s: float) -> shapes.ModuleStatus:
    """A loaded module."""
    return shapes.ModuleStatus(
        name=module.name,
        state=module.state,
        sources=len(module.sources),
        routes=len(module.routes),
        actors=len(module.actors),
        uptime_ms=age_ms(module.loaded_at, now_s),
        health=[health_of(id_, source.health) for id_, source in module.sources.items()],
        generation=module.generation,
        digest=module.digest,
        directory=module.directory,
        cause=module.cause,
        counts=counts_of(module.routes.values()),
    )


def overall_health(statistics: Statistics) -> str:
    """``ok``, ``degraded`` or ``error``: the worst of the modules, their sources, and the bus."""
    bus = statistics.bus.get("state")
    if bus == "failed" or any(module.state == "failed" for module in statistics.modules):
        return "error"
    sources = (source for module in statistics.modules for source in module.sources.values())
    return "ok" if bus == "ok" and all(source.health.status == "healthy" for source in sources) else "degraded"


def source_shape(module: ModuleStatus, config: ModuleConfig, id_: str) -> shapes.Source:
    """A source."""
    status = module.sources[id_]
    described = next((one.description for one in config.sources if one.id == id_), None)
    return shapes.Source(
        id=id_,
        module=module.name,
        connector=status.connector,
        kind=status.kind,
        interval_s=status.interval_s,
        description=described,
        health=health_of(id_, status.health),
    )


def actor_shape(module: ModuleStatus, config: ModuleConfig, id_: str) -> shapes.Actor:
    """An actor, with the counts of its routes."""
    described = next((one.description for one in config.actors if one.id == id_), None)
    return shapes.Actor(
        id=id_,
        module=module.name,
        connector=module.actors[id_],
        description=described,
        counts=counts_of(counts for _, counts in counts_of_actor(module, config, id_)),
    )


def counts_of_actor(module: ModuleStatus, config: ModuleConfig, id_: str) -> Iterator[tuple[str, RouteCounts]]:
    """The routes that end at an actor."""
    for route in config.routes:
        if route.then.actor == id_ and route.name in module.routes:
            yield route.name, module.routes[route.name]


def when_shape(route: RouteConfig) -> shapes.When:
    """Which events a route wants."""
    return shapes.When(source=route.when.source, events=list(route.when.events), filter=dict(route.when.filter))


def route_shape(module: ModuleStatus, route: RouteConfig, last_matched: str | None) -> shapes.RouteShape:
    """A route at work."""
    return shapes.RouteShape(
        name=route.name,
        module=module.name,
        description=route.description,
        when=when_shape(route),
        transforms=[ref.ref for ref in route.transforms],
        actor=route.then.actor,
        prompt_file=route.with_.prompt_file if route.with_ is not None else None,
        breaker=module.breakers.get(route.name, "closed"),
        last_matched=last_matched,
        counts=counts_of([module.routes[route.name]]),
    )


def event_shape(event: Event) -> shapes.EventShape:
    """An event."""
    return shapes.EventShape(
        id=event.id,
        source=event.source,
        type=event.type,
        timestamp=event.timestamp,
        trace_id=event.trace_id,
        module=event.module,
        provenance=event.provenance,
        payload=event.payload,
        ancestors=list(event.ancestors),
    )


def flag_shapes(flags: Iterable[Flag]) -> list[shapes.FlagShape]:
    """What was flagged."""
    return [shapes.FlagShape(type=flag.type, severity=flag.severity, message=flag.message) for flag in flags]


def recorded_shape(recorded: Recorded) -> shapes.RecordedEvent:
    """An event of the log."""
    return shapes.RecordedEvent(
        sequence=recorded.sequence,
        event=event_shape(recorded.event),
        ends=_ends(recorded.ends),
        open=recorded.is_open,
    )


def traced_shape(traced: Traced) -> shapes.TracedEvent:
    """An event of a trace."""
    return shapes.TracedEvent(
        sequence=traced.sequence,
        event=event_shape(traced.event),
        ends=_ends(traced.ends),
        open=traced.is_open,
        parent=traced.parent,
        tried=[
            shapes.TriedShape(
                module=one.module, route=one.route, failed=one.failed, lost=one.lost, last_error=one.last_error or None
            )
            for one in traced.tried
        ],
    )


def _ends(ends: Iterable[End]) -> list[shapes.EndShape]:
    return [shapes.EndShape(module=end.module, route=end.route, outcome=end.outcome) for end in ends]


def letter_shape(letter: DeadLetter | Damaged) -> shapes.Letter:
    """A dead letter."""
    if isinstance(letter, Damaged):
        return shapes.Letter(id=letter.id, damaged=letter.why)
    return shapes.Letter(
        id=letter.id,
        reason=letter.reason,
        module=letter.module,
        route=letter.route,
        actor=letter.actor,
        sequence=letter.sequence,
        attempts=letter.attempts,
        first_error=letter.first_error,
        last_error=letter.last_error,
        at=letter.at,
        event=event_shape(letter.event),
    )
