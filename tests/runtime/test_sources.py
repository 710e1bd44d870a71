"""What runs for a polled source."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.delivery.breaker import BreakerConfig
from orgloop.errors import BusFull, EventError, PluginError, WalFailed
from orgloop.event import Event
from orgloop.runtime.checkpoints import BusPlace, MemoryPlace
from orgloop.runtime.poll_checks import failure_in
from orgloop.runtime.scheduler import Scheduler
from orgloop.runtime.source_health import SourceHealth, failed, succeeded, wait_after_s
from orgloop.runtime.sources import MAX_PUBLISH, SourceSpec, Standing, Surroundings, serve_source
from orgloop.sdk import Note, Polled, PollFailed
from orgloop_supervisors import Backoff, ChildSpec, SupervisorSpec, open_supervisor
from tests.runtime.sources_stage import Source, Stage, event

AT = "2023-11-14T22:13:20.250Z"


async def hang() -> Polled:
    """Answer in a year."""
    await trio.sleep(365 * 86_400)
    return Polled()


# -- health and back-off (pure) ----------------------------------------------------------------------------------------


def test_a_failure_degrades() -> None:
    """It is counted, and its words are kept."""
    health = failed(SourceHealth(), "503", at=AT, emitted=0, circuit_open=False)
    assert (health.status, health.consecutive_errors, health.last_error) == ("degraded", 1, "503")


def test_an_open_circuit_is_unhealthy() -> None:
    """Nothing is tried for a while."""
    health = failed(SourceHealth(consecutive_errors=4), "503", at=AT, emitted=0, circuit_open=True)
    assert (health.status, health.circuit_open) == ("unhealthy", True)


def test_a_success_heals() -> None:
    """What went wrong last is kept, for people."""
    health = succeeded(SourceHealth(status="unhealthy", consecutive_errors=7, last_error="503"), at=AT, emitted=2)
    assert health == SourceHealth(last_error="503", last_poll_at=AT, last_success_at=AT, events_emitted=2)


def test_a_failure_keeps_when_it_last_went_well() -> None:
    """And counts what became durable before it."""
    health = failed(SourceHealth(last_success_at="then"), "503", at=AT, emitted=1000, circuit_open=False)
    assert (health.last_poll_at, health.last_success_at, health.events_emitted) == (AT, "then", 1000)


def test_a_long_error_is_cut() -> None:
    """An outside may answer with a page."""
    health = failed(SourceHealth(), "x" * 10_000, at=AT, emitted=0, circuit_open=False)
    assert health.last_error == "x" * 1000


@pytest.mark.parametrize(
    ("failures", "interval_s", "asked_s", "wait_s"),
    [
        (1, 1, None, 1),
        (4, 1, None, 8),
        (7, 1, None, 60),
        (10**9, 1, None, 60),
        (1, 20, None, 20),
        (1, 86_400, None, 60),
        (1, 1, 30, 30),
        (5, 1, 3, 16),
        (1, 1, 7200, 3600),
        (1, 1, -5, 1),
        (1, 1, math.nan, 1),
        (1, 1, math.inf, 3600),
    ],
)
def test_how_long_a_failed_source_is_left_alone(
    failures: int, interval_s: float, asked_s: float | None, wait_s: float
) -> None:
    """Doubling, capped at a minute, never sooner than usual, and as long as was asked for."""
    assert wait_after_s(failures, interval_s, asked_s) == wait_s


def test_a_poll_failure_in_a_group_is_one() -> None:
    """A source that polls in a nursery raises groups."""
    inner = PollFailed("503")
    assert failure_in(ExceptionGroup("", [ExceptionGroup("", [inner])])) is inner


def test_a_poll_failure_beside_a_crash_is_a_crash() -> None:
    """The other exception may not be swallowed."""
    assert failure_in(ExceptionGroup("", [PollFailed("503"), ValueError()])) is None


# -- a life ------------------------------------------------------------------------------------------------------------


async def test_what_a_poll_finds_is_published_with_its_checkpoint(autojump_clock: MockClock) -> None:
    """In one publish, so that they are durable together or not at all."""
    found = event()
    stage = Stage(Source([Polled([found], "17")]))
    await stage.run_for(1)
    [(events, notes)] = stage.bus.published
    assert [each.id for each in events] == [found.id]
    assert notes == (("checkpoint", "m/github", {"checkpoint": "17", "fingerprint": "f"}),)


async def test_the_next_poll_begins_where_the_last_one_ended(autojump_clock: MockClock) -> None:
    """A poll without a checkpoint has not moved the place."""
    stage = Stage(Source([Polled([event()], "17"), Polled()]))
    await stage.run_for(25)
    assert stage.source.asked == [None, "17", "17"]


async def test_another_life_begins_where_the_last_one_ended(autojump_clock: MockClock) -> None:
    """From what is on the bus."""
    stage = Stage(Source([Polled([event()], "17")]))
    await stage.run_for(1)
    await stage.run_for(1)
    assert stage.source.asked == [None, "17"]


async def test_an_idle_poll_publishes_nothing(autojump_clock: MockClock) -> None:
    """Nor does one that gives its checkpoint again."""
    stage = Stage(Source([Polled([event()], "17"), Polled(), Polled([], "17")]))
    await stage.run_for(35)
    assert len(stage.bus.published) == 1


async def test_a_place_that_moves_without_events_is_noted(autojump_clock: MockClock) -> None:
    """Or what was skipped would be read again at each start."""
    stage = Stage(Source([Polled([], "17")]))
    await stage.run_for(1)
    assert stage.bus.checkpoint() == "17"


async def test_an_event_bears_the_name_it_is_configured_under(autojump_clock: MockClock) -> None:
    """Whatever the source says: routes, and other modules, go by it."""
    forged = event(module="other", ancestors=("evt_1",))
    stage = Stage(Source([Polled([forged])]))
    await stage.run_for(1)
    [seen] = stage.bus.events
    assert seen == attrs.evolve(forged, source="github", module="m", ancestors=())


async def test_events_that_can_be_gone_through_once_are_not_lost(autojump_clock: MockClock) -> None:
    """A generator is no sequence, but is easily given."""
    generator: Any = (event(number) for number in range(3))
    stage = Stage(Source([Polled(generator, "17")]))
    await stage.run_for(1)
    assert len(stage.bus.events) == 3


async def test_many_events_are_published_in_several_goes(autojump_clock: MockClock) -> None:
    """The checkpoint goes with the last."""
    stage = Stage(Source([Polled([event(number) for number in range(2 * MAX_PUBLISH + 1)], "17")]))
    await stage.run_for(1)
    assert [(len(events), len(notes)) for events, notes in stage.bus.published] == [(1000, 0), (1000, 0), (1, 1)]


async def test_a_healthy_source(autojump_clock: MockClock) -> None:
    """What people see."""
    stage = Stage(Source([Polled([event(), event()], "17")]))
    await stage.run_for(1)
    assert stage.standing.health == SourceHealth(last_poll_at=AT, last_success_at=AT, events_emitted=2)


async def test_a_place_in_memory_leaves_nothing_on_the_bus(autojump_clock: MockClock) -> None:
    """``store: memory`` is forgotten with the process, and kept over a crash of the source."""
    stage = Stage(Source([Polled([event()], "17"), ValueError()]), place=MemoryPlace())
    with pytest.RaisesGroup(ValueError):
        await stage.run_for(15)
    await stage.run_for(1)
    assert stage.source.asked == [None, "17", "17"]
    assert stage.bus.published[0][1] == ()


# -- expected failures -------------------------------------------------------------------------------------------------


async def test_a_failed_poll_is_no_crash(autojump_clock: MockClock) -> None:
    """It is told, with its cause, and tried again after a while."""
    stage = Stage(Source([PollFailed("503")]), interval_s=2)
    await stage.run_for(3)
    assert stage.tell.errors == ["[github] Poll failed: 503"]
    assert stage.tell.phases == ["system.error", "source.circuit_close"]
    assert len(stage.source.asked) == 2


async def test_the_far_side_may_ask_for_a_pause(autojump_clock: MockClock) -> None:
    """Retry-After, on the way to the scheduler."""
    stage = Stage(Source([PollFailed("429", retry_after_s=300)]))
    await stage.run_for(400)
    first_s, second_s = stage.source.times_s[:2]
    assert second_s - first_s == 300


async def test_a_source_may_say_when_to_look_again(autojump_clock: MockClock) -> None:
    """A clock, or an outside that says so, knows better than an interval."""
    stage = Stage(Source([Polled(next_in_s=7.0)]), interval_s=60.0)
    await stage.run_for(8)
    assert [round(at_s) for at_s in stage.source.times_s] == [0, 7]


@pytest.mark.parametrize("next_in_s", [-1.0, math.nan, math.inf, "soon"])
async def test_a_time_that_is_none_fails_the_poll(autojump_clock: MockClock, next_in_s: Any) -> None:
    """It is told, and the interval holds."""
    stage = Stage(Source([Polled(next_in_s=next_in_s)]))
    await stage.run_for(1)
    assert "next_in_s" in (stage.standing.health.last_error or "")


async def test_a_poll_that_does_not_end_has_failed(autojump_clock: MockClock) -> None:
    """It is cancelled, and the source polled again later."""
    stage = Stage(Source([hang, Polled([event()], "17")]), timeout_s=30)
    await stage.run_for(60)
    assert stage.tell.errors == ["[github] Poll failed: no answer within 30 s"]
    assert stage.source.asked[:2] == [None, None]
    assert stage.bus.checkpoint() == "17"


async def test_an_answer_after_the_deadline_is_too_late(autojump_clock: MockClock) -> None:
    """It has failed once, not twice, though it would not be cancelled."""

    async def ignore_cancellation() -> Polled:
        with trio.CancelScope(shield=True):
            await trio.sleep(31)
        return Polled([event()], "17")

    stage = Stage(Source([ignore_cancellation]), timeout_s=30)
    async with stage.running():
        await trio.sleep(35)
        assert stage.standing.health.consecutive_errors == 1
    assert stage.bus.published == []


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        pytest.param([event(1), {"id": "evt_1"}], "event 1 is dict, not an Event", id="no event"),
        pytest.param([event(1), event(id="evt_x", trace_id="t"), 3], "event 2 is int, not an Event", id="number"),
    ],
)
async def test_a_poll_with_something_else_among_its_events_has_failed(
    autojump_clock: MockClock, events: list[Any], fault: str
) -> None:
    """As a whole: the sound ones come again."""
    stage = Stage(Source([Polled(events, "17")]))
    await stage.run_for(1)
    assert stage.tell.errors == [f"[github] Poll failed: {fault}"]
    assert stage.bus.published == []
    assert stage.bus.checkpoint() is None


async def test_a_faulty_event_is_named(autojump_clock: MockClock) -> None:
    """Its number, its id, the field and what is wrong with it."""
    faulty = Event("x", "resource.changed", {"platform": "x"}, {"rate": math.nan}, id="evt_7")
    stage = Stage(Source([Polled([event(), faulty], "17")]))
    await stage.run_for(1)
    assert stage.tell.errors == ["[github] Poll failed: event 1 (evt_7): payload.rate: nan is not a JSON number"]


async def test_an_error_does_not_name_a_thousand_faults(autojump_clock: MockClock) -> None:
    """The first few, and how many more there are."""
    events: list[Any] = [None] * 1000
    stage = Stage(Source([Polled(events)]))
    await stage.run_for(1)
    assert stage.tell.errors[0].endswith("event 2 is NoneType, not an Event (and 997 more)")


@pytest.mark.parametrize("checkpoint", [17, "\ud800", "x" * (1024 * 1024 + 1)])
async def test_a_checkpoint_that_cannot_be_kept_fails_the_poll(autojump_clock: MockClock, checkpoint: Any) -> None:
    """Or its events would be durable without it."""
    stage = Stage(Source([Polled([event()], checkpoint)]))
    await stage.run_for(1)
    assert stage.bus.published == []
    assert "the checkpoint" in stage.tell.errors[0]


async def test_a_refused_publish_leaves_the_checkpoint(autojump_clock: MockClock) -> None:
    """Until it is taken; the source is not asked again for what is already here."""
    stage = Stage(Source([Polled([event()], "17")]), interval_s=1)
    stage.bus.refusals = [BusFull("full"), WalFailed("no space")]
    async with stage.running():
        await trio.sleep(0.5)
        assert stage.bus.checkpoint() is None
        assert stage.standing.health.last_error == "Publish failed: full"
        await trio.sleep(5)
    assert stage.bus.checkpoint() == "17"
    assert stage.source.asked[:2] == [None, "17"]


async def test_what_a_full_bus_has_taken_is_not_published_again(autojump_clock: MockClock) -> None:
    """Only the rest, or each try would fill it further."""
    found = [event(number) for number in range(2500)]
    stage = Stage(Source([Polled(found, "17")]), interval_s=1)
    stage.bus.refusals = [None, BusFull("full"), None, BusFull("full")]
    await stage.run_for(10)
    assert [each.id for each in stage.bus.events] == [each.id for each in found]
    assert stage.standing.health.events_emitted == 2500


async def test_an_event_that_the_bus_will_never_take_is_not_kept(autojump_clock: MockClock) -> None:
    """The source is asked again; it may do better."""
    stage = Stage(Source([Polled([event()], "17"), Polled([event()], "18")]), interval_s=1)
    stage.bus.refusals = [EventError("too long")]
    await stage.run_for(3)
    assert stage.bus.checkpoint() == "18"


# -- the circuit -------------------------------------------------------------------------------------------------------


async def test_the_circuit_opens_after_five_failures(autojump_clock: MockClock) -> None:
    """And lets one trial through a minute later."""
    stage = Stage(Source([PollFailed("503")] * 5), interval_s=1)
    async with stage.running():
        await trio.sleep(40)
        assert stage.status() == "unhealthy"
        assert len(stage.source.asked) == 5
        await trio.sleep(36)
    gaps = [round(b - a, 1) for a, b in zip(stage.source.times_s, stage.source.times_s[1:], strict=False)]
    assert gaps[:5] == [1, 2, 4, 8, 60]
    assert stage.status() == "healthy"


async def test_a_circuit_may_be_configured(autojump_clock: MockClock) -> None:
    """Of another make than the default, also when the source has had a life with another one."""
    stage = Stage(Source([PollFailed("503")] * 2))
    circuit = BreakerConfig(failure_threshold=2, cooldown_s=600)
    spec = attrs.evolve(stage.spec, circuit=circuit)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.scheduler.run)
        await nursery.start(serve_source, spec, stage.standing, stage.around)
        await trio.sleep(601)
        nursery.cancel_scope.cancel("seen enough")
    assert len(stage.source.asked) == 2


async def test_what_is_told_of_a_circuit(autojump_clock: MockClock) -> None:
    """One trial fails, the next one succeeds."""
    stage = Stage(Source([PollFailed("503")] * 6), interval_s=1)
    await stage.run_for(150)
    assert stage.tell.phases == [
        *["system.error"] * 5,
        "source.circuit_open",
        "source.circuit_retry",
        "system.error",
        "source.circuit_open",
        "source.circuit_retry",
        "source.circuit_close",
    ]


async def test_a_poll_that_is_asked_for_is_the_trial(autojump_clock: MockClock) -> None:
    """A person who has mended something need not wait for the minute to pass."""
    stage = Stage(Source([PollFailed("503")] * 5), interval_s=1)
    async with stage.running():
        await trio.sleep(20)
        stage.scheduler.poll_now("m/github")
        await trio.sleep(0.1)
        assert stage.status() == "healthy"


async def test_an_open_circuit_outlives_the_source(autojump_clock: MockClock) -> None:
    """A restart does not ask sooner."""
    stage = Stage(Source([PollFailed("503")] * 5), interval_s=1)
    await stage.run_for(20)
    await stage.run_for(50)
    assert len(stage.source.asked) == 5


async def test_a_trial_that_hangs_opens_the_circuit_again(autojump_clock: MockClock) -> None:
    """It has failed like any other."""

    stage = Stage(Source([*[PollFailed("503")] * 5, hang]), interval_s=1, timeout_s=10)
    async with stage.running():
        await trio.sleep(90)
        assert stage.standing.breaker.state == "open"
    assert stage.standing.health.consecutive_errors == 6


# -- crashes and ends --------------------------------------------------------------------------------------------------


async def test_any_other_exception_is_a_crash(autojump_clock: MockClock) -> None:
    """The supervisor's; health knows of it."""
    stage = Stage(Source([ValueError("a bug")]))
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="a bug")):
        await stage.run_for(1)
    assert stage.standing.health.last_error == "the source crashed: ValueError: a bug"


