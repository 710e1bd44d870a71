"""Plug-ins that are written for asyncio, for anyio, and for Trio, in a program on asyncio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

import anyio
import pytest
import sniffio
import trio

from orgloop.embed import OrgLoop, Settled, on_host
from orgloop.embed._guest import open_bridge
from orgloop.embed._host import on_loop
from orgloop.errors import PluginError
from orgloop.sdk import Actor, Context, Delivered, Delivery, Event, Outcome, Polled
from orgloop.testing import FakeActor, FakePolledSource, event
from tests.embed.stage import MESSAGE, Run, everywhere, on_asyncio, on_both_asyncios, on_trio, organisation, until


async def deliver_one(actor: Actor, **delivery: Any) -> list[Settled]:
    """Bring a message to an actor; what came of it, and of what followed."""
    ends: list[Settled] = []
    config = organisation(**delivery)
    async with OrgLoop(config, sources={"desk": FakePolledSource()}, actors={"agent": actor}) as loop:
        loop.on("delivery", ends.append)
        await loop.inject(MESSAGE)
        assert await loop.drain(timeout_s=5)
    return ends


class Native:
    """An actor that knows asyncio only."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.seen: list[Event] = []
        self._then = then

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Wait as asyncio does."""
        assert sniffio.current_async_library() == "asyncio"
        async with asyncio.timeout(5):
            await asyncio.gather(asyncio.sleep(0), asyncio.to_thread(int))
        self.seen.append(delivery.event)
        self._then()
        return Delivered()


@on_both_asyncios
def test_an_actor_of_asyncio_works_on_the_host(run: Run) -> None:
    """In a task of its loop."""
    actor = Native()

    (end,) = run(lambda: deliver_one(on_host(actor)))

    assert end.outcome == "delivered"
    assert len(actor.seen) == 1


@everywhere
def test_an_actor_of_anyio_works_as_it_is(run: Run) -> None:
    """On every loop: anyio finds Trio, or the runtime of asyncio's guest, which is Trio."""

    class Portable:
        async def deliver(self, delivery: Delivery) -> Outcome:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            with anyio.fail_after(5):
                await anyio.to_thread.run_sync(int)
            return Delivered()

    (end,) = run(lambda: deliver_one(Portable()))

    assert end.outcome == "delivered"


def test_a_deadline_of_the_route_cancels_the_task_on_the_host() -> None:
    """And is told as one, as for any actor."""
    ended: list[str] = []

    class Slow:
        async def deliver(self, delivery: Delivery) -> Outcome:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return Delivered()

    async def main() -> list[Settled]:
        return await deliver_one(on_host(Slow()), timeout="20ms", retry={"max_attempts": 1})

    (end,) = on_asyncio(main)

    assert (end.outcome, end.error) == ("dead_letter(retries_exhausted)", "no answer within 0.02 s")
    assert ended == ["cancelled"]


def test_what_it_emits_from_the_host_is_an_event() -> None:
    """``delivery.emit`` crosses back."""

    class Emitting:
        async def deliver(self, delivery: Delivery) -> Outcome:
            if not delivery.event.ancestors:
                await delivery.emit([event("follows", source="desk", type="message.received")])
            return Delivered()

    first, second = on_asyncio(lambda: deliver_one(on_host(Emitting())))

    assert second.event.ancestors == (first.event.id,)


@pytest.mark.parametrize("raised", [ValueError("bad"), SystemExit(3), asyncio.CancelledError()])
def test_what_it_raises_is_a_crash_of_the_actor_and_not_of_the_host(raised: BaseException) -> None:
    """SystemExit too, which would otherwise stop the loop of the whole program."""

    def raise_it() -> None:
        raise raised

    actor = Native(raise_it)
    (end,) = on_asyncio(lambda: deliver_one(on_host(actor), retry={"max_attempts": 1}))

    assert end.outcome == "dead_letter(retries_exhausted)"
    assert end.error is not None
    assert "the actor crashed" in end.error


def test_a_source_of_asyncio_is_polled_on_the_host() -> None:
    """As an actor is, with its checkpoint."""

    class Feed:
        async def poll(self, checkpoint: str | None) -> Polled:
            await asyncio.sleep(0)
            return Polled([event("news", source="desk", type="message.received")] if checkpoint is None else [], "1")

    actor, config = FakeActor(), organisation()
    config["sources"][0]["poll"] = {"interval": "50ms"}

    async def main() -> None:
        async with OrgLoop(config, sources={"desk": on_host(Feed())}, actors={"agent": actor}) as loop:
            await until(lambda: bool(actor.events))
            assert await loop.drain(timeout_s=5)

    on_asyncio(main)

    assert [one.payload for one in actor.events] == ["news"]


