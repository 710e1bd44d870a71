"""Requests that are not as they should be: each is refused, says whose fault it is, and changes nothing."""

from __future__ import annotations

import pytest

from tests.http.door import HOST, events, open_door, webhook
from tests.http.server import TOKEN, request

H = f"Host: {HOST}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"POST /webhook/github HTTP/1.1\r\n" + H + JSON + b"Transfer-Encoding: chunked\r\n\r\n"


def post(target: str, **headers: str | None) -> bytes:
    return request("POST", target, b"{}", Host=HOST, **headers)


SHAPES = {
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + H + b"\r\n", 400),
    "bare LF": (b"GET / HTTP/1.1\n" + H + b"\n", 400),
    "bare LF between headers": (b"GET / HTTP/1.1\r\n" + H + b"A: b\nC: d\r\n\r\n", 400),
    "bare CR in a value": (b"GET / HTTP/1.1\r\n" + H + b"A: b\rc\r\n\r\n", 400),
    "NUL": (b"GET / HTTP/1.1\r\n" + H + b"A: b\x00c\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n c\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\n" + H + b"A : b\r\n\r\n", 400),
    "header without a colon": (b"GET / HTTP/1.1\r\n" + H + b"A\r\n\r\n", 400),
    "header without a name": (b"GET / HTTP/1.1\r\n" + H + b": b\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\n" + H + b"\r\n", 400),
    "no Host": (b"POST /webhook/github HTTP/1.1\r\n\r\n", 400),
    "empty Host": (b"POST /webhook/github HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "two Hosts": (b"POST /webhook/github HTTP/1.1\r\n" + H + H + b"\r\n", 400),
    "no Host in HTTP/1.0": (b"POST /webhook/github HTTP/1.0\r\n\r\n", 403),
    "cut in the head": (b"POST /webhook/github HTTP/1.1\r\nHo", 400),
    "cut in the body": (webhook(b"{}", Content_Length="3"), 400),
    "length and chunks": (webhook(b"{}", Transfer_Encoding="chunked"), 400),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "gzip, chunked": (CHUNKED.replace(b": chunked", b": gzip, chunked"), 400),
    "chunked twice": (CHUNKED.replace(b": chunked", b": chunked, chunked"), 400),
    "two lengths": (webhook(b"{}").replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"), 400),
    "a list of lengths": (webhook(b"{}", Content_Length="2, 2"), 400),
    "length +2": (webhook(b"{}", Content_Length="+2"), 400),
    "length -1": (webhook(b"{}", Content_Length="-1"), 400),
    "length 0x2": (webhook(b"{}", Content_Length="0x2"), 400),
    "length in other digits": (webhook(b"{}", Content_Length="\u00b2"), 400),
    "length of twenty digits": (webhook(b"{}", Content_Length="9" * 20), 413),
    "length of five thousand digits": (webhook(b"{}", Content_Length="9" * 5000), 413),
    "chunk of no size": (CHUNKED + b"\r\n", 400),
    "chunk of size g": (CHUNKED + b"g\r\n", 400),
    "chunk of size -1": (CHUNKED + b"-1\r\n", 400),
    "chunk of size 1_0": (CHUNKED + b"1_0\r\n", 400),
    "chunk that is longer than it says": (CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n", 400),
    "chunk extension of 20 KB": (CHUNKED + b"2;" + b"x" * 20_000 + b"\r\n{}\r\n0\r\n\r\n", 400),
    "chunk extension with a bare LF": (CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n", 400),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nHost: evil\r\n\r\n", 400),
    "chunks without an end": (CHUNKED + b"2\r\n{}\r\n", 400),
    "a chunk of 4 GB": (CHUNKED + b"ffffffff\r\n", 413),
    "many chunks": (CHUNKED + 17 * (b"10000\r\n" + b" " * 0x10000 + b"\r\n"), 413),
    "other expectation": (webhook(b"{}", Expect="200-ok"), 417),
}  # fmt: skip

PATHS = {
    "//": 404,
    "/webhook//github": 404,
    "/webhook/github/": 404,
    "/webhook/x/../github": 404,
    "/webhook/x/../../control/status": 404,
    "/webhook/%2e%2e/control": 404,
    "/webhook/..%2f..%2fetc": 404,
    "/webhook/%2Fgithub": 404,
    "/webhook/git%00hub": 404,
    "/webhook/%c0%ae%c0%ae": 404,
    "/webhook/%67ithub%zz": 404,
    "/webhook/%": 404,
    "/webhook/%2567ithub": 404,
    "/webhook/git\\hub": 404,
    "/webhook/github;x": 404,
    "/webhook/github#x": 404,
    "/webhook/.github": 404,
    "/webhook/" + "g" * 65: 404,
    "/webhook/a/b/c": 404,
    "/webhook/": 404,
    "/webhook/unknown": 404,
    "/webhook/git%E2%80%AEhub": 404,
    "/api/v1/webhooks/m/github": 404,
    "/WEBHOOK/github": 401,
    "/webhook": 401,
    "http://evil/webhook/github": 400,
    "http://127.0.0.1:4800/webhook/github": 400,
    "*": 400,
    "evil:443": 400,
    "/" + "x" * 8192: 414,
}

BODIES = {
    "empty": b"",
    "not JSON": b"{'a': 1}",
    "two values": b'{"a":1}{"b":2}',
    "trailing comma": b'{"a":1,}',
    "comment": b"{}//",
    "NaN": b'{"source":"a","type":"resource.changed","payload":NaN}',
    "too large a float": b"[1e999]",
    "5,000 digits": b"[" + b"1" * 5000 + b"]",
    "a key twice": b'{"source":"a","source":"b"}',
    "too deep": b"[" * 65 + b"]" * 65,
    "a hundred thousand brackets": b"[" * 100_000,
    "too many values": b"[" + b"1," * 100_000 + b"1]",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "Latin-1": b'{"a":"\xe9"}',
    "BOM": b"\xef\xbb\xbf{}",
    "null": b"null",
    "a string": b'"x"',
    "a number": b"1",
    "no event": b"[]",
    "no events": b'{"events": []}',
    "events that are none": b'{"events": 1}',
    "a number among events": b'[{"source":"a","type":"resource.changed"}, 1]',
    "something beside events": b'{"events": [{}], "x": 1}',
}

BROWSER: dict[str, tuple[dict[str, str | None], int]] = {
    "other host": ({"Host": "evil.com"}, 403),
    "our host as a suffix": ({"Host": "localhost.evil.com:4800"}, 403),
    "nip.io": ({"Host": "127.0.0.1.nip.io:4800"}, 403),
    "other port": ({"Host": "localhost:1"}, 403),
    "no port": ({"Host": "localhost"}, 403),
    "upper case": ({"Host": "LOCALHOST:4800"}, 403),
    "trailing dot": ({"Host": "localhost.:4800"}, 403),
    "mapped address": ({"Host": "[::ffff:127.0.0.1]:4800"}, 403),
    "short address": ({"Host": "127.1:4800"}, 403),
    "address as a number": ({"Host": "2130706433:4800"}, 403),
    "space in the host": ({"Host": "a b"}, 403),
    "other origin": ({"Origin": "http://evil"}, 403),
    "null origin": ({"Origin": "null"}, 403),
    "other port of ours": ({"Origin": "http://localhost:3000"}, 403),
    "an extension": ({"Origin": "chrome-extension://x"}, 403),
    "cross-site": ({"Sec_Fetch_Site": "cross-site"}, 403),
    "same-site": ({"Sec_Fetch_Site": "same-site"}, 403),
    "a form": ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    "plain text": ({"Content_Type": "text/plain"}, 415),
    "multipart": ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
    "no content type": ({"Content_Type": None}, 415),
    "UTF-7": ({"Content_Type": "application/json; charset=utf-7"}, 415),
    "gzip": ({"Content_Encoding": "gzip"}, 415),
    "br": ({"Content_Encoding": "br"}, 415),
}

TOKENS = {
    "none": None,
    "empty": "",
    "the scheme alone": "Bearer",
    "zeros": "Bearer " + "0" * 64,
    "the token and a space": f"Bearer {TOKEN.decode()} x",
    "two spaces": f"Bearer  {TOKEN.decode()}",
    "Basic": f"Basic {TOKEN.decode()}",
    "no scheme": TOKEN.decode(),
    "upper case": f"Bearer {TOKEN.decode().upper()}",
    "not ASCII": "Bearer \xe9",
    "too long": "Bearer " + "0" * 10_000,
}


@pytest.mark.parametrize("name", SHAPES)
async def test_a_request_of_the_wrong_shape_is_refused(name: str) -> None:
    """Once, with the connection closed after it: nobody can tell where the next request begins."""
    raw, status = SHAPES[name]
    async with open_door() as hall:
        got = await hall.ask(raw)

    assert got.status == status
    assert "Connection: close" in got.heads[0]
    assert not hall.intake


@pytest.mark.parametrize(("target", "status"), PATHS.items())
async def test_a_path_that_could_mean_another_is_not_found(target: str, status: int) -> None:
    """Nor one that means nothing; and never does it reach the application without a token."""
    async with open_door() as hall:
        got = await hall.ask(post(target))

    assert got.status == status
    assert not hall.intake
    assert not hall.tunnel.passed


async def test_all_that_is_not_found_is_answered_alike() -> None:
    """An id that cannot be and one with an odd path tell nothing about what there is."""
    async with open_door() as hall:
        bodies = {
            (await hall.ask(post(target))).bodies for target in ("/webhook/../x", "/webhook/%2e", "/webhook/a/b/c")
        }
        unknown = await hall.ask(post("/webhook/nobody"))

    assert bodies == {(b'{"error":"Not found"}',)}
    assert unknown.value == {"error": "Unknown source: nobody"}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_event_is_refused(name: str) -> None:
    """400, with a sentence."""
    async with open_door() as hall:
        got = await hall.ask(events(BODIES[name], Content_Type="application/json"))

    assert got.status == 400
    assert got.value["error"]
    assert not hall.intake


@pytest.mark.parametrize("name", BROWSER)
async def test_a_page_of_somebody_else_gets_nowhere(name: str) -> None:
    """Neither to a source without a secret, nor, with the token, to events, nor to the application."""
    headers, status = BROWSER[name]
    async with open_door() as hall:
        got = [
            await hall.ask(webhook(b"{}", **headers)),
            await hall.ask(events(b"{}", **headers)),
            await hall.ask(events(b"{}", **headers).replace(b"/api/v1/events", b"/control/module")),
        ]

    assert [one.status for one in got] == [status] * 3
    assert not hall.intake
    assert not hall.tunnel.passed
    assert not any("access-control" in head.lower() for one in got for head in one.heads)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("target", ["/api/v1/events", "/control/status", "/", "/api/v1/events?token=" + TOKEN.decode()])
async def test_nothing_is_done_without_the_token(name: str, target: str) -> None:
    """401, the same for every fault, whether there is something at the path or not."""
    async with open_door() as hall:
        got = await hall.ask(post(target, Authorization=TOKENS[name]))

    assert (got.status, got.value) == (401, {"error": "Unauthorized"})
    assert not hall.intake
    assert not hall.tunnel.passed


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "post", "P" * 1000])
async def test_a_webhook_is_posted(method: str) -> None:
    """Anything else is 405, a preflight too."""
    async with open_door() as hall:
        got = await hall.ask(request(method, "/webhook/github", Host=HOST))

    assert got.status == 405
    assert "Access-Control" not in got.heads[0]


