"""
OrgLoop in a program on asyncio: the same object, the same tree; Trio runs as a guest of asyncio's loop.

    orgloop                    rest_for_one
    ├── services               rest_for_one: settler, scheduler, router, …
    └── modules                one_for_one, never gives up
        └── office             rest_for_one
            ├── actors         one_for_one
            │   ├── clerk      answers letters; that an answer is written is an event again
            │   └── archive    keeps answers
            ├── loggers
            └── sources        one_for_one
                └── desk       a letter, once

The clerk and the archive are written for asyncio, so ``on_host`` lets them work there; the desk waits for nothing.
"""

from __future__ import annotations

import asyncio

import orgloop

OFFICE = {
    "metadata": {"name": "office"},
    "sources": [{"id": "desk", "connector": "given", "poll": {"interval": "100ms"}}],
    "actors": [{"id": "clerk", "connector": "given"}, {"id": "archive", "connector": "given"}],
    "routes": [
        {"name": "letters", "when": {"source": "desk", "events": ["message.received"]}, "then": {"actor": "clerk"}},
        {"name": "answers", "when": {"source": "clerk", "events": ["actor.stopped"]}, "then": {"actor": "archive"}},
    ],
}


class Desk:
    """Finds one letter, the first time that it looks."""

    async def poll(self, checkpoint: str | None) -> orgloop.Polled:
        """Look; ``checkpoint`` is what the last look has left."""
        letter = orgloop.Event("desk", "message.received", {"platform": "desk"}, {"text": "When do you open?"})
        return orgloop.Polled([letter] if checkpoint is None else [], checkpoint="1")


class Clerk:
    """Answers letters, as asyncio waits."""

    async def deliver(self, delivery: orgloop.Delivery) -> orgloop.Outcome:
        """Write an answer, and say so."""
        await asyncio.to_thread(int)
        answer = {"answer": "At nine.", "to": delivery.event.payload["text"]}
        await delivery.emit([orgloop.Event("clerk", "actor.stopped", {"platform": "office"}, answer)])
        return orgloop.Delivered()


class Archive:
    """Keeps answers."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()

    async def deliver(self, delivery: orgloop.Delivery) -> orgloop.Outcome:
        """Keep one."""
        print("archived:", delivery.event.payload)
        self.filled.set()
        return orgloop.Delivered()


async def main() -> None:
    """Open the office until the answer is in the archive."""
    archive = Archive()
    loop = orgloop.OrgLoop(
        OFFICE,
        sources={"desk": Desk()},
        actors={"clerk": orgloop.on_host(Clerk()), "archive": orgloop.on_host(archive)},
    )
    loop.on("event", lambda event: print("event:", event.source, event.type))
    loop.on("delivery", lambda end: print("delivery:", end.route, "to", end.actor, end.outcome))
    async with loop:
        print(loop.tree())
        await archive.filled.wait()
        await loop.drain(timeout_s=5)
    print("closed:", {name: counts.delivered for name, counts in loop.statistics().modules[0].routes.items()})


if __name__ == "__main__":
    asyncio.run(main())
