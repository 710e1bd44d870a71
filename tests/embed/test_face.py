"""The face: what ``import orgloop`` gives, and what it costs."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import orgloop

CONSUMER = """
from functools import partial
from typing import assert_type

import anyio
import trio

import orgloop
from orgloop import Delivered, Delivery, Event, OrgLoop, Outcome, Polled, Runtime, Settled, Statistics


class Desk:
    async def poll(self, checkpoint: str | None) -> Polled:
        return Polled()


class Agent:
    async def deliver(self, delivery: Delivery) -> Outcome:
        assert_type(delivery.event, Event)
        return Delivered()


def told(end: Settled) -> None:
    assert_type(end.attempts, int)


async def main(config: dict[str, object]) -> None:
    native = orgloop.on_host(Agent())
    assert_type(native, Agent)
    async with OrgLoop(config, sources={"desk": Desk()}, actors={"agent": native}) as loop:
        assert_type(loop, OrgLoop)
        loop.on("delivery", told)
        loop.on("event", lambda event: event.payload)
        assert_type(await loop.inject([{"source": "desk", "type": "message.received"}]), list[int])
        assert_type(await loop.drain(timeout_s=1.0), bool)
        assert_type(loop.statistics(), Statistics)
    async with orgloop.open_runtime(home="here") as runtime:
        assert_type(runtime, Runtime)
        assert_type(await runtime.load_module(config, actors={"agent": Agent()}), str)
    async with trio.open_nursery() as nursery:
        served: Runtime = await nursery.start(partial(orgloop.serve, config))
    async with anyio.create_task_group() as group:
        served = await group.start(orgloop.serve, config)
    print(served.tree(), orgloop.__version__)
"""

MISTAKES = {
    "orgloop.Orgloop({})": "has no attribute",
    "orgloop.OrgLoop({}, bus='paper')": "incompatible type",
    "orgloop.OrgLoop({}, actors={'agent': object()})": "incompatible type",
    "orgloop.OrgLoop({}).on('events', print)": "No overload variant",
    "orgloop.on_host(object())": "cannot be",
}


def check(source: str, at: Path) -> str:
    """What mypy --strict says of a program outside of this project."""
    program = at / "consumer.py"
    program.write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={at}/cache", str(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=at).stdout


def test_every_name_of_the_face_is_there() -> None:
    """It can be fetched, and is listed once; there are few."""
    assert len(orgloop.__all__) <= 25
    assert orgloop.__all__ == sorted(set(orgloop.__all__))
    for name in orgloop.__all__:
        assert getattr(orgloop, name) is not None
        assert name in dir(orgloop)


def test_another_name_is_refused() -> None:
    """As any module does."""
    with pytest.raises(AttributeError, match="module 'orgloop' has no attribute 'Orgloop'"):
        _ = orgloop.Orgloop  # type: ignore[attr-defined]


def test_importing_it_imports_nothing_heavy() -> None:
    """The command line begins with it."""
    heavy = {"trio", "anyio", "asyncio", "attrs", "msgspec", "ruamel", "cattrs", "importlib.metadata"}
    program = f"import sys, orgloop; print(sorted({heavy!r} & sys.modules.keys()), 'orgloop.embed' in sys.modules)"
    ended = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["[]", "False"]


@pytest.mark.slow
def test_the_program_in_its_docstring_runs() -> None:
    """As it stands, on Trio and on asyncio."""
    program = textwrap.dedent(str(orgloop.__doc__).partition("\n\n")[2])
    on_asyncio = re.sub(r"trio.run\(main\).*", "import asyncio; asyncio.run(main())", program)
    for source in (program, on_asyncio):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=30, check=False
        )
        assert (ended.stdout, ended.stderr) == ("seen: hello\n", "")


@pytest.mark.slow
def test_a_program_outside_sees_the_types(tmp_path: Path) -> None:
    """Real ones: mypy --strict accepts what is right."""
    assert check(CONSUMER, tmp_path).startswith("Success")


@pytest.mark.slow
def test_a_program_outside_is_told_of_its_mistakes(tmp_path: Path) -> None:
    """And refuses what is wrong, each for its reason."""
    found = check("import orgloop\n" + "\n".join(MISTAKES) + "\n", tmp_path)

    for line, fault in enumerate(MISTAKES.values(), start=2):
        assert re.search(rf"consumer.py:{line}: error: .*{fault}", found), found
