"""The front door as a whole, over real sockets."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from orgloop.errors import ConfigError
from orgloop.http.accepting import accept_from, serve_connections
from orgloop.http.asgi import Receive, Scope, Send, nothing_here
from orgloop.http.guarded import serve_guarded
from orgloop.http.limits import Limits
from orgloop.http.sockets import Address, listen_tcp, listen_unix
from orgloop.http.walls import walls_of
from tests.http.door import open_door
from tests.http.server import AUTH, EVENT, Intake, answered, echo_app, open_front, read_all, read_answer, request


async def test_a_webhook_reaches_its_source_as_it_was_sent() -> None:
    """Bytes, path, query and headers, whose names are in lower case."""
    async with open_front() as front:
        got = await front.ask(front.request("POST", "/webhook/github?a=b", b'{"x":1}', X_GitHub_Event="push"))

    (request,) = front.intake.received
    assert (got.status, got.value) == (200, {"ok": True})
    assert (request.method, request.path, request.query, request.body) == (
        "POST",
        "/webhook/github",
        {"a": "b"},
        b'{"x":1}',
    )
    assert request.headers["x-github-event"] == "push"


async def test_an_event_is_admitted_with_the_token() -> None:
    """202, with its id and its sequence."""
    async with open_front() as front:
        got = await front.ask(front.request("POST", "/api/v1/events", json.dumps(EVENT).encode(), **AUTH))

    assert got.status == 202
    assert got.value["sequences"] == [1]
    assert got.value["ids"] == [front.intake.injected[0]["id"]]


async def test_everything_else_goes_to_the_application() -> None:
    """With its body."""
    async with open_front() as front:
        got = await front.ask(front.request("POST", "/control/x", b"{}", **AUTH))

    assert got.value == {"path": "/control/x", "method": "POST", "body": "{}"}
    assert not front.errors


# -- both sides on one connection --------------------------------------------------------------------------------------


async def test_requests_may_come_in_any_order_on_one_connection() -> None:
    """An event, the application, an event again: the last is admitted behind the tunnel, by the same code."""
    body = json.dumps(EVENT).encode()
    async with open_front() as front:
        event = front.request("POST", "/api/v1/events", body, Connection=None, **AUTH)
        webhook = front.request("POST", "/webhook/m/github", b'{"x":1}', Connection=None)
        page = front.request("GET", "/page", Connection=None, **AUTH)
        last = front.request("POST", "/api/v1/events", body, **AUTH)
        got = await front.ask(event + page + webhook + page + last)

    assert got.statuses == (202, 200, 200, 200, 202)
    assert json.loads(got.bodies[1])["path"] == "/page"
    assert [request.body for request in front.intake.received] == [b'{"x":1}']
    assert len(front.intake.injected) == 2
    assert not front.errors


async def test_one_by_one_too() -> None:
    """Each request after the answer to the one before."""
    async with open_front() as front, await front.connect() as stream:
        for target, status in [("/webhook/github", 200), ("/page", 200), ("/webhook/github", 200), ("/webhook/x", 404)]:
            await stream.send_all(front.request("POST", target, b"{}", Connection=None, **AUTH))
            assert (await read_answer(stream)).status == status


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/page", {"Authorization": None}, 401),
        ("/page", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("/page", {"Origin": "http://evil"}, 403),
        ("/page", {"Content_Type": "text/plain"}, 415),
        ("/page", {"Content_Encoding": "gzip"}, 415),
        ("/page", {"Content_Length": "1048577"}, 413),
        ("/page", {"Content_Length": "9" * 400}, 400),
        ("/a/../page", {}, 404),
        ("/a%2fpage", {}, 404),
        ("http://evil/page", {}, 400),
        ("/" + "x" * 8192, {}, 414),
        ("/page", {"Authorization": "Bearer x"}, 401),
        ("/webhook/github", {"Content_Type": "text/plain"}, 415),
        ("/webhook/github", {"Content_Length": "1048577"}, 413),
        ("/webhook/nobody", {}, 404),
        ("/api/v1/events", {"Authorization": None}, 401),
        ("/page", {f"X{number}": "x" for number in range(120)}, 431),
    ],
)
async def test_the_same_walls_stand_behind_the_tunnel(target: str, headers: dict[str, str | None], status: int) -> None:
    """A second request of a tunnelled connection passes them as the first did."""
    async with open_front() as front:
        first = front.request("GET", "/page", Connection=None, **AUTH)
        got = await front.ask(first + front.request("POST", target, b"{}", **{**AUTH, **headers}))

    assert got.statuses == (200, status)
    assert not front.intake
    assert not front.errors


async def test_a_large_answer_comes_whole() -> None:
    """Bytes in, bytes out."""
    async with open_front() as front:
        got = await front.ask(front.request("GET", "/big", **AUTH))

    assert got.bodies == (b"x" * 1_000_000,)


async def test_a_client_that_has_said_all_still_hears_the_answer() -> None:
    """It half-closes right after its request."""
    async with open_front() as front, await front.connect() as stream:
        await stream.send_all(front.request("GET", "/slow", **AUTH))
        await stream.send_eof()
        got = answered(await read_all(stream))

    assert got.status == 200


async def test_the_application_can_ask_how_it_goes_at_the_door() -> None:
    """Connections now, requests that wait, and refusals since the beginning."""
    async with open_front() as front:
        for _ in range(2):
            await front.ask(front.request("GET", "/page"))
        async with await front.connect() as stream:
            await stream.send_all(front.request("GET", "/page", Connection=None, **AUTH))
            await read_answer(stream)
            found = front.behind.statistics()

    assert (found.connections, found.requests_waiting, found.bytes_waiting) == (1, 0, 0)
    assert found.refused == {401: 2}


# -- faults ------------------------------------------------------------------------------------------------------------

WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec_WebSocket_Version": "13",
}


@pytest.mark.parametrize("rest", [b"x", b"\x00", b"\xff" * 10, b"\x81\xfe\xff\xff"])
async def test_an_upgrade_with_a_byte_too_many_ends_its_connection_only(rest: bytes) -> None:
    """One request that, without the guard, ends the whole of hypercorn (pgjones/hypercorn#225)."""
    async with open_front() as front:
        for headers in ({}, AUTH):
            async with await front.connect() as stream:
                await stream.send_all(front.request("GET", "/ws", **{**WEBSOCKET, **headers}) + rest)
                await stream.send_eof()
                await read_all(stream)
        got = await front.ask(front.request("GET", "/page", **AUTH))

    assert got.status == 200
    assert not [error for error in front.errors if "front/app" in error]


async def test_the_guard_is_needed() -> None:
    """The same request, to hypercorn as it is: should this fail one day, the guard may go."""
    import hypercorn.trio
    from hypercorn.config import Config
    from hypercorn.trio import run, tcp_server

    ours, run.TCPServer = run.TCPServer, tcp_server.TCPServer  # type: ignore[attr-defined]
    config = Config()
    config.bind, config.errorlog = ["127.0.0.1:0"], None
    try:
        with pytest.RaisesGroup(pytest.RaisesExc(Exception), flatten_subgroups=True, allow_unwrapped=True):
            async with trio.open_nursery() as nursery:
                serve = partial(hypercorn.trio.serve, echo_app, config, mode="asgi")  # type: ignore[arg-type]
                (bound,) = await nursery.start(serve)
                async with await trio.open_tcp_stream("127.0.0.1", int(bound.rpartition(":")[2])) as stream:
                    await stream.send_all(request("GET", "/ws", Host="localhost", **WEBSOCKET) + b"x")
                    await trio.sleep(5)
                nursery.cancel_scope.cancel("it survived")
    finally:
        run.TCPServer = ours  # type: ignore[attr-defined]


async def test_a_client_that_has_gone_keeps_nobody_out() -> None:
    """Its seat can be had at once, though the tunnel waits a while for what it might still want to hear."""
    async with open_front(limits=Limits(connections_per_peer=2)) as front:
        for _ in range(6):
            async with await front.connect() as stream:
                await stream.send_all(front.request("GET", "/page", Connection=None, **AUTH))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")

    assert not front.errors


async def test_a_websocket_goes_through() -> None:
    """With the token; without, it is refused before it is one."""
    async with open_front(limits=Limits(half_closed_s=0.05)) as front:
        refused = await front.ask(front.request("GET", "/ws", **WEBSOCKET), ends=True)
        async with await front.connect() as stream:
            await stream.send_all(front.request("GET", "/ws", **{**WEBSOCKET, **AUTH}))
            head = await stream.receive_some()
            await stream.send_all(b"\x81\x82\x00\x00\x00\x00hi")
            frame = await stream.receive_some()

    assert refused.status == 401
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frame == b"\x81\x02hi"


async def test_a_websocket_behind_the_tunnel_meets_the_walls() -> None:
    """As a second request of its connection."""
    async with open_front() as front:
        first = front.request("GET", "/page", Connection=None, **AUTH)
        got = await front.ask(first + front.request("GET", "/ws", **WEBSOCKET))

    assert got.statuses == (200, 403)


async def test_a_bug_of_the_application_is_500_and_told() -> None:
    """What it raised is nobody's business outside."""
    async with open_front() as front:
        got = await front.ask(front.request("GET", "/boom", **AUTH))
        after = await front.ask(front.request("GET", "/page", **AUTH))

    assert (got.status, got.value) == (500, {"error": "Internal error"})
    assert after.status == 200
    assert front.errors == ["front door: /boom: RuntimeError('a bug of the application')"]


async def test_no_other_protocol_is_spoken_on_a_tunnelled_connection() -> None:
    """HTTP/2 by its preface, as a second request: no application hears of it."""
    async with open_front() as front:
        async with await front.connect() as stream:
            await stream.send_all(front.request("GET", "/page", Connection=None, **AUTH))
            await stream.receive_some()
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            await stream.receive_some()
        got = await front.ask(front.request("GET", "/page", **AUTH))

    assert got.status == 200


# -- listening and closing ---------------------------------------------------------------------------------------------


async def test_a_request_under_way_ends_when_the_door_closes() -> None:
    """On both sides; connections that only wait are closed at once."""
    begun = trio.Event()

    async def slowly() -> None:
        begun.set()
        await trio.sleep(0.05)

    answers: list[int] = []
    async with trio.open_nursery() as nursery:
        async with open_front(Intake(before=slowly)) as front:
            idle = await front.connect()

            async def ask(raw: bytes) -> None:
                answers.append((await front.ask(raw)).status)

            nursery.start_soon(ask, front.request("POST", "/webhook/github", b"{}", Connection=None))
            nursery.start_soon(ask, front.request("GET", "/slow", Connection=None, **AUTH))
            await begun.wait()
            await trio.sleep(0.02)
        async with idle:
            assert await read_all(idle) == b""
        with pytest.raises(OSError, match="connect"):
            await front.connect()

    assert sorted(answers) == [200, 200]


async def test_a_stream_without_an_end_is_cut_when_its_time_is_over() -> None:
    """An application that does not listen to ``stopping`` delays the end by ``stop_s`` at most."""

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await nothing_here(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await trio.sleep_forever()

    async with open_front(app=endless, limits=Limits(stop_s=0.05)) as front:
        stream = await front.connect()
        await stream.send_all(front.request("GET", "/stream", **AUTH))
        assert b" 200 " in await stream.receive_some()
        began_s = trio.current_time()
    await stream.aclose()
    assert trio.current_time() - began_s < 2


async def test_a_unix_socket_is_for_its_owner(tmp_path: Path) -> None:
    """0600, whatever the umask; it is gone afterwards. The private one of the application is in a 0700 directory."""
    path, private = tmp_path / "door", tmp_path / "private"
    private.mkdir()
    async with open_front(host=None, socket=path, directory=private) as front:
        got = await front.ask(request("GET", "/page", Host="localhost", **AUTH))
        (inner,) = private.iterdir()

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(inner.stat().st_mode) == 0o700
        assert stat.S_IMODE((inner / "app.sock").stat().st_mode) == 0o700
    assert got.status == 200
    assert not path.exists()
    assert not list(private.iterdir())


async def test_a_unix_socket_may_be_for_a_group(tmp_path: Path) -> None:
    """0660, and the group's."""
    async with open_front(host=None, socket=tmp_path / "door", group_id=os.getgid()):
        found = (tmp_path / "door").stat()

    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())


async def test_the_token_is_asked_for_on_a_unix_socket_too(tmp_path: Path) -> None:
    """A socket says which user it is, not which program."""
    async with open_front(host=None, socket=tmp_path / "door") as front:
        got = await front.ask(request("GET", "/page", Host="localhost"))

    assert got.status == 401
    assert front.told[0][1]["metadata"]["peer"] == f"uid:{os.getuid()}"


async def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    """It was left by a crash."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door"))
    async with open_front(host=None, socket=tmp_path / "door") as front:
        got = await front.ask(request("GET", "/livez", Host="localhost"))

    assert got.status == 200


@pytest.mark.parametrize("kind", ["file", "directory", "link", "in use"])
async def test_what_is_in_the_place_of_a_socket_stays(tmp_path: Path, kind: str) -> None:
    """Refused with a sentence."""
    path = tmp_path / "door"
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "file":
            path.touch()
        elif kind == "directory":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("/nowhere")
        else:
            other.bind(str(path))
            other.listen()
        with pytest.raises(ConfigError, match="socket"):
            listen_unix(path)

    assert path.lstat()


async def test_a_port_that_is_taken_says_what_to_do() -> None:
    """Before anything else has begun."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match="is in use on 127"):
            await listen_tcp("127.0.0.1", port, is_public=False)


async def test_others_are_kept_out_unless_it_is_said_that_they_may_come() -> None:
    """The door speaks no TLS."""
    with pytest.raises(ConfigError, match=r"http\.public"):
        await listen_tcp("0.0.0.0", 0, is_public=False)


def test_a_token_that_could_be_guessed_is_refused() -> None:
    """As is an empty one, which everybody knows."""
    with pytest.raises(ValueError, match="shorter than 32 bytes"):
        walls_of([4800], token=b"")


async def test_a_crash_of_accepting_takes_its_connections_along() -> None:
    """And reaches the supervisor, which starts it again with none: nothing half-served stays behind."""
    async with open_door() as hall:
        (listener,) = await listen_tcp("127.0.0.1", 0, is_public=False)
        async with listener, trio.open_nursery() as nursery:

            async def serve() -> None:
                with pytest.RaisesGroup(OSError, flatten_subgroups=True):
                    await serve_connections([listener], hall.door, hall.door.ingest.tell)

            nursery.start_soon(serve)
            stream = await trio.open_tcp_stream(*listener.socket.getsockname())
            async with stream:
                await stream.send_all(b"POST")
                await trio.testing.wait_all_tasks_blocked(0.02)
                listener.socket.shutdown(socket.SHUT_RDWR)  # accept() fails from now on
                assert await read_all(stream) == b""
        assert not hall.door.seats.guests


@attrs.define
class Scarce(trio.abc.Listener[trio.SocketStream]):
    """A listener that finds no descriptor, twice, then accepts one connection."""

    stream: trio.SocketStream
    failures: int = 2
    times_s: list[float] = attrs.field(factory=list)

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        self.times_s.append(trio.current_time())
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        if len(self.times_s) > 3:
            await trio.sleep_forever()
        return self.stream

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_without_descriptors_accepting_waits(autojump_clock: MockClock) -> None:
    """A tenth of a second each time, and says so; then it goes on."""
    told: list[str] = []
    served: list[trio.SocketStream] = []

    def tell(phase: str, **fields: Any) -> None:
        told.append(fields["error"])

    async def serve(stream: trio.SocketStream) -> None:
        served.append(stream)

    ours, theirs = trio.socket.socketpair()
    listener = Scarce(trio.SocketStream(ours))
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_from, listener, serve, nursery, tell)
            await trio.sleep(1)
            nursery.cancel_scope.cancel("seen enough")

    assert served == [listener.stream]
    assert listener.times_s[2] - listener.times_s[0] == pytest.approx(0.2)
    assert len(told) == 2
    assert "Too many open files" in told[0]


