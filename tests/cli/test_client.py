"""Talking to a daemon: over TCP and a unix socket, and what is said when that does not work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orgloop.cli.client import Message, NotRunning, Refused, client_of
from orgloop.cli.errors import CommandFailed, report_of
from orgloop.daemon import Home, prepare_home
from orgloop.daemon.owner import take_home
from orgloop.errors import HomeError
from tests.cli.control import Control, serve_control

STATUS = "/control/status"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A daemon that answers one question."""
    with serve_control(tmp_path / "home") as control:
        control.answers[f"GET {STATUS}"] = (200, {"running": True})
        yield control


def test_a_question_carries_the_token(control: Control) -> None:
    """It is read from the home, so that nobody has to type it; the host is one that the daemon lets in."""
    client = client_of(control.home, environ={})

    assert client.get(STATUS) == {"running": True}
    assert control.tokens == [f"Bearer {control.home.token.read_text().strip()}"]
    assert control.hosts == [f"127.0.0.1:{client.port}"]


def test_the_token_is_not_shown(control: Control) -> None:
    """Not even where a client is printed."""
    assert control.home.token.read_text().strip() not in repr(client_of(control.home, environ={}))


def test_a_query_leaves_out_what_is_not_asked(control: Control) -> None:
    """And writes the rest as addresses have it."""
    client_of(control.home, environ={}).get(STATUS, limit=5, module=None, reason="a b&c", force=True)

    assert control.asked == [("GET", f"{STATUS}?limit=5&reason=a+b%26c&force=true", None)]


def test_an_order_has_a_body(control: Control) -> None:
    """JSON, also if there is nothing to say."""
    control.answers["POST /control/reload"] = (200, {"ok": True})
    control.answers["DELETE /api/v1/dead-letters/1"] = (200, {"ok": True})
    client = client_of(control.home, environ={})
    client.post("/control/reload", {"name": "shop"})
    client.post("/control/reload")
    client.delete("/api/v1/dead-letters/1")

    assert [body for _, _, body in control.asked] == [{"name": "shop"}, {}, None]


def test_bytes_can_be_sent_as_they_are(control: Control) -> None:
    """As a webhook's, whose signature is over the very bytes."""
    control.answers["POST /webhook/claude-code"] = (200, {"ok": True})
    client = client_of(control.home, environ={})
    client.ask("POST", "/webhook/claude-code", content=b' {"a" : 1}', headers={"content-type": "application/json"})

    assert control.asked == [("POST", "/webhook/claude-code", {"a": 1})]


def test_a_unix_socket_in_the_home_is_preferred(tmp_path: Path) -> None:
    """Its host has no port, as the daemon expects there."""
    with serve_control(tmp_path / "home", unix=True) as control:
        control.answers[f"GET {STATUS}"] = (200, {"running": True})

        assert client_of(control.home, environ={}).get(STATUS) == {"running": True}
        assert control.hosts == ["localhost"]


@pytest.mark.parametrize(("given", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7")])
def test_where_everybody_may_come_we_come_from_here(control: Control, given: str, asked: str) -> None:
    """An address to listen on is not always one to call."""
    assert client_of(control.home, environ={"ORGLOOP_HOST": given}).host == asked


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "what", "parts"),
    [
        (
            409,
            {"error": {"code": "module", "what": "no module", "where": "x", "why": "so", "next": "load it"}},
            "no module",
            ("module", "x", "so", "load it"),
        ),
        (404, {"error": "Module not found: x"}, "Module not found: x", ("http_404", "GET /control/status", None, None)),
        (400, {"error": "bad", "detail": {"why": "so"}}, "bad", ("http_400", "GET /control/status", "so", None)),
        (502, b"a proxy says no", "a proxy says no", ("http_502", "GET /control/status", None, None)),
        (500, b"", "HTTP 500", ("http_500", "GET /control/status", None, None)),
        (500, [1, 2], "[1, 2]", ("http_500", "GET /control/status", None, None)),
    ],
)
def test_a_refusal_has_the_parts_that_the_daemon_gave(
    tmp_path: Path, status: int, answer: object, what: str, parts: tuple[str | None, ...]
) -> None:
    """In either shape, and whoever else it is that answers."""
    with serve_control(tmp_path / "home") as control:
        control.answers[f"GET {STATUS}"] = (status, answer)
        with pytest.raises(Refused) as caught:
            client_of(control.home, environ={}).get(STATUS)

    refused = caught.value
    assert (refused.what, refused.status) == (what, status)
    assert (refused.code, refused.where, refused.why, refused.next) == parts


