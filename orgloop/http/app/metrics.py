"""
Numbers for Prometheus, in its text format 0.0.4.

Law: labels are names of the configuration, never of events, so that no sender can make series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from orgloop.http.app.meter import BUCKETS_S, Histogram, Meter
from orgloop.runtime.statistics import ModuleStatus, RouteCounts, Statistics

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATES = ("loading", "active", "unloading", "failed")
BREAKERS = ("closed", "open", "half-open")
HEALTHS = ("healthy", "degraded", "unhealthy")
BUS_STATES = ("ok", "degraded", "failed")

Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]
"""What is added to the name of its metric, its labels, its value."""


@attrs.frozen
class Metric:
    """One name, and its samples."""

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


def rendered(metrics: Iterable[Metric], *, mask: Callable[[str], str] = str) -> str:
    """The text of metrics; those without samples are left out, and each value of a label goes through ``mask``."""
    return "".join(line + "\n" for metric in metrics for line in _lines(metric, mask))


def _lines(metric: Metric, mask: Callable[[str], str]) -> Iterator[str]:
    samples = [
        f"{metric.name}{suffix}{_labels({name: mask(text) for name, text in labels.items()})} {_number(value)}"
        for suffix, labels, value in metric.samples
    ]
    if samples:
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
        yield from samples


def _labels(labels: Labels) -> str:
    """
    Labels as they are written.

    >>> _labels({"route": 'a"b'})
    '{route="a\\\\"b"}'
    """
    if not labels:
        return ""
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


# -- ours --------------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Numbers:
    """What the metrics are made of."""

    statistics: Statistics
    meter: Meter
    actors: Mapping[tuple[str, str], str]
    """The actor of each route."""
    dead_letters: int
    followers: int
    uptime_s: float


def metrics_of(numbers: Numbers) -> list[Metric]:
    """All of them: first those of the original, with the module beside its labels."""
    return [*_originals(numbers), *_conservation(numbers.statistics), *_parts(numbers.statistics), *_whole(numbers)]


def _originals(numbers: Numbers) -> Iterator[Metric]:
    modules, meter = numbers.statistics.modules, numbers.meter
    yield Metric(
        "orgloop_events_routed_total",
        "counter",
        "Obligations that came to an end at an actor, delivered or given up.",
        [
            ("", _of(module, route, connector=numbers.actors.get((module, route), "")), counts.delivered + counts.dead)
            for module, route, counts in _routes(modules)
        ],
    )
    yield Metric(
        "orgloop_event_processing_seconds",
        "histogram",
        "How long an attempt to deliver took.",
        [sample for (module, route), took in meter.took.items() for sample in _histogram(_of(module, route), took)],
    )
    yield Metric(
        "orgloop_connector_errors_total",
        "counter",
        "Polls, requests and attempts to deliver that failed, by source or actor.",
        [("", {"module": module, "connector": id_}, count) for (module, id_), count in meter.errors.items()],
    )
    yield Metric("orgloop_uptime_seconds", "gauge", "How long the runtime has run.", [("", {}, numbers.uptime_s)])
    connected = sum(len(module.sources) for module in modules)
    yield Metric("orgloop_connected_sources", "gauge", "Sources of loaded modules.", [("", {}, connected)])


def _conservation(statistics: Statistics) -> Iterator[Metric]:
    routes = list(_routes(statistics.modules))
    yield Metric(
        "orgloop_obligations_admitted_total",
        "counter",
        "Obligations (an event owed to a route): always the sum of those that ended and those in flight.",
        [("", _of(module, route), counts.admitted) for module, route, counts in routes],
    )
    yield Metric(
        "orgloop_obligations_ended_total",
        "counter",
        "Obligations that ended, by their end.",
        [
            ("", {**_of(module, route), "end": end}, value)
            for module, route, counts in routes
            for end, value in attrs.asdict(counts).items()
            if end not in ("admitted", "in_flight")
        ],
    )
    yield Metric(
        "orgloop_obligations_in_flight",
        "gauge",
        "Obligations that have not ended.",
        [("", _of(module, route), counts.in_flight) for module, route, counts in routes],
    )
    for name, table, text in (
        ("orgloop_events_unrouted_total", statistics.no_route, "Events that no route wanted."),
        ("orgloop_events_looped_total", statistics.loops, "Events that ran in circles, and were given up."),
    ):
        yield Metric(name, "counter", text, [("", {"module": key}, value) for key, value in table.items()])
    yield Metric(
        "orgloop_events_parked",
        "gauge",
        "Events that wait for a module that is not loaded.",
        [("", {"module": module}, value) for module, value in statistics.parked.items()],
    )


def _parts(statistics: Statistics) -> Iterator[Metric]:
    modules = statistics.modules
    yield Metric(
        "orgloop_module_state",
        "gauge",
        "1 for the state that a module is in.",
        [one for module in modules for one in _states({"module": module.name}, module.state, STATES)],
    )
    yield Metric(
        "orgloop_module_generation",
        "gauge",
        "Counts the configurations of a module that were applied.",
        [("", {"module": module.name}, module.generation) for module in modules],
    )
    yield Metric(
        "orgloop_breaker_state",
        "gauge",
        "1 for the state that the circuit breaker of a route is in.",
        [
            one
            for module in modules
            for route, state in module.breakers.items()
            for one in _states(_of(module.name, route), state, BREAKERS)
        ],
    )
    sources = [
        ({"module": module.name, "source": id_}, source.health)
        for module in modules
        for id_, source in module.sources.items()
    ]
    yield Metric(
        "orgloop_source_health",
        "gauge",
        "1 for how a source is.",
        [one for labels, health in sources for one in _states(labels, health.status, HEALTHS)],
    )
    yield Metric(
        "orgloop_source_events_total",
        "counter",
        "Events that a source emitted.",
        [("", labels, health.events_emitted) for labels, health in sources],
    )
    yield Metric(
        "orgloop_source_consecutive_errors",
        "gauge",
        "Failures of a source in a row.",
        [("", labels, health.consecutive_errors) for labels, health in sources],
    )


def _whole(numbers: Numbers) -> Iterator[Metric]:
    statistics = numbers.statistics
    bus, scheduler, notices = statistics.bus, statistics.scheduler, statistics.notices
    state = str(bus.get("state", "ok"))
    yield Metric("orgloop_bus_state", "gauge", "1 for how the bus is.", _states({}, state, BUS_STATES))
    for key, value in bus.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Metric(f"orgloop_bus_{key}", "gauge", f"What the bus says of itself: {key}.", [("", {}, value)])
    for name, value, text in (
        ("orgloop_scheduler_sources", scheduler.sources, "Sources that are polled."),
        ("orgloop_scheduler_polling", scheduler.polling, "Polls under way."),
        ("orgloop_scheduler_queued", scheduler.queued, "Polls that are due, and wait for a place."),
        ("orgloop_dead_letters", numbers.dead_letters, "Obligations given up, kept for a person."),
        ("orgloop_log_followers", numbers.followers, "Clients that follow the notices."),
    ):
        yield Metric(name, "gauge", text, [("", {}, value)])
    yield Metric("orgloop_notices_total", "counter", "Notices that somebody listened to.", [("", {}, notices.told)])
    yield Metric(
        "orgloop_notices_dropped_total",
        "counter",
        "Notices that a logger could not keep up with.",
        [("", {"logger": name}, logger.dropped) for name, logger in notices.loggers.items()],
    )


def _routes(modules: Iterable[ModuleStatus]) -> Iterator[tuple[str, str, RouteCounts]]:
    for module in modules:
        for route, counts in module.routes.items():
            yield module.name, route, counts


def _of(module: str, route: str, **more: str) -> dict[str, str]:
    return {"module": module, "route": route, **more}


def _states(labels: Labels, state: str, states: Iterable[str]) -> list[Sample]:
    return [("", {**labels, "state": one}, int(one == state)) for one in states]


def _histogram(labels: Labels, took: Histogram) -> Iterator[Sample]:
    total = 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), took.counts, strict=True):
        total += count
        yield "_bucket", {**labels, "le": bound}, total
    yield "_sum", labels, took.sum_s
    yield "_count", labels, total