async def test_a_poll_that_gives_something_else_is_a_crash(autojump_clock: MockClock) -> None:
    """It broke its contract."""
    something: Any = ["an event"]

    async def give() -> Polled:
        return something  # type: ignore[no-any-return]

    stage = Stage(Source([give]))
    with pytest.RaisesGroup(pytest.RaisesExc(PluginError, match="'github' returned list, which is not Polled")):
        await stage.run_for(1)


async def test_a_crash_in_a_trial_leaves_the_circuit_open(autojump_clock: MockClock) -> None:
    """For the next life to try again."""
    stage = Stage(Source([*[PollFailed("503")] * 5, ValueError()]), interval_s=1)
    with pytest.RaisesGroup(ValueError):
        await stage.run_for(90)
    assert stage.standing.breaker.state == "open"


async def test_a_source_that_has_crashed_leaves_no_timer(autojump_clock: MockClock) -> None:
    """It may be registered again, by its next life."""
    stage = Stage(Source([ValueError()]))
    with pytest.RaisesGroup(ValueError):
        await stage.run_for(1)
    assert stage.scheduler.status().sources == 0


@attrs.define
class Opened(Source):
    """Holds something open."""

    steps: list[str] = attrs.field(factory=list)
    refusal: Exception | None = None

    async def __aenter__(self) -> Opened:
        if self.refusal:
            raise self.refusal
        self.steps.append("entered")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.steps.append("left")


