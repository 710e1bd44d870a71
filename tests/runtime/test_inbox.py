"""The inbox: one notification for a session, what a drain gives, and what is left of it after a restart."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.dead_letters import DeadLetter
from orgloop.errors import ConfigError, StaleContinuation
from orgloop.runtime.inbox import MAX_KEY_CHARS, Drained, Session
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Event, Failed, Notice, Rejected
from orgloop.testing import FakeActor, FakePolledSource

ROOT = Path(__file__).resolve().parents[2]
CHANGE = {"source": "github", "type": "resource.changed"}
KEEPS_ODD = {"type": "filter", "name": "odd", "config": {"match": {"payload.odd": True}}}


def config(*, then: dict[str, Any] | None = None, route: dict[str, Any] | None = None, **inbox: Any) -> dict[str, Any]:
    """A module whose route has an inbox, a session for each pull request."""
    options = {"inbox": True, "session_key": "pr:{{payload.pr}}", "note": "for {{payload.n}}", **inbox}
    return {
        "metadata": {"name": "m"},
        "sources": [{"id": "github", "connector": "given"}],
        "actors": [{"id": "agent", "connector": "given"}],
        "transforms": [KEEPS_ODD],
        "routes": [
            {
                "name": "r",
                "when": {"source": "github", "events": ["resource.changed"]},
                "then": {"actor": "agent", "config": options, **(then or {})},
                **(route or {}),
            }
        ],
    }


async def load(runtime: Runtime, actor: Actor, module: dict[str, Any] | None = None) -> None:
    """Load such a module."""
    await runtime.load_module(module or config(), sources={"github": FakePolledSource()}, actors={"agent": actor})


async def inject(runtime: Runtime, *payloads: dict[str, Any]) -> None:
    """Admit an event for each, and wait until each is delivered, or kept."""
    await runtime.inject([{**CHANGE, "payload": {"pr": 7, **payload}} for payload in payloads], module="m")
    assert await runtime.drain(timeout_s=5)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what others bring about in real time, at most five seconds."""
    with trio.fail_after(5):
        while not true():  # noqa: ASYNC110 - that it comes about is what is tested, by whatever event
            await trio.sleep(0.01)


async def notified(actor: FakeActor, times: int = 1) -> Event:
    """Wait for so many notifications; the last."""
    await until(lambda: len(actor.deliveries) >= times)
    assert len(actor.deliveries) == times
    return actor.events[-1]


def payloads(drained: Drained) -> list[int]:
    """Which events were given."""
    return [event.payload["n"] for event in drained.events]


def admitted_is_the_sum(runtime: Runtime) -> bool:
    """Whether nothing has got lost on the way."""
    found = runtime.modules()[0].routes["r"]
    ended = found.delivered + found.dropped + found.dead + found.expired
    return found.admitted == ended + found.in_flight


# -- coming in ---------------------------------------------------------------------------------------------------------


async def test_many_events_for_a_session_are_one_notification() -> None:
    """The first one is told of; the others gather."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, *({"n": n} for n in range(5)))
        told = await notified(actor)
        await inject(runtime, {"n": 5})

        assert (told.source, told.type) == ("orgloop", "message.received")
        assert told.payload["session_key"] == "pr:7"
        assert told.payload["drain_command"] == "orgloop inbox drain --key pr:7 --format json"
        assert runtime.inbox_status("pr:7") == 6
        assert len(actor.deliveries) == 1
        assert admitted_is_the_sum(runtime)


async def test_each_session_has_a_notification_of_its_own() -> None:
    """Two pull requests are two conversations."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1}, {"n": 2, "pr": 8})
        await notified(actor, 2)

        assert runtime.inbox_list() == (Session("pr:7", 1, "m", "agent"), Session("pr:8", 1, "m", "agent"))


async def test_a_notification_comes_with_the_config_of_an_event_it_tells_of() -> None:
    """Not with one filled in from itself, which would be for another session."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1})
        told = await notified(actor)

    given = actor.deliveries[0].config
    assert (given["session_key"], given["note"]) == ("pr:7", "for 1")
    assert told.ancestors


async def test_the_command_to_drain_is_safe_whatever_the_key_says() -> None:
    """What an event brings in goes to a shell as a word, not as a command."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1, "pr": "$(reboot) 'x'"})
        told = await notified(actor)

    assert told.payload["drain_command"] == """orgloop inbox drain --key 'pr:$(reboot) '"'"'x'"'"'' --format json"""


