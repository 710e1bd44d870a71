"""Syslog: its bytes, its ways to a server, and what it does when there is none."""

from __future__ import annotations

import socket
import ssl
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.sdk import SEVERITY_OF, Notice
from orgloop_connectors.loggers._rfc5424 import Sender, escaped, message, printable, severity
from orgloop_connectors.loggers.syslog import DATAGRAM_BYTES, OFFER, Syslog
from tests.connectors.outside import unused_port
from tests.connectors.stage import checked, made
from tests.connectors.syslog_standin import open_datagrams, open_stream, read

AT = "2026-01-31T09:00:00.250Z"
SENDER = Sender(facility=16, hostname="web-1", app_name="orgloop", process="4711")


def notice(phase: str = "deliver.failure", **fields: Any) -> Notice:
    return Notice(**{"timestamp": AT, "phase": phase, "event_id": "evt_1", "trace_id": "trc_1", **fields})


def syslog(**config: Any) -> Syslog:
    logger: Syslog = made(OFFER, {"host": "127.0.0.1", **config})
    return logger


async def logged(logger: Syslog, *notices: Notice) -> None:
    """As the runtime does: in a thread."""
    for one in notices:
        await trio.to_thread.run_sync(logger.log, one)


# -- the bytes ---------------------------------------------------------------------------------------------------------


def test_a_message_as_the_original_writes_it() -> None:
    """The names of its parts are those that people have filters for."""
    said = message(
        notice(source="github", event_type="resource.changed", target="bot", route="triage", error='said "no"]'),
        SENDER,
        limit_bytes=2048,
    )

    assert said.decode() == (
        f"<131>1 {AT} web-1 orgloop 4711 deliver.failure "
        '[orgloop@49999 event_id="evt_1" trace_id="trc_1" source="github" event_type="resource.changed" target="bot"'
        ' route="triage" error="said \\"no\\"\\]"] '
        'deliver.failure [github] [resource.changed] [evt_1] [error="said "no"]"]'
    )


@pytest.mark.parametrize(
    ("phase", "metadata", "expected"),
    [
        ("system.error", {"fatal": True}, 2),
        ("system.error", None, 3),
        ("deliver.failure", None, 3),
        ("deliver.retry", None, 4),
        ("source.circuit_open", None, 4),
        ("module.active", None, 6),
        ("of.a.later.version", None, 6),
        ("source.emit", None, 7),
        ("route.no_match", None, 7),
    ],
)
def test_how_grave_it_is(phase: str, metadata: Any, expected: int) -> None:
    """As in the original."""
    assert severity(notice(phase, metadata=metadata)) == expected


def test_text_that_is_not_ascii_says_so() -> None:
    """A byte order mark before it, as RFC 5424 asks; and none where it is not needed."""
    assert b" \xef\xbb\xbfdeliver.failure" in message(notice(error="Grüße"), SENDER, limit_bytes=2048)
    assert b"\xef\xbb\xbf" not in message(notice(error="hello"), SENDER, limit_bytes=2048)


@given(st.text())
def test_escaping_can_be_undone(text: str) -> None:
    """Nothing is lost of what can be printed, and no value ends early."""
    value = escaped(text, most=10_000)

    assert value.isprintable()
    plain = value.replace("\\\\", "\0").replace('\\"', '"').replace("\\]", "]").replace("\0", "\\")
    assert plain == printable(text)


TEXTS = st.text(max_size=60) | st.sampled_from(
    ['"] [x y="', "\\", "a\nb", "\x1b[2J", "\ud800", "ü" * 600, "x" * 100_000]
)
NOTICES = st.builds(
    Notice,
    timestamp=st.just(AT) | TEXTS,
    phase=st.sampled_from(sorted(SEVERITY_OF)) | TEXTS,
    event_id=TEXTS,
    trace_id=TEXTS,
    source=st.none() | TEXTS,
    target=st.none() | TEXTS,
    route=st.none() | TEXTS,
    error=st.none() | TEXTS,
    module=st.none() | TEXTS,
    duration_ms=st.none() | st.floats(),
)


