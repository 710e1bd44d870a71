"""
What finding the routes of an event costs: ``python tests/bench/routing.py``.

Each row matches the same number of events, as they come from the log and in no order of sources. A value is the median
over rounds; ``speed`` is beside one route that filters, which takes its rounds in turn with the row, so that a busy
machine slows both alike. Budgets are printed, not enforced.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import attrs

from orgloop.event import Event, decode, encode
from orgloop.routing import Route, RouteIndex, compile_config, matches, render_config

SOURCES, ROUTES, EVENTS = 2_000, 10_000, 2_000
TYPE = "resource.changed"
CONFIG = compile_config({"session_key": "pr:{{payload.repo}}:{{payload.number}}", "text": "{{payload}}", "inbox": True})

Work = Callable[[Event], object]


@attrs.frozen
class Row:
    """One line of the table: what to do with each event, how many sources emit them, how long it may take."""

    name: str
    work: Callable[[], Work]
    sources: int = 1
    at_most_us: float | None = None
    speed_at_least: float = 0


def route(position: int, *, source: str = "s0", module: str = "m", want: dict[str, Any] | None = None) -> Route:
    """A route that wants these members of the payload."""
    wanted = {f"payload.{key}": value for key, value in (want or {}).items()}
    return Route(module=module, name=f"r{position}", source=source, events=[TYPE], filter=wanted, actor="a")


def spread(position: int, **want: Any) -> Route:
    """One of the routes over all sources."""
    return route(position, source=f"s{position % SOURCES}", want=want)


def events(sources: int) -> list[Event]:
    """Events as they come from the log: no string in them is the same object as one in a route."""
    made = [
        Event(
            f"s{n % sources}",
            TYPE,
            {"platform": "bench"},
            {"kind": 0, "repo": n % 100, "team": n // 100, "number": n, "labels": ["x", "y", f"l{n}"]},
            module="m",
        )
        for n in range(EVENTS)
    ]
    random.Random(0).shuffle(made)
    return [decode(encode(event)) for event in made]


def match(make: Callable[[int], Route], count: int = ROUTES) -> Callable[[], Work]:
    """Ask an index of so many routes."""

    def prepare() -> Work:
        ask = RouteIndex.of(map(make, range(count))).match
        return lambda event: ask("m", event)

    return prepare


def scan(make: Callable[[int], Route], count: int) -> Callable[[], Work]:
    """Ask each of so many routes."""

    def prepare() -> Work:
        routes = [make(position) for position in range(count)]
        return lambda event: [route for route in routes if matches(route, event)]

    return prepare


def of_kind(position: int) -> Route:
    """A route of the first source, and of it only."""
    return route(position, want={"kind": position})


ROWS = [
    Row("1 route, filtered", match(of_kind, 1), at_most_us=2),
    Row("1 route, not filtered", match(route, 1), at_most_us=2),
    Row(
        "10,000 routes over 2,000 sources",
        match(lambda n: spread(n, kind=n // SOURCES)),
        sources=SOURCES,
        at_most_us=2,
        speed_at_least=0.9,
    ),
    Row(
        "  one in five without a filter",
        match(lambda n: spread(n, kind=n // SOURCES - 1) if n >= SOURCES else spread(n)),
        sources=SOURCES,
        at_most_us=2,
    ),
    Row("10,000 in one bucket, one filter", match(lambda n: route(n, want={"number": n})), at_most_us=5),
    Row("  none matches", match(lambda n: route(n, want={"number": -n - 1})), at_most_us=5),
    Row(
        "  two filters, 100 values of each",
        match(lambda n: route(n, want={"repo": n % 100, "team": n // 100})),
        at_most_us=5,
    ),
    Row("  any of five", match(lambda n: route(n, want={"number": [n, -1, -2, -3, -4]})), at_most_us=5),
    Row("  the event has a list of three", match(lambda n: route(n, want={"labels": f"l{n}"})), at_most_us=5),
    Row("naive scan of 10 routes", scan(of_kind, 10)),
    Row("fill in a config of two templates", lambda: lambda event: render_config(CONFIG, event)),
]


def measure(row: Row, rounds: int) -> tuple[float, float]:
    """Microseconds per event, and the speed beside the first row."""
    work, theirs = row.work(), events(row.sources)
    yardstick, its = ROWS[0].work(), events(1)
    gc.collect()
    took = [(round_us(yardstick, its), round_us(work, theirs)) for _ in range(rounds)]
    return median(own for _, own in took), median(bare / own for bare, own in took)


def round_us(work: Work, events: list[Event]) -> float:
    """Microseconds per event, over one round."""
    began_s = time.perf_counter()
    for event in events:
        work(event)
    return (time.perf_counter() - began_s) / len(events) * 1e6


def changes_ms() -> Iterator[tuple[str, float]]:
    """What making and changing an index costs."""
    routes = [
        route(n, module=f"m{n % 20}", source=f"s{n // 20 % 100}", want={"kind": n // SOURCES}) for n in range(ROUTES)
    ]
    index = RouteIndex.of(routes)
    theirs = [route for route in routes if route.module == "m7"]
    works: dict[str, Callable[[], object]] = {
        "index 10,000 routes of 20 modules": lambda: RouteIndex.of(routes),
        "  swap the 500 routes of one": lambda: index.with_module("m7", theirs),
        "  take them out": lambda: index.without_module("m7"),
    }
    for name, work in works.items():
        took = []
        for _ in range(5):
            began_s = time.perf_counter()
            work()
            took.append(time.perf_counter() - began_s)
        yield name, median(took) * 1000


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"{'':<38} {'us':>8} {'speed':>7}  budget")
    for row in ROWS:
        value_us, speed = measure(row, rounds)
        budget = f"<= {row.at_most_us:g} us" if row.at_most_us else ""
        budget += f", >= {row.speed_at_least:.0%}" if row.speed_at_least else ""
        met = value_us <= (row.at_most_us or value_us) and speed >= row.speed_at_least
        print(f"{row.name:<38} {value_us:>8.2f} {speed:>7.0%}  {budget:<18} {'' if met else 'MISSED'}".rstrip())
    print()
    for name, value_ms in changes_ms():
        print(f"{name:<38} {value_ms:>8.1f} ms")


if __name__ == "__main__":
    main()
