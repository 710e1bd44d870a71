"""Numbers for Prometheus."""

from __future__ import annotations

import re

from orgloop.http.app.meter import MOST_UNDER_WAY, Meter
from orgloop.http.app.metrics import Metric, rendered
from orgloop.sdk import Notice, Rejected
from orgloop.testing import FakeActor
from tests.http.app_stage import Desk, open_desk

_SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)')


async def numbers(desk: Desk) -> dict[str, float]:
    """Every sample that is told, by its name and labels; each line has to be one, or a comment."""
    got = await desk.send("GET", "/metrics")
    assert got.status == 200
    assert "content-type: text/plain; version=0.0.4" in got.heads[0].lower()
    found: dict[str, float] = {}
    for line in got.bodies[0].decode().splitlines():
        if not line.startswith("# "):
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


async def test_what_is_admitted_is_what_ended_and_what_is_in_flight() -> None:
    """In the numbers, too."""
    async with open_desk(actor=FakeActor(Rejected("no"))) as desk:
        await desk.inject()
        await desk.inject()
        found = await numbers(desk)

    ended = sum(value for name, value in found.items() if name.startswith("orgloop_obligations_ended_total"))
    of = '{module="engineering",route="review"}'
    assert found[f"orgloop_obligations_admitted_total{of}"] == ended + found[f"orgloop_obligations_in_flight{of}"] == 2
    assert found["orgloop_dead_letters"] == 1


async def test_the_original_s_names_are_there() -> None:
    """With the module beside its labels."""
    async with open_desk(actor=FakeActor(Rejected("no"))) as desk:
        await desk.inject()
        found = await numbers(desk)

    of = 'module="engineering",route="review"'
    assert found[f'orgloop_events_routed_total{{{of},connector="agent"}}'] == 1
    assert found[f"orgloop_event_processing_seconds_count{{{of}}}"] == 1
    assert found[f'orgloop_event_processing_seconds_bucket{{{of},le="+Inf"}}'] == 1
    assert found['orgloop_connector_errors_total{module="engineering",connector="agent"}'] == 1
    assert found["orgloop_connected_sources"] == 1
    assert found["orgloop_uptime_seconds"] >= 0


async def test_exactly_one_state_is_the_present_one() -> None:
    """Of each module, breaker, source, and of the bus."""
    async with open_desk() as desk:
        found = await numbers(desk)

    for name in ("module_state", "breaker_state", "source_health", "bus_state"):
        assert sum(value for key, value in found.items() if key.startswith(f"orgloop_{name}")) == 1


async def test_no_event_can_make_a_series() -> None:
    """Whatever its ids and types are, there are as many as before."""
    async with open_desk() as desk:
        await desk.inject()
        before = await numbers(desk)
        for number in range(20):
            await desk.inject(trace_id=f'"}}\n{number}', provenance={"platform": str(number)})
        assert (await numbers(desk)).keys() == before.keys()


async def test_a_module_that_is_gone_takes_its_series_along() -> None:
    """Or they would be kept for ever."""
    async with open_desk() as desk:
        await desk.inject()
        await desk.runtime.unload_module("engineering")
        assert not [name for name in await numbers(desk) if "engineering" in name]


def test_labels_are_escaped() -> None:
    """A quote, a backslash and a line feed do not end them."""
    metric = Metric("m", "gauge", "Help.", [("", {"l": 'a"b\\c\nd'}, 0.5)])

    assert rendered([metric]).splitlines()[2] == 'm{l="a\\"b\\\\c\\nd"} 0.5'


def test_attempts_that_never_end_do_not_fill_the_memory() -> None:
    """The oldest are not timed, and nothing else is lost."""
    meter = Meter(clock_s=lambda: 0.0)
    for number in range(MOST_UNDER_WAY + 1):
        for phase in ("deliver.attempt", "deliver.success") if number == MOST_UNDER_WAY else ("deliver.attempt",):
            meter.hear(Notice(timestamp="", phase=phase, event_id=str(number), module="m", route="r"))

    assert len(meter._begun_s) == MOST_UNDER_WAY - 1
    assert meter.took["m", "r"].count == 1
