"""A daemon that is reloaded again and again while it is posted to: nobody notices, and nothing is left of it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from orgloop.http.limits import Limits
from tests.e2e.daemon import Clients, Daemon, Footprint, Sink, figure, open_clients, open_daemon, open_sink, until

RELOADS, PER_S = 200, 100
WARM_UP = 20
"""Reloads before the base is taken: by then every branch was gone through once, and every module imported."""

EVERY_S = 0.1
"""From one reload to the next."""

DESCRIPTORS = 0
"""How many more may be open in the end."""

REST_S = Limits().half_closed_s + 1.0
"""How long it is given until nothing is left of its clients."""

RSS_MIB = 6.0
"""How much more memory may be in use in the end: what the allocator keeps, and the log remembers of its events."""

PROJECT = """\
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: shop}
sources:
  - {id: door, connector: webhook, config: {event_type_field: "FIELD"}}
actors:
  - {id: clerk, connector: webhook, config: {url: "URL/every", headers: {x-round: "FIELD"}}}
  - {id: guest, connector: webhook, config: {url: "URL/sometimes", headers: {x-round: "FIELD"}}}
routes:
  - name: every
    when: {source: door, events: [resource.changed], filter: {payload.what: [happened, WORD]}}
    then: {actor: clerk, delivery: {concurrency: 4, overflow: block}}
SOMETIMES
"""

SOMETIMES = """\
  - name: sometimes
    when: {source: door, events: [resource.changed]}
    then: {actor: guest, delivery: {concurrency: 4, overflow: block}}
"""


def write(file: Path, number: int, sink: Sink) -> Path:
    """The project of a round: the filter always changes, a route comes and goes, each tenth brings new plug-ins."""
    text = PROJECT.replace("SOMETIMES", SOMETIMES if number % 2 else "").replace("URL", sink.url)
    text = text.replace("WORD", f"word{number}").replace("FIELD", f"field{number // 10}")
    file.write_text(text, encoding="utf-8")
    return file


def reload_often(daemon: Daemon, file: Path, sink: Sink, rounds: range) -> list[float]:
    """Reload at a steady pace; how long each took."""
    took_s = []
    due_s = time.monotonic()
    for number in rounds:
        write(file, number, sink)
        began_s = time.monotonic()
        daemon.client.post("/control/module/reload", {"name": "shop"})
        took_s.append(time.monotonic() - began_s)
        due_s += EVERY_S
        time.sleep(max(0.0, due_s - time.monotonic()))
    return sorted(took_s)


def rested(daemon: Daemon, file: Path, sink: Sink, number: int, *, base: Footprint | None = None) -> Footprint:
    """
    Its footprint at rest, which may take some seconds to be that of ``base``: the door waits for clients that are gone.

    Actors are changed once more, so that connections which they keep open are not counted.
    """
    until(lambda: daemon.settled("shop"), what="something is still in flight")
    reload_often(daemon, file, sink, range(number, number + 1))
    deadline_s = time.monotonic() + REST_S
    while True:
        time.sleep(0.1)
        now = daemon.footprint()
        is_as_before = base is not None and now.descriptors <= base.descriptors
        if is_as_before or time.monotonic() > deadline_s:
            return now


@pytest.mark.slow
def test_two_hundred_reloads_under_load_are_noticed_by_nobody(tmp_path: Path) -> None:
    """Nothing refused, reset, lost or doubled; descriptors, tasks and memory are as they were before."""
    with open_sink() as sink, open_daemon(tmp_path, write(tmp_path / "orgloop.yaml", 0, sink)) as daemon:
        file = tmp_path / "orgloop.yaml"
        with open_clients(daemon, "/webhook/door", per_s=PER_S, clients=4) as warming:
            reload_often(daemon, file, sink, range(1, WARM_UP + 1))
        base = rested(daemon, file, sink, 1000)
        with open_clients(daemon, "/webhook/door", per_s=PER_S, clients=4) as clients:
            took_s = reload_often(daemon, file, sink, range(WARM_UP + 1, WARM_UP + RELOADS + 1))
        after = rested(daemon, file, sink, 2000, base=base)
        counts = daemon.module("shop")["counts"]
        generation = daemon.module("shop")["generation"]
        letters = daemon.client.get("/api/v1/dead-letters", limit=1000)["items"]

    accepted = warming.accepted | clients.accepted
    _print(clients, took_s, base, after, len(letters))
    assert set(clients.answers) == set(warming.answers) == {"200"}
    assert generation == 1 + WARM_UP + 1 + RELOADS + 1
    assert sink.at("/every") == Counter(accepted)
    assert set(sink.at("/sometimes").values()) == {1}
    assert sink.at("/sometimes").keys() <= accepted
    assert {letter["reason"] for letter in letters} <= {"route_removed"}
    assert not {letter["event"]["id"] for letter in letters} & sink.at("/sometimes").keys()
    assert counts["admitted"] == counts["delivered"] + counts["dropped"] + counts["dead"]
    assert after.tasks == base.tasks
    assert after.descriptors <= base.descriptors + DESCRIPTORS
    assert after.rss_mib <= base.rss_mib + RSS_MIB


def _print(clients: Clients, took_s: list[float], base: Footprint, after: Footprint, letters: int) -> None:
    answers, slowest_s = dict(clients.answers), clients.slowest_s
    figure(f"{RELOADS} reloads under {PER_S} requests/s: answers", is_=answers, budget="200 only")
    figure("  slowest answer", is_=f"{slowest_s * 1e3:.0f} ms", budget="")
    median, worst = took_s[len(took_s) // 2] * 1e3, took_s[-1] * 1e3
    figure("  a reload, median / worst", is_=f"{median:.0f} / {worst:.0f} ms", budget="")
    figure("  dead letters of the route that goes", is_=letters, budget="")
    figure("  descriptors", is_=f"{base.descriptors} -> {after.descriptors}", budget=f"+{DESCRIPTORS}")
    figure("  tasks", is_=f"{base.tasks} -> {after.tasks}", budget="+0")
    figure("  memory", is_=f"{base.rss_mib:.1f} -> {after.rss_mib:.1f} MiB", budget=f"+{RSS_MIB:g} MiB")
