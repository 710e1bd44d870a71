"""The engineering organisation of ``examples/``, from what happens to what its agent is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.sdk import Request
from tests.connectors.outside import Heard, Says
from tests.e2e.stage import (
    ACTOR_TOKEN,
    HOOK_TOKEN,
    PROJECT,
    TAKEN,
    WAYS,
    Stage,
    happened,
    open_stage,
    prompt_of,
    sample,
)

ROOT = PROJECT.parents[1]


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    async with open_stage() as stage:
        yield stage


@asynccontextmanager
async def organisation(stage: Stage) -> AsyncGenerator[Runtime]:
    """The project as it stands in the folder, in a runtime without a home."""
    async with open_runtime() as runtime:
        await runtime.load_module(PROJECT, environ=stage.environ())
        yield runtime


# -- one event down each route -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", WAYS)
async def test_an_event_is_exactly_one_request(stage: Stage, route: str) -> None:
    """In the session of its route, and of nobody else."""
    way = WAYS[route]
    async with organisation(stage) as runtime:
        await runtime.inject(happened(route))
        assert await runtime.drain(timeout_s=10)

    (heard,) = stage.openclaw.heard
    body = heard.json()
    del body["message"]
    assert (heard.method, heard.path, heard.headers["authorization"]) == (
        "POST",
        "/hooks/agent",
        f"Bearer {ACTOR_TOKEN}",
    )
    assert body == {
        "sessionKey": way.session_key,
        "sessionMode": "persistent",
        "agentId": "engineering",
        "wakeMode": "now",
        "deliver": way.deliver,
        "channel": "slack",
        "to": "C0123456",
    }


@pytest.mark.parametrize("route", WAYS)
async def test_the_agent_reads_what_happened_and_then_what_to_do(stage: Stage, route: str) -> None:
    """First line, context, payload, and the instructions of the route, if it has some."""
    way = WAYS[route]
    event = happened(route)
    async with organisation(stage) as runtime:
        await runtime.inject(event)
        assert await runtime.drain(timeout_s=10)

    (heard,) = stage.openclaw.heard
    message = heard.json()["message"]
    first, context, payload, *rest = message.split("\n\n", 3)
    assert first == way.first_line
    assert context.splitlines()[0] == "Context:"
    assert f"  resource_id: {route}-0" in context.splitlines()
    assert payload.splitlines()[0] == "Payload:"
    for key, value in event.payload.items():
        if isinstance(value, str) and "\n" not in value:
            assert f"  {key}: {value}" in payload.splitlines()
    instructions = rest[0].removeprefix("Instructions:\n").strip() if rest else None
    assert instructions == prompt_of(way)


async def test_what_no_route_wants_wakes_nobody(stage: Stage) -> None:
    """It is subscribed to, and for the log."""
    unwanted = ["issue_comment", "pull_request.closed", "pull_request.merged"]
    async with organisation(stage) as runtime:
        await runtime.inject([sample("github", kind) for kind in unwanted])
        assert await runtime.drain(timeout_s=10)

    assert stage.openclaw.heard == []


async def test_a_bot_wakes_nobody(stage: Stage) -> None:
    """Or the agent would answer itself."""
    async with organisation(stage) as runtime:
        await runtime.inject(happened("github-pr-review", author="hubot[bot]", author_type="bot"))
        assert await runtime.drain(timeout_s=10)

    assert stage.openclaw.heard == []


async def test_a_review_that_is_heard_of_twice_wakes_once(stage: Stage) -> None:
    """Another one of the same pull request wakes again."""
    async with organisation(stage) as runtime:
        for number in (1, 1, 2):
            await runtime.inject(happened("github-pr-review", number))
        assert await runtime.drain(timeout_s=10)

    assert len(stage.openclaw.heard) == 2


@pytest.mark.parametrize("name", ["engineering-org", "production"])
async def test_the_original_s_own_form_of_it_is_taken_as_it_is(stage: Stage, name: str) -> None:
    """With its package names, its keys without effect, and prompts that it finds nowhere itself."""
    environ = {**stage.environ(), "HOME": "/home/somebody"}
    async with open_runtime() as runtime:
        examined = await runtime.examine(ROOT / "tests/config/projects" / name, environ=environ)

    assert (examined.faults, examined.warnings) == ((), ())
    assert examined.project is not None
    assert {route.name for route in examined.project.config.routes} == WAYS.keys()


# -- through the doors -------------------------------------------------------------------------------------------------


async def test_a_session_of_claude_code_tells_the_one_that_started_it(stage: Stage) -> None:
    """From the request of its hook to the session that waits; a request without the token is nobody's."""
    hook = {"session_id": "s-1", "cwd": "/srv/app", "exit_status": 0, "summary": "Done.", "hook_type": "stop"}
    meta = {"openclaw_callback_session_key": "agent:engineering:main", "openclaw_callback_agent_id": "engineering"}
    body = json.dumps({**hook, "meta": meta}).encode()
    async with organisation(stage) as runtime:
        for token, status in (("wrong", 401), (HOOK_TOKEN, 200)):
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            answer = await runtime.receive("claude-code", Request("POST", "/webhook/claude-code", headers, body))
            assert answer.status == status
        assert await runtime.drain(timeout_s=10)

    (heard,) = stage.openclaw.heard
    assert heard.json()["sessionKey"] == "agent:engineering:main"
    assert "  summary: Done." in heard.json()["message"].splitlines()