def test_faults_of_a_configuration_come_along(control: Control) -> None:
    """Each with its place, as ``validate`` would tell them here."""
    fault = {"code": "OL1303", "text": "no actor", "file": "/x/orgloop.yaml", "line": 3, "column": 4, "fix": "add it"}
    error = {"code": "config", "what": "1 fault", "faults": [fault]}
    control.answers["POST /control/module/load-project"] = (422, {"error": error})
    with pytest.raises(Refused) as caught:
        client_of(control.home, environ={}).post("/control/module/load-project", {})

    report = report_of(caught.value)
    assert report.texts == ["/x/orgloop.yaml:3:4: OL1303 no actor\n  fix: add it"]
    assert report.as_json()["error"]["faults"] == [fault]


def test_a_token_that_does_not_fit_is_told_with_what_to_do(control: Control) -> None:
    """As when the daemon was started with another."""
    control.answers[f"GET {STATUS}"] = (401, {"error": "unauthorized"})
    with pytest.raises(Refused) as caught:
        client_of(control.home, environ={}).get(STATUS)

    assert "restart" in (caught.value.next or "")


def test_an_answer_that_is_no_json_is_told(control: Control) -> None:
    """It says that it is, and is not."""
    control.answers[f"GET {STATUS}"] = (200, b"{half")
    with pytest.raises(CommandFailed, match="not JSON"):
        client_of(control.home, environ={}).get(STATUS)


def test_nobody_at_home(tmp_path: Path) -> None:
    """No daemon: which home was looked at, and how to start one."""
    with pytest.raises(NotRunning) as caught:
        client_of(Home(tmp_path / "home"), environ={})

    assert (caught.value.code, caught.value.where) == ("not_running", str(tmp_path / "home"))
    assert "orgloop start" in (caught.value.next or "")


def test_one_that_was_killed_is_told_of(tmp_path: Path) -> None:
    """What it left behind is no daemon."""
    home = Home(tmp_path / "home")
    prepare_home(home)
    home.write(home.pid, b"4711\n")
    with pytest.raises(NotRunning, match="not running") as caught:
        client_of(home, environ={})

    assert "killed" in (caught.value.why or "")


def test_one_that_has_not_said_who_it_is_is_told_of(tmp_path: Path) -> None:
    """It owns the home, and is not to be signalled."""
    home = Home(tmp_path / "home")
    prepare_home(home)
    lock = take_home(home)
    try:
        with pytest.raises(NotRunning) as caught:
            client_of(home, environ={})
    finally:
        lock.release()

    assert caught.value.code == "unseen"


def test_one_that_is_still_starting_is_told_of(tmp_path: Path) -> None:
    """It has no port yet."""
    with serve_control(tmp_path / "home", says_port=False) as control, pytest.raises(NotRunning) as caught:
        client_of(control.home, environ={})

    assert caught.value.code == "starting"


def test_a_port_on_which_nobody_listens(control: Control) -> None:
    """The daemon runs, and its front door does not."""
    control.home.write(control.home.port, b"9\n")
    with pytest.raises(NotRunning) as caught:
        client_of(control.home, environ={}).get(STATUS)

    assert (caught.value.code, caught.value.where) == ("unreachable", "http://127.0.0.1:9")


def test_silence_has_an_end(control: Control) -> None:
    """Whoever asks says how long an answer may take."""
    control.silent = threading.Event()
    with pytest.raises(NotRunning, match=r"not answered within 0\.05 s"):
        client_of(control.home, environ={}, timeout_s=0.05).get(STATUS)


def test_a_token_that_others_may_have_read_is_not_sent(control: Control) -> None:
    """K10: neither by a client."""
    control.home.token.chmod(0o644)
    with pytest.raises(HomeError, match="remove it"):
        client_of(control.home, environ={})


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_is_read_message_by_message(control: Control) -> None:
    """Comments are passed over, lines of one message joined, and what has no end is no message."""
    said = b': hello\n\nid: 7\nevent: notice\ndata: {"a":\ndata: 1}\n\ndata: two\n\ndata: cut off'
    control.answers["GET /api/v1/logs"] = (200, said)

    messages = list(client_of(control.home, environ={}).stream("/api/v1/logs", module="shop"))

    assert messages == [Message("notice", '{"a":\n1}', "7"), Message("message", "two", "7")]
    assert control.asked == [("GET", "/api/v1/logs?module=shop", None)]


def test_a_stream_that_is_refused_is_an_error(control: Control) -> None:
    """As any other question."""
    with pytest.raises(Refused, match="Not found"):
        list(client_of(control.home, environ={}).stream("/api/v1/nope"))