async def test_no_other_protocol_is_spoken_behind_the_door() -> None:
    """An upgrade to HTTP/2 is refused, as is everything but a WebSocket."""
    raw = request("GET", "/livez", Host=HOST, Upgrade="h2c", Connection="Upgrade, HTTP2-Settings", HTTP2_Settings="AA")
    async with open_door() as hall:
        got = await hall.ask(raw)

    assert got.status == 400
    assert not hall.tunnel.passed


async def test_a_method_is_not_overridden() -> None:
    """Neither by a header nor by a parameter."""
    async with open_door() as hall:
        got = await hall.ask(request("GET", "/webhook/github?_method=POST", Host=HOST, X_HTTP_Method_Override="POST"))

    assert got.status == 405


async def test_forwarded_headers_of_anybody_change_nothing() -> None:
    """The host that counts is that of the request."""
    async with open_door() as hall:
        got = await hall.ask(webhook(Host="evil.com", X_Forwarded_Host=HOST, Forwarded=f"host={HOST}"))

    assert got.status == 403


@pytest.mark.parametrize(("beyond", "status"), [(0, 200), (1, 431)])
async def test_a_head_has_a_size(beyond: int, status: int) -> None:
    """16 KiB pass, one byte more does not."""
    plain = webhook(b"{}", X="")
    missing = 16 * 1024 - (len(plain) - 2) + beyond
    async with open_door() as hall:
        got = await hall.ask(webhook(b"{}", X="x" * missing))

    assert got.status == status


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431)])
async def test_there_may_be_so_many_headers(count: int, status: int) -> None:
    """A hundred."""
    few = {f"X{number}": "x" for number in range(count - 4)}
    async with open_door() as hall:
        got = await hall.ask(webhook(b"{}", **few))

    assert got.status == status


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 200), (1024 * 1024 + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_a_size(size: int, status: int, chunked: bool) -> None:
    """1 MiB passes, one byte more does not, however it is sent."""
    body = b" " * size
    raw = CHUNKED + f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n" if chunked else webhook(body)
    async with open_door() as hall:
        got = await hall.ask(raw)

    assert got.statuses == (status,)
    assert len(hall.intake) == (status == 200)


async def test_what_is_too_large_is_refused_before_it_is_sent() -> None:
    """By its length alone."""
    async with open_door() as hall:
        stream = hall.connect()
        await stream.send_all(webhook(b"{}", Content_Length="99999999"))

        assert b" 413 " in await stream.receive_some()
