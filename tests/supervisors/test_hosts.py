"""Hosts and guests: the tree runs in any nursery of anybody, and functions that know nothing of it run in the tree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
import trio
from trio.testing import MockClock

from orgloop_supervisors import ChildSpec, RestartIntensityExceeded, Supervisor, open_supervisor
from tests.supervisors.harness import every_schedule
from tests.supervisors.stage import Stage, crash_after, ready_after, slow_cleanup, states


def run_anyio(main: Callable[[], Awaitable[None]]) -> None:
    """Run an async function under anyio, in virtual time."""
    anyio.run(main, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


def test_a_task_group_of_anyio_starts_a_tree_and_stops_it_in_order() -> None:
    """start() gives the handle when all are ready; cancelling the group is an ordered stop."""
    stage = Stage()
    children = [stage.child("a", ready_after(1), notify=True), *(stage.child(id_, slow_cleanup(1)) for id_ in "bc")]

    async def main() -> None:
        async with anyio.create_task_group() as tg:
            root: Supervisor = await tg.start(stage.spec(*children).run)
            assert states(root) == {"a": "running", "b": "running", "c": "running"}
            tg.cancel_scope.cancel()

    run_anyio(main)

    assert stage.downs() == [(2, "c"), (3, "b"), (3, "a")]


def test_a_deadline_of_anyio_around_a_block_stops_a_tree_in_order() -> None:
    """Its scopes are Trio's."""
    stage = Stage()

    async def main() -> None:
        with anyio.move_on_after(1) as scope:
            async with stage.open(stage.child("a", slow_cleanup(1)), stage.child("b", slow_cleanup(1))):
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    run_anyio(main)

    assert stage.downs() == [(2, "b"), (3, "a")]


def test_a_child_may_be_written_for_anyio() -> None:
    """It takes a task_status and knows nothing else."""

    async def serve(*, task_status: anyio.abc.TaskStatus[str] = anyio.TASK_STATUS_IGNORED) -> None:
        await anyio.sleep(1)
        task_status.started("served")
        await anyio.sleep_forever()

    server: ChildSpec[str] = ChildSpec(id="server", run=serve, notify=True)

    async def main() -> None:
        async with open_supervisor(Stage().spec(server)) as root:
            assert await root.wait_running(server) == "served"

    run_anyio(main)


@every_schedule
async def test_a_bare_nursery_starts_a_tree_and_stops_it_in_order() -> None:
    """Cancelling the nursery is an ordered stop."""
    stage = Stage()

    async with trio.open_nursery() as nursery:
        root: Supervisor = await nursery.start(stage.spec(*(stage.child(id_, slow_cleanup(1)) for id_ in "ab")).run)
        assert states(root) == {"a": "running", "b": "running"}
        nursery.cancel_scope.cancel("seen")

    assert stage.downs() == [(1, "b"), (2, "a")]


@every_schedule
async def test_a_tree_that_gives_up_ends_the_nursery_in_which_it_runs() -> None:
    """Like any other task that raises; the group is the nursery's own."""
    stage = Stage()

    async def host() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.spec(stage.child("a", crash_after(1)), intensity=0).run)

    with pytest.RaisesGroup(RestartIntensityExceeded):
        await host()


@every_schedule
async def test_a_spec_may_run_twice_at_once() -> None:
    """It is a recipe, and each run has its own children."""
    stage = Stage()
    spec = stage.spec(stage.child("a"))

    async with open_supervisor(spec) as one, open_supervisor(spec) as other:
        await one.terminate_child("a")
        assert (states(one), states(other)) == ({"a": "stopped"}, {"a": "running"})


def test_a_server_of_trio_is_a_child_as_it_stands() -> None:
    """serve_tcp passes its listeners to started(); real sockets, real time."""

    async def echo(stream: trio.SocketStream) -> None:
        await stream.send_all(await stream.receive_some())

    serve = partial(trio.serve_tcp, echo, 0, host="127.0.0.1")
    server: ChildSpec[list[trio.SocketListener]] = ChildSpec(id="server", run=serve, notify=True)

    async def main() -> None:
        async with open_supervisor(Stage().spec(server)) as root:
            [listener] = await root.wait_running(server)
            async with await trio.open_tcp_stream(*listener.socket.getsockname()) as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"hello"

    trio.run(main)
