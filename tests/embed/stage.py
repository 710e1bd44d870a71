"""Programs on each loop that OrgLoop may be embedded in, and a small organisation for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
import pytest
import trio

T = TypeVar("T")
Main = Callable[[], Coroutine[Any, Any, T]]

MESSAGE = {"source": "desk", "type": "message.received"}


def on_asyncio(main: Main[T]) -> T:
    """Run a program on asyncio in debug mode; what asyncio only reports is a failure here."""
    reports: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, report: reports.append(report))
        async with asyncio.timeout(10):
            return await main()

    result = asyncio.run(watched(), debug=True)
    assert not reports
    return result


def on_anyio_asyncio(main: Main[T]) -> T:
    """Run a program on anyio's asyncio backend."""
    return anyio.run(main, backend_options={"debug": True})


def on_anyio_trio(main: Main[T]) -> T:
    """Run a program on anyio's Trio backend."""
    return anyio.run(main, backend="trio")


def on_trio(main: Main[T]) -> T:
    """Run a program on Trio."""
    return trio.run(main)


everywhere = pytest.mark.parametrize("run", [on_trio, on_anyio_trio, on_anyio_asyncio, on_asyncio])
"""Each test once on each loop."""

on_both_asyncios = pytest.mark.parametrize("run", [on_anyio_asyncio, on_asyncio])

Run = Callable[[Main[Any]], Any]


def organisation(**delivery: Any) -> dict[str, Any]:
    """A desk, an agent, and the route between them, with this under ``then.delivery``."""
    return {
        "sources": [{"id": "desk", "connector": "given"}],
        "actors": [{"id": "agent", "connector": "given"}],
        "routes": [
            {
                "name": "work",
                "when": {"source": "desk", "events": ["message.received"]},
                "then": {"actor": "agent", "delivery": delivery},
            }
        ],
    }


async def until(true: Callable[[], bool], sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
    """Wait for what others bring about in real time, at most five seconds."""
    for _ in range(500):
        if true():
            return
        await sleep(0.01)
    raise AssertionError("it never came about")