async def test_what_the_transforms_drop_does_not_come_into_the_inbox() -> None:
    """And they have no say about the notification."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor, config(route={"transforms": [{"ref": "odd"}]}))
        await inject(runtime, {"n": 1, "odd": True}, {"n": 2, "odd": False})
        told = await notified(actor)

        assert told.payload["pending_count"] == 1
        assert payloads(await runtime.inbox_drain("pr:7")) == [1]


async def test_an_event_without_a_session_is_delivered_at_once() -> None:
    """Its key is there, and empty."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor, config(session_key="{{payload.session}}"))
        await inject(runtime, {"n": 1, "session": ""})

    assert [event.payload["n"] for event in actor.events] == [1]


async def test_a_key_that_is_too_long_is_shortened_and_stays_apart_from_others() -> None:
    """Its end becomes a hash."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1, "pr": "x" * 2000}, {"n": 2, "pr": "x" * 2001})
        keys = {session.session_key for session in runtime.inbox_list()}

    assert {len(key) for key in keys} == {MAX_KEY_CHARS}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"inbox": "yes"}, "then.config.inbox"),
        ({"session_key": None}, "then.config.session_key"),
        ({"session_key": ""}, "then.config.session_key"),
        ({"inbox_ttl": "soon"}, "then.config.inbox_ttl"),
        ({"inbox_max_batch": 0}, "then.config.inbox_max_batch"),
    ],
)
async def test_an_inbox_that_cannot_be_is_a_fault_of_the_route(options: dict[str, Any], path: str) -> None:
    """It says where, and the module does not load."""
    async with open_runtime() as runtime:
        with pytest.raises(ConfigError) as raised:
            await load(runtime, FakeActor(), config(**options))

    assert [".".join(map(str, fault.path)) for fault in raised.value.faults] == [f"routes.0.{path}"]


# -- going out ---------------------------------------------------------------------------------------------------------


async def test_a_drain_gives_the_oldest_first_and_takes_nothing_away() -> None:
    """Whoever loses the answer asks again, and is given the same."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, *({"n": n} for n in range(5)))
        for _ in range(2):
            drained = await runtime.inbox_drain("pr:7", limit=3)
            assert (payloads(drained), drained.remaining) == ([0, 1, 2], 2)

        assert runtime.inbox_status("pr:7") == 5


async def test_a_continuation_passed_back_acknowledges_and_goes_on() -> None:
    """Until nothing is left, and then there is no continuation."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, *({"n": n} for n in range(5)))
        given, continuation = [], None
        while True:
            drained = await runtime.inbox_drain("pr:7", limit=2, continuation=continuation)
            given.append(payloads(drained))
            continuation = drained.continuation
            if continuation is None:
                break

        assert given == [[0, 1], [2, 3], [4], []]
        assert (runtime.inbox_list(), runtime.inbox_status("pr:7")) == ((), 0)
        assert runtime.modules()[0].routes["r"].delivered >= 5
        assert admitted_is_the_sum(runtime)


async def test_an_acknowledgement_settles_only_what_was_given() -> None:
    """What has come meanwhile stays, and is notified."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1})
        await notified(actor)
        drained = await runtime.inbox_drain("pr:7")
        await inject(runtime, {"n": 2})
        assert drained.continuation is not None
        assert await runtime.inbox_ack("pr:7", drained.continuation) == 1
        told = await notified(actor, 2)

        assert told.payload["pending_count"] == 1
        assert payloads(await runtime.inbox_drain("pr:7")) == [2]


async def test_an_acknowledgement_may_be_repeated() -> None:
    """The second time, nothing is left of it."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, {"n": 1})
        drained = await runtime.inbox_drain("pr:7")
        assert drained.continuation is not None
        done = [await runtime.inbox_ack("pr:7", drained.continuation) for _ in range(2)]

    assert done == [1, 0]


async def test_what_comes_after_a_drain_is_notified_again() -> None:
    """The session has heard of everything before."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        for n in (1, 2):
            await inject(runtime, {"n": n})
            await notified(actor, n)
            drained = await runtime.inbox_drain("pr:7")
            assert drained.continuation is not None
            await runtime.inbox_ack("pr:7", drained.continuation)


@pytest.mark.parametrize("continuation", ["", "1", "0-0-1", "x-y-²", "-" * 30])
async def test_a_continuation_that_was_not_given_acknowledges_nothing(continuation: str) -> None:
    """It is refused, and says so."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, {"n": 1})
        with pytest.raises(StaleContinuation):
            await runtime.inbox_drain("pr:7", continuation=continuation)

        assert runtime.inbox_status("pr:7") == 1


async def test_a_continuation_of_one_module_does_not_acknowledge_in_all() -> None:
    """It would settle what nobody has seen."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, {"n": 1})
        drained = await runtime.inbox_drain("pr:7", module="m")
        assert drained.continuation is not None
        with pytest.raises(StaleContinuation):
            await runtime.inbox_ack("pr:7", drained.continuation)

        assert await runtime.inbox_ack("pr:7", drained.continuation, module="m") == 1


