"""A door without sockets: connections over streams in memory, so that time can be virtual and nothing is far away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio.testing

from orgloop.http import ingest
from orgloop.http.answers import Answer, json_answer, render
from orgloop.http.connection import Connection, Door, end_the_late
from orgloop.http.ingest import Ingest
from orgloop.http.limits import Limits
from orgloop.http.seats import Seats
from orgloop.http.tellers import Refusals
from orgloop.http.walls import TermsOf, usual_terms, walls_of
from tests.http.server import TOKEN, Answered, Intake, answered, read_all, request, send_what_it_takes

HOST = "127.0.0.1:4800"
Stream = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]


@attrs.define
class Tunnel:
    """Keeps what goes through, and answers ``{"tunnelled":true}`` once."""

    passed: list[bytes] = attrs.field(factory=list)
    absent: Answer | None = None

    async def __call__(
        self, stream: trio.abc.HalfCloseableStream, first: bytes, on_eof: Callable[[], object]
    ) -> Answer | None:
        self.passed.append(first)
        if self.absent is None:
            await stream.send_all(render(json_answer(200, {"tunnelled": True}), close=True))
            await stream.send_eof()
        return self.absent


@attrs.define
class Hall:
    """The inside of a door that is open, and the way to its outside."""

    door: Door
    given: ingest.Intake
    tunnel: Tunnel
    told: list[tuple[str, dict[str, Any]]]
    nursery: trio.Nursery

    @property
    def intake(self) -> Intake:
        """The fake."""
        assert isinstance(self.given, Intake)
        return self.given

    def connect(self, peer: str = "peer") -> Stream:
        """A connection, seen by the client."""
        ours, theirs = trio.testing.memory_stream_pair()

        async def serve() -> None:
            async with theirs:
                await Connection(theirs, peer, self.door).serve()

        self.nursery.start_soon(serve)
        return ours

    async def ask(self, raw: bytes, *, ends: bool = True, peer: str = "peer") -> Answered:
        """Send these bytes on a connection of their own, and read what comes until it ends."""
        stream = self.connect(peer)
        await send_what_it_takes(stream, raw)
        if ends:
            await stream.send_eof()
        return answered(await read_all(stream))


def webhook(body: bytes = b"{}", /, **headers: str | None) -> bytes:
    """A request that is admitted."""
    return request("POST", "/webhook/github", body, **{"Host": HOST, **headers})


def events(body: bytes, /, **headers: str | None) -> bytes:
    """Events, with the token."""
    return request(
        "POST", "/api/v1/events", body, **{"Host": HOST, "Authorization": f"Bearer {TOKEN.decode()}", **headers}
    )


@asynccontextmanager
async def open_door(
    intake: ingest.Intake | None = None, *, limits: Limits | None = None, terms_of: TermsOf = usual_terms
) -> AsyncGenerator[Hall]:
    """A door, as if it were on port 4800."""
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(phase: str, **fields: Any) -> None:
        told.append((phase, fields))

    chosen = Intake() if intake is None else intake
    bounds, tunnel = limits or Limits(), Tunnel()
    door = Door(
        ingest=Ingest(intake=chosen, tell=tell, limits=bounds, terms_of=terms_of),
        walls=walls_of([4800], token=TOKEN),
        tunnel=tunnel,
        limits=bounds,
        refusals=Refusals(tell, bounds.refusals_told_per_s),
        seats=Seats(bounds),
        stopping=trio.Event(),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_the_late, door.seats)
        yield Hall(door, chosen, tunnel, told, nursery)
        nursery.cancel_scope.cancel("the test has ended")
