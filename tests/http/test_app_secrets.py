"""Nothing secret leaves through any route."""

from __future__ import annotations

from pathlib import Path

from orgloop.http.app import Control
from orgloop.http.app.route import JSON
from orgloop.http.app.table import TABLE
from tests.http.app_stage import SECRET, open_desk, project
from tests.http.server import TOKEN


async def test_no_route_shows_a_secret_of_a_project(tmp_path: Path) -> None:
    """A connector has let it slip into an error; it stands in the configuration, too. Every GET is asked."""
    file = project(tmp_path)
    async with open_desk(module=None, control=Control()) as desk:
        await desk.post("/control/module/load-project", {"configPath": str(file)})
        await desk.runtime.inject({"source": "clock", "type": "resource.changed", "payload": {"echo": SECRET}})
        assert await desk.runtime.drain(timeout_s=5)
        (letter,) = desk.runtime.dead_letters()
        names = {"{name}": "clocks", "sources/{id}": "sources/clock", "actors/{id}": "actors/agent"}
        names |= {"dead-letters/{id}": f"dead-letters/{letter.id}"}
        answers = []
        for route in TABLE:
            if route.method == "GET" and route.media_type == JSON:
                path = route.path
                for place, name in names.items():
                    path = path.replace(place, name)
                answers.append(await desk.send("GET", path))
        answers.append(await desk.send("GET", "/metrics"))
        answers.append(await desk.send("POST", "/control/module/plan", b'{"configPath": "%s"}' % str(file).encode()))
        shown = b"".join(body for got in answers for body in got.bodies)

    assert SECRET.encode() not in shown
    assert TOKEN not in shown
    assert b"does not like ***" in shown
    assert b'"echo":"***"' in shown


async def test_a_fault_does_not_quote_the_secret_that_it_is_about(tmp_path: Path) -> None:
    """Neither the text nor the line of the file."""
    file = project(tmp_path)
    file.write_text(file.read_text().replace("actor: agent", 'actor: "${SECRET}"'))
    async with open_desk(module=None) as desk:
        loaded = await desk.post("/control/module/load-project", {"configPath": str(file)}, status=422)
        validated = await desk.post("/api/v1/config/validate", {"path": str(file)})

    assert loaded["detail"]["faults"]
    assert validated["faults"]
    assert SECRET not in str((loaded, validated))


async def test_the_secrets_of_a_module_are_kept_when_it_is_gone(tmp_path: Path) -> None:
    """What it has said still stands in the notices."""
    file = project(tmp_path)
    async with open_desk(module=None) as desk:
        await desk.runtime.load_module(file)
        await desk.runtime.inject({"source": "clock", "type": "resource.changed"})
        assert await desk.runtime.drain(timeout_s=5)
        await desk.runtime.unload_module("clocks")
        desk.runtime.tell("system.error", error=f"somebody said {SECRET}")
        got = await desk.get("/api/v1/logs/query")

    assert SECRET not in str(got)
    assert "somebody said ***" in str(got)


async def test_a_name_that_stands_in_a_variable_can_still_be_asked_for(tmp_path: Path) -> None:
    """It is no secret any more; inside of a sentence it is masked all the same."""
    file = project(tmp_path)
    text = file.read_text().replace("clocks", '"${NAME}"')
    file.write_text(text)
    (tmp_path / ".env").write_text(f"SECRET={SECRET}\nNAME=timekeeping\n")
    async with open_desk(module=None) as desk:
        got = await desk.post("/control/module/load-project", {"configPath": str(file)})
        shown = await desk.get(f"/control/module/status/{got['name']}")
        page = await desk.get("/api/v1/actors")

    assert (got["name"], shown["name"]) == ("timekeeping", "timekeeping")
    assert page["items"][0]["module"] == "timekeeping"