async def test_a_drain_gives_no_more_than_the_route_allows() -> None:
    """``inbox_max_batch``, whatever is asked for."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor(), config(inbox_max_batch=2))
        await inject(runtime, *({"n": n} for n in range(5)))
        drained = await runtime.inbox_drain("pr:7", limit=100)

    assert (payloads(drained), drained.remaining) == ([0, 1], 3)


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_limit_beyond_its_bounds_is_refused(limit: int) -> None:
    """Nobody gets everything at once."""
    async with open_runtime() as runtime:
        with pytest.raises(ValueError, match="limit must be 1 to 1000"):
            await runtime.inbox_drain("pr:7", limit=limit)


# -- what else may happen ----------------------------------------------------------------------------------------------


async def test_a_notification_that_was_given_up_loses_nothing_and_the_next_event_is_notified() -> None:
    """It is a dead letter of its own; the events stay."""
    actor = FakeActor(Rejected("busy"))
    told: list[Notice] = []
    async with open_runtime() as runtime:
        runtime.on("inbox.notify", told.append)
        await load(runtime, actor)
        await inject(runtime, {"n": 1})
        await notified(actor)
        await until(lambda: len(runtime.dead_letters()) == 1)
        await until(lambda: [notice.result for notice in told] == ["queued", "failed"])
        await inject(runtime, {"n": 2})
        again = await notified(actor, 2)

        assert again.payload["pending_count"] == 2
        assert runtime.inbox_status("pr:7") == 2


async def test_a_notification_of_what_has_been_drained_meanwhile_is_dropped(autojump_clock: MockClock) -> None:
    """Nobody is woken for nothing."""
    actor = FakeActor(Failed("down", retry_after_s=60))
    async with open_runtime() as runtime:
        await load(runtime, actor, config(then={"delivery": {"retry": {"max_attempts": 1}, "concurrency": 1}}))
        await inject(runtime, {"n": 1})
        await trio.sleep(1)
        drained = await runtime.inbox_drain("pr:7")
        assert drained.continuation is not None
        await runtime.inbox_ack("pr:7", drained.continuation)
        (letter,) = runtime.dead_letters()
        await runtime.replay(letter.id)
        await trio.sleep(1)

        assert len(actor.deliveries) == 1
        assert runtime.modules()[0].routes["r"].dropped == 1
        assert admitted_is_the_sum(runtime)


async def test_what_nobody_fetches_expires_and_says_so(autojump_clock: MockClock) -> None:
    """At the end of ``inbox_ttl``, as late as the next look."""
    told: list[Notice] = []
    async with open_runtime() as runtime:
        runtime.on("deliver.expired", told.append)
        await load(runtime, FakeActor(), config(inbox_ttl="1h"))
        await inject(runtime, {"n": 1}, {"n": 2})
        await trio.sleep(3590)
        assert runtime.inbox_status("pr:7") == 2
        await trio.sleep(180)

        assert runtime.inbox_list() == ()
        assert runtime.modules()[0].routes["r"].expired == 2
        assert admitted_is_the_sum(runtime)
    assert [(notice.route, notice.metadata and notice.metadata["count"]) for notice in told] == [("r", 2)]


async def test_an_inbox_that_is_full_gives_up_the_oldest() -> None:
    """``queue_depth`` is for what a route keeps, too; a dead letter tells of each."""
    async with open_runtime() as runtime:
        await load(runtime, FakeActor(), config(then={"delivery": {"queue_depth": 3}}))
        for n in range(5):
            await inject(runtime, {"n": n})
        await until(lambda: len(runtime.dead_letters()) == 2)
        drained = await runtime.inbox_drain("pr:7")

        assert payloads(drained) == [2, 3, 4]
        assert {one.reason for one in runtime.dead_letters() if isinstance(one, DeadLetter)} == {"backpressure"}
        assert admitted_is_the_sum(runtime)


async def test_a_changed_route_goes_on_with_what_the_inbox_holds() -> None:
    """Neither twice nor not at all; and the session hears of nothing twice."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1}, {"n": 2})
        await notified(actor)
        await runtime.reload_module("m", config(inbox_ttl="2h"))
        assert await runtime.drain(timeout_s=5)
        await trio.testing.wait_all_tasks_blocked()

        assert payloads(await runtime.inbox_drain("pr:7")) == [1, 2]
        assert len(actor.deliveries) == 1
        assert admitted_is_the_sum(runtime)


