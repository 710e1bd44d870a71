"""The client of every HTTP connector, against a real server."""

from __future__ import annotations

import gzip
import math
import socket
import ssl
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop_connectors._http import Answer, Limits, NoAnswer, Online, Reply, json_of, open_client
from tests.connectors.outside import Outside, Says, open_outside, unused_port


async def get(outside: Outside, *, limits: Limits | None = None, path: str = "/") -> Reply:
    async with open_client(limits=limits) as client:
        return await client.request("GET", outside.url + path)


async def answer_to(says: Says, *, limits: Limits | None = None) -> Reply:
    async with open_outside() as outside:
        outside.says(says)
        return await get(outside, limits=limits)


async def test_a_request_arrives_as_it_was_made() -> None:
    """Method, path, query, headers and body; and it says who sends it."""
    async with open_outside() as outside, open_client() as client:
        outside.says(Says(201, {"ok": True}, {"X-Request-Id": "r1"}))
        reply = await client.request(
            "PUT", f"{outside.url}/a%2Fb", params={"q": "é&"}, headers={"x-key": "v"}, json={"n": 1}
        )

    (heard,) = outside.heard
    assert (heard.method, heard.path, heard.query, heard.json()) == ("PUT", "/a%2Fb", {"q": "é&"}, {"n": 1})
    assert heard.headers["x-key"] == "v"
    assert heard.headers["user-agent"].startswith("orgloop/")
    assert isinstance(reply, Answer)
    assert (reply.status, reply.json(), reply.headers["x-request-id"]) == (201, {"ok": True}, "r1")


async def test_a_connection_is_used_again() -> None:
    """A new one for each request costs a round trip, or three with TLS."""
    async with open_outside() as outside, open_client() as client:
        outside.says(Says(200, {}))
        for _ in range(3):
            await client.request("GET", outside.url)

    assert outside.connections == 1


async def test_a_redirect_is_an_answer() -> None:
    """Where it leads is the far side's to say, not ours to follow."""
    async with open_outside() as outside:
        outside.says(Says(302, headers={"location": "/elsewhere"}))
        reply = await get(outside)

    assert isinstance(reply, Answer)
    assert reply.status == 302
    assert len(outside.heard) == 1


async def test_a_cookie_is_forgotten() -> None:
    """What one answer sets is nothing to the next request."""
    async with open_outside() as outside, open_client() as client:
        outside.says(Says(200, headers={"set-cookie": "a=b; Path=/"}))
        for _ in range(2):
            await client.request("GET", outside.url)

    assert "cookie" not in outside.heard[1].headers


async def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is said: what stands in a shell is not what the operator wrote."""
    async with open_outside() as outside, open_outside() as proxy:
        proxy.says(Says(200, {"by": "proxy"}))
        outside.says(Says(200, {"by": "outside"}))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with open_client() as plain, open_client(environment=True) as asking:
            assert json_of(await plain.request("GET", outside.url), who="It") == {"by": "outside"}
            assert json_of(await asking.request("GET", outside.url), who="It") == {"by": "proxy"}


async def test_a_unix_socket_is_spoken_to(tmp_path: Path) -> None:
    """As Docker's."""
    async with open_outside(uds=tmp_path / "s") as outside, open_client(uds=str(tmp_path / "s")) as client:
        outside.says(Says(200, {"ok": 1}))

        assert json_of(await client.request("GET", "http://docker/info"), who="Docker") == {"ok": 1}


async def test_an_object_has_its_client_while_it_is_entered() -> None:
    """Before and after, it says so; and it can be entered again."""
    online = Online(open_client)
    async with open_outside() as outside:
        outside.says(Says(200, {}))
        for _ in range(2):
            async with online as entered:
                assert isinstance(await entered.client.request("GET", outside.url), Answer)
            with pytest.raises(RuntimeError, match="Online has a client only while it is entered"):
                _ = online.client


