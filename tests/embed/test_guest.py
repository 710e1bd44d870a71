"""The guest: calls from asyncio into Trio, their ends, their cancellations, and the life of the run itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest
import sniffio
import trio

from orgloop.embed._around import open_in_guest
from orgloop.embed._guest import as_host, is_on_asyncio, open_bridge
from orgloop.errors import Closed, OrgLoopError
from tests.embed.stage import Run, on_asyncio, on_both_asyncios, on_trio

NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


@on_both_asyncios
def test_a_call_gives_what_the_function_returns(run: Run) -> None:
    """Arguments go in, the value comes out."""

    async def add(one: int, *, other: int) -> int:
        await trio.lowlevel.checkpoint()
        return one + other

    async def main() -> None:
        async with open_bridge() as bridge:
            assert await bridge.run(add, 1, other=2) == 3

    run(main)


@on_both_asyncios
def test_each_side_knows_the_loop_that_it_runs_on(run: Run) -> None:
    """What asks sniffio, as anyio does, is answered rightly before, inside of, and after a call."""
    seen: list[str] = []

    async def look() -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(sniffio.current_async_library())
        assert not is_on_asyncio()
        as_host(lambda _: seen.append(sniffio.current_async_library()))(None)
        seen.append(sniffio.current_async_library())

    async def main() -> None:
        async with open_bridge() as bridge:
            seen.append(sniffio.current_async_library())
            await bridge.run(look)
            await anyio.lowlevel.checkpoint()
            seen.append(sniffio.current_async_library())

    run(main)

    assert seen == ["asyncio", "trio", "asyncio", "trio", "asyncio"]


def test_an_exception_comes_out_with_its_traceback() -> None:
    """Down to the line that raised it."""

    async def stumble() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("the very line")

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.raises(KeyError) as raised:
                await bridge.run(stumble)
            assert "stumble" in [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]

    on_asyncio(main)


def test_a_group_comes_out_as_a_group() -> None:
    """As a nursery raises it."""

    async def stumble_twice() -> None:
        async with trio.open_nursery():
            raise ValueError("one")

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.RaisesGroup(ValueError):
                await bridge.run(stumble_twice)

    on_asyncio(main)


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
def test_what_ends_programs_ends_the_caller_and_not_the_guest(fatal: type[BaseException]) -> None:
    """The guest closes in order, and it comes out where the program was begun."""
    order: list[str] = []

    async def end_it_all() -> None:
        raise fatal

    async def main() -> None:
        async with open_bridge() as bridge:
            try:
                await bridge.run(end_it_all)
            finally:
                await bridge.run(trio.sleep, 0)
                order.append("the guest is there")

    with pytest.raises(fatal):
        asyncio.run(main())

    assert order == ["the guest is there"]


@on_both_asyncios
def test_a_cancelled_caller_cancels_the_call_and_waits_for_its_end(run: Run) -> None:
    """When the caller goes on, nothing of the call is left."""
    order: list[str] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(0.02)
            order.append("cleaned up")

    async def main() -> None:
        async with open_bridge() as bridge:
            with anyio.move_on_after(0.01) as scope:
                await bridge.run(work)
            assert scope.cancelled_caught
            order.append("the caller goes on")

    run(main)

    assert order == ["cleaned up", "the caller goes on"]


def test_a_deadline_of_asyncio_is_one_for_the_call() -> None:
    """``asyncio.timeout`` expires as it does around anything."""

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await bridge.run(trio.sleep_forever)

    on_asyncio(main)


def test_who_is_cancelled_again_and_again_still_waits() -> None:
    """Impatience does not leave a call behind."""
    ended: list[bool] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.03)
            ended.append(True)

    async def main() -> None:
        async with open_bridge() as bridge:
            task = asyncio.create_task(bridge.run(work))
            while not task.done():
                await asyncio.sleep(0.005)
                task.cancel()
            assert task.cancelled()
            assert ended == [True]

    on_asyncio(main)


def test_a_cancelled_scope_of_anyio_does_not_spin_while_the_call_ends() -> None:
    """It would cancel its task in each turn of the loop; the wait is shielded from it."""
    cancels: list[int] = []

    async def main() -> None:
        caller = asyncio.current_task()
        assert caller is not None

        async def work() -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.03)
                cancels.append(caller.cancelling())

        async with open_bridge() as bridge:
            with anyio.move_on_after(0.01):
                await bridge.run(work)

    anyio.run(main)

    assert cancels[0] < 3


def test_what_goes_wrong_while_a_call_is_cancelled_comes_out() -> None:
    """It is more than the news that it was to end."""

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("not cleaned up")

    async def main() -> None:
        async with open_bridge() as bridge:
            task = asyncio.create_task(bridge.run(work))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(OSError, match="not cleaned up"):
                await task

    on_asyncio(main)


def test_context_variables_go_along() -> None:
    """A call sees those of its caller, and changes none of them."""

    async def rename() -> str:
        before = NAME.get()
        NAME.set("Trio")
        return before

    async def main() -> None:
        async with open_bridge() as bridge:
            NAME.set("asyncio")
            assert await bridge.run(rename) == "asyncio"
            assert NAME.get() == "asyncio"

    on_asyncio(main)


def test_a_call_from_the_guest_itself_is_a_plain_call() -> None:
    """So what is given to both sides works on both."""

    async def main() -> None:
        async with open_bridge() as bridge:

            async def again() -> str:
                return await bridge.run(look)

            async def look() -> str:
                return sniffio.current_async_library()

            assert await bridge.run(again) == "trio"

    on_asyncio(main)


# -- the life of the guest ---------------------------------------------------------------------------------------------


def test_all_in_one_loop_share_one_guest_until_the_last_has_left() -> None:
    """Trio allows one in a thread; afterwards there is none, and there can be another."""

    async def main() -> None:
        for _ in range(2):
            async with open_bridge() as one:
                async with open_bridge() as other:
                    assert one is other
                await one.run(trio.sleep, 0)
            assert not trio.lowlevel.in_trio_run()

    on_asyncio(main)


def test_who_comes_while_it_closes_gets_a_new_one() -> None:
    """Nobody is handed a guest that is about to leave."""

    async def visit() -> None:
        async with open_bridge() as bridge:
            await bridge.run(trio.sleep, 0)

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(visit()) for _ in range(20)))
        for turns in range(20):
            leaving = asyncio.create_task(visit())
            for _ in range(turns):
                await asyncio.sleep(0)
            await visit()
            await leaving

    on_asyncio(main)


def test_a_call_that_is_left_behind_is_told_that_it_is_over() -> None:
    """It sees no cancellation of Trio's, bare or in a group."""

    async def in_a_nursery() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)

    async def main() -> None:
        async with open_bridge() as bridge:
            left = [asyncio.create_task(bridge.run(work)) for work in (trio.sleep_forever, in_a_nursery)]
            await asyncio.sleep(0.01)
        for one in left:
            with pytest.raises(Closed, match="Trio has ended"):
                await one

    on_asyncio(main)