def test_a_transform_of_asyncio_is_applied_on_the_host() -> None:
    """And one that is a plain function stays where it is."""

    class Stamp:
        async def apply(self, event: Event, context: Context) -> Event | None:
            await asyncio.sleep(0)
            return None

    config = organisation()
    config["transforms"] = [{"name": "stamp", "type": "given"}]
    config["routes"][0]["transforms"] = [{"ref": "stamp"}]
    given: dict[str, Any] = {"sources": {"desk": FakePolledSource()}, "actors": {"agent": FakeActor()}}

    async def main() -> list[Settled]:
        ends: list[Settled] = []
        async with OrgLoop(config, transforms={"stamp": on_host(Stamp())}, **given) as loop:
            loop.on("delivery", ends.append)
            await loop.inject(MESSAGE)
            assert await loop.drain(timeout_s=5)
        return ends

    (end,) = on_asyncio(main)

    assert end.outcome == "dropped(stamp)"


class Client:
    """An actor that holds something open that must be entered and left in one task."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self._tasks: set[asyncio.Task[object] | None] = set()

    async def __aenter__(self) -> Client:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._tasks.add(asyncio.current_task())
        self.log.append("entered")
        return self

    async def __aexit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._tasks.add(asyncio.current_task())
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        self.log.append(f"left by {len(self._tasks)} task")

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Use what is open."""
        self._group.start_soon(asyncio.sleep, 60)
        self.log.append("delivered")
        return Delivered()


@on_both_asyncios
def test_what_holds_something_open_is_entered_and_left_in_one_task(run: Run) -> None:
    """So a client with a task group in it works."""
    client = Client()

    run(lambda: deliver_one(on_host(client)))

    assert client.log == ["entered", "delivered", "left by 1 task"]


def test_what_cannot_be_entered_says_why() -> None:
    """The module does not start, for that reason."""

    class Locked(Client):
        async def __aenter__(self) -> Client:
            raise OSError("no such key")

    async def main() -> None:
        with pytest.raises(Exception, match="no such key"):
            await deliver_one(on_host(Locked()))

    on_asyncio(main)


def test_entering_that_is_cancelled_is_undone() -> None:
    """The task on the host is cancelled and waited for."""
    log: list[str] = []
    scope = trio.CancelScope()

    class Slow(Client):
        async def __aenter__(self) -> Client:
            scope.cancel("it has begun")
            try:
                await asyncio.sleep(60)
            finally:
                log.append("undone")
            return self

    async def main() -> None:
        async with open_bridge() as bridge:

            async def enter() -> None:
                with scope:
                    async with on_host(Slow()):
                        pass
                log.append("goes on")

            await bridge.run(enter)

    on_asyncio(main)

    assert log == ["undone", "goes on"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has eager tasks since 3.12")
def test_tasks_that_begin_eagerly_begin_on_the_right_side() -> None:
    """A task that is made by a callback, or by us, does not take itself for one of Trio's."""
    actor, tasks = Native(), list[asyncio.Task[list[int]]]()

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
        given = {"desk": FakePolledSource()}
        async with OrgLoop(organisation(), sources=given, actors={"agent": on_host(actor)}) as loop:

            def follow(first: Event) -> None:
                if not tasks:
                    tasks.append(asyncio.create_task(loop.inject(MESSAGE)))

            loop.on("event", follow)
            await loop.inject(MESSAGE)
            await until(lambda: len(actor.seen) == 2)

    on_asyncio(main)


def test_a_call_that_is_cancelled_before_it_begins_never_does() -> None:
    """Nothing is left that would never be awaited."""
    begun: list[bool] = []

    async def work() -> None:
        begun.append(True)

    async def main() -> None:
        async with open_bridge() as bridge:

            async def call() -> None:
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await on_loop(work)

            await bridge.run(call)

    on_asyncio(main)

    assert begun == []


def test_a_call_may_finish_although_it_was_cancelled() -> None:
    """What asyncio refuses to give up, Trio waits for and takes."""

    scope = trio.CancelScope()

    async def stubborn() -> str:
        scope.cancel("it has begun")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done all the same"
        return "not cancelled"

    async def main() -> None:
        async with open_bridge() as bridge:

            async def call() -> str:
                with scope:
                    return await on_loop(stubborn)
                return "lost"

            assert await bridge.run(call) == "done all the same"

    on_asyncio(main)


def test_on_trio_there_is_no_host() -> None:
    """It says so, and what to do."""

    async def main() -> None:
        with pytest.raises(PluginError, match="leave it out"):
            await on_loop(asyncio.sleep, 0)

    on_trio(main)


def test_the_wrapper_shows_what_is_in_it() -> None:
    """And is no source when that is none."""
    wrapped = on_host(Native())

    assert "Native" in repr(wrapped)
    assert not hasattr(wrapped, "poll")
    assert not hasattr(wrapped, "__aenter__")
