"""What a runtime can tell of the past: events with their ends, and what followed from what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.bus import FileBus, MemoryBus
from orgloop.runtime.history import MAX_TRACED, trace_of
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Delivered, Delivery, End, EventBus, Failed, Outcome
from orgloop.sdk.bus import MAX_FOUND
from orgloop.testing import FakeActor, FakePolledSource, event
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk

CHANGE = {"source": "github", "type": "resource.changed"}


def config() -> dict[str, Any]:
    """A review of every change, and a triage of every review that has ended."""
    return {
        "metadata": {"name": "engineering"},
        "sources": [{"id": "github", "connector": "given", "poll": {"interval": "1h"}}],
        "actors": [{"id": "reviewer", "connector": "given"}, {"id": "triager", "connector": "given"}],
        "routes": [
            {
                "name": "review",
                "when": {"source": "github", "events": ["resource.changed"]},
                "then": {"actor": "reviewer"},
            },
            {
                "name": "triage",
                "when": {"source": "reviewer", "events": ["actor.stopped"]},
                "then": {"actor": "triager", "delivery": {"retry": {"initial_delay": "1h", "max_delay": "1h"}}},
            },
        ],
    }


class Reviewer:
    """Says that it has stopped."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        await delivery.emit([event(source="reviewer", type="actor.stopped")])
        return Delivered()


@asynccontextmanager
async def at_work(bus: EventBus, triager: Any) -> AsyncGenerator[Runtime]:
    async with open_runtime(bus=bus) as runtime:
        actors = {"reviewer": Reviewer(), "triager": triager}
        await runtime.load_module(config(), sources={"github": FakePolledSource()}, actors=actors)
        yield runtime


async def test_history_is_given_newest_first_with_its_ends() -> None:
    """Page by page."""
    async with at_work(MemoryBus(), FakeActor()) as runtime:
        await runtime.inject([{**CHANGE, "payload": number} for number in range(3)])
        assert await runtime.drain(timeout_s=5)
        page = await runtime.history(source="github", limit=2)
        (last,) = await runtime.history(source="github", before=page[-1].sequence)

    assert [one.event.payload for one in (*page, last)] == [2, 1, 0]
    assert last.ends == (End("engineering", "review", "delivered"),)
    assert not last.is_open


async def test_the_ends_of_a_route_are_found_by_it() -> None:
    """Though its name is in no event."""
    async with at_work(MemoryBus(), FakeActor()) as runtime:
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        (triaged,) = await runtime.history(route="triage")

    assert triaged.event.source == "reviewer"


@pytest.mark.parametrize("which", ["trace", "first", "last"])
async def test_a_trace_is_found_by_its_id_and_by_that_of_any_of_its_events(which: str) -> None:
    """In order, each with what it followed from."""
    async with at_work(MemoryBus(), FakeActor()) as runtime:
        await runtime.inject([CHANGE, CHANGE])
        assert await runtime.drain(timeout_s=5)
        last = (await runtime.history(limit=1))[0].event
        trace = await runtime.trace({"trace": last.trace_id, "first": last.ancestors[0], "last": last.id}[which])

    assert trace is not None
    assert trace.id == last.trace_id
    assert trace.is_complete
    assert [one.event.source for one in trace.events] == ["github", "reviewer"]
    assert [one.parent for one in trace.events] == [None, trace.events[0].event.id]
    assert [one.ends[0].outcome for one in trace.events] == ["delivered", "delivered"]


async def test_a_trace_says_what_was_tried_of_what_is_still_open(autojump_clock: MockClock) -> None:
    """By whom, how often, and what they said; after a restart too."""
    disk = MemoryDisk()
    async with open_wal(disk) as wal, at_work(FileBus(wal), FakeActor(Failed("busy"))) as runtime:
        await runtime.inject(CHANGE)
        await trio.sleep(60)
        before = await runtime.trace((await runtime.history(limit=1))[0].event.id)
    async with open_wal(disk) as wal, at_work(FileBus(wal), FakeActor()) as runtime:
        after = await runtime.trace((await runtime.history(limit=1))[0].event.id)

    for trace in (before, after):
        assert trace is not None
        reviewed, triaged = trace.events
        assert (reviewed.is_open, reviewed.tried) == (False, ())
        assert (triaged.is_open, triaged.ends) == (True, ())
        (tried,) = triaged.tried
        assert (tried.route, tried.failed, tried.lost, tried.last_error) == ("triage", 1, 0, "busy")


async def test_a_long_trace_is_cut_and_says_so() -> None:
    """To its last events."""
    bus = MemoryBus()
    await bus.publish([event(number, trace_id="trc_long") for number in range(MAX_TRACED + 1)])
    trace = await trace_of(bus, "trc_long", list)

    assert trace is not None
    assert (len(trace.events), trace.is_complete) == (MAX_TRACED, False)
    assert trace.events[-1].event.payload == MAX_TRACED


async def test_of_what_nobody_knows_there_is_no_trace() -> None:
    """Neither a trace nor an event."""
    async with open_runtime() as runtime:
        assert await runtime.trace("trc_nobody") is None
        assert await runtime.history() == []


async def test_a_limit_beyond_what_is_found_at_once_is_refused() -> None:
    """It would not be kept."""
    async with open_runtime() as runtime:
        with pytest.raises(ValueError, match="limit"):
            await runtime.history(limit=MAX_FOUND + 1)


async def test_what_was_settled_can_be_asked_for_after_a_restart(tmp_path: Path) -> None:
    """So much of the log is kept, whoever has had it."""
    async with open_runtime(home=tmp_path) as runtime:
        await runtime.load_module(
            config(), sources={"github": FakePolledSource()}, actors={"reviewer": FakeActor(), "triager": FakeActor()}
        )
        await runtime.inject({**CHANGE, "payload": "x"})
        assert await runtime.drain(timeout_s=5)
    async with open_runtime(home=tmp_path) as runtime:
        (found,) = await runtime.history(source="github")
        assert (found.event.payload, found.is_open) == ("x", False)
        assert [end.outcome for end in found.ends] == ["delivered"]