# -- what can go wrong -------------------------------------------------------------------------------------------------


async def test_nobody_there_is_a_value() -> None:
    """And says what happened, without the address, which may hold a secret."""
    async with open_client() as client:
        reply = await client.request("GET", f"http://127.0.0.1:{unused_port()}/token-in-path")

    assert isinstance(reply, NoAnswer)
    assert not reply.final
    assert reply.reason.startswith("connect error")
    assert "token" not in reply.reason


@pytest.mark.parametrize(
    "says",
    [
        Says(hangs_up=True),
        Says(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
        Says(raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
        Says(raw=b"HTTP/1.1 200 OK\r\n" + b"X-Filler: x\r\n" * 100_000),
        Says(raw=b"HTTP/1.1 999999 OK\r\n\r\n"),
        Says(raw=b"\0" * 100),
    ],
    ids=["hangs up", "no HTTP", "half a head", "endless head", "no status", "zeros"],
)
async def test_no_sound_answer_is_no_answer(says: Says) -> None:
    """Whatever it is instead."""
    reply = await answer_to(says)

    assert isinstance(reply, NoAnswer)
    assert not reply.final


async def test_an_answer_that_does_not_come_is_given_up(autojump_clock: MockClock) -> None:
    """After the total limit."""
    limits = Limits(total_s=20)

    assert await answer_to(Says(delay_s=math.inf), limits=limits) == NoAnswer("no answer within 20 s")


async def test_a_silence_between_two_pieces_is_given_up(autojump_clock: MockClock) -> None:
    """After the read limit, which comes first by default."""
    assert await answer_to(Says(delay_s=math.inf)) == NoAnswer("read timeout")


@pytest.mark.parametrize(
    ("says", "fault"),
    [
        (Says(503, "x" * 500, cut_after_bytes=10), "broke off"),
        (Says(503, "x" * 1001), "longer than 1000 bytes"),
        (Says(503, "x" * 100, endless=True), "longer than 1000 bytes"),
        (Says(503, "x" * 1_000_000, packed=True), "longer than 1000 bytes"),
        (Says(503, b"no gzip", {"content-encoding": "gzip"}), "damaged"),
        (Says(503, b"\x1f\x8b\x08\0\0\0\0\0\0\3", {"content-encoding": "gzip"}), "breaks off"),
        (Says(503, b"?", {"content-encoding": "br"}), "nobody asked for"),
    ],
    ids=["cut", "long", "endless", "bomb", "no gzip", "half gzip", "unasked"],
)
async def test_a_status_counts_when_its_body_cannot_be_had(says: Says, fault: str) -> None:
    """What was said is said; of the body no more is read than the limit."""
    reply = await answer_to(says, limits=Limits(body_bytes=1000))

    assert isinstance(reply, Answer)
    assert reply.status == 503
    assert reply.fault is not None
    assert fault in reply.fault
    assert len(reply.body) <= 1000


async def test_a_status_counts_when_its_body_only_drips(autojump_clock: MockClock) -> None:
    """The total limit ends what the read limit does not: every byte comes in time, and there is no end."""
    reply = await answer_to(Says(503, "x" * 500, drip_s=10))

    assert isinstance(reply, Answer)
    assert (reply.status, reply.fault) == (503, "the body broke off: no answer within 60 s")


async def test_a_bomb_is_not_unpacked_before_it_is_measured() -> None:
    """Twenty kilobytes that would become twenty megabytes take no more room than the limit."""
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        reply = await answer_to(Says(200, bomb, {"content-encoding": "gzip"}), limits=Limits(body_bytes=100_000))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(reply, Answer)
    assert len(reply.body) == 100_000
    assert peak_bytes < 5_000_000


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_of_exactly_the_limit_is_whole(packed: bool) -> None:
    """The limit passes; one more does not."""
    reply = await answer_to(Says(200, "x" * 1000, packed=packed), limits=Limits(body_bytes=1000))

    assert isinstance(reply, Answer)
    assert reply.fault is None
    assert len(reply.body) == 1000


async def test_a_broken_answer_does_not_poison_the_next() -> None:
    """The connection it came by is gone; the next request gets another."""
    async with open_outside() as outside, open_client(limits=Limits(body_bytes=1000)) as client:
        outside.says(Says(200, "x" * 100_000), Says(hangs_up=True), Says(200, {"ok": True}))
        for _ in range(2):
            await client.request("GET", outside.url)

        assert json_of(await client.request("GET", outside.url), who="It") == {"ok": True}


async def test_a_cancel_ends_a_request() -> None:
    """It is not swallowed, and holds nothing."""
    async with open_outside() as outside, open_client(limits=Limits(connections=1)) as client:
        outside.says(Says(delay_s=math.inf), Says(200, {}))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.request, "GET", outside.url)
            await outside.arrived.wait()
            nursery.cancel_scope.cancel("the delivery took too long")
        with trio.fail_after(1):
            assert isinstance(await client.request("GET", outside.url), Answer)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://example.com/", {}),
        ("http://user:pw@example.com/", {}),
        ("http:///x", {}),
        ("", {"x-bad": "a\r\nb: c"}),
        ("", {"bad name": "a"}),
        ("", {"x-bad": "\ud800"}),
        ("/" + "x" * 10_000, {}),
    ],
)
async def test_what_cannot_be_sent_is_final(url: str, headers: dict[str, str]) -> None:
    """Another attempt would end as this one did."""
    async with open_outside() as outside, open_client() as client:
        reply = await client.request("GET", url if "://" in url else outside.url + url, headers=headers)

    assert isinstance(reply, NoAnswer)
    assert reply.final
    assert outside.heard == []


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_secrets_are_blotted_out_of_what_is_told_on() -> None:
    """A far side that repeats the token in its complaint does not spread it, nor half of it."""
    secret = 's3cret"quoted'
    async with open_outside() as outside, open_client(secrets=[secret, ""]) as client:
        outside.says(Says(400, {"error": f"bad token {secret}"}), Says(400, "x" * 290 + secret))
        first = await client.request("GET", outside.url)
        second = await client.request("GET", outside.url)

    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.excerpt == '{"error": "bad token ***"}'
    assert "s3c" not in second.excerpt


