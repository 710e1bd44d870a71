"""One connection: requests in order, phases that end in time, and a seat for everyone who is at work."""

from __future__ import annotations

import json

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.errors import BusFull, Closed, EventError, PluginError, Unavailable, WalFailed
from orgloop.http.answers import busy
from orgloop.http.limits import Limits
from orgloop.http.walls import Terms
from orgloop.sdk import Response
from tests.http.door import HOST, Hall, events, open_door, webhook
from tests.http.server import EVENT, Answered, Intake, answered, read_all, request

KEEP = {"Connection": None}
CHUNKS = b"2;x=y\r\n{}\r\n1\r\n \r\n0\r\n\r\n"


# -- keep-alive and pipelines ------------------------------------------------------------------------------------------


async def test_a_pipeline_is_answered_in_order() -> None:
    """Each request has its answer, in its place, whatever it is."""
    raw = [webhook(b"{}", **KEEP), events(json.dumps([EVENT, EVENT]).encode(), **KEEP), webhook(b"{}", **KEEP)]
    async with open_door() as hall:
        got = await hall.ask(b"".join(raw))

    assert got.statuses == (200, 202, 200)


async def test_a_thousand_requests_in_a_pipeline_are_answered() -> None:
    """One after another: no more than one at a time is at work."""
    async with open_door() as hall:
        got = await hall.ask(webhook(b"{}", **KEEP) * 1000)

    assert got.statuses == (200,) * 1000


async def test_a_client_may_say_that_it_closes() -> None:
    """What comes after that is not looked at."""
    async with open_door() as hall:
        got = await hall.ask(webhook() + webhook())

    assert got.statuses == (200,)
    assert "Connection: close" in got.heads[0]


async def test_an_error_that_a_source_gives_keeps_the_connection() -> None:
    """The whole request was read, so the next one is where it should be."""
    intake = Intake(response=Response(422, {"error": "no"}))
    async with open_door(intake) as hall:
        got = await hall.ask(webhook(b"{}", **KEEP) + request("POST", "/webhook/nobody", b"{}", Host=HOST))

    assert got.statuses == (422, 404)


async def test_an_empty_line_before_a_request_is_forgiven() -> None:
    """Some clients send one after a body."""
    async with open_door() as hall:
        got = await hall.ask(webhook(b"{}", **KEEP) + b"\r\n" + webhook())

    assert got.statuses == (200, 200)


async def test_an_answer_to_head_has_no_body() -> None:
    """It would be taken for the next answer."""
    async with open_door() as hall:
        stream = hall.connect()
        await stream.send_all(request("HEAD", "/control", Host=HOST, Connection=None))
        raw = await stream.receive_some()

    assert raw.startswith(b"HTTP/1.1 401 ")
    assert raw.endswith(b"\r\n\r\n")


async def test_chunks_become_a_body() -> None:
    """Without their extensions."""
    raw = webhook(b"{}", Content_Length=None, Transfer_Encoding="Chunked", **KEEP)[:-2] + CHUNKS
    async with open_door() as hall:
        got = await hall.ask(raw + webhook())

    assert got.statuses == (200, 200)
    assert hall.intake.received[0].body == b"{} "


async def test_a_body_is_asked_for() -> None:
    """A client that waits for 100 Continue gets it, once the walls are behind it."""
    async with open_door() as hall:
        stream = hall.connect()
        await stream.send_all(webhook(b"{}", Expect="100-continue")[:-2])
        first = await stream.receive_some()
        await stream.send_all(b"{}")
        got = answered(await read_all(stream))

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert got.status == 200


async def test_a_body_is_not_asked_for_without_the_token() -> None:
    """401 comes instead."""
    async with open_door() as hall:
        stream = hall.connect()
        await stream.send_all(events(b"{}", Authorization="Bearer x", Expect="100-continue")[:-2])
        await stream.send_eof()
        got = answered(await read_all(stream))

    assert got.status == 401


# -- any cut of the bytes ----------------------------------------------------------------------------------------------

STORY = (
    webhook(b'{"a":1}', **KEEP)
    + webhook(b"{}", Content_Length=None, Transfer_Encoding="chunked", **KEEP)[:-2]
    + CHUNKS
    + events(b"{", **KEEP)
    + b"\r\n"
    + events(json.dumps(EVENT).encode(), **KEEP)
    + webhook(b"{}", Host="evil")
)


