"""
A runtime that is to be killed: ``python -m tests.e2e.victim HOME FIRST COUNT``.

It loads the organisation, lets COUNT things happen on each route, numbered from FIRST, and says ``admitted <event>``
for each, once that is durable. When all that is owed has ended, it says ``drained``, and waits for its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from orgloop.runtime.runtime import open_runtime
from tests.e2e.stage import PROJECT, WAYS, happened


async def live(home: Path, first: int, count: int) -> None:
    """One life."""
    async with open_runtime(home=home) as runtime:
        await runtime.load_module(PROJECT)
        for number in range(first, first + count):
            for route in WAYS:
                event = happened(route, number)
                await runtime.inject(event)
                print("admitted", event.id, flush=True)
        if await runtime.drain(timeout_s=60):
            print("drained", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(live, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