async def test_an_excerpt_is_one_short_harmless_line() -> None:
    """It goes to logs and terminals."""
    reply = await answer_to(Says(400, "a\r\n\x1b[31mb\u202ec\0" + "d" * 5000))

    assert isinstance(reply, Answer)
    assert reply.excerpt.startswith("a [31mb c d")
    assert len(reply.excerpt) <= 301
    assert reply.excerpt.isprintable()


# -- what an event may ask for -----------------------------------------------------------------------------------------


async def test_an_event_reaches_an_allowed_host_and_port() -> None:
    """Looked up once, and connected to what was judged; the host keeps its name."""
    async with open_outside() as outside:
        outside.says(Says(200, {"ok": True}))
        async with open_client(allowed_hosts=[f"localhost:{outside.port}"]) as client:
            reply = await client.request("GET", f"http://localhost:{outside.port}/x", event_made=True)

    assert json_of(reply, who="It") == {"ok": True}
    assert outside.heard[0].headers["host"] == f"localhost:{outside.port}"


async def test_a_connection_of_an_event_serves_once() -> None:
    """Kept, it would be used for another name that has the same address."""
    async with open_outside() as outside:
        outside.says(Says(200, {}))
        async with open_client(allowed_hosts=[f"127.0.0.1:{outside.port}"]) as client:
            for _ in range(2):
                await client.request("GET", outside.url, event_made=True)

    assert (outside.connections, outside.strays) == (2, [])