@settings(max_examples=50, deadline=None)  # a thread of the machine may be elsewhere for a while
@given(cuts=st.lists(st.integers(1, len(STORY) - 1), max_size=12).map(sorted))
async def test_where_the_bytes_are_cut_makes_no_difference(cuts: list[int]) -> None:
    """The same answers, whatever pieces the network makes of the requests."""
    async with open_door() as hall:
        stream = hall.connect()
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                for begin, end in zip([0, *cuts], [*cuts, len(STORY)], strict=True):
                    await stream.send_all(STORY[begin:end])
                    await trio.testing.wait_all_tasks_blocked()

            nursery.start_soon(send)
            got = answered(await read_all(stream))

    assert got.statuses == (200, 200, 400, 202, 403)
    assert [one.body for one in hall.intake.received] == [b'{"a":1}', b"{} "]


@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=400), prefix=st.integers(0, len(STORY)))
async def test_noise_ends_its_own_connection_only(noise: bytes, prefix: int) -> None:
    """After any bytes the door answers the next client, and no fault was its own."""
    async with open_door() as hall:
        noisy = await hall.ask(STORY[:prefix] + noise)
        got = await hall.ask(webhook())

    assert all(status < 500 for status in noisy.statuses)
    assert got.status == 200
    assert not [told for told in hall.told if told[0] == "system.error"]


# -- time --------------------------------------------------------------------------------------------------------------


async def drip(hall: Hall, raw: bytes, *, every_s: float) -> tuple[Answered, float]:
    """Send byte by byte; what is answered, and when the connection ended, in seconds."""
    stream = hall.connect()
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            for byte in raw:
                await stream.send_all(bytes([byte]))
                await trio.sleep(every_s)

        nursery.start_soon(send)
        got = answered(await read_all(stream))
        nursery.cancel_scope.cancel("the connection has ended")
    return got, trio.current_time() - began_s


async def test_a_head_must_come_in_time(autojump_clock: MockClock) -> None:
    """A byte a second is too slow: 408 after ten."""
    async with open_door() as hall:
        got, took_s = await drip(hall, webhook(), every_s=1)

    assert got.status == 408
    assert took_s == pytest.approx(10, abs=1)


async def test_a_body_must_come_in_time(autojump_clock: MockClock) -> None:
    """All of it, thirty seconds after the head."""
    async with open_door() as hall:
        stream = hall.connect()
        await stream.send_all(webhook(b"{}")[:-1])
        got = answered(await read_all(stream))

        assert got.status == 408
        assert trio.current_time() > 29
    assert not hall.intake


async def test_who_connects_and_says_nothing_is_let_go(autojump_clock: MockClock) -> None:
    """Without a word, after ten seconds; between two requests, after sixty."""
    async with open_door() as hall:
        began_s = trio.current_time()
        assert await read_all(hall.connect()) == b""
        assert trio.current_time() - began_s == pytest.approx(10, abs=1)

        stream = hall.connect()
        await stream.send_all(webhook(b"{}", **KEEP))
        began_s = trio.current_time()
        assert answered(await read_all(stream)).statuses == (200,)
        assert trio.current_time() - began_s == pytest.approx(60, abs=1)


async def test_a_commit_that_takes_too_long_is_503(autojump_clock: MockClock) -> None:
    """The sender tries again; it may have been admitted, and that is at least once."""
    async with open_door(Intake(before=trio.sleep_forever)) as hall:
        got = await hall.ask(webhook(), ends=False)

    assert got.status == 503
    assert "Retry-After: 5" in got.heads[0]


async def test_a_client_that_does_not_read_is_let_go(autojump_clock: MockClock) -> None:
    """An answer that it does not take has thirty seconds."""
    intake = Intake(response=Response(200, "x" * 1_000_000))
    async with open_door(intake) as hall:
        stream = hall.connect()
        assert isinstance(stream.receive_stream, trio.testing.MemoryReceiveStream)
        await stream.send_all(webhook())
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(31)

        assert not hall.door.seats.guests


# -- room --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [Limits(requests_waiting=2), Limits(bytes_waiting=5)])
async def test_when_too_much_waits_for_the_disk_the_next_is_told_to_come_back(limits: Limits) -> None:
    """503 with Retry-After, by number or by size; as soon as there is room again, 200."""
    gate = trio.Event()
    async with open_door(Intake(before=gate.wait), limits=limits) as hall, trio.open_nursery() as nursery:
        nursery.start_soon(hall.ask, webhook())
        nursery.start_soon(hall.ask, webhook())
        await trio.testing.wait_all_tasks_blocked()
        refused = await hall.ask(webhook())
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        admitted = await hall.ask(webhook())

    assert refused.status == 503
    assert "Retry-After: 1" in refused.heads[0]
    assert admitted.status == 200
    assert len(hall.intake) == 3
    assert hall.door.ingest.room.requests == hall.door.ingest.room.bodies_bytes == 0


