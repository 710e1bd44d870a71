"""A source that is told: requests become events that are durable before they are answered, each delivery once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.errors import BusFull, EventError, Unavailable, UnknownSource
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import FORM_TYPE, Polled, Received, Request, Response, Takes
from orgloop.testing import FakeActor, event
from tests.runtime.test_runtime import config

Act = Received | Exception | Callable[[Request], Awaitable[Received]]


@attrs.define
class Told:
    """A source that answers requests as its script says, then with one event each."""

    script: list[Act] = attrs.field(factory=list)
    entered: int = 0
    left: int = 0

    async def __aenter__(self) -> Told:
        self.entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.left += 1

    async def receive(self, request: Request) -> Received:
        act = self.script.pop(0) if self.script else Received([event(request.body.decode())])
        if isinstance(act, Exception):
            raise act
        return act if isinstance(act, Received) else await act(request)


@attrs.define
class Both(Told):
    """One that looks for itself too."""

    polls: int = 0

    async def poll(self, checkpoint: str | None) -> Polled:
        self.polls += 1
        return Polled()


def request(body: str = "x") -> Request:
    return Request("POST", "/webhook/github", {}, body.encode())


def identified(body: str = "x", delivery_id: str = "d1") -> Received:
    """One event, of a delivery with an id."""
    return Received([event(body)], Response(202), delivery_id=delivery_id)


async def load(runtime: Runtime, source: Any, *, name: str = "m", **changes: Any) -> FakeActor:
    actor = FakeActor()
    sources = [{"id": "github", "connector": "given", **changes}]
    await runtime.load_module(config(name, sources=sources), sources={"github": source}, actors={"agent": actor})
    return actor


async def test_a_request_becomes_an_event_of_its_source(autojump_clock: MockClock) -> None:
    """Published under the id that it is configured under, and answered as the source says."""
    source = Told([Received([event("x", ancestors=("evt_0",))], Response(202, {"thanks": True}))])
    async with open_runtime() as runtime:
        actor = await load(runtime, source)
        response = await runtime.receive("github", request())
        assert await runtime.drain(timeout_s=5)

    assert (response.status, response.body) == (202, {"thanks": True})
    (seen,) = actor.events
    assert (seen.payload, seen.source, seen.module, seen.ancestors) == ("x", "github", "m", ())


async def test_a_request_without_events_is_answered(autojump_clock: MockClock) -> None:
    """Such as one that is not authentic."""
    async with open_runtime() as runtime:
        await load(runtime, Told([Received(response=Response(401))]))
        assert (await runtime.receive("github", request())).status == 401
        assert await runtime.drain(timeout_s=1)


async def test_a_delivery_is_admitted_once(autojump_clock: MockClock) -> None:
    """Whoever sends it again is answered as the first time."""
    async with open_runtime() as runtime:
        actor = await load(runtime, Told([identified(), identified()]))
        statuses = [(await runtime.receive("github", request())).status for _ in range(2)]
        assert await runtime.drain(timeout_s=5)

    assert (statuses, len(actor.events)) == ([202, 202], 1)


async def test_a_delivery_is_admitted_once_over_a_restart(autojump_clock: MockClock) -> None:
    """The mark is on the bus, with the event."""
    bus = MemoryBus()
    async with open_runtime(bus=bus) as runtime:
        await load(runtime, Told([identified()]))
        await runtime.receive("github", request())
        await runtime.drain(timeout_s=5)
    async with open_runtime(bus=bus) as runtime:
        actor = await load(runtime, Told([identified(), identified(delivery_id="d2")]))
        await runtime.receive("github", request())
        await runtime.receive("github", request())
        await runtime.drain(timeout_s=5)

    assert len(actor.events) == 1


async def test_the_same_delivery_twice_at_a_time_is_admitted_once(autojump_clock: MockClock) -> None:
    """The second waits for the first to be durable."""
    async with open_runtime() as runtime:
        actor = await load(runtime, Told([identified() for _ in range(5)]))
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(runtime.receive, "github", request())
        await runtime.drain(timeout_s=5)

    assert len(actor.events) == 1


async def test_a_delivery_that_was_refused_may_come_again(autojump_clock: MockClock) -> None:
    """What was not durable is not marked."""

    class Full(MemoryBus):
        refusals = 1

        async def publish(self, events: Any, *, notes: Any = ()) -> list[int]:
            if self.refusals:
                self.refusals -= 1
                raise BusFull("too many")
            return await super().publish(events, notes=notes)

    async with open_runtime(bus=Full()) as runtime:
        actor = await load(runtime, Told([identified(), identified()]))
        with pytest.raises(BusFull):
            await runtime.receive("github", request())
        await runtime.receive("github", request())
        await runtime.drain(timeout_s=5)

    assert len(actor.events) == 1


async def test_a_delivery_with_another_body_is_told_of(autojump_clock: MockClock) -> None:
    """Nobody sends that who means well."""
    async with open_runtime() as runtime:
        errors: list[str | None] = []
        runtime.on("system.error", lambda notice: errors.append(notice.error))
        actor = await load(runtime, Told([identified("x"), identified("y")]))
        await runtime.receive("github", request("x"))
        await runtime.receive("github", request("y"))
        await runtime.drain(timeout_s=5)

    assert [one.payload for one in actor.events] == ["x"]
    assert "'d1' came again with another body" in str(errors)


async def test_a_crash_over_a_request_is_the_supervisors(autojump_clock: MockClock) -> None:
    """The request may be sent again; the source begins another life, and its neighbours have not noticed."""
    source = Told([RuntimeError("no such field")])
    async with open_runtime() as runtime:
        await load(runtime, source)
        with pytest.raises(Unavailable) as caught:
            await runtime.receive("github", request())
        await trio.sleep(1)
        assert (await runtime.receive("github", request())).status == 200
        assert "no such field" in runtime.tree()

    assert (caught.value.retry_after_s, source.entered, source.left) == (1.0, 2, 2)


async def test_a_source_between_two_lives_is_not_at_work(autojump_clock: MockClock) -> None:
    """Nothing waits for it: the sender is told when to ask again."""
    async with open_runtime() as runtime:
        await load(runtime, Told([RuntimeError("once")]))
        with pytest.raises(Unavailable):
            await runtime.receive("github", request())
        with pytest.raises(Unavailable, match="not at work"):
            await runtime.receive("github", request())


async def test_a_source_that_does_not_answer_has_crashed(autojump_clock: MockClock) -> None:
    """It must wait for nothing outside."""

    async def hang(request: Request) -> Received:
        await trio.sleep_forever()
        raise AssertionError

    async with open_runtime() as runtime:
        await load(runtime, Told([hang]))
        with pytest.raises(Unavailable):
            await runtime.receive("github", request())
        assert runtime.modules()[0].sources["github"].health.status == "degraded"


@pytest.mark.parametrize("made", [None, [event()], "x"])
async def test_what_is_not_received_is_a_crash(autojump_clock: MockClock, made: Any) -> None:
    """It broke its contract."""

    async def other(request: Request) -> Received:
        return made  # type: ignore[no-any-return]

    async with open_runtime() as runtime:
        await load(runtime, Told([other]))
        with pytest.raises(Unavailable):
            await runtime.receive("github", request())


async def test_an_event_that_cannot_be_is_refused_whole(autojump_clock: MockClock) -> None:
    """Nothing of the request is admitted, and the sender hears what is wrong."""
    async with open_runtime() as runtime:
        actor = await load(runtime, Told([Received([event("x"), event({"n": float("nan")})])]))
        with pytest.raises(EventError, match="not a JSON number"):
            await runtime.receive("github", request())
        await runtime.drain(timeout_s=5)

    assert actor.events == []


async def test_a_source_that_can_do_both_polls_only_if_asked_to(autojump_clock: MockClock) -> None:
    """Without an interval it is told, and that is all."""
    quiet, busy = Both(), Both()
    async with open_runtime() as runtime:
        await load(runtime, quiet)
        await load(runtime, busy, name="n", poll={"interval": "1s"})
        await trio.sleep(3.5)
        assert (await runtime.receive("github", request(), module="n")).status == 200

    assert quiet.polls == 0
    assert busy.polls >= 3
    assert (busy.entered, busy.left) == (1, 1)


@pytest.mark.parametrize(
    ("source", "module", "text"),
    [
        ("gitlab", None, "there is no source 'gitlab' that takes requests"),
        ("github", "x", "there is no source 'github' in module 'x'"),
        ("github", None, "modules m, n have a source 'github': name one of them"),
    ],
)
async def test_a_source_that_is_not_meant_clearly(
    autojump_clock: MockClock, source: str, module: str | None, text: str
) -> None:
    """The error says what there is."""
    async with open_runtime() as runtime:
        await load(runtime, Told())
        await load(runtime, Told(), name="n")
        with pytest.raises(UnknownSource, match=text):
            await runtime.receive(source, request(), module=module)


async def test_a_reload_refuses_no_request(autojump_clock: MockClock) -> None:
    """One that is in hand is answered by the old source, the next by the new one."""
    open_ = trio.Event()

    async def slowly(request: Request) -> Received:
        await open_.wait()
        return Received([event("old")])

    old, new = Told([slowly]), Told([Received([event("new")])])
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        actor = await load(runtime, old)
        nursery.start_soon(runtime.receive, "github", request())
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(lambda: runtime.reload_module("m", sources={"github": new}))
        await trio.testing.wait_all_tasks_blocked()
        await runtime.receive("github", request())
        open_.set()
        await trio.testing.wait_all_tasks_blocked()
        await runtime.drain(timeout_s=5)

    assert [one.payload for one in actor.events] == ["new", "old"]
    assert (old.left, new.left) == (1, 1)


async def test_whoever_sends_a_delivery_again_is_told_of_the_same_event(autojump_clock: MockClock) -> None:
    """The one that was admitted: the first answer may have been lost."""

    async def told(request: Request) -> Received:
        one = event("x")
        return Received([one], Response(200, {"event_ids": [one.id]}), delivery_id="d1")

    async with open_runtime() as runtime:
        actor = await load(runtime, Told([told, told]))
        answers = [await runtime.receive("github", request()) for _ in range(2)]
        await runtime.drain(timeout_s=5)

    (seen,) = actor.events
    assert [answer.body for answer in answers] == [{"event_ids": [seen.id]}] * 2


async def test_a_source_says_what_may_come_through_the_door_for_it(autojump_clock: MockClock) -> None:
    """The usual, unless it says otherwise, and where there is no such source."""

    class Large(Told):
        takes = Takes(media_types=frozenset({FORM_TYPE}), body_bytes=25)

    async with open_runtime() as runtime:
        await load(runtime, Told())
        await load(runtime, Large(), name="n")

        assert runtime.takes("github", module="n").body_bytes == 25
        assert runtime.takes("github", module="m") == runtime.takes("nobody") == Takes()