async def test_an_event_reaches_nothing_else() -> None:
    """Not even what the operator's own requests reach."""
    async with open_outside() as outside, open_client() as client:
        outside.says(Says(200))
        refused = await client.request("GET", outside.url, event_made=True)

    assert isinstance(refused, NoAnswer)
    assert refused.final
    assert "not among the allowed hosts" in refused.reason
    assert outside.connections == 0


@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9.0xfe.0xa9.0xfe", "2852039166", "[::ffff:a9fe:a9fe]"])
async def test_an_allowed_name_that_leads_to_metadata_is_refused(host: str) -> None:
    """What counts is the address that would be connected to, not how it was written."""
    async with open_client(allowed_hosts=[host]) as client:
        reply = await client.request("GET", f"http://{host}/latest/meta-data", event_made=True)

    assert isinstance(reply, NoAnswer)
    assert reply.final
    assert "own surroundings" in reply.reason


@attrs.define
class Names(trio.abc.HostnameResolver):
    """What names lead to, each time they are looked up."""

    addresses: list[list[str]]
    asked: int = 0

    async def getaddrinfo(self, host: Any, port: Any, *_: int) -> Any:
        self.asked += 1
        found = self.addresses.pop(0)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


async def asked_by_an_event(outside: Outside, names: Names) -> Reply:
    trio.socket.set_custom_hostname_resolver(names)
    async with open_client(allowed_hosts=[f"hooks.example:{outside.port}"]) as client:
        return await client.request("GET", f"http://hooks.example:{outside.port}/", event_made=True)


async def test_a_name_is_looked_up_once() -> None:
    """What was judged is what is connected to; a second look could say another thing."""
    async with open_outside() as outside:
        outside.says(Says(200, {}))
        names = Names([["127.0.0.1"], ["169.254.169.254"]])

        assert json_of(await asked_by_an_event(outside, names), who="It") == {}

    assert names.asked == 1


async def test_one_bad_address_refuses_the_name() -> None:
    """Whichever of them would have been taken."""
    async with open_outside() as outside:
        reply = await asked_by_an_event(outside, Names([["127.0.0.1", "169.254.169.254"]]))

    assert isinstance(reply, NoAnswer)
    assert reply.final
    assert outside.connections == 0


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    """A name may well have several."""
    async with open_outside() as outside:
        outside.says(Says(200, {}))

        assert json_of(await asked_by_an_event(outside, Names([["127.0.0.9", "127.0.0.1"]])), who="It") == {}


async def test_a_name_that_leads_nowhere_may_lead_somewhere_later() -> None:
    """It is no refusal."""
    async with open_outside() as outside:
        reply = await asked_by_an_event(outside, Names([[]]))

    assert isinstance(reply, NoAnswer)
    assert not reply.final
    assert "hooks.example cannot be looked up" in reply.reason


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed but itself, with its key."""
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(["openssl", *asked.split(), *more], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.slow
async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    """There is no switch for it; one may bring a context that knows it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    knowing = ssl.create_default_context(cafile=certificate)
    async with open_outside(tls=server) as outside:
        outside.says(Says(200, {"ok": True}))
        url = f"https://localhost:{outside.port}"
        allowed = [f"localhost:{outside.port}"]
        async with open_client() as client, open_client(tls=knowing, allowed_hosts=allowed) as trusting:
            refused = await client.request("GET", url)
            assert isinstance(refused, NoAnswer)
            assert "CERTIFICATE_VERIFY_FAILED" in refused.reason
            assert json_of(await trusting.request("GET", url), who="It") == {"ok": True}
            assert json_of(await trusting.request("GET", url, event_made=True), who="It") == {"ok": True}
            wrong_name = await trusting.request("GET", url.replace("localhost", "127.0.0.1"))
            assert isinstance(wrong_name, NoAnswer)


def test_the_client_is_imported_when_it_is_opened() -> None:
    """A connector that is only looked at costs nothing."""
    code = "import sys, orgloop_connectors._http; sys.exit('httpx2' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
