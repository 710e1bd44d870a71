"""The walls in front of an ASGI application, and the tunnel that leads there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.http.answers import Answer
from orgloop.http.asgi import Message, Receive, Scope, Send, Walled
from orgloop.http.ingest import Ingest
from orgloop.http.limits import Limits
from orgloop.http.tellers import Refusals
from orgloop.http.tunnel import UnixTunnel
from orgloop.http.walls import walls_of
from tests.http.door import HOST
from tests.http.server import AUTH, TOKEN, Intake, open_front, read_all


def scope(target: str = "/page", *, kind: str = "http", **headers: str) -> Scope:
    """A POST, as hypercorn shows it."""
    path, _, query = target.partition("?")
    fields = {"host": HOST, "content-type": "application/json", "content-length": "2", **AUTH, **headers}
    return {
        "type": kind,
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
    }


async def ask(
    what: Scope, messages: Sequence[Message] = ({"type": "http.request", "body": b"{}"},), **limits: Any
) -> tuple[list[Message], list[str]]:
    """What is sent for these messages, and the bodies that the application has seen."""
    sent: list[Message] = []
    seen: list[str] = []
    waiting = list(messages)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(f"{scope['path']} {(await receive())['body'].decode()}")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        return waiting.pop(0) if waiting else await trio.sleep_forever()

    async def send(message: Message) -> None:
        sent.append(message)

    def tell(phase: str, **fields: Any) -> None:
        pass

    bounds = Limits(**limits)
    ingest = Ingest(intake=Intake(), tell=tell, limits=bounds)
    walled = Walled(
        app=app,
        ingest=ingest,
        walls=walls_of([4800], token=TOKEN),
        limits=bounds,
        refusals=Refusals(tell, bounds.refusals_told_per_s),
    )
    await walled(what, receive, send)
    assert ingest.room.requests == ingest.room.bodies_bytes == 0
    return sent, seen


async def test_an_application_gets_the_body_in_one_piece() -> None:
    """It was read within its limits before."""
    sent, seen = await ask(
        scope(), [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
    )

    assert (sent[0]["status"], seen) == (200, ["/page {}"])


async def test_a_body_that_does_not_come_is_408(autojump_clock: MockClock) -> None:
    """hypercorn itself would wait for ever."""
    sent, seen = await ask(scope(), [{"type": "http.request", "body": b"{", "more_body": True}])

    assert (sent[0]["status"], seen) == (408, [])
    assert trio.current_time() == pytest.approx(30, abs=1)


async def test_a_body_that_says_too_little_of_its_length_is_413() -> None:
    """What counts is what comes."""
    piece = {"type": "http.request", "body": b"x" * 8, "more_body": True}
    sent, seen = await ask(scope(**{"transfer-encoding": "chunked"}), [piece] * 3, body_bytes=20)

    assert (sent[0]["status"], seen) == (413, [])


async def test_a_client_that_goes_is_not_answered() -> None:
    """Nobody is there to hear it."""
    assert await ask(scope(), [{"type": "http.disconnect"}]) == ([], [])


async def test_there_is_one_room_for_both_ways_in() -> None:
    """503 where the listener would say it."""
    sent, seen = await ask(scope(), requests_waiting=0)

    assert (sent[0]["status"], seen) == (503, [])
    assert (b"retry-after", b"1") in sent[0]["headers"]


async def test_only_one_protocol_is_spoken() -> None:
    """HTTP/2 reaches no application."""
    sent, seen = await ask({**scope(), "http_version": "2"})

    assert (sent[0]["status"], seen) == (400, [])


async def test_a_header_that_decides_stands_there_once() -> None:
    """hypercorn takes two of some."""
    what = scope()
    what["headers"].append((b"authorization", b"Bearer x"))
    sent, seen = await ask(what)

    assert (sent[0]["status"], seen) == (400, [])


async def test_a_tunnel_to_nowhere_is_503(tmp_path: Path) -> None:
    """The application is being started again; the client is told to come back."""
    ours, _theirs = trio.testing.memory_stream_pair()
    answer = await UnixTunnel(tmp_path / "app.sock", Limits())(ours, b"GET / HTTP/1.1\r\n\r\n", lambda: None)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (503, (("Retry-After", "1"),))


@pytest.mark.slow
async def test_noise_behind_the_tunnel_ends_its_own_connection_only() -> None:
    """Any bytes after a good request: the application answers the next client, and its child was never restarted."""
    noise = st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"GET /page HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"Upgrade: websocket\r\n"]),
            st.sampled_from(
                [b"Connection: Upgrade, HTTP2-Settings\r\n", b"Upgrade: h2c\r\n", b"HTTP2-Settings: AA\r\n"]
            ),
            st.sampled_from(
                [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"]
            ),
            st.sampled_from([b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"Sec-WebSocket-Version: 13\r\n"]),
        ),
        max_size=12,
    ).map(b"".join)
    cases: list[bytes] = []

    @settings(max_examples=150, database=None)
    @given(noise)
    def collect(case: bytes) -> None:
        cases.append(case)

    collect()
    async with open_front(limits=Limits(half_closed_s=0.02)) as front:
        for case in cases:
            async with await front.connect() as stream:
                await stream.send_all(front.request("GET", "/page", Connection=None, **AUTH))
                await stream.send_all(case)
                await stream.send_eof()
                await read_all(stream)
        got = await front.ask(front.request("GET", "/page", **AUTH))

    assert got.status == 200
    assert not [error for error in front.errors if "front/app" in error]


@pytest.mark.slow
async def test_a_thousand_slow_connections_do_not_keep_a_sender_waiting() -> None:
    """Each has sent half a request; the 99th of a hundred senders beside them is answered within half a second."""
    took_s = []
    async with open_front() as front:
        slow = []
        for _ in range(1000):
            slow.append(await front.connect())
            await slow[-1].send_all(b"POST /webhook/github HTTP/1.1\r\nHost")
        for _ in range(100):
            began_s = trio.current_time()
            assert (await front.ask(front.request("POST", "/webhook/github", b"{}"))).status == 200
            took_s.append(trio.current_time() - began_s)
        for stream in slow:
            await stream.aclose()

    assert sorted(took_s)[98] <= 0.5