@settings(max_examples=60, deadline=None)
@given(NOTICES, st.sampled_from([480, 1024, 2048, 8192]), st.booleans(), TEXTS)
def test_whatever_a_notice_says_is_one_message(said: Notice, limit_bytes: int, structured: bool, name: str) -> None:
    """By the grammar, on one line, and no longer than allowed."""
    sender = Sender(facility=23, hostname=name, app_name=name, process="1", structured=structured)

    written = message(said, sender, limit_bytes=limit_bytes)

    assert len(written) <= limit_bytes
    assert read(written).priority // 8 == 23
    assert printable(read(written).text) == read(written).text


def test_values_are_cut_before_they_are_left_out() -> None:
    """What finds an event again stays for as long as it can."""
    params = read(message(notice(error="x" * 5000, route="r" * 5000), SENDER, limit_bytes=1024)).params

    assert params["event_id"] == "evt_1"
    assert params["route"] == "r" * 64


def _many(logger: Syslog, count: int) -> None:
    for _ in range(count):
        logger.log(notice(error="x" * 500))


# -- the ways ----------------------------------------------------------------------------------------------------------


async def test_by_udp() -> None:
    """One message, one datagram."""
    async with open_datagrams() as server, syslog(port=server.port) as logger:
        await logged(logger, notice(error="one\ntwo"), notice("source.emit"))
        told = await server.has(2)

    assert [(one.kind, one.params.get("error")) for one in told] == [
        ("deliver.failure", "one\\x0atwo"),
        ("source.emit", None),
    ]
    assert logger.lost == 0


async def test_by_tcp_each_message_is_behind_its_length() -> None:
    """In the order in which they came, on one connection; what waits at the end is sent."""
    async with open_stream() as server:
        async with syslog(transport="tcp", port=server.port) as logger:
            await logged(logger, *(notice(route=f"r{number}") for number in range(600)))
        told = await server.has(600)

    assert [one.params["route"] for one in told] == [f"r{number}" for number in range(600)]
    assert (server.connections, logger.lost) == (1, 0)


async def test_by_tcp_with_newlines_if_that_is_wanted() -> None:
    """As the original did."""
    async with (
        open_stream(newlines=True) as server,
        syslog(protocol="tcp", port=server.port, framing="newline") as logger,
    ):
        await logged(logger, notice(error="a\nb"), notice())
        assert len(await server.has(2)) == 2


