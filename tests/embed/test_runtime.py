"""A runtime on Trio and on asyncio: the same calls, the same ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
import sniffio
import trio

import orgloop
from orgloop.embed._runtime import open_here
from orgloop.errors import Closed, ConfigError, ModuleError
from orgloop.event import Event
from orgloop.runtime.runtime import Runtime
from orgloop.sdk import Delivered, Delivery, Notice, Outcome
from orgloop.testing import FakeActor, FakePolledSource
from tests.embed.stage import MESSAGE, Run, everywhere, on_asyncio, on_both_asyncios, on_trio, organisation, until


async def load(runtime: Runtime, actor: FakeActor, name: str = "m") -> str:
    """Load the organisation."""
    given = {"desk": FakePolledSource()}
    return await runtime.load_module(organisation(), name=name, sources=given, actors={"agent": actor})


@everywhere
def test_an_event_goes_round(run: Run) -> None:
    """Loaded, injected, delivered, counted, unloaded."""
    actor = FakeActor()

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            assert await load(runtime, actor) == "m"
            assert await runtime.inject([MESSAGE, MESSAGE]) == [1, 2]
            assert await runtime.drain(timeout_s=5)
            assert [one.name for one in runtime.modules()] == ["m"]
            assert runtime.statistics().modules[0].routes["work"].delivered == 2
            assert "agent  running" in runtime.tree()
            assert await runtime.unload_module("m") == 0

    run(main)

    assert len(actor.events) == 2


@everywhere
def test_what_a_call_refuses_it_refuses_in_the_same_words(run: Run) -> None:
    """Errors come across as they are."""

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            with pytest.raises(ModuleError, match="there is no module 'x'"):
                await runtime.unload_module("x")
            with pytest.raises(ConfigError, match="routes"):
                await runtime.load_module({"routes": 1})

    run(main)


@everywhere
def test_a_closed_runtime_says_so(run: Run) -> None:
    """Whether or not there is a Trio left to ask."""

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            is_open = [runtime.is_open]
            await load(runtime, FakeActor())
        assert [*is_open, runtime.is_open] == [True, False]
        with pytest.raises(Closed, match="the runtime is closed"):
            await runtime.inject(MESSAGE, module="m")

    run(main)


@everywhere
def test_two_runtimes_live_side_by_side(run: Run) -> None:
    """On asyncio they share a guest, and nothing else."""
    actors = FakeActor(), FakeActor()

    async def main() -> None:
        async with orgloop.open_runtime() as one, orgloop.open_runtime() as other:
            await load(one, actors[0])
            await load(other, actors[1])
            await other.inject(MESSAGE)
            assert await other.drain(timeout_s=5)

    run(main)

    assert [len(actor.events) for actor in actors] == [0, 1]


@everywhere
def test_events_survive_in_a_home(run: Run, tmp_path: Path) -> None:
    """What was not delivered in one life is in the next."""
    actor = FakeActor()

    async def main() -> None:
        async with orgloop.open_runtime(home=tmp_path) as runtime:
            await load(runtime, FakeActor(1000.0))
            await runtime.inject(MESSAGE)
        async with orgloop.open_runtime(home=tmp_path) as runtime:
            await load(runtime, actor)
            await until(lambda: bool(actor.events))

    run(main)


@everywhere
def test_it_may_be_made_before_there_is_a_loop(run: Run) -> None:
    """Where it is entered decides."""
    block = orgloop.open_runtime()

    async def main() -> None:
        async with block as runtime:
            assert runtime.modules() == ()
            await runtime.drain(timeout_s=1)

    run(main)


@everywhere
def test_a_block_that_raises_is_left_with_that_error(run: Run) -> None:
    """The runtime stops in order meanwhile."""

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            await load(runtime, FakeActor())
            raise LookupError

    with pytest.raises(LookupError):
        run(main)


@everywhere
def test_a_runtime_that_fails_cancels_its_block(run: Run) -> None:
    """Whoever waits in there is not left waiting."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Runtime]:
        async with trio.open_nursery() as nursery, orgloop.open_runtime() as runtime:

            async def fail() -> None:
                await trio.sleep(0.01)
                raise ModuleError("it gave up")

            nursery.start_soon(fail)
            yield runtime

    async def main() -> None:
        with pytest.RaisesGroup(ModuleError):
            async with open_here(opened):
                await anyio.sleep(60)

    run(main)


