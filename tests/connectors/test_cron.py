"""The clock as a source: what is due, what was missed, and what clocks do to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Delivered, Delivery, Event, Polled
from orgloop_connectors.cron import CONNECTOR
from orgloop_connectors.cron.config import CronConfig
from orgloop_connectors.cron.due import Cron, Every, due_of, timing_of, zone_of
from orgloop_connectors.cron.source import CronSource
from tests.connectors.stage import checked, made, place

BERLIN = ZoneInfo("Europe/Berlin")
HOURLY = {"schedule": "0 * * * *", "timezone": "UTC"}


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


class Clock:
    """A wall clock that can be set."""

    def __init__(self, text: str, zone: str = "UTC") -> None:
        self.now_s = at(text, zone)

    def source(self, **config: Any) -> CronSource:
        value = structure(CronConfig, {**HOURLY, **config}, where="config")
        return CronSource(value, place(id="clock"), now_s=lambda: self.now_s)


def times(events: Sequence[Event]) -> list[str]:
    return [event.provenance["scheduled_at"].removesuffix(":00.000Z") for event in events]


async def begun(clock: Clock, **config: Any) -> tuple[CronSource, str]:
    """A source that has looked once, and its checkpoint."""
    source = clock.source(**config)
    polled = await source.poll(None)
    assert polled.events == []
    assert polled.checkpoint is not None
    return source, polled.checkpoint


# -- events ------------------------------------------------------------------------------------------------------------


async def test_the_first_poll_fires_nothing_and_says_when_to_look_again() -> None:
    """The original fired every schedule at its first start."""
    clock = Clock("2026-03-01T08:59:30")

    polled = await clock.source().poll(None)

    assert (polled.events, polled.next_in_s) == ([], 30.0)


async def test_an_occurrence_is_an_event_of_the_original_s_shape() -> None:
    """With an identity that is its own for ever."""
    clock = Clock("2026-03-01T08:59:30")
    source, checkpoint = await begun(
        clock, schedule=None, schedules=[{"name": "daily", "cron": "0 9 * * *", "payload": {"team": "a"}}]
    )
    clock.now_s += 31

    (event,) = (await source.poll(checkpoint)).events

    assert (event.source, event.type, event.payload) == (
        "clock",
        "resource.changed",
        {"schedule": "daily", "team": "a"},
    )
    assert event.provenance == {
        "platform": "cron",
        "platform_event": "schedule.daily",
        "author_type": "system",
        "resource_id": "daily@2026-03-01T09:00:00.000Z",
        "scheduled_at": "2026-03-01T09:00:00.000Z",
        "missed": 0,
    }


async def test_an_interval_says_how_long_it_is_and_the_payload_may_say_otherwise() -> None:
    """As in the original."""
    clock = Clock("2026-03-01T09:00")
    source, checkpoint = await begun(
        clock,
        schedule=None,
        schedules=[{"name": "a", "cron": "every 30m"}, {"name": "b", "cron": "30M", "payload": {"schedule": "mine"}}],
    )
    clock.now_s += 1800

    polled = await source.poll(checkpoint)

    assert [event.payload for event in polled.events] == [
        {"schedule": "a", "interval_ms": 1_800_000},
        {"schedule": "mine", "interval_ms": 1_800_000},
    ]


async def test_the_same_checkpoint_gives_the_same_events() -> None:
    """What did not become durable is found again; what did, is not."""
    clock = Clock("2026-03-01T08:59")
    source, checkpoint = await begun(clock)
    clock.now_s += 120

    first, again = await source.poll(checkpoint), await source.poll(checkpoint)
    after = await source.poll(first.checkpoint)

    assert [one.provenance for one in first.events] == [one.provenance for one in again.events]
    assert first.checkpoint == again.checkpoint
    assert (after.events, after.checkpoint) == ([], None)


async def test_a_day_of_polls_fires_each_occurrence_once_and_in_time(autojump_clock: MockClock) -> None:
    """It wakes when something is due, not after an interval."""
    begin_s = at("2026-03-02T00:00:30")
    config = structure(CronConfig, {"schedule": "*/20 9-10 * * MON-FRI", "timezone": "UTC"}, where="config")
    source = CronSource(config, place(), now_s=lambda: begin_s + trio.current_time() - start_s)
    start_s = trio.current_time()
    checkpoint: str | None = None
    late_s: list[float] = []
    while trio.current_time() < start_s + 86_400:
        polled = await source.poll(checkpoint)
        now_s = begin_s + trio.current_time() - start_s
        late_s += [now_s - at(event.provenance["scheduled_at"].rstrip("Z")) for event in polled.events]
        checkpoint = polled.checkpoint or checkpoint
        assert polled.next_in_s is not None
        await trio.sleep(polled.next_in_s)

    assert len(late_s) == 6
    assert max(late_s) < 0.01


async def test_in_a_module_it_fires_when_it_is_due(autojump_clock: MockClock) -> None:
    """Though its poll interval is five minutes; an actor gets it, once."""
    start_s, begin_s = trio.current_time(), at("2026-03-02T08:58:30")
    value = structure(CronConfig, {"schedule": "*/2 9 * * *", "timezone": "UTC"}, where="config")
    source = CronSource(value, place(id="clock"), now_s=lambda: begin_s + trio.current_time() - start_s)
    delivered: list[tuple[str, float]] = []

    class Keeper:
        async def deliver(self, delivery: Delivery) -> Delivered:
            due = delivery.event.provenance["scheduled_at"]
            delivered.append((due[11:16], begin_s + trio.current_time() - start_s - at(due.rstrip("Z"))))
            return Delivered()

    config = {
        "metadata": {"name": "engineering"},
        "sources": [{"id": "clock", "connector": "cron", "poll": {"interval": "5m"}}],
        "actors": [{"id": "keeper", "connector": "keeper"}],
        "routes": [
            {"name": "all", "when": {"source": "clock", "events": ["resource.changed"]}, "then": {"actor": "keeper"}}
        ],
    }
    async with open_runtime() as runtime:
        await runtime.load_module(config, sources={"clock": source}, actors={"keeper": Keeper()})
        await trio.sleep(600)

    assert [due for due, _ in delivered] == ["09:00", "09:02", "09:04", "09:06", "09:08"]
    assert max(late_s for _, late_s in delivered) < 0.2


# -- what was missed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fired"),
    [
        ({"missed": "one"}, ["2026-03-01T13:00"]),
        ({"missed": "skip"}, []),
        ({"missed": "skip", "grace": "1h"}, ["2026-03-01T13:00"]),
        ({"missed": "all"}, [f"2026-03-01T{hour:02}:00" for hour in range(9, 14)]),
        ({"missed": "all", "max_missed": 2}, ["2026-03-01T12:00", "2026-03-01T13:00"]),
    ],
)
async def test_what_was_missed_is_fired_by_policy(config: dict[str, Any], fired: list[str]) -> None:
    """And never looked at again, whichever it is."""
    clock = Clock("2026-03-01T08:30")
    source, checkpoint = await begun(clock, **config)
    clock.now_s = at("2026-03-01T13:30")

    polled = await source.poll(checkpoint)

    assert times(polled.events) == fired
    assert (await source.poll(polled.checkpoint)).events == []


async def test_one_event_says_how_many_it_stands_for() -> None:
    """As far as they are counted."""
    clock = Clock("2026-03-01T08:30")
    source, checkpoint = await begun(clock, max_missed=10)
    clock.now_s = at("2026-03-01T13:30")
    five = (await source.poll(checkpoint)).events
    clock.now_s = at("2027-03-01T13:30")
    year = (await source.poll(checkpoint)).events

    assert [event.provenance["missed"] for event in (*five, *year)] == [4, 9]


async def test_each_schedule_has_its_own_policy() -> None:
    """Which comes before that of all."""
    clock = Clock("2026-03-01T08:30")
    names = [("a", {"missed": "all"}), ("b", {}), ("c", {"missed": "skip"})]
    source, checkpoint = await begun(
        clock,
        schedule=None,
        schedules=[{"name": name, "cron": "0 * * * *", **own} for name, own in names],
    )
    clock.now_s = at("2026-03-01T10:30")

    events = (await source.poll(checkpoint)).events

    assert [event.provenance["resource_id"][:15] for event in events] == [
        "a@2026-03-01T09",
        "a@2026-03-01T10",
        "b@2026-03-01T10",
    ]


async def test_a_clock_that_was_set_back_fires_nothing_twice_and_goes_on() -> None:
    """A few minutes are waited for; a year is not."""
    clock = Clock("2026-03-01T08:59")
    source, checkpoint = await begun(clock)
    clock.now_s += 60
    checkpoint = (await source.poll(checkpoint)).checkpoint or ""
    clock.now_s -= 120
    before = await source.poll(checkpoint)
    clock.now_s += 125
    assert (await source.poll(checkpoint)).events == before.events == []

    clock.now_s = at("2025-03-01T08:59")
    reset = await source.poll(checkpoint)
    clock.now_s += 60
    assert times((await source.poll(reset.checkpoint)).events) == ["2025-03-01T09:00"]


async def test_a_clock_that_was_set_forward_is_no_burst() -> None:
    """A year is one event; and it is noticed within a minute."""
    clock = Clock("2026-03-01T08:30")
    source, checkpoint = await begun(clock, schedule="* * * * *")
    clock.now_s += 365 * 86_400

    polled = await source.poll(checkpoint)

    assert len(polled.events) == 1
    assert polled.next_in_s is not None
    assert polled.next_in_s <= 60


# -- the clocks of a country -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "begin", "end", "due"),
    [
        ("30 2 * * *", "2026-03-28T12:00", "2026-03-29T12:00", ["03:00+02:00"]),  # 02:30 does not exist
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T12:00", ["02:30+02:00"]),  # 02:30 exists twice
        ("30 * * * *", "2026-10-25T01:45", "2026-10-25T03:00", ["02:30+02:00", "02:30+01:00"]),
        ("0 9 * * *", "2026-03-28T12:00", "2026-03-29T12:00", ["09:00+02:00"]),
        ("0 0 29 2 *", "2026-01-01T00:00", "2029-01-01T00:00", ["00:00+01:00"]),
        ("0 0 31 * *", "2026-04-01T00:00", "2026-06-01T00:00", ["00:00+02:00"]),
        ("0 0 L * *", "2026-02-01T00:00", "2026-03-02T00:00", ["00:00+01:00"]),
    ],
)
def test_a_time_of_a_zone_is_due_once(expression: str, begin: str, end: str, due: list[str]) -> None:
    """On the days that clocks are changed, too."""
    found = timing_of(expression, BERLIN).between(at(begin, "Europe/Berlin"), at(end, "Europe/Berlin"), limit=100)

    assert [datetime.fromtimestamp(due_s, BERLIN).isoformat()[11:16] + _offset(due_s) for due_s in found] == due


def _offset(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, BERLIN).isoformat()[-6:]


@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "15 1,2,3 * * *", "0 0 * * SUN", "5 */2 * * *", "0 30 2 * * *"]),
    st.integers(0, 400),
    st.lists(st.integers(1, 40_000), min_size=1, max_size=6),
)
def test_however_often_one_looks_the_occurrences_are_the_same(expression: str, day: int, steps_s: list[int]) -> None:
    """A law: polls that follow one another find what one poll over all of their time finds."""
    timing = Cron(expression, BERLIN)
    begin_s = now_s = at("2026-01-20T00:00") + day * 86_400
    found: list[float] = []
    for step_s in steps_s:
        found += timing.between(now_s, now_s + step_s, limit=10_000)
        now_s += step_s

    assert found == timing.between(begin_s, now_s, limit=10_000)
    assert found == sorted(set(found))


def test_the_newest_are_found_without_going_through_all() -> None:
    """Each second for a year would be thirty million; an absence costs as much as what is fired of it."""
    now_s = at("2026-03-01T00:00")

    found = timing_of("* * * * * *", BERLIN).between(now_s - 365 * 86_400, now_s, limit=3)

    assert found == [now_s - 2, now_s - 1, now_s]


@pytest.mark.parametrize(("said", "zone"), [("Asia/Tokyo", "Asia/Tokyo"), (":Asia/Tokyo", "Asia/Tokyo"), ("", None)])
def test_the_machine_says_which_zone_is_its_own(said: str, zone: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By TZ, or by what /etc/localtime leads to; else it is UTC."""
    monkeypatch.setenv("TZ", said)
    leads_to = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]

    assert str(zone_of(None)) == zone or (zone is None and str(zone_of(None)) in (leads_to, "UTC"))