@pytest.mark.parametrize("kind", ["datagrams", "stream"])
async def test_by_the_socket_of_this_machine(tmp_path: Path, kind: str) -> None:
    """Whichever of the two it is."""
    path = tmp_path / "log"
    opened = open_datagrams(path) if kind == "datagrams" else open_stream(path, newlines=True)
    async with opened as server, syslog(transport="unix", path=str(path)) as logger:
        await logged(logger, notice(), notice())
        assert len(await server.has(2)) == 2


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
async def test_by_tls_to_whom_we_know_only(certificate: Path) -> None:
    """A certificate that nobody vouches for gets no message."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with open_stream(tls=context) as server:
        config = {"transport": "tls", "host": "localhost", "port": server.port}
        async with syslog(**config, ca_file=str(certificate)) as logger:
            await logged(logger, notice())
            assert len(await server.has(1)) == 1
            await logged(logger, notice())
            assert len(await server.has(2)) == 2
        (refused,) = await checked(OFFER, config)

    assert server.connections >= 2
    assert not refused.ok
    assert "certificate" in refused.detail


# -- when there is none ------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_who_comes_back_gets_what_has_waited() -> None:
    """A line that the server has ended is opened again before anything is written to it."""
    async with open_stream() as server, syslog(transport="tcp", port=server.port) as logger:
        await logged(logger, notice(route="before"))
        await server.has(1)
        await server.hang_up()
        await logged(logger, notice(route="after"), notice(route="later"))
        told = await server.has(3)

    assert [one.params["route"] for one in told] == ["before", "after", "later"]
    assert (server.connections, logger.lost) == (2, 0)


@pytest.mark.slow
async def test_who_is_late_gets_the_newest_and_is_told_of_the_rest() -> None:
    """The oldest go, and the first line says how many."""
    port = unused_port()
    async with syslog(transport="tcp", port=port, max_queue_size=10) as logger:
        await logged(logger, notice(route="first"))
        with trio.fail_after(5):
            while logger.last_error is None:  # noqa: ASYNC110 - there is nothing that says so
                await trio.sleep(0.005)
        await logged(logger, *(notice(route=f"r{number}") for number in range(30)))
        assert (logger.lost, "refused" in (logger.last_error or "").lower()) == (20, True)
        async with open_stream(port=port) as server:
            told = await server.has(12)

    assert told[0].kind == "system.error"
    assert told[0].text.startswith('system.error [error="20 messages to syslog have been lost so far')
    assert [one.params["route"] for one in told[1:]] == ["first", *(f"r{number}" for number in range(20, 30))]


@pytest.mark.slow
async def test_leaving_does_not_wait_for_a_server_that_is_not_there() -> None:
    """What it could not send is counted, every message of it."""
    with trio.fail_after(4):
        async with syslog(transport="tcp", port=unused_port()) as logger:
            await logged(logger, notice(), notice(), notice())

    assert logger.lost == 3
    await logged(logger, notice())
    assert logger.lost == 4


@pytest.mark.slow
async def test_a_cancel_from_outside_still_sends_what_is_there() -> None:
    """The runtime goes on giving notices while it is being stopped."""
    async with open_stream() as server:
        with trio.CancelScope() as scope:
            async with syslog(transport="tcp", port=server.port) as logger:
                scope.cancel("the runtime stops")
                logger.log(notice())
        assert len(await server.has(1)) == 1


@pytest.mark.slow
async def test_a_server_that_takes_nothing_holds_nobody_up() -> None:
    """Logging never waits: a full line costs the oldest messages."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        config = {"transport": "tcp", "port": deaf.getsockname()[1], "max_queue_size": 100}
        with trio.fail_after(8):
            async with syslog(**config) as logger:
                with trio.fail_after(2):
                    await trio.to_thread.run_sync(partial(_many, logger, 20_000))
                assert logger.lost > 10_000


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"facility": "local8"}, "^facility: 'local8' is not known; write one of kern"),
        ({"port": 0}, "^port: 0 is no port"),
        ({"tls": True}, "^tls: there is none over udp; write transport: tls"),
        ({"ca_file": "/x.pem", "transport": "tcp"}, "^ca_file: nothing is encrypted"),
        ({"max_queue_size": 0}, "^max_queue_size: 0 holds nothing"),
        ({"host": ""}, "^host: '' names no machine"),
    ],
)
def test_what_cannot_be_is_refused(config: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        syslog(**config)


async def test_the_check_opens_a_line_and_says_nothing() -> None:
    """Whether anybody listens, UDP cannot tell."""
    async with open_stream() as server:
        (open_,) = await checked(OFFER, {"transport": "tcp", "port": server.port})
    (closed,) = await checked(OFFER, {"transport": "tcp", "port": unused_port()})
    (unsure,) = await checked(OFFER, {"port": unused_port()})

    assert (open_.ok, closed.ok, unsure.ok) == (True, False, True)
    assert "is the server there" in closed.detail
    assert "UDP never says" in unsure.detail
    assert server.came == []


def test_a_datagram_fits_into_what_everybody_takes() -> None:
    """2048 bytes (RFC 5426)."""
    assert len(message(notice(error="x" * 9999), SENDER, limit_bytes=DATAGRAM_BYTES)) <= 2048
