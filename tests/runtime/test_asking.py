"""What faces ask the runtime: why, where from, how many, and everything that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from orgloop.errors import EventError, ModuleError
from orgloop.runtime.asking import DeadLetter
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Actor, Failed, Notice, Polled, Rejected
from orgloop.testing import FakeActor, FakePolledSource, event

CHANGE = {"source": "github", "type": "resource.changed", "payload": {"n": 1}}


def config(name: str = "m", **changes: Any) -> dict[str, Any]:
    """A module with a source, an actor, and a route between them that wants ``n: 1``."""
    when = {"source": "github", "events": ["resource.changed"], "filter": {"payload.n": 1}}
    return {
        "metadata": {"name": name},
        "sources": [{"id": "github", "connector": "given", "poll": {"interval": "1s"}}],
        "actors": [{"id": "agent", "connector": "given"}],
        "routes": [{"name": "r", "when": when, "then": {"actor": "agent"}}],
        **changes,
    }


async def load(runtime: Runtime, actor: Actor | None = None, source: FakePolledSource | None = None) -> None:
    """Load such a module, with these for its source and actor."""
    given = {"github": source or FakePolledSource()}
    await runtime.load_module(config(), sources=given, actors={"agent": actor or FakeActor()})


@pytest.mark.parametrize(("n", "matched"), [(1, True), (2, False)])
async def test_an_explanation_agrees_with_the_router(n: int, matched: bool) -> None:
    """A route that is said to want an event gets it, and only that."""
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor)
        (one,) = runtime.explain({**CHANGE, "payload": {"n": n}})
        await runtime.inject({**CHANGE, "payload": {"n": n}})
        assert await runtime.drain(timeout_s=5)

    assert (one.module, one.route, one.actor, one.matched) == ("m", "r", "agent", matched)
    assert bool(actor.events) is matched
    assert one.conditions[-1].text == ("payload.n is 1" if matched else "payload.n: wanted 1, found 2")


async def test_an_explanation_asks_every_module_that_may_listen() -> None:
    """Also one that hears of another module's source; and no other."""
    listening = config("n", sources=[])
    listening["routes"][0]["when"] = {"source": "m:github", "events": ["resource.changed"]}
    async with open_runtime() as runtime:
        actors = {"agent": FakeActor()}
        await runtime.load_module(config(exports=["github"]), sources={"github": FakePolledSource()}, actors=actors)
        await runtime.load_module(listening, actors=actors)
        found = runtime.explain(event({"n": 1}, module="m"))
        with pytest.raises(ModuleError, match="say which module"):
            runtime.explain(CHANGE)
        with pytest.raises(EventError):
            runtime.explain({**CHANGE, "type": "x"}, module="m")

    assert [(one.module, one.matched) for one in found] == [("m", True), ("n", True)]


async def test_a_checkpoint_can_be_seen(autojump_clock: MockClock) -> None:
    """As it stands on the bus; None before the first."""
    async with open_runtime() as runtime:
        await load(runtime, source=FakePolledSource(Polled([event()], "page-7")))
        before = runtime.checkpoint("github", module="m")
        await trio.sleep(2)
        after = runtime.checkpoint("github", module="m")

    assert (before, after) == (None, "page-7")


@pytest.mark.parametrize("has_home", [False, True])
async def test_dead_letters_are_counted_and_shown_in_pages(tmp_path: Path, has_home: bool) -> None:
    """In memory and on disk alike; a page begins after the last of the page before."""
    async with open_runtime(home=tmp_path if has_home else None) as runtime:
        await load(runtime, FakeActor(*[Rejected("no")] * 3))
        for _ in range(3):
            await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        first = runtime.dead_letters(limit=2)
        rest = runtime.dead_letters(limit=2, after=first[-1].id)
        count = await runtime.count_dead_letters()

    assert [one.sequence for one in (*first, *rest) if isinstance(one, DeadLetter)] == [1, 2, 3]
    assert count == 3


async def test_everything_that_is_told_can_be_heard() -> None:
    """By a star; also what a face tells."""
    heard: list[Notice] = []
    async with open_runtime() as runtime:
        stop = runtime.on("*", heard.append)
        await load(runtime)
        runtime.tell("control.reload", module="m", result="done")
        stop()
        runtime.tell("control.reload")

    assert [one.phase for one in heard] == ["module.loading", "module.active", "control.reload"]


async def test_the_state_of_each_breaker_is_in_the_statistics(autojump_clock: MockClock) -> None:
    """Closed, then open after the failures that it bears."""
    values = config()
    retry = {"max_attempts": 1}
    values["routes"][0]["then"]["delivery"] = {"circuit_breaker": {"failure_threshold": 1}, "retry": retry}
    async with open_runtime() as runtime:
        actors = {"agent": FakeActor(Failed("down"))}
        await runtime.load_module(values, sources={"github": FakePolledSource()}, actors=actors)
        before = runtime.modules()[0].breakers
        await runtime.inject(CHANGE)
        assert await runtime.drain(timeout_s=5)
        after = runtime.modules()[0].breakers
        scheduler = runtime.statistics().scheduler

    assert (before, after) == ({"r": "closed"}, {"r": "open"})
    assert scheduler.sources == 1


async def test_a_project_is_examined_without_being_loaded(tmp_path: Path) -> None:
    """Every fault, with its place; a variable that is not set is a warning."""
    file = tmp_path / "orgloop.yaml"
    head = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"
    file.write_text(head + 'sources: [{id: s, connector: webhook, config: {secret: "${NOT_SET}"}}]\nroutes: 5\n')
    async with open_runtime() as runtime:
        examined = await runtime.examine(file, environ={})
        assert runtime.modules() == ()

    assert [fault.path for fault in examined.faults] == [("routes",)]
    assert any("NOT_SET" in warning.text for warning in examined.warnings)