def test_an_interval_keeps_its_grid() -> None:
    """A late poll does not make the next one later."""
    fired, last_s = due_of(Every(60), 1000.0, 1185.5, missed="one", max_missed=100, grace_s=60)

    assert ([due.at_s for due in fired], last_s) == ([1180.0], 1180.0)


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, "schedules: Cron connector requires at least one schedule"),
        ({"schedule": "* * * *"}, r'schedule: Invalid cron expression: "\* \* \* \*"\. Expected 5 fields'),
        ({"schedule": "61 * * * *"}, "Bad minute"),
        ({"schedule": "*/0 * * * *"}, "Bad minute"),
        ({"schedule": "0 0 31 2 *"}, "Bad day-of-month"),
        ({"schedule": "0 0 31 2,4 MON#5"}, None),
        ({"schedule": ",".join(["1"] * 10_000) + " * * * *"}, "at most 256"),
        ({"schedule": "every 10ms"}, "an interval is from 1s to 366d"),
        ({"schedule": "0 9 * * *", "timezone": "Mars/Base"}, "no time zone is called 'Mars/Base'"),
        ({"schedule": "0 9 * * *", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"schedule": "0 9 * * *", "max_missed": 0}, "max_missed: must be from 1 to 10000"),
        ({"schedule": "0 9 * * *", "grace": "2d"}, "grace: must be at most 1d"),
        ({"schedules": [{"name": "a", "cron": "1h"}, {"name": "a", "cron": "2h"}]}, r"schedules\.1: a second schedule"),
        ({"schedules": [{"name": "", "cron": "1h"}]}, r"schedules\.0\.name"),
        ({"schedules": [{"name": "a", "cron": "1h", "payload": {"x": float("nan")}}]}, r"schedules\.a\.payload"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str | None) -> None:
    """One that says where, and what to write."""
    if fault is None:
        made(CONNECTOR.source, config)
    else:
        with pytest.raises((ValueError, ConfigError), match=fault):
            made(CONNECTOR.source, config)