async def test_the_slowest_of_a_peer_makes_room_for_its_next() -> None:
    """Connections that only wait do not keep a sender out."""
    async with open_door(limits=Limits(connections_per_peer=3)) as hall:
        slow = []
        for _ in range(3):
            slow.append(hall.connect())
            await slow[-1].send_all(b"POST /webhook")
            await trio.testing.wait_all_tasks_blocked()
        got = await hall.ask(webhook())

        assert got.status == 200
        assert await slow[0].receive_some() == b""
        assert len(hall.door.seats.guests) == 2


async def test_a_peer_that_is_busy_with_all_its_connections_gets_no_more() -> None:
    """503; another peer has a seat."""
    async with open_door(Intake(before=trio.sleep_forever), limits=Limits(connections_per_peer=2)) as hall:
        busy_ones = [hall.connect() for _ in range(2)]
        for stream in busy_ones:
            await stream.send_all(webhook())
        await trio.testing.wait_all_tasks_blocked()
        same = await hall.ask(webhook())
        other = await hall.ask(webhook(b"{}", Host="evil"), peer="other")

    assert (same.status, other.status) == (503, 403)


async def test_there_are_so_many_seats_in_all() -> None:
    """Whoever has waited longest goes, of whatever peer."""
    async with open_door(limits=Limits(connections=2)) as hall:
        first = hall.connect("a")
        await trio.testing.wait_all_tasks_blocked()
        hall.connect("b")
        await trio.testing.wait_all_tasks_blocked()
        got = await hall.ask(webhook(), peer="c")

        assert got.status == 200
        assert await first.receive_some() == b""


# -- the way to the application ----------------------------------------------------------------------------------------


async def test_what_is_not_ours_goes_through_untouched() -> None:
    """The head as it came, with all that came after it."""
    raw = request("GET", "/livez", Host=HOST, x_ODD="a  b") + b"more"
    async with open_door() as hall:
        got = await hall.ask(raw)

    assert got.value == {"tunnelled": True}
    assert hall.tunnel.passed == [raw]


async def test_a_request_for_the_application_may_follow_an_event() -> None:
    """In one read, too: the event is answered first, and not a byte of the next request is lost."""
    later = request("GET", "/livez", Host=HOST)
    async with open_door() as hall:
        got = await hall.ask(webhook(b"{}", **KEEP) + later)

    assert got.statuses == (200, 200)
    assert hall.tunnel.passed == [later]


async def test_an_application_that_is_down_is_503() -> None:
    """It is being restarted."""
    async with open_door() as hall:
        hall.tunnel.absent = busy("starting", retry_after_s=1)
        got = await hall.ask(request("GET", "/livez", Host=HOST))

    assert got.status == 503


# -- what comes of it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (EventError("payload: NaN is not a JSON number"), 400),
        (BusFull("full"), 503),
        (Closed("over"), 503),
        (Unavailable("source 'secret' is not at work", retry_after_s=2.5), 503),
        (WalFailed("no space left"), 503),
        (MemoryError(), 503),
        (PluginError("it answered with 7"), 500),
        (RuntimeError("a bug with a secret in it"), 500),
        (ExceptionGroup("several", [ValueError("x")]), 500),
    ],
)
@pytest.mark.parametrize("raw", [webhook(), events(json.dumps(EVENT).encode())])
async def test_a_fault_behind_the_door_has_a_status(fault: Exception, status: int, raw: bytes) -> None:
    """Whose fault it is; of what is not the sender's, it hears nothing, and 503 says when to come back."""
    async with open_door(Intake(fault=fault)) as hall:
        got = await hall.ask(raw)

    assert got.status == status
    assert ("Retry-After" in got.heads[0]) == (status == 503)
    assert "secret" not in got.value["error"]
    assert bool([told for told in hall.told if told[0] == "system.error"]) == (
        status >= 500 and not isinstance(fault, BusFull | Unavailable)
    )


@pytest.mark.parametrize(
    "response", [Response(200, {1, 2}.__iter__()), Response(99), Response(200, {}, {"X": "a\r\nSet-Cookie: b"})]
)
async def test_an_answer_that_cannot_be_sent_is_500(response: Response) -> None:
    """A source's bug: told, and nothing of it gets onto the connection."""
    async with open_door(Intake(response=response)) as hall:
        got = await hall.ask(webhook())

    assert got.status == 500
    assert hall.told[0][0] == "system.error"


