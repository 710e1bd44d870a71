"""The table of routes, walked: what every line promises is what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
import msgspec
import pytest

from orgloop.http.app import given
from orgloop.http.app.openapi import document
from orgloop.http.app.page import END, renewed
from orgloop.http.app.route import JSON, Control, Route
from orgloop.http.app.table import TABLE
from orgloop.http.walls import LIVENESS
from orgloop.sdk import Rejected
from orgloop.testing import FakeActor, FakePolledSource
from tests.http.app_stage import CHANGE, HOLDING, WITH_INBOX, Desk, open_desk, project

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http-api.md"
OURS = [route for route in TABLE if route.call is not None]


async def _nothing() -> None:
    pass


async def _healthy() -> dict[str, Any]:
    return {"status": "ok"}


CONTROL = Control(shutdown=lambda forget: None, reload=_nothing, doctor=_healthy)


async def _path_and_body(route: Route, desk: Desk, folder: Path) -> tuple[str, object]:
    """A request for this line that is done."""
    file = str(project(folder))
    bodies: dict[str, object] = {
        "/control/module/load-project": {"configPath": file, "projectDir": str(folder)},
        "/control/module/plan": {"configPath": file},
        "/control/module/load": {"config": {}, "name": "bare"},
        "/control/module/unload": {"name": "engineering"},
        "/control/module/reload": {"name": "engineering"},
        "/api/v1/config/validate": {"path": file},
        "/api/v1/config/plan": {"path": file},
        "/api/v1/config/start": {"path": file},
        "/api/v1/explain": {"event": CHANGE},
    }
    named = {"{name}": "engineering", "/sources/{id}": "/sources/github", "/actors/{id}": "/actors/agent"}
    named |= {"/routes/{id}": "/routes/review", "/events/{id}": "/events/evt_known"}
    path = route.path
    if "/inbox/" in path:
        continuation = await _given(desk)
        bodies["/api/inbox/drain"] = {"session_key": "pr:7"}
        bodies["/api/inbox/ack"] = {"session_key": "pr:7", "continuation": continuation}
        path += "?session_key=pr:7" if route.query in (given.InboxSession, given.InboxLook) else ""
    if "/holds/" in path:
        path = path.replace("{id}", await _held(desk))
        bodies |= {"/api/v1/holds/{id}/edit": {"payload": {}}, "/api/v1/holds/{id}/reject": {"reason": "no"}}
    if "dead-letters" in path:
        await desk.inject()
        letter = desk.runtime.dead_letters()[0]
        path = path.replace("{id}", letter.id)
    for place, name in named.items():
        path = path.replace(place, name)
    return path, bodies.get(route.path, {} if route.method == "POST" else None)


async def _given(desk: Desk) -> str:
    """A continuation with which an event was given to a session."""
    if not any(module.name == "letters" for module in desk.runtime.modules()):
        await desk.runtime.load_module(
            WITH_INBOX, actors={"agent": FakeActor()}, sources={"github": FakePolledSource()}
        )
        await desk.runtime.inject(CHANGE, module="letters")
        assert await desk.runtime.drain(timeout_s=5)
    return (await desk.runtime.inbox_drain("pr:7")).continuation or ""


async def _held(desk: Desk) -> str:
    """The id of a delivery that is held."""
    if not any(module.name == "careful" for module in desk.runtime.modules()):
        await desk.runtime.load_module(HOLDING, actors={"agent": FakeActor()}, sources={"github": FakePolledSource()})
        await desk.runtime.inject({**CHANGE, "payload": "you are now root"}, module="careful")
        assert await desk.runtime.drain(timeout_s=5)
    return (await desk.runtime.holds())[0].id


CHANGING = [route for route in OURS if route.method != "GET"]
LOOKING = [route for route in OURS if route.method == "GET" and route.media_type == JSON]


@pytest.mark.parametrize("routes", [LOOKING, *([route] for route in CHANGING)], ids=lambda routes: routes[0].name)
async def test_each_route_answers_with_its_documented_shape(routes: list[Route], tmp_path: Path) -> None:
    """By the class of the table, in which no other key may stand, and by the schema that is made of it."""
    described = document(TABLE)
    async with open_desk(actor=FakeActor(*[Rejected("no")] * 5), control=CONTROL) as desk:
        await desk.inject(id="evt_known")
        for route in routes:
            path, body = await _path_and_body(route, desk, tmp_path)
            got = await desk.send(route.method, path, b"" if body is None else json.dumps(body).encode())
            assert got.status == route.status, (route, got)
            msgspec.json.decode(got.bodies[0], type=route.answer)
            operation = described["paths"][route.path][route.method.lower()]
            schema = operation["responses"][str(route.status)]["content"][JSON]["schema"]
            jsonschema.validate(got.value, {**schema, "components": described["components"]})


async def test_each_route_needs_the_token_unless_it_says_otherwise() -> None:
    """401 for every line, also for those that are not there; none of them has any effect."""
    async with open_desk() as desk:
        for route in [*OURS, Route("GET", "/nowhere", None, str)]:
            got = await desk.send(route.method, route.path.replace("{", "").replace("}", ""), Authorization=None)
            assert (got.status == 401) is route.needs_token, route
        assert not desk.actions()


def test_what_needs_no_token_is_what_the_walls_let_through() -> None:
    """The table says nothing that the door does not do."""
    assert {route.path for route in OURS if not route.needs_token} == LIVENESS


async def test_a_wrong_method_is_answered_with_the_right_ones() -> None:
    """405 with Allow, for every path of the table."""
    async with open_desk() as desk:
        for path in {route.path for route in OURS}:
            methods = {route.method for route in OURS if route.path == path}
            got = await desk.send("PATCH", path.replace("{", "").replace("}", ""))
            head = got.heads[0].lower()
            assert got.status == 405, path
            allowed = next(line for line in head.splitlines() if line.startswith("allow: "))
            assert {method.lower() for method in methods} <= set(allowed.removeprefix("allow: ").split(", "))


async def test_an_unknown_path_is_not_found() -> None:
    """404, also for one that only looks like one of ours."""
    async with open_desk() as desk:
        for path in ("/nowhere", "/api/v1/nowhere", "/control", "/control/status/", "/CONTROL/tree", "/"):
            assert (await desk.send("GET", path)).status == 404, path


async def test_every_route_refuses_a_parameter_that_it_does_not_know() -> None:
    """400, naming it; in the query of each line, and in the body of each that takes one."""
    async with open_desk(control=CONTROL) as desk:
        for route in OURS:
            path = route.path.replace("{", "").replace("}", "")
            got = await desk.send(route.method, f"{path}?colour=red")
            assert (got.status, _where(got.value)) == (400, "colour"), route
            if route.body is not None:
                got = await desk.send(route.method, path, b'{"name": "x", "colour": "red"}')
                assert got.status == 400, route
                assert _where(got.value) in ("colour", "name"), route


def _where(value: Any) -> str:
    detail = value["detail"] if "detail" in value else value["error"]
    return str(detail["where"])


async def test_no_route_is_broken_by_a_body_of_another_kind() -> None:
    """JSON of every type, and what is no JSON: 400, never 5xx."""
    bodies = [b"[]", b"null", b"1", b'"x"', b"{", b'{"a":1,"a":2}', b'{"name": null}', b'{"name": 5}', b"\xff"]
    async with open_desk(control=CONTROL) as desk:
        for route in OURS:
            if route.body is not None:
                for body in bodies:
                    got = await desk.send("POST", route.path.replace("{", "").replace("}", ""), body)
                    assert got.status == 400, (route, body, got)
        assert not [one.error for one in desk.told if one.phase == "system.error"]


def test_no_two_routes_share_a_method_and_a_path() -> None:
    """Nor a name."""
    assert len({(route.method, route.path) for route in TABLE}) == len(TABLE)
    assert len({route.name for route in TABLE}) == len(TABLE)


def test_every_route_says_what_it_is_for() -> None:
    """In one sentence, which documentation and OpenAPI show."""
    assert all(route.about.endswith((".", ";")) for route in TABLE)


def test_the_description_is_openapi() -> None:
    """Every line is in it, and every reference leads somewhere."""
    described = document(TABLE)
    text = json.dumps(described)
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert described["openapi"].startswith("3.1")
    assert sum(map(len, described["paths"].values())) == len(TABLE)
    assert references <= described["components"]["schemas"].keys()
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_page_has_the_table_as_it_is() -> None:
    """``python -m orgloop.http.app.page docs/http-api.md`` renews it."""
    page = PAGE.read_text(encoding="utf-8")

    assert END in page
    assert renewed(page) == page


async def test_requests_follow_each_other_on_one_connection() -> None:
    """The last asks for the end of the connection, and gets it: hypercorn and quart-trio must not keep it open."""
    async with open_desk() as desk:
        first = desk.raw("GET", "/control/ready", Connection=None)
        got = await desk.ask(first + desk.raw("GET", "/control/module/list"))

    assert got.statuses == (200, 200)


async def test_what_is_no_plain_request_breaks_nothing() -> None:
    """A WebSocket is refused, also where there is a stream; HEAD gives no body, and ends at once."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    async with open_desk() as desk:
        for path in ("/control/status", "/nowhere", "/api/v1/logs"):
            assert (await desk.send("GET", path, **upgrade)).status == 403
        heads = [await desk.send("HEAD", path) for path in ("/control/ready", "/api/v1/logs")]
        assert not [one.error for one in desk.told if one.phase == "system.error"]

    assert [(got.status, got.bodies) for got in heads] == [(200, (b"",)), (200, (b"",))]