async def test_a_route_that_has_no_inbox_any_more_delivers_what_it_held() -> None:
    """In the order in which it came."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1}, {"n": 2})
        await notified(actor)
        await runtime.reload_module("m", config(inbox=False))
        assert await runtime.drain(timeout_s=5)

    assert [event.payload.get("n") for event in actor.events] == [None, 1, 2]


async def test_a_module_unloads_without_waiting_for_its_inbox() -> None:
    """What is in there waits for the next of its name."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1})
        await notified(actor)
        with trio.fail_after(2):
            assert await runtime.unload_module("m", drain_s=60) == 1
        assert runtime.inbox_list() == ()
        await load(runtime, actor)
        assert await runtime.drain(timeout_s=5)

        assert payloads(await runtime.inbox_drain("pr:7")) == [1]


# -- over a restart ----------------------------------------------------------------------------------------------------


async def test_the_inbox_is_there_after_a_restart_and_nobody_is_notified_again(tmp_path: Path) -> None:
    """The events are in the log, and that the session has heard of them, too."""
    actor = FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, actor)
        await inject(runtime, {"n": 1}, {"n": 2})
        await notified(actor)
        await runtime.drain()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, actor)
        await until(lambda: runtime.inbox_status("pr:7") == 2)
        assert payloads(await runtime.inbox_drain("pr:7")) == [1, 2]
        assert await runtime.drain(timeout_s=5)

    assert len(actor.deliveries) == 1


async def test_a_notification_that_was_under_way_is_made_again_by_the_next_run(tmp_path: Path) -> None:
    """With the configuration of what it tells of, which is in the inbox before it."""
    actor, never = FakeActor(), FakeActor(1e9)
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, never)
        await runtime.inject({**CHANGE, "payload": {"pr": 7, "n": 1}})
        await until(lambda: bool(never.deliveries))
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, actor)
        told = await notified(actor)
        assert told.payload["session_key"] == actor.deliveries[0].config["session_key"] == "pr:7"
        assert actor.deliveries[0].attempt == 2
        assert payloads(await runtime.inbox_drain("pr:7")) == [1]


async def test_a_continuation_of_an_earlier_run_is_refused_and_everything_is_given_again(tmp_path: Path) -> None:
    """Rather twice than never."""
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, {"n": 1})
        before = await runtime.inbox_drain("pr:7")
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, FakeActor())
        await until(lambda: runtime.inbox_status("pr:7") == 1)
        with pytest.raises(StaleContinuation):
            await runtime.inbox_drain("pr:7", continuation=before.continuation)
        after = await runtime.inbox_drain("pr:7")

    assert before.events == after.events


async def test_what_was_acknowledged_does_not_come_again(tmp_path: Path) -> None:
    """It is durable when the acknowledgement is answered."""
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, FakeActor())
        await inject(runtime, {"n": 1}, {"n": 2})
        drained = await runtime.inbox_drain("pr:7", limit=1)
        assert drained.continuation is not None
        await runtime.inbox_ack("pr:7", drained.continuation)
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, FakeActor())
        await until(lambda: runtime.inbox_status("pr:7") == 1)

        assert payloads(await runtime.inbox_drain("pr:7")) == [2]


_VICTIM = """
import os, signal, sys, trio
from orgloop.runtime.runtime import open_runtime
from orgloop.testing import FakeActor
from tests.runtime.test_inbox import CHANGE, load

async def main():
    async with open_runtime(home=sys.argv[1]) as runtime:
        await load(runtime, FakeActor())
        await runtime.inject([{**CHANGE, "payload": {"pr": 7, "n": n}} for n in range(100)])
        while runtime.inbox_status("pr:7") < 100:
            await trio.sleep(0.01)
        drained = await runtime.inbox_drain("pr:7", limit=30)
        drained = await runtime.inbox_drain("pr:7", limit=30, continuation=drained.continuation)
        os.kill(os.getpid(), signal.SIGKILL)

trio.run(main)
"""


@pytest.mark.slow
async def test_a_process_that_is_killed_loses_nothing_of_its_inbox(tmp_path: Path) -> None:
    """What was acknowledged is gone, what was only given is given again, and the rest is there, in order."""
    command = [sys.executable, "-c", _VICTIM, str(tmp_path)]
    ended = await trio.run_process(command, cwd=ROOT, check=False, capture_stderr=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    actor = FakeActor()
    async with open_runtime(home=tmp_path) as runtime:
        await load(runtime, actor)
        await until(lambda: runtime.inbox_status("pr:7") == 70)
        drained = await runtime.inbox_drain("pr:7")

        assert payloads(drained) == list(range(30, 100))
        assert admitted_is_the_sum(runtime)
