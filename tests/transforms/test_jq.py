"""The filter by jq: judged like ``jq -e``, in a process that can be killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from orgloop.event import Event, encode
from orgloop.sdk import TransformFailed
from orgloop.transforms import Filter, FilterConfig
from orgloop.transforms._jq import Jq
from orgloop.transforms._jq_worker import judge
from tests.transforms.stage import awaited, context, event

PAYLOAD = {"n": 5, "labels": [{"name": "p1"}, {"name": "bug"}], "title": "x"}


@asynccontextmanager
async def sieve(program: str, timeout_s: float = 5.0) -> AsyncGenerator[Filter]:
    async with Filter(FilterConfig(jq=program, jq_timeout_s=timeout_s)) as made:
        yield made


async def judged(program: str, timeout_s: float = 5.0) -> Event | None:
    async with sieve(program, timeout_s) as made:
        return await awaited(made, event(PAYLOAD))


def worker_of(made: Filter) -> trio.Process:
    assert made._jq is not None
    assert made._jq._worker is not None
    return made._jq._worker


@pytest.mark.parametrize(
    ("outputs", "answer"),
    [
        ([], "drop"),
        ([None], "drop"),
        ([False], "drop"),
        ([True], "pass"),
        ([0], "pass"),
        ([""], "pass"),
        ([[]], "pass"),
        ([{}], "pass"),
        ([{"id": 1}], 'replace {"id": 1}'),
        ([{"id": 1}, {"id": 2}], "pass"),
        ([False, True], "pass"),
        ([True, False], "drop"),
        ([True, None], "drop"),
    ],
)
def test_outputs_are_judged_as_jq_e_does(outputs: list[Any], answer: str) -> None:
    """The last output decides; a single object with an id replaces the event."""
    assert judge(outputs) == answer


async def test_a_program_passes_and_drops_event_after_event() -> None:
    """One worker for all of them, and the event that passes is the object that came."""
    small, large = event({"n": 1}), event({"n": 5, "body": "é" * 200_000})

    async with sieve(".payload.n > 3") as made:
        verdicts = [await awaited(made, each) for each in (small, large, small, large)]
        assert worker_of(made).returncode is None

    assert [each and each.payload["n"] for each in verdicts] == [None, 5, None, 5]
    assert verdicts[1] is large


async def test_an_error_in_the_program_drops_and_is_counted() -> None:
    """As in the original, where nobody heard of it."""
    async with sieve("error(.payload.title)") as made:
        assert await awaited(made, event(PAYLOAD)) is None
        assert made.counts["program_errors"] == 1
        assert made.last_error == "x"


async def test_an_object_with_an_id_replaces_the_event_and_keeps_its_identity() -> None:
    """Whatever the program makes of id, trace, module and ancestors."""
    out = await judged('.payload = {title} | .id = "evt_x" | .trace_id = "x" | .module = null | .ancestors = []')

    assert out == event({"title": None})


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('.type = "nonsense"', "type must be one of"),
        ("del(.provenance)", "provenance is missing"),
        (". + {metadata: {a: 1}}", "'metadata': put it into payload"),
        (".payload = reduce range(70) as $_ (0; [.])", "nested deeper than 64"),
        ('.payload = "x" * 11000000', "more than 10485760 bytes"),
    ],
)
async def test_a_replacement_that_is_no_event_is_a_failure(program: str, why: str) -> None:
    """It is neither passed on nor dropped in silence."""
    with pytest.raises(TransformFailed, match=why):
        await judged(program)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", ["def f: f; f", "[range(1e12)]", "last(repeat(1))", "[limit(1e12; repeat(1))]"])
async def test_an_endless_program_does_not_hang_the_loop(bomb: str) -> None:
    """The loop goes on while jq does, and the next event is answered by a new worker."""
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            began_s = time.perf_counter()
            await trio.sleep(0.01)
            longest_s = max(longest_s, time.perf_counter() - began_s)

    async with sieve(f"if .payload.n == 5 then {bomb} else true end", timeout_s=0.4) as made, trio.open_nursery() as n:
        n.start_soon(tick)
        with pytest.raises(TransformFailed, match=r"no end within 0\.4 s"):
            await awaited(made, event(PAYLOAD))
        assert await awaited(made, event({"n": 1})) is not None
        n.cancel_scope.cancel("seen")

    assert longest_s < 0.3


@pytest.mark.slow
async def test_a_program_cannot_take_all_the_memory() -> None:
    """Texts of a gigabyte end the worker, not the machine."""
    with pytest.raises(TransformFailed, match="memory"):
        await judged('("x" * 400000000) as $x | [$x + "y", $x + "z"] | length')


async def test_a_program_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even its names."""
    monkeypatch.setenv("GITHUB_TOKEN", "canary")

    assert await judged("$ENV | length > 1") is None


async def test_a_worker_that_died_in_its_sleep_is_replaced() -> None:
    """By the out-of-memory killer, say; no event pays for it."""
    async with sieve(".payload.n > 3") as made:
        await awaited(made, event(PAYLOAD))
        worker_of(made).kill()
        await worker_of(made).wait()

        assert await awaited(made, event(PAYLOAD)) is not None


async def test_a_cancelled_question_leaves_no_answer_behind() -> None:
    """The next event gets an answer of its own."""
    async with sieve("if .payload.n == 5 then last(range(1e12)) else false end") as made:
        with trio.move_on_after(0.1):
            await awaited(made, event(PAYLOAD))

        assert await awaited(made, event({"n": 1})) is None


@pytest.mark.slow
@pytest.mark.parametrize(("program", "status"), [("last(repeat(1))", -signal.SIGALRM), ("true", 0)])
async def test_a_worker_does_not_outlive_its_daemon(program: str, status: int) -> None:
    """At the end of its input it ends, and by the deadline if it is thinking: for when nobody is there to kill it."""
    made = Jq(program, timeout_s=0.1)

    ended = await trio.run_process(
        made.argv, stdin=made.order + b"\n" + encode(event()) + b"\n", capture_stdout=True, check=False
    )

    assert ended.returncode == status


async def test_a_worker_that_cannot_be_started_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when there are no more processes to be had."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(TransformFailed, match=r"worker cannot be started.*No such file"):
        await judged("true")


async def test_an_event_that_is_no_json_is_a_failure() -> None:
    """Whoever put it there."""
    async with sieve("true") as made:
        with pytest.raises(TransformFailed, match="cannot be written as JSON"):
            await awaited(made, event({"x": object()}))


async def test_many_at_once_take_turns() -> None:
    """Each has the answer to its own question."""
    passed = []

    async def ask(made: Filter, n: int) -> None:
        if await awaited(made, event({"n": n})):
            passed.append(n)

    async with sieve(".payload.n % 2 == 0") as made, trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(ask, made, n)

    assert sorted(passed) == list(range(0, 20, 2))


async def test_leaving_the_filter_ends_its_worker() -> None:
    """Reaped, too."""
    async with sieve("true") as made:
        await awaited(made, event())
        pid = worker_of(made).pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_filter_that_waits_says_so() -> None:
    """Only jq makes one wait."""
    assert Filter(FilterConfig()).apply(event(), context()) is not None


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (FilterConfig(jq=".["), r"cannot be compiled.*jq -e"),
        (FilterConfig(jq=" "), "not a program"),
        (FilterConfig(jq=".", jq_timeout_s=0), "jq_timeout"),
    ],
)
def test_a_program_that_cannot_run_is_refused(config: FilterConfig, why: str) -> None:
    """When the filter is made."""
    with pytest.raises(ValueError, match=f"(?s)^jq: .*{why}"):
        Filter(config)