async def test_sources_that_are_down_hold_up_nothing(stage: Stage) -> None:
    """They are asked, as the project says, and who they are asked by is told to them alone."""
    async with organisation(stage) as runtime:
        await runtime.inject(happened("github-ci-failure"))
        assert await runtime.drain(timeout_s=10)
        assert runtime.poll_now("github", module="engineering-org")
        assert runtime.poll_now("linear", module="engineering-org")
        with trio.fail_after(10):
            await stage.github.arrived.wait()
            await stage.linear.arrived.wait()

    assert len(stage.openclaw.heard) == 1
    assert "github-t0ken" in stage.github.heard[0].headers["authorization"]
    assert stage.linear.heard[0].headers["authorization"] == "lin_api_t0ken"


@pytest.mark.slow
async def test_an_agent_that_is_away_is_woken_later(stage: Stage) -> None:
    """By the same event, under the same key."""
    stage.openclaw.at("POST", "/hooks/agent", Says(503, headers={"retry-after": "0"}), Says(200))
    async with organisation(stage) as runtime:
        await runtime.inject(happened("github-ci-failure"))
        assert await runtime.drain(timeout_s=10)

    first, second = stage.openclaw.heard
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert [heard.headers["x-orgloop-attempt"] for heard in (first, second)] == ["1", "2"]


# -- killed ------------------------------------------------------------------------------------------------------------

EVENTS_OF_EACH = 40
"""So many things happen on each route in a life that nobody ends."""


@asynccontextmanager
async def victim(home: Path, stage: Stage, *, first: int, count: int) -> AsyncIterator[trio.Process]:
    """A runtime of its own on a home; killed at the end, whatever becomes of it."""
    with (home / "stderr.log").open("ab") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.e2e.victim", str(home), str(first), str(count)],
            cwd=ROOT,
            env={**os.environ, **stage.environ()},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()


@attrs.define
class Words:
    """What a victim says, word by word; what was cut off by its end is no word."""

    process: trio.Process
    _rest: bytes = b""

    async def hear(self) -> AsyncGenerator[list[str]]:
        """The words to come, until its end."""
        assert self.process.stdout is not None
        while piece := await self.process.stdout.receive_some():
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                yield line.decode().split()


async def killed_by(request: int, home: Path, stage: Stage, *, life: int) -> list[str]:
    """The events that a victim had admitted when it was killed, in the middle of its so many-th request."""
    before, admitted = len(stage.openclaw.heard), []

    def answer(_: Heard) -> Says:
        if len(stage.openclaw.heard) - before == request:
            process.kill()
        return attrs.evolve(TAKEN, delay_s=0.1)  # so that more is admitted than is delivered

    async with victim(home, stage, first=life * EVENTS_OF_EACH, count=EVENTS_OF_EACH) as process:
        stage.openclaw.by(answer)
        # To the end of the pipe: what it had said before it died counts.
        async for word, *event in Words(process).hear():
            assert word == "admitted", "it was to be killed before it was done"
            admitted += event
    return admitted


@pytest.mark.slow
async def test_kill_9_in_the_middle_loses_none(stage: Stage, tmp_path: Path) -> None:
    """What was admitted wakes the agent in some life; what is posted again is so under the same key."""
    admitted = []
    for life, request in enumerate((3, 20, 40)):
        admitted += await killed_by(request, tmp_path, stage, life=life)
    left = set(admitted) - keys_of(stage.openclaw.heard).keys()
    stage.openclaw.by(lambda _: TAKEN)
    async with victim(tmp_path, stage, first=0, count=0) as process:
        with trio.fail_after(60):
            async with aclosing(Words(process).hear()) as words:
                assert await anext(words) == ["drained"]

    keys = keys_of(stage.openclaw.heard)
    print(f"{len(admitted)} admitted, {len(left)} of them left by the kills, {len(stage.openclaw.heard)} requests")
    assert left, "nothing was under way when it was killed"
    assert set(admitted) <= keys.keys()
    assert all(len(of_event) == 1 for of_event in keys.values())


def keys_of(heard: Sequence[Heard]) -> dict[str, set[str]]:
    """The idempotency keys under which each event was posted; for each, OpenClaw runs its agent once."""
    keys: dict[str, set[str]] = {}
    for one in heard:
        keys.setdefault(one.headers["x-orgloop-event-id"], set()).add(one.headers["idempotency-key"])
    return keys