async def test_a_source_that_is_a_context_manager_is_entered_and_left(autojump_clock: MockClock) -> None:
    """In its own child, before the first poll and after the last."""
    source = Opened()
    async with Stage(source).running():
        assert source.steps == ["entered"]
    assert source.steps == ["entered", "left"]


async def test_a_source_that_cannot_be_entered_has_not_started(autojump_clock: MockClock) -> None:
    """Its supervisor hears it as a failed start."""
    with pytest.RaisesGroup(OSError):
        await Stage(Opened(refusal=OSError("no socket"))).run_for(1)


async def test_each_life_has_a_source_of_its_own(autojump_clock: MockClock) -> None:
    """What a crash has left in the old one is gone with it."""
    made: list[Source] = []

    def make() -> Source:
        made.append(Source())
        return made[-1]

    stage = Stage()
    spec = attrs.evolve(stage.spec, make=make)
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_source, spec, stage.standing, stage.around)
            nursery.cancel_scope.cancel("stop")
    assert len(made) == 2


async def test_a_stop_in_the_middle_of_a_publish_loses_nothing(autojump_clock: MockClock) -> None:
    """The next life begins from what is on the bus, whichever of the two it was."""
    stage = Stage(Source([Polled([event()], "17")]))
    publish = stage.bus.publish

    async def slowly(events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        await trio.sleep(1)
        return await publish(events, notes=notes)

    around = attrs.evolve(stage.around, publish=slowly)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.scheduler.run)
        await nursery.start(serve_source, stage.spec, stage.standing, around)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel("stop")
    await stage.run_for(1)
    assert stage.source.asked == [None, None]