@on_both_asyncios
def test_a_callback_finds_itself_on_asyncio(run: Run) -> None:
    """It is called in the thread of the loop, and may start tasks and fill queues there."""
    seen: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    def called(notice: Notice) -> None:
        seen.append(sniffio.current_async_library())
        tasks.append(asyncio.get_running_loop().create_task(asyncio.sleep(0)))

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            runtime.on("deliver.success", called)
            await load(runtime, FakeActor())
            await runtime.inject(MESSAGE)
            assert await runtime.drain(timeout_s=5)
            await tasks[0]

    run(main)

    assert seen == ["asyncio"]


@everywhere
def test_an_actor_may_use_what_its_program_was_given(run: Run) -> None:
    """On asyncio that is awaited from the other side, and works there too."""
    followed: list[Event] = []

    class Forwarding:
        runtime: Runtime

        async def deliver(self, delivery: Delivery) -> Outcome:
            if delivery.event.payload == {}:
                await self.runtime.inject({**MESSAGE, "payload": "again"})
            else:
                followed.append(delivery.event)
            return Delivered()

    async def main() -> None:
        actor = Forwarding()
        async with orgloop.open_runtime() as actor.runtime:
            runtime, given = actor.runtime, {"desk": FakePolledSource()}
            await runtime.load_module(organisation(), sources=given, actors={"agent": actor})
            await runtime.inject(MESSAGE)
            assert await runtime.drain(timeout_s=5)

    run(main)

    assert [one.payload for one in followed] == ["again"]


@everywhere
def test_what_is_a_block_on_trio_is_one_on_asyncio(run: Run) -> None:
    """A method that gives a context manager gives one for the loop of the caller."""

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            async with runtime.restoring():
                await load(runtime, FakeActor())
            await runtime.inject(MESSAGE)
            assert await runtime.drain(timeout_s=5)

    run(main)


def test_a_runtime_across_has_every_method_of_a_runtime() -> None:
    """With its signature: what waits can be awaited, what does not is called, and there is no third kind."""
    methods = {name: one for name, one in inspect.getmembers(Runtime, inspect.isfunction) if not name.startswith("_")}

    async def main() -> None:
        async with orgloop.open_runtime() as runtime:
            for name, method in methods.items():
                across, (_self, *own) = getattr(runtime, name), inspect.signature(method).parameters.values()
                assert [*inspect.signature(across).parameters.values()] == own, name
                assert inspect.iscoroutinefunction(across) == inspect.iscoroutinefunction(method), name
                assert not inspect.isasyncgenfunction(inspect.unwrap(method)), f"{name} would not cross"
            with pytest.raises(AttributeError, match="has no 'root'"):
                _ = runtime.root
            with pytest.raises(AttributeError, match="has no '_is_drained'"):
                _ = runtime._is_drained

    on_asyncio(main)


# -- serve -------------------------------------------------------------------------------------------------------------


@everywhere
def test_serve_is_a_task_of_a_task_group(run: Run) -> None:
    """``start`` gives the runtime, with its module, and cancelling the group stops it in order."""
    actor, ended = FakeActor(), list[str]()

    async def main() -> None:
        serve = partial(orgloop.serve, sources={"desk": FakePolledSource()}, actors={"agent": actor})
        async with anyio.create_task_group() as group:
            runtime: Runtime = await group.start(serve, organisation())
            runtime.on("module.", lambda notice: ended.append(notice.phase))
            await runtime.inject(MESSAGE)
            assert await runtime.drain(timeout_s=5)
            group.cancel_scope.cancel()
        assert not runtime.is_open

    run(main)

    assert len(actor.events) == 1


def test_serve_is_a_task_of_a_nursery() -> None:
    """The same on bare Trio."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            runtime: Runtime = await nursery.start(orgloop.serve)
            assert runtime.modules() == ()
            nursery.cancel_scope.cancel("seen")

    on_trio(main)


@everywhere
def test_serve_that_cannot_start_raises_at_its_start(run: Run) -> None:
    """Where it was asked for."""

    async def main() -> None:
        with pytest.RaisesGroup(ConfigError):
            async with anyio.create_task_group() as group:
                await group.start(orgloop.serve, {"routes": 1})

    run(main)


def test_serve_may_be_a_bare_task_of_asyncio() -> None:
    """Nobody has to use a task group."""

    async def main() -> None:
        task = asyncio.create_task(orgloop.serve())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not trio.lowlevel.in_trio_run()

    asyncio.run(main())