async def test_a_source_may_set_headers_but_not_the_frame() -> None:
    """What would let it speak for the door is left out."""
    intake = Intake(response=Response(201, {}, {"X-Id": "7", "Content-Length": "0", "Connection": "x"}))
    async with open_door(intake) as hall:
        got = await hall.ask(webhook())

    assert (got.status, got.value) == (201, {})
    assert "X-Id: 7" in got.heads[0]
    assert "Connection: close" in got.heads[0]


async def test_an_answer_without_a_body_has_none() -> None:
    """204 says it all."""
    async with open_door(Intake(response=Response(204))) as hall:
        got = await hall.ask(webhook(b"{}", **KEEP) + webhook())

    assert got.statuses == (204, 204)


async def test_a_source_may_have_terms_of_its_own() -> None:
    """More than 1 MiB, or a form: as its connector says."""

    def terms_of(source: str, module: str | None) -> Terms:
        return Terms(body_bytes=2_000_000, media_types=frozenset({"application/x-www-form-urlencoded"}))

    async with open_door(terms_of=terms_of) as hall:
        got = await hall.ask(webhook(b"x" * 1_500_000, Content_Type="application/x-www-form-urlencoded"))
        refused = await hall.ask(webhook())

    assert (got.status, refused.status) == (200, 415)


@pytest.mark.parametrize(
    ("target", "module"), [("/webhook/github", None), ("/webhook/m/github", "m"), ("/api/v1/webhooks/github", None)]
)
async def test_a_source_has_these_addresses(target: str, module: str | None) -> None:
    """With its module where two have a source of that name."""
    async with open_door() as hall:
        got = await hall.ask(request("POST", target, b"{}", Host=HOST))

    assert got.status == 200
    assert hall.intake.modules == [module]


@pytest.mark.parametrize(
    ("body", "kind", "count"),
    [
        (json.dumps(EVENT), "application/json", 1),
        (json.dumps([EVENT, EVENT]), "application/json", 2),
        (json.dumps({"events": [EVENT]}), "application/json; charset=UTF-8", 1),
        (f"{json.dumps(EVENT)}\n\n{json.dumps(EVENT)}\r\n", "application/x-ndjson", 2),
    ],
)
async def test_events_come_in_these_forms(body: str, kind: str, count: int) -> None:
    """Alone, in a list, in an object, or one per line."""
    async with open_door() as hall:
        got = await hall.ask(events(body.encode(), Content_Type=kind).replace(b"/events", b"/events?module=m"))

    assert got.status == 202
    assert got.value["accepted"] == len(got.value["ids"]) == len(hall.intake.injected) == count
    assert hall.intake.modules == ["m"]


async def test_an_id_of_the_sender_is_kept() -> None:
    """And given back."""
    async with open_door() as hall:
        got = await hall.ask(events(json.dumps({**EVENT, "id": "evt_1"}).encode()))

    assert got.value["ids"] == ["evt_1"]


async def test_refusals_are_told_but_not_without_end() -> None:
    """Ten in a second; of the others, how many."""
    async with open_door() as hall:
        for _ in range(15):
            await hall.ask(webhook(Host="evil"))

    refused = [fields for phase, fields in hall.told if phase == "http.refused"]
    assert len(refused) == 10
    assert refused[0]["metadata"] == {"status": 403, "peer": "peer", "target": "/webhook/github"}


async def test_what_was_not_told_is_told_of_later(autojump_clock: MockClock) -> None:
    """With the next refusal, a second on."""
    async with open_door() as hall:
        for _ in range(15):
            await hall.ask(webhook(Host="evil"))
        await trio.sleep(1)
        await hall.ask(webhook(Host="evil"))

    assert hall.told[-1][1]["metadata"]["others_untold"] == 5


async def test_a_client_that_resets_is_an_end_like_any_other() -> None:
    """Nothing is told: it is nobody's fault."""
    async with open_door(Intake(before=trio.lowlevel.checkpoint)) as hall:
        stream = hall.connect()
        await stream.send_all(webhook())
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

    assert len(hall.intake) == 1
    assert not hall.told
    assert not hall.door.seats.guests


async def test_no_request_is_begun_once_the_door_is_closing() -> None:
    """The one at work is answered, and told that it was the last; what was pipelined after it was never begun."""
    gate = trio.Event()
    async with open_door(Intake(before=gate.wait)) as hall:
        stream = hall.connect()
        await stream.send_all(webhook(b"{}", **KEEP) * 2)
        await trio.testing.wait_all_tasks_blocked()
        hall.door.stopping.set()
        gate.set()
        got = answered(await read_all(stream))

    assert got.statuses == (200,)
    assert "Connection: close" in got.heads[0]