# -- an hour -----------------------------------------------------------------------------------------------------------


@attrs.define
class Outside:
    """Where something happens every few seconds, numbered without a gap; what looks at it fails at times."""

    chance: random.Random
    pace_s: float
    began_s: float = attrs.field(factory=trio.current_time)

    async def poll(self, checkpoint: str | None) -> Polled:
        dice = self.chance.random()
        if dice < 0.1:
            raise PollFailed("503", retry_after_s=self.chance.choice([None, 5.0, 90.0]))
        if dice < 0.13:
            raise ValueError("a bug")
        begin = int(checkpoint or 0)
        end = int((trio.current_time() - self.began_s) / self.pace_s)
        return Polled([event(number) for number in range(begin + 1, end + 1)], str(end))


@attrs.define
class Ledger:
    """Keeps account of what is durable, from outside: no checkpoint may cover an event that is not there yet."""

    chance: random.Random
    bus: MemoryBus = attrs.field(factory=MemoryBus)
    seen: dict[str, set[int]] = attrs.field(factory=lambda: defaultdict(set))
    covered: dict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    broken: list[str] = attrs.field(factory=list)
    faults: int = 0

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        dice = self.chance.random()
        if dice < 0.05:
            self.faults += 1
            raise WalFailed("nothing was written")
        sequences = await self.bus.publish(events, notes=notes)
        for each in events:
            self.seen[each.source].add(each.payload["number"])
        for _, key, value in notes:
            source, checkpoint = key.removeprefix("m/"), int(value["checkpoint"])
            if any(number not in self.seen[source] for number in range(self.covered[source] + 1, checkpoint + 1)):
                self.broken.append(f"{source} is at {checkpoint}, which is ahead of its events")
            self.covered[source] = max(self.covered[source], checkpoint)
        if dice < 0.1:
            self.faults += 1
            raise WalFailed("it was written, but who knows")
        return sequences