def test_a_bridge_that_has_ended_says_so() -> None:
    """A call on it is not a call into nothing."""

    async def main() -> None:
        async with open_bridge() as bridge:
            pass
        with pytest.raises(Closed):
            await bridge.run(trio.sleep, 0)

    on_asyncio(main)


def test_a_trio_run_of_somebody_else_in_this_thread_is_refused_with_advice() -> None:
    """There can be only one."""

    async def main() -> None:
        leave, left = trio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        trio.lowlevel.start_guest_run(
            leave.wait, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=lambda _: left.set()
        )
        with pytest.raises(OrgLoopError, match="there can be one only"):
            async with open_bridge():
                pass
        leave.set()
        await left.wait()

    on_asyncio(main)


SPOILT = """
import asyncio
from orgloop.embed._guest import open_bridge

loop = asyncio.new_event_loop()
block = open_bridge()
loop.run_until_complete(block.__aenter__())
loop.close()
asyncio.run(open_bridge().__aenter__())
"""


@pytest.mark.slow
def test_a_loop_that_was_closed_around_it_is_named() -> None:
    """Its thread is spoilt, and whoever comes next is told why."""
    ended = subprocess.run([sys.executable, "-c", SPOILT], capture_output=True, text=True, timeout=30, check=False)

    assert "leave the blocks before closing the loop" in ended.stderr


def test_a_bridge_is_refused_in_another_loop() -> None:
    """Two loops are two threads, and Trio is in one of them."""

    async def main() -> None:
        async with open_bridge() as bridge:

            def elsewhere() -> None:
                with pytest.raises(OrgLoopError, match="this is another one"):
                    asyncio.run(bridge.run(trio.sleep, 0))

            await asyncio.to_thread(elsewhere)

    on_asyncio(main)


def test_loops_in_several_threads_have_a_guest_each() -> None:
    """They know nothing of each other."""

    async def visit() -> None:
        async with open_bridge() as bridge:
            await bridge.run(trio.sleep, 0.01)

    async def main() -> None:
        await asyncio.gather(visit(), *(asyncio.to_thread(asyncio.run, visit()) for _ in range(3)))

    on_asyncio(main)


def test_a_program_that_ends_while_others_keep_the_guest_closes_it() -> None:
    """The end of ``asyncio.run`` cancels their tasks, and waits until Trio has ended."""
    order: list[str] = []

    @asynccontextmanager
    async def room() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            order.append("left")

    async def stay(opened: asyncio.Event) -> None:
        async with open_bridge() as bridge, open_in_guest(bridge, room):
            opened.set()
            await asyncio.sleep(60)

    async def main() -> None:
        opened = asyncio.Event()
        staying = asyncio.create_task(stay(opened))
        await opened.wait()
        assert not staying.done()

    on_asyncio(main)

    assert order == ["left"]
    assert not trio.lowlevel.in_trio_run()


def test_a_cancelled_call_leaves_no_garbage_that_complains() -> None:
    """No coroutine that was never awaited, no exception that nobody looked at."""

    async def main() -> None:
        async with open_bridge() as bridge:
            tasks = [asyncio.create_task(bridge.run(trio.sleep_forever)) for _ in range(20)]
            for task in tasks[::2]:
                task.cancel()  # before it has begun
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    on_asyncio(main)
    gc.collect()


