"""Every line of the table of routes, on a real daemon, as somebody asks who should not get an answer."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from orgloop.http.app.table import TABLE
from orgloop.http.walls import LIVENESS
from tests.e2e.daemon import Daemon, open_daemon

WEBHOOKS = {"/webhook/{source}", "/webhook/{module}/{source}", "/api/v1/webhooks/{source}"}
"""Open doors, each guarded by its source."""

LINES = sorted(
    {(route.method, route.path) for route in TABLE}
    | {("POST", path) for path in WEBHOOKS}
    | {("POST", "/api/v1/events/batch"), ("GET", "/"), ("GET", "/nowhere"), ("POST", "/control/nowhere")}
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for all of these tests: none of them may get anything done."""
    with open_daemon(tmp_path_factory.mktemp("walls")) as daemon:
        yield daemon


def ask(daemon: Daemon, method: str, path: str, **headers: str | None) -> int:
    """The status of an answer to a request that has all it needs, but for these headers."""
    token = daemon.home.token.read_text().strip()
    usual = {"Authorization": f"Bearer {token}", "Host": f"127.0.0.1:{daemon.port}"}
    usual |= {"Content-Type": "application/json"} if method != "GET" else {}
    given = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.putrequest(method, path.replace("{", "").replace("}", ""), skip_host=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        body = b"{}" if method != "GET" else b""
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


def is_open(path: str) -> bool:
    return path in LIVENESS | WEBHOOKS


@pytest.mark.slow
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic x", f"Bearer {'0' * 64}"])
def test_nothing_is_had_without_the_token(daemon: Daemon, authorization: str | None) -> None:
    """401 for every line, /metrics and those that are not there too; webhooks and liveness are open."""
    for method, path in LINES:
        status = ask(daemon, method, path, Authorization=authorization)
        assert (status == 401) is not is_open(path), (method, path, status)


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": None}, {"Origin": "http://evil.example"}, {"Origin": "null"},
     {"Sec_Fetch_Site": "cross-site"}],
)  # fmt: skip
def test_no_page_of_somebody_else_gets_in(daemon: Daemon, headers: dict[str, str | None]) -> None:
    """403 for every line, open or not, token or not; 400 where there is no Host at all."""
    for method, path in LINES:
        status = ask(daemon, method, path, **headers)
        assert status == (400 if headers == {"Host": None} else 403), (method, path, status)


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": "text/plain"}, {"Content_Type": "application/x-www-form-urlencoded"}, {"Content_Type": None},
     {"Content_Encoding": "gzip"}],
)  # fmt: skip
def test_no_body_is_taken_that_a_form_could_send(daemon: Daemon, headers: dict[str, str | None]) -> None:
    """415 for every line that is posted to."""
    for method, path in LINES:
        if method == "POST":
            status = ask(daemon, method, path, **headers)
            assert status == 415, (method, path, status)


@pytest.mark.slow
def test_nobody_has_changed_anything(daemon: Daemon) -> None:
    """After all of the above it still runs, with no module, and says no secret of its own."""
    assert daemon.client.get("/control/module/list") == []
    assert daemon.home.token.read_text().strip() not in Path(daemon.said).read_text()