@pytest.mark.slow
async def test_an_hour_of_two_hundred_sources_that_fail(autojump_clock: MockClock) -> None:
    """Polls fail, crash and are not published, at random: all that happened is durable, no checkpoint is ahead."""
    chance = random.Random(7)
    scheduler, ledger = Scheduler(chance=chance.random), Ledger(chance)
    children: list[ChildSpec[Any]] = [ChildSpec(id="scheduler", run=scheduler.run, notify=True)]
    outsides: dict[str, Outside] = {}
    for number in range(200):
        name = f"source-{number}"
        outside = outsides[name] = Outside(chance, pace_s=chance.uniform(20, 200))
        place = BusPlace(module="m", source=name, fingerprint="f", note=ledger.bus.note, tell=_nobody)
        around = Surroundings(scheduler=scheduler, publish=ledger.publish, place=place, tell=_nobody)
        spec = SourceSpec(module="m", id=name, make=partial(_same, outside), interval_s=chance.uniform(30, 120))
        children.append(
            ChildSpec(
                id=name,
                run=serve_source,
                args=(spec, Standing(), around),
                notify=True,
                backoff=Backoff(initial=0.5, maximum=30),
            )
        )
    async with open_supervisor(SupervisorSpec(name="hour", children=children, intensity=math.inf, on_event=_nobody)):
        await trio.sleep(3600)
    assert ledger.broken == []
    assert ledger.faults > 500
    for name, outside in outsides.items():
        settled = int((3600 - 600) / outside.pace_s)  # what happened in the last minutes may still be on its way
        assert set(range(1, settled + 1)) <= ledger.seen[name]
        assert ledger.covered[name] == max(ledger.seen[name])


def _same(outside: Outside) -> Outside:
    """It has no state to lose."""
    return outside


def _nobody(*_: Any, **__: Any) -> None:
    """Nobody listens."""
