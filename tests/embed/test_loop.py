"""OrgLoop as one object: what it is given, what it tells, what it counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sniffio
import trio
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.embed import OrgLoop, Settled
from orgloop.embed._callbacks import Listeners
from orgloop.embed._listening import ListeningBus
from orgloop.errors import Closed, ConfigError, EventError, ModuleError
from orgloop.event import Event
from orgloop.sdk import Actor, Delivered, Failed, Notice, Polled, Rejected, Settlement, Skipped, TransformFailed
from orgloop.testing import FakeActor, FakePolledSource, event
from tests.embed.stage import MESSAGE, Run, everywhere, on_trio, organisation, until


def make(actor: Actor | None = None, config: dict[str, Any] | None = None, **options: Any) -> OrgLoop:
    """The organisation with this actor."""
    given = {"desk": FakePolledSource()}
    return OrgLoop(config or organisation(), sources=given, actors={"agent": actor or FakeActor()}, **options)


async def pass_through(loop: OrgLoop, *events: Any) -> None:
    """Inject, and wait until all has ended."""
    async with loop:
        await loop.inject(events or [MESSAGE])
        assert await loop.drain(timeout_s=5)


# -- in and out --------------------------------------------------------------------------------------------------------


@everywhere
def test_an_event_goes_round(run: Run) -> None:
    """In by ``inject``, out by the actor."""
    actor = FakeActor()

    run(lambda: pass_through(make(actor)))

    assert len(actor.events) == 1


@everywhere
def test_inject_takes_one_a_mapping_and_a_list(run: Run) -> None:
    """And gives the sequence of each."""

    async def main() -> None:
        async with make() as loop:
            one = Event("desk", "message.received", {"platform": "desk"})
            assert await loop.inject(one) == [1]
            assert await loop.inject(MESSAGE) == [2]
            assert await loop.inject([one, MESSAGE]) == [3, 4]
            with pytest.raises(EventError, match="type is missing"):
                await loop.inject({"source": "desk"})

    run(main)


@everywhere
def test_drain_says_whether_it_was_in_time(run: Run) -> None:
    """An actor that hangs does not hang whoever waits."""

    async def main() -> None:
        async with make(FakeActor(1000.0)) as loop:
            await loop.inject(MESSAGE)
            assert not await loop.drain(timeout_s=0.02)

    run(main)


@everywhere
def test_it_may_be_opened_again(run: Run) -> None:
    """One after the other, and not twice at once."""

    async def main() -> None:
        loop = make()
        for _ in range(2):
            async with loop:
                with pytest.raises(ModuleError, match="open already"):
                    await loop.__aenter__()
                await loop.inject(MESSAGE)
                assert await loop.drain(timeout_s=5)
        assert loop.statistics().modules[0].routes["work"].admitted == 1

    run(main)


async def test_a_closed_one_says_how_to_open_it() -> None:
    """Before, and after."""
    loop = make()
    for _ in range(2):
        with pytest.raises(Closed, match="async with loop"):
            await loop.inject(MESSAGE)
        with pytest.raises(Closed, match="async with loop"):
            await loop.drain()
        with pytest.raises(Closed, match="async with loop"):
            loop.tree()
        async with loop:
            pass


def test_nothing_is_counted_that_was_never_open() -> None:
    """It says so."""
    with pytest.raises(Closed, match="never open"):
        make().statistics()


@everywhere
def test_one_that_cannot_start_can_be_tried_again(run: Run) -> None:
    """Its faults are raised where it is opened, and it is closed."""

    async def main() -> None:
        loop = make(config={**organisation(), "actors": []})
        for _ in range(2):
            with pytest.raises(ConfigError, match="agent"):
                async with loop:
                    pass

    run(main)


@everywhere
def test_the_error_of_a_block_comes_out_as_it_is(run: Run) -> None:
    """Not in a group."""

    async def main() -> None:
        with pytest.raises(LookupError):
            async with make():
                raise LookupError

    run(main)


# -- where events are kept ---------------------------------------------------------------------------------------------


@everywhere
def test_a_file_bus_keeps_events_from_one_life_to_the_next(run: Run, tmp_path: Path) -> None:
    """What was admitted is delivered, with what came of it told in the life in which it came."""
    told: list[object] = []

    async def main() -> None:
        async with make(FakeActor(1000.0), bus="file", home=tmp_path) as loop:
            await loop.inject(MESSAGE)
        loop = make(bus="file", home=tmp_path)
        loop.on("event", told.append)
        loop.on("delivery", told.append)
        async with loop:
            await until(lambda: bool(told))

    run(main)

    (end,) = told
    assert isinstance(end, Settled)
    assert end.outcome == "delivered"
    assert end.attempts > 1


@pytest.mark.parametrize(("options", "fault"), [({"bus": "file"}, "say where"), ({"bus": "paper"}, "must be")])
def test_a_bus_that_cannot_be_is_refused_at_once(options: dict[str, Any], fault: str) -> None:
    """With what to do about it."""
    with pytest.raises(ConfigError, match=fault):
        make(**options)


async def test_a_bus_of_ones_own_is_used() -> None:
    """Its limits are those of the loop."""
    bus = MemoryBus(max_events=1)
    async with make(FakeActor(1000.0), bus=bus) as loop:
        await loop.inject(MESSAGE)
        assert bus.status()["open_events"] == 1
        assert loop.statistics().bus["open_events"] == 1


async def test_dead_letters_are_files_with_a_home_and_readable_without(tmp_path: Path) -> None:
    """Whatever the bus."""
    for home in (None, tmp_path):
        async with make(FakeActor(Rejected("no")), home=home) as loop:
            await loop.inject(MESSAGE)
            assert await loop.drain(timeout_s=5)
            assert len(loop.dead_letters()) == 1
    assert len(list((tmp_path / "data" / "dead-letters").iterdir())) >= 1


# -- callbacks ---------------------------------------------------------------------------------------------------------


@everywhere
def test_each_admitted_event_is_told_once_whatever_becomes_of_it(run: Run) -> None:
    """Delivered, wanted by nobody, or polled."""
    told, ends, errors = list[Event](), list[Settled](), list[Notice]()
    polled = FakePolledSource(Polled([event("polled", source="desk")], "1"))
    config = organisation()
    config["sources"][0]["poll"] = {"interval": "20ms"}
    loop = OrgLoop(config, sources={"desk": polled}, actors={"agent": FakeActor()})
    loop.on("event", told.append)
    loop.on("delivery", ends.append)
    loop.on("error", errors.append)

    async def main() -> None:
        async with loop:
            await loop.inject([{**MESSAGE, "payload": "one"}, {**MESSAGE, "source": "x", "payload": "nobody's"}])
            await until(lambda: len(told) == 3)
            assert await loop.drain(timeout_s=5)

    run(main)

    assert sorted(str(one.payload) for one in told) == ["nobody's", "one", "polled"]
    assert {one.module for one in told} == {"default"}
    assert [end.event.payload for end in ends] == ["one"], "nobody was owed the others"
    assert errors == []


@pytest.mark.parametrize(
    ("script", "outcome", "attempts", "error"),
    [
        ([Delivered()], "delivered", 1, None),
        ([Skipped("not mine")], "dropped(skipped)", 1, None),
        ([Rejected("no")], "dead_letter(rejected)", 1, "no"),
        ([Failed("later"), Delivered()], "delivered", 2, None),
        ([Failed("later"), Failed("never")], "dead_letter(retries_exhausted)", 2, "never"),
        ([ValueError("bug"), Delivered()], "delivered", 2, None),
    ],
)
async def test_what_came_of_an_obligation_is_told(
    autojump_clock: MockClock, script: list[Any], outcome: str, attempts: int, error: str | None
) -> None:
    """With how often it was tried, and what went wrong last if it was given up."""
    ends: list[Settled] = []
    loop = make(FakeActor(*script), organisation(retry={"max_attempts": 2, "initial_delay": "1s"}))
    loop.on("delivery", ends.append)
    async with loop:
        await loop.inject({**MESSAGE, "payload": 7})
        assert await loop.drain(timeout_s=60)

    (end,) = ends
    assert (end.outcome, end.attempts, end.error) == (outcome, attempts, error)
    assert (end.event.payload, end.module, end.route, end.actor) == (7, "default", "work", "agent")


async def test_what_a_transform_ends_is_told_with_no_attempt(autojump_clock: MockClock) -> None:
    """Dropped by it, or given up because of it."""

    class Moody:
        def apply(self, event: Event, context: object) -> Event | None:
            if event.payload == "bad":
                raise TransformFailed("cannot read it")
            return None

    config = organisation()
    config["transforms"] = [{"name": "moody", "type": "given"}]
    config["routes"][0]["transforms"] = [{"ref": "moody"}]
    ends: list[Settled] = []
    loop = make(config=config, transforms={"moody": Moody()})
    loop.on("delivery", ends.append)
    await pass_through(loop, MESSAGE, {**MESSAGE, "payload": "bad"})

    assert [(end.outcome, end.attempts) for end in ends] == [("dropped(moody)", 0), ("dead_letter(transform)", 0)]
    assert "cannot read it" in str(ends[1].error)


async def test_the_same_event_twice_is_two_obligations() -> None:
    """Told apart although they have one id."""
    ends: list[Settled] = []
    loop = make(FakeActor(Rejected("no"), Delivered()))
    loop.on("delivery", ends.append)
    one = Event("desk", "message.received", {"platform": "desk"})
    await pass_through(loop, one, one)

    assert Counter(end.outcome for end in ends) == {"dead_letter(rejected)": 1, "delivered": 1}
    assert sum(end.attempts for end in ends) == 2


async def test_each_route_that_an_event_was_owed_to_is_told_of() -> None:
    """Each with its own end."""
    config = organisation()
    config["actors"].append({"id": "other", "connector": "given"})
    config["routes"].append({**config["routes"][0], "name": "also", "then": {"actor": "other"}})
    actors = {"agent": FakeActor(), "other": FakeActor(Rejected("no"))}
    ends: list[Settled] = []
    loop = OrgLoop(config, sources={"desk": FakePolledSource()}, actors=actors)
    loop.on("delivery", ends.append)
    await pass_through(loop)

    assert {(end.route, end.actor, end.outcome) for end in ends} == {
        ("work", "agent", "delivered"),
        ("also", "other", "dead_letter(rejected)"),
    }


async def test_a_backlog_is_told_whole() -> None:
    """What waits beyond the memory of a lane is told too."""
    ends: Counter[str] = Counter()
    loop = make(config=organisation(overflow="block"))
    loop.on("delivery", lambda end: ends.update([end.outcome]))
    events = [event(number, source="desk", type="message.received") for number in range(1_000)]
    async with loop:
        await loop.inject(events)
        assert await loop.drain(timeout_s=20)

    assert ends == {"delivered": 1_000}


async def test_what_is_read_back_is_remembered_again() -> None:
    """A lane with a long queue reads an event when its turn comes; what nobody remembers is told as a number."""

    class Durable(MemoryBus):
        durability = "durable"

    ends, forgotten, failed = list[Settled](), list[str](), list[str]()
    listeners = Listeners[Settled](lambda error, _: failed.append(error))
    listeners.add(ends.append)
    bus = ListeningBus(
        Durable(),
        on_event=Listeners[Event](lambda error, _: failed.append(error)),
        on_settled=listeners,
        actor_of=lambda *_: "agent",
        forgotten=forgotten.append,
        remembered=10,
    )
    await bus.publish([event(number) for number in range(20)])
    await bus.receive()
    await bus.read([1, 2])
    bus.settle([Settlement(outcome="delivered", sequences=[1, 2, 3, 20], module="m", route="r")])

    assert [end.event.payload for end in ends] == [0, 1, 19]
    assert [text.split()[0] for text in forgotten] == ["1"]
    assert failed == []


async def test_errors_are_told_in_each_life() -> None:
    """Opened again, it listens again."""
    errors: list[Notice] = []
    loop = make(FakeActor(Rejected("no"), Rejected("no")))
    loop.on("error", errors.append)
    for _ in range(2):
        await pass_through(loop)

    assert len(errors) == 2


@everywhere
def test_what_went_wrong_is_told_as_a_notice(run: Run) -> None:
    """A delivery that is tried again too."""
    errors: list[Notice] = []
    loop = make(FakeActor(Failed("later")), organisation(retry={"initial_delay": "1ms"}))
    loop.on("error", errors.append)
    run(lambda: pass_through(loop))

    assert [(notice.phase, notice.error) for notice in errors] == [("deliver.retry", "later")]


@everywhere
def test_a_callback_that_raises_harms_nobody(run: Run) -> None:
    """It is counted each time, told of once, and the others are called."""
    loop, told, errors = make(), list[Event](), list[Notice]()

    def raise_it(_: object) -> None:
        raise SystemExit(3)

    loop.on("event", raise_it)
    loop.on("event", told.append)
    loop.on("delivery", raise_it)
    loop.on("error", errors.append)
    run(lambda: pass_through(loop, MESSAGE, MESSAGE))

    assert len(told) == 2
    assert [notice.error for notice in errors] == [
        "a callback for 'event' raised SystemExit: 3; told of once",
        "a callback for 'delivery' raised SystemExit: 3; told of once",
    ]
    notices = loop.statistics().notices
    assert (notices.callbacks, notices.failed_callbacks) == (4, 4)


async def test_a_callback_for_errors_that_raises_is_counted_only() -> None:
    """Or it would be told of itself for ever."""
    loop = make(FakeActor(Rejected("no")))

    def raise_it(_: object) -> None:
        raise ValueError

    loop.on("error", raise_it)
    await pass_through(loop)

    assert loop.statistics().notices.failed_callbacks == 1


async def test_a_callback_can_be_ended_and_begun_while_it_runs() -> None:
    """Each registration by itself."""
    loop, ends = make(), list[Settled]()
    async with loop:
        end_one = loop.on("delivery", ends.append)
        end_other = loop.on("delivery", ends.append)
        await loop.inject(MESSAGE)
        assert await loop.drain(timeout_s=5)
        end_one()
        end_one()
        await loop.inject(MESSAGE)
        assert await loop.drain(timeout_s=5)
        end_other()
        await loop.inject(MESSAGE)
        assert await loop.drain(timeout_s=5)

    assert len(ends) == 3
    assert {end.actor for end in ends} == {"agent"}


def test_a_name_that_nobody_tells_is_refused() -> None:
    """With those that there are."""
    loop: Any = make()
    with pytest.raises(ValueError, match="'event', 'delivery', 'error'"):
        loop.on("events", print)


@everywhere
def test_callbacks_are_called_where_the_program_runs(run: Run) -> None:
    """In its thread, and they find its loop."""
    seen: set[str] = set()
    loop, here = make(), list[str]()
    loop.on("event", lambda _: seen.add(sniffio.current_async_library()))
    loop.on("delivery", lambda _: seen.add(sniffio.current_async_library()))

    async def main() -> None:
        here.append(sniffio.current_async_library())
        await pass_through(loop)

    run(main)

    assert seen == set(here)


# -- the sum -----------------------------------------------------------------------------------------------------------


@everywhere
def test_everything_adds_up_at_the_end(run: Run) -> None:
    """Admitted is what was delivered, dropped, given up, and is still under way; after the block too."""
    loop = make(FakeActor(Rejected("no"), Delivered(), Skipped("no"), 1000.0))
    ends: Counter[str] = Counter()
    loop.on("delivery", lambda end: ends.update([end.outcome.split("(")[0]]))

    async def main() -> None:
        async with loop:
            await loop.inject([MESSAGE] * 5)
            await until(lambda: ends.total() == 3)
            assert not await loop.drain(timeout_s=0.01)

    run(main)

    (module,) = loop.statistics().modules
    counts = module.routes["work"]
    assert module.state == "removed"
    assert (counts.admitted, counts.delivered, counts.dropped, counts.dead, counts.in_flight) == (5, 1, 1, 1, 2)
    assert ends == {"delivered": 1, "dropped": 1, "dead_letter": 1}


def test_two_loops_of_asyncio_programs_and_one_of_trio_in_one_process() -> None:
    """One after the other in one thread: nothing is left behind."""
    actors = [FakeActor() for _ in range(4)]
    for run, actor in zip([asyncio.run, trio.run, asyncio.run, trio.run], actors, strict=True):
        if run is trio.run:
            trio.run(pass_through, make(actor))
        else:
            asyncio.run(pass_through(make(actor)))

    assert [len(actor.events) for actor in actors] == [1, 1, 1, 1]


def test_a_loop_inside_of_another_loop(tmp_path: Path) -> None:
    """Nested programs share nothing but the thread."""

    async def main() -> None:
        async with make() as outer, make(bus="file", home=tmp_path) as inner:
            await outer.inject(MESSAGE)
            await inner.inject(MESSAGE)
            assert await outer.drain(timeout_s=5)
            assert await inner.drain(timeout_s=5)

    on_trio(main)
    asyncio.run(main())


OFFICE = """
import attrs
from orgloop.sdk import Connector, Delivered, Offer, Polled

@attrs.frozen
class Config:
    pass

class Office:
    def __init__(self, config, place):
        pass

    async def poll(self, checkpoint):
        return Polled()

    async def deliver(self, delivery):
        return Delivered()

OFFER = Offer(config=Config, make=Office)
CONNECTOR = Connector(id="office", summary="An office.", source=OFFER, actor=OFFER)
"""

PROJECT = """
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: office}
sources:
  - {id: desk, connector: ./office.py}
actors:
  - {id: agent, connector: ./office.py}
routes:
  - name: work
    when: {source: desk, events: [message.received]}
    then: {actor: agent}
"""


@everywhere
def test_a_project_on_disk_is_a_config_too(run: Run, tmp_path: Path) -> None:
    """By its path; what came of an obligation is told with the actor of its route."""
    (tmp_path / "orgloop.yaml").write_text(PROJECT)
    (tmp_path / "office.py").write_text(OFFICE)
    loop, ends = OrgLoop(tmp_path), list[Settled]()
    loop.on("delivery", ends.append)

    run(lambda: pass_through(loop))

    assert [(end.module, end.route, end.actor) for end in ends] == [("office", "work", "agent")]
