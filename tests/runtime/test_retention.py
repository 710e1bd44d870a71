"""``defaults.event_retention``: obligations that are older end as expired, are counted, and are told of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.bus import FileBus
from orgloop.runtime.retention import LOOK_EVERY_S
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Notice
from orgloop.testing import FakeActor, FakePolledSource
from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk

CHANGE = {"source": "source", "type": "resource.changed"}
HOUR_S = 3600.0


def config(retention: str | None, *, name: str = "m", listens_to: str = "source") -> dict[str, Any]:
    """A module with one route."""
    when = {"source": listens_to, "events": ["resource.changed"]}
    return {
        "metadata": {"name": name},
        "defaults": {} if retention is None else {"event_retention": retention},
        "sources": [{"id": "source", "connector": "given", "poll": {"interval": "1h"}}],
        "actors": [{"id": "actor", "connector": "given"}],
        "routes": [{"name": "r", "when": when, "then": {"actor": "actor", "delivery": {"timeout": "100d"}}}],
        "exports": ["source"],
    }


async def load(runtime: Runtime, retention: str | None, actor: Any, **changes: Any) -> None:
    values = config(retention, **changes)
    await runtime.load_module(values, sources={"source": FakePolledSource()}, actors={"actor": actor})


@asynccontextmanager
async def opened(disk: MemoryDisk, wall: Callable[[], float]) -> AsyncGenerator[Runtime]:
    async with open_wal(disk, now_s=wall) as wal, open_runtime(bus=FileBus(wal), now_s=wall) as runtime:
        yield runtime


def wall_s() -> float:
    """A clock on the wall that goes as Trio's does."""
    return 1_700_000_000.0 + trio.current_time()


def is_conserved(runtime: Runtime, module: str = "m") -> bool:
    """Whether the sum is right."""
    (found,) = [one for one in runtime.statistics().modules if one.name == module]
    counts = found.routes["r"]
    ended = counts.delivered + counts.dropped + counts.dead + counts.expired
    return counts.admitted == ended + counts.in_flight


async def test_what_waits_behind_an_attempt_expires(autojump_clock: MockClock) -> None:
    """Within a minute of its time, with a notice, and with the sum of all as it was."""
    told: list[Notice] = []
    async with open_runtime() as runtime:
        runtime.on("deliver.expired", told.append)
        await load(runtime, "2h", FakeActor(HOUR_S * 5))
        await runtime.inject([CHANGE] * 4)
        await trio.sleep(2 * HOUR_S - 1)
        assert told == []
        await trio.sleep(2 * LOOK_EVERY_S + 2)
        (counts,) = (one.routes["r"] for one in runtime.modules())
        assert (counts.admitted, counts.expired, counts.in_flight) == (4, 3, 1)
        assert is_conserved(runtime)
        await trio.sleep(4 * HOUR_S)
        assert await runtime.drain(timeout_s=1)
        assert is_conserved(runtime)

    (notice,) = told
    assert (notice.module, notice.route, notice.result) == ("m", "r", "expired")
    assert notice.metadata is not None
    assert notice.metadata["count"] == 3


async def test_what_waits_for_a_module_expires_when_that_is_loaded(autojump_clock: MockClock) -> None:
    """It is counted where it would have gone."""
    disk, actor, told = MemoryDisk(), FakeActor(), list[Notice]()
    async with opened(disk, wall_s) as runtime:
        await load(runtime, "2h", FakeActor(1e9))
        await runtime.inject([CHANGE] * 2)
        await trio.sleep(2 * LOOK_EVERY_S)
    await trio.sleep(3 * HOUR_S)
    async with opened(disk, wall_s) as runtime:
        runtime.on("deliver.expired", told.append)
        await runtime.load_module(
            config(None, name="other"), sources={"source": FakePolledSource()}, actors={"actor": FakeActor()}
        )
        await trio.sleep(1)
        assert runtime.statistics().parked == {"m": 2}
        await load(runtime, "2h", actor)
        await runtime.inject(CHANGE, module="m")
        assert await runtime.drain(timeout_s=10)
        (counts,) = (one.routes["r"] for one in runtime.modules() if one.name == "m")
        assert (counts.admitted, counts.expired, counts.delivered) == (3, 2, 1)
        past = await runtime.history(module="m")

    assert [one.ends[0].outcome for one in past] == ["delivered", "expired", "expired"]
    assert len(told) == 2
    assert len(actor.deliveries) == 1


async def test_what_a_crash_has_left_is_as_old_as_the_next_start_at_least(autojump_clock: MockClock) -> None:
    """Nobody had noted when it came; it does not expire too early."""
    disk, actor = MemoryDisk(), FakeActor()
    async with opened(disk, wall_s) as runtime:
        await load(runtime, "2h", FakeActor(1e9))
        await runtime.inject(CHANGE)
        image = MemoryDisk.of({name: file.durable for name, file in disk.files.items()})
    await trio.sleep(3 * HOUR_S)
    async with opened(image, wall_s) as runtime:
        await load(runtime, "2h", actor)
        assert await runtime.drain(timeout_s=10)

    assert len(actor.deliveries) == 1


@pytest.mark.parametrize("years", [-1, 1])
async def test_setting_the_wall_clock_expires_nothing(years: int, autojump_clock: MockClock) -> None:
    """While we run, another clock counts."""
    set_s = 0.0

    def wall() -> float:
        return wall_s() + set_s

    async with opened(MemoryDisk(), wall) as runtime:
        await load(runtime, "2h", FakeActor(HOUR_S))
        await runtime.inject([CHANGE] * 2)
        await trio.sleep(5 * LOOK_EVERY_S)
        set_s = years * 365 * 86400.0
        await trio.sleep(1.5 * HOUR_S)
        (counts,) = (one.routes["r"] for one in runtime.modules())

    assert (counts.delivered, counts.expired) == (2, 0)


async def test_a_reload_may_say_how_long(autojump_clock: MockClock) -> None:
    """What waits goes on under the new limit; sources and actors are left alone."""
    async with open_runtime() as runtime:
        await load(runtime, None, FakeActor(1e9))
        await runtime.inject([CHANGE] * 3)
        await trio.sleep(5 * HOUR_S)
        await runtime.reload_module("m", config("2h"), drain_s=0)
        await trio.sleep(2 * LOOK_EVERY_S)
        (counts,) = (one.routes["r"] for one in runtime.modules())
        assert "restart" not in runtime.tree()

    assert counts.expired >= 2


async def test_each_module_has_its_own(autojump_clock: MockClock) -> None:
    """Of one event, one obligation expires and the other stays."""
    async with open_runtime() as runtime:
        await load(runtime, None, FakeActor(1e9))
        await runtime.inject(CHANGE, module="m")
        await load(runtime, "1h", FakeActor(1e9), name="other", listens_to="m:source")
        await runtime.inject([CHANGE] * 2, module="m")
        await trio.sleep(2 * HOUR_S)
        counts = {one.name: one.routes["r"] for one in runtime.modules()}
        assert is_conserved(runtime, "other")

    assert (counts["m"].expired, counts["m"].in_flight) == (0, 3)
    assert (counts["other"].expired, counts["other"].in_flight) == (1, 1)