async def test_the_application_can_be_started_again_in_its_place(tmp_path: Path) -> None:
    """The socket that its last life has left is no hindrance."""

    def tell(phase: str, **fields: Any) -> None:
        raise AssertionError(fields)

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            serve = partial(serve_guarded, limits=Limits(), tell=tell, stopping=trio.Event())
            await nursery.start(serve, nothing_here, tmp_path / "s")
            async with await trio.open_unix_socket(tmp_path / "s") as stream:
                await stream.send_all(request("GET", "/", Host="x"))
                assert answered(await read_all(stream)).status == 404
            nursery.cancel_scope.cancel("it crashed")
    assert (tmp_path / "s").is_socket()


async def test_a_door_without_an_application_is_one_for_events() -> None:
    """Everything else is not found, and no WebSocket is had."""
    async with open_front(app=nothing_here) as front:
        page = await front.ask(front.request("GET", "/page", **AUTH))
        websocket = await front.ask(front.request("GET", "/ws", **{**WEBSOCKET, **AUTH}), ends=True)

    assert (page.status, page.value) == (404, {"error": "Not found"})
    assert websocket.status == 403


async def test_a_path_too_long_for_a_socket_is_said() -> None:
    """And a private socket whose directory would be too long is made elsewhere."""
    with pytest.raises(ConfigError, match="cannot listen on"):
        listen_unix(Path("/tmp") / ("x" * 200))


async def test_a_deep_directory_is_no_hindrance(tmp_path: Path) -> None:
    """The private socket is made where temporary files are."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    async with open_front(directory=deep) as front:
        got = await front.ask(front.request("GET", "/page", **AUTH))

    assert got.status == 200


async def test_a_door_must_be_somewhere() -> None:
    """Neither a host nor a socket is nobody's door."""
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="nobody could reach"), flatten_subgroups=True):
        async with open_front(host=None):
            pass


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("127.0.0.1", 4800), "http://127.0.0.1:4800"),
        (Address("::1", 4800), "http://[::1]:4800"),
        (Address("/run/orgloop/door"), "unix:/run/orgloop/door"),
    ],
)
def test_an_address_is_written_as_a_client_needs_it(address: Address, text: str) -> None:
    """To be pasted."""
    assert str(address) == text