# -- a block of asyncio in something of Trio's -------------------------------------------------------------------------


class GaveUp(Exception):
    """What is around a block has failed."""


@asynccontextmanager
async def failing_room() -> AsyncGenerator[str]:
    """Fails a little after it was opened."""
    async with trio.open_nursery() as nursery:

        async def fail() -> None:
            await trio.sleep(0.01)
            raise GaveUp

        nursery.start_soon(fail)
        yield "a room"


@on_both_asyncios
def test_a_failure_around_a_block_cancels_the_block_and_is_raised(run: Run) -> None:
    """As a nursery does; the task is as if it had never been cancelled."""

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.RaisesGroup(GaveUp):
                async with open_in_guest(bridge, failing_room) as room:
                    assert room == "a room"
                    await anyio.sleep(60)
            await anyio.lowlevel.checkpoint()
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()

    run(main)


def test_a_failure_around_a_task_group_ends_that_first() -> None:
    """The tasks in the block are cancelled and waited for."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("work")

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.RaisesGroup(GaveUp):
                async with open_in_guest(bridge, failing_room), asyncio.TaskGroup() as group:
                    group.create_task(work())

    on_asyncio(main)

    assert ended == ["work"]


def test_who_cancels_after_a_failure_is_heard() -> None:
    """The cancellation that was ours has been taken back, and no other."""
    failed = asyncio.Event()

    async def visit() -> None:
        async with open_bridge() as bridge:
            with contextlib.suppress(BaseExceptionGroup):
                async with open_in_guest(bridge, failing_room):
                    await asyncio.sleep(60)
            failed.set()
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(visit())
        await failed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_asyncio(main)


def test_who_cancels_a_block_that_fails_is_heard_after_the_failure() -> None:
    """Whoever takes care of the failure is still cancelled, at the next ``await``."""
    opened, order = asyncio.Event(), list[str]()

    @asynccontextmanager
    async def failing_at_last() -> AsyncGenerator[None]:
        yield
        raise GaveUp

    async def visit() -> None:
        async with open_bridge() as bridge:
            try:
                async with open_in_guest(bridge, failing_at_last):
                    opened.set()
                    await asyncio.sleep(60)
            except GaveUp:
                order.append("failed")
            await asyncio.sleep(0)
            order.append("not cancelled")

    async def main() -> None:
        task = asyncio.create_task(visit())
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    on_asyncio(main)

    assert order == ["failed"]


def test_what_ends_quietly_around_a_block_ends_the_block_quietly() -> None:
    """As a scope of Trio does that has expired."""

    @asynccontextmanager
    async def open_for_a_while() -> AsyncGenerator[None]:
        with trio.move_on_after(0.01):
            yield

    async def main() -> None:
        async with open_bridge() as bridge:
            async with open_in_guest(bridge, open_for_a_while):
                await asyncio.sleep(60)
            await asyncio.sleep(0)

    on_asyncio(main)


def test_what_cannot_be_opened_raises_why() -> None:
    """And nothing stays behind."""

    class Locked(AbstractAsyncContextManager[None]):
        async def __aenter__(self) -> None:
            raise GaveUp

        async def __aexit__(self, *error: object) -> None:
            """Never."""

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.raises(GaveUp) as refused:
                async with open_in_guest(bridge, Locked):
                    pass
            assert refused.value.__context__ is None

    on_asyncio(main)


def test_cancelling_the_opening_waits_until_it_is_undone() -> None:
    """Half open is closed again."""
    order: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        try:
            await trio.sleep(60)
            yield
        finally:
            order.append("undone")

    async def main() -> None:
        async with open_bridge() as bridge:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), open_in_guest(bridge, slow):
                    pass
            order.append("goes on")

    on_asyncio(main)

    assert order == ["undone", "goes on"]


def test_on_trio_nobody_is_on_asyncio() -> None:
    """There the calls are plain."""

    async def main() -> bool:
        return is_on_asyncio()

    assert on_trio(main) is False


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import asyncio
import trio
from contextlib import asynccontextmanager
from orgloop.embed._around import open_in_guest
from orgloop.embed._guest import open_bridge

@asynccontextmanager
async def room():
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
        print("left in order", flush=True)

async def main():
    async with open_bridge() as bridge, open_in_guest(bridge, room):
        print("open", flush=True)
        await {wait}

"""


@pytest.mark.slow
@pytest.mark.parametrize("wait", ["asyncio.sleep(30)", "bridge.run(trio.sleep_forever)"])
@pytest.mark.parametrize("run", ["asyncio.run(main())", "asyncio.new_event_loop().run_until_complete(main())"])
def test_ctrl_c_stops_in_order(run: str, wait: str) -> None:
    """Whoever has the handler: asyncio cancels its main task, and Trio throws it into its own."""
    program = INTERRUPTED.format(wait=wait) + run
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGINT)
        said, complained = process.stdout.read(), process.stderr.read()

    assert said == "left in order\n"
    assert complained.rstrip().endswith("KeyboardInterrupt")