async def test_a_check_says_when_each_is_due() -> None:
    """And asks nobody."""
    (told,) = await checked(CONNECTOR.source, {"schedule": "0 9 * * *", "timezone": "Europe/Berlin"})

    assert told.name == "default"
    assert "09:00:00+0" in told.detail


@pytest.mark.parametrize(
    "checkpoint",
    [
        "",
        "nonsense",
        "[]",
        "null",
        '{"default": 7}',
        '{"default": "soon"}',
        "[" * 100_000,
        '{"default": {"at": "2026-03-01"}}',
    ],
)
async def test_a_checkpoint_that_cannot_be_read_is_a_beginning(checkpoint: str) -> None:
    """With the original, such a source never polled again."""
    clock = Clock("2026-03-01T08:59")

    polled: Polled = await clock.source().poll(checkpoint)

    assert polled.events == []
    assert json.loads(polled.checkpoint or "")["default"]["at"] == "2026-03-01T08:59:00.000Z"


async def test_the_checkpoint_of_the_original_is_read() -> None:
    """It had a time for each schedule."""
    clock = Clock("2026-03-01T09:30")

    polled = await clock.source().poll('{"default": "2026-03-01T08:00:00.000Z", "gone": "2026-03-01T08:00:00.000Z"}')

    assert times(polled.events) == ["2026-03-01T09:00"]
    assert list(json.loads(polled.checkpoint or "")) == ["default"]


async def test_a_schedule_that_was_changed_begins_anew() -> None:
    """What the new one would have fired before it was written was never missed."""
    clock = Clock("2026-03-01T08:30")
    _, checkpoint = await begun(clock)
    clock.now_s = at("2026-03-01T09:40")

    assert (await clock.source(schedule="30 * * * *").poll(checkpoint)).events == []
