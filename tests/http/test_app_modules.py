"""``/control``: modules are loaded, changed and taken out over HTTP, and whoever did it is told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from orgloop.errors import ModuleError
from orgloop.http.app import Control
from orgloop.testing import FakeActor
from tests.http.app_stage import MODULE, open_desk, project


@attrs.define
class Owner:
    """Whoever runs the runtime: writes down what it is asked."""

    asked: list[bool] = attrs.field(factory=list)
    reloads: int = 0
    fault: Exception | None = None

    @property
    def control(self) -> Control:
        return Control(shutdown=self.asked.append, reload=self._reload)

    async def _reload(self) -> None:
        await trio.lowlevel.checkpoint()
        self.reloads += 1
        if self.fault is not None:
            raise self.fault


# -- status ------------------------------------------------------------------------------------------------------------


async def test_the_status_adds_up() -> None:
    """What was admitted is the sum of its ends, and of what is in flight."""
    async with open_desk() as desk:
        await desk.inject()
        status = await desk.get("/control/status")

    (module,) = status["modules"]
    counts = module["counts"]
    assert (module["name"], module["state"], module["generation"]) == ("engineering", "active", 1)
    assert counts["admitted"] == sum(value for name, value in counts.items() if name != "admitted") == 1
    assert status["running"] is True
    assert status["httpPort"] > 0


async def test_an_unknown_module_is_named_as_the_original_does() -> None:
    """A text for its clients, the parts of an error for ours."""
    async with open_desk() as desk:
        got = await desk.get("/control/module/status/nobody", status=404)

    assert got["error"] == "Module not found: nobody"
    assert got["detail"]["next"]


async def test_a_runtime_that_stops_is_not_ready() -> None:
    """503 once the end was asked for; it is alive until then."""
    async with open_desk(control=Owner().control) as desk:
        await desk.get("/control/ready")
        await desk.post("/control/shutdown")
        got = await desk.get("/control/ready", status=503)
        alive = await desk.get("/livez")

    assert (got, alive) == ({"ready": False}, {"status": "ok"})


# -- load --------------------------------------------------------------------------------------------------------------


async def test_a_project_is_loaded_then_changed_to_what_it_says(tmp_path: Path) -> None:
    """The second time it is a reload: same module, next generation."""
    file = project(tmp_path)
    body = {"configPath": str(file), "projectDir": str(tmp_path)}
    async with open_desk(module=None) as desk:
        first = await desk.post("/control/module/load-project", body)
        same = await desk.post("/control/module/load-project", body)
        file.write_text(file.read_text().replace("tick", "tock"))
        second = await desk.post("/control/module/load-project", body)
        routes = (await desk.get("/api/v1/routes"))["items"]

    assert [one["generation"] for one in (first, same, second)] == [1, 1, 2]
    assert [route["name"] for route in routes] == ["tock"]
    assert desk.actions() == [("control.module.load", "clocks", "done")] * 3


async def test_a_project_is_the_same_by_whatever_path(tmp_path: Path) -> None:
    """Through a link it is still a reload, with the variables that the application was given."""
    project(tmp_path / "real")
    (tmp_path / "real" / ".env").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with open_desk(module=None, environ={"SECRET": "of-the-daemon"}) as desk:
        got = [
            await desk.post("/control/module/load-project", {"configPath": str(tmp_path / folder / "orgloop.yaml")})
            for folder in ("real", "link")
        ]

    assert [one["name"] for one in got] == ["clocks", "clocks"]


async def test_another_project_of_that_name_changes_nothing(tmp_path: Path) -> None:
    """409, saying where the loaded one is from."""
    here, there = project(tmp_path / "a"), project(tmp_path / "b")
    async with open_desk(module=None) as desk:
        await desk.post("/control/module/load-project", {"configPath": str(here)})
        got = await desk.post("/control/module/load-project", {"configPath": str(there)}, status=409)

    assert str(here) in got["error"]
    assert desk.actions()[1] == ("control.module.load", "clocks", "refused")


async def test_all_faults_of_a_project_come_at_once(tmp_path: Path) -> None:
    """422, each with its code and place; nothing was loaded."""
    file = project(tmp_path)
    file.write_text(file.read_text().replace("actor: agent", "actor: agnet").replace("[resource.changed]", "[nothing]"))
    async with open_desk(module=None) as desk:
        got = await desk.post("/control/module/load-project", {"configPath": str(file)}, status=422)
        assert await desk.get("/control/module/list") == []

    faults = got["detail"]["faults"]
    assert len(faults) == 2
    assert all(fault["file"] == str(file) and fault["line"] and fault["code"].startswith("OL") for fault in faults)


NO_PATHS: list[tuple[dict[str, Any], str]] = [
    ({}, "configPath"),
    ({"configPath": "orgloop.yaml"}, "configPath"),
    ({"configPath": "file:///etc/x"}, "configPath"),
    ({"configPath": "/a\0b"}, "configPath"),
    ({"configPath": "/" + "a" * 5000}, "configPath"),
    ({"configPath": "/a/orgloop.yaml", "projectDir": "/b"}, "projectDir"),
    ({"configPath": "../orgloop.yaml", "projectDir": "/a/b"}, "projectDir"),
    ({"configPath": ["/a"]}, "configPath"),
    ({"configPath": "/a", "workspace": ""}, "workspace"),
]


async def test_a_path_that_is_none_is_refused_by_its_parameter() -> None:
    """400, before any file is looked at."""
    async with open_desk(module=None) as desk:
        for body, where in NO_PATHS:
            got = await desk.post("/control/module/load-project", body, status=400)
            assert got["detail"]["where"] == where, body


async def test_a_path_that_holds_no_project_is_a_fault_of_the_configuration() -> None:
    """422; no device is read, and nothing hangs."""
    async with open_desk(module=None) as desk:
        for path in ("/etc", "/dev/zero", "/proc/self/mem", "/nowhere/orgloop.yaml"):
            got = await desk.post("/control/module/load-project", {"configPath": path}, status=422)
            assert got["detail"]["faults"]


@pytest.mark.parametrize("form", ["ours", "the original's"])
async def test_plain_data_is_loaded(form: str) -> None:
    """As ``{name, config}``, or as the configuration itself."""
    config: dict[str, Any] = {"metadata": {"name": "hooks"}, "sources": [{"id": "told", "connector": "webhook"}]}
    async with open_desk(module=None) as desk:
        got = await desk.post("/control/module/load", {"config": config} if form == "ours" else config)
        shown = await desk.get("/api/v1/sources/told")

    assert (got["name"], got["sources"]) == ("hooks", 1)
    assert shown["kind"] == "webhook"


async def test_a_name_that_is_taken_is_in_the_way() -> None:
    """409, and the loaded module goes on."""
    async with open_desk() as desk:
        got = await desk.post("/control/module/load", {"config": {}, "name": "engineering"}, status=409)
        assert (await desk.get("/control/module/status/engineering"))["state"] == "active"

    assert "engineering" in got["error"]


# -- unload, reload, plan ----------------------------------------------------------------------------------------------


async def test_what_has_not_ended_is_parked_by_an_unload() -> None:
    """So many obligations wait for the next module of that name; a second unload finds none."""
    async with open_desk(actor=FakeActor(3600.0)) as desk:
        await desk.runtime.inject({"source": "github", "type": "resource.changed", "payload": {"pr": 7}})
        got = await desk.post("/control/module/unload", {"name": "engineering", "force": True})
        await desk.post("/control/module/unload", {"name": "engineering"}, status=404)
        status = await desk.get("/control/status")

    assert got == {"ok": True, "parked": 1}
    assert status["parked"] == {"engineering": 1}
    assert desk.actions()[0] == ("control.module.unload", "engineering", "done")


async def test_a_reload_says_what_it_has_changed(tmp_path: Path) -> None:
    """The plan that was carried out, and the generation; without a change both say so."""
    file = project(tmp_path)
    async with open_desk(module=None) as desk:
        await desk.post("/control/module/load-project", {"configPath": str(file)})
        same = await desk.post("/control/module/reload", {"name": "clocks"})
        file.write_text(file.read_text().replace("tick", "tock"))
        planned = await desk.post("/control/module/plan", {"configPath": str(file)})
        changed = await desk.post("/control/module/reload", {"name": "clocks"})

    assert (same["generation"], same["changed"], same["plan"]["empty"]) == (1, False, True)
    assert (changed["generation"], changed["changed"]) == (2, True)
    assert changed["plan"] == planned
    assert planned["summary"] == {"add": 1, "change": 0, "remove": 1}


async def test_an_action_comes_to_its_end_without_its_client() -> None:
    """It goes while what is under way drains; the module is taken out, and that is told."""
    actor = FakeActor(0.05)
    async with open_desk(actor=actor) as desk:
        await desk.runtime.inject({"source": "github", "type": "resource.changed", "payload": {"pr": 7}})
        async with await trio.open_tcp_stream("127.0.0.1", desk.port) as stream:
            await stream.send_all(desk.raw("POST", "/control/module/unload", b'{"name": "engineering"}'))
            with trio.fail_after(5):
                while not desk.told or desk.told[-1].phase != "module.unloading":  # noqa: ASYNC110 - as it comes about
                    await trio.sleep(0.001)
        with trio.fail_after(5):
            while not desk.actions():  # noqa: ASYNC110 - the same
                await trio.sleep(0.01)

    assert desk.actions() == [("control.module.unload", "engineering", "done")]


async def test_a_client_that_has_seen_another_generation_changes_nothing() -> None:
    """412; and 400 for what is no generation."""
    async with open_desk() as desk:
        body = b'{"name": "engineering"}'
        statuses = [
            (await desk.send("POST", "/control/module/unload", body, If_Match=seen)).status
            for seen in ('"7"', "x", '"-1"', '"1"')
        ]

    assert statuses == [412, 400, 400, 200]


async def test_a_module_that_was_not_read_from_files_has_no_plan() -> None:
    """It is what its caller says."""
    async with open_desk() as desk:
        got = await desk.post("/control/module/reload", {"name": "engineering"})

    assert got == {"ok": True, "generation": 1, "changed": False, "plan": None}


async def test_a_reload_to_faults_changes_nothing(tmp_path: Path) -> None:
    """422, the module goes on, and the refusal is told."""
    file = project(tmp_path)
    async with open_desk(module=None) as desk:
        await desk.post("/control/module/load-project", {"configPath": str(file)})
        file.write_text("kind: Project\nroutes: 5\n")
        await desk.post("/control/module/reload", {"name": "clocks"}, status=422)
        assert (await desk.get("/control/module/status/clocks"))["generation"] == 1

    assert desk.actions()[-1] == ("control.module.reload", "clocks", "refused")


async def test_a_project_that_has_changed_its_name_is_not_reloaded_under_the_old_one(tmp_path: Path) -> None:
    """The name is the identity: it is unloaded, and the other loaded."""
    file = project(tmp_path)
    async with open_desk(module=None) as desk:
        await desk.post("/control/module/load-project", {"configPath": str(file)})
        file.write_text(file.read_text().replace("clocks", "watches"))
        got = await desk.post("/control/module/reload", {"name": "clocks"}, status=422)

    assert "watches" in got["error"]


async def test_a_drain_beyond_its_bound_is_refused() -> None:
    """400, naming it; the module is still there."""
    async with open_desk() as desk:
        for drain_s in (-1, 1e9, "5", None):
            body = {"name": "engineering", "drain_s": drain_s}
            got = await desk.post("/control/module/unload", body, status=400)
            assert got["detail"]["where"] == "drain_s"
        assert len(await desk.get("/control/module/list")) == 1


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_a_shutdown_is_asked_for_once() -> None:
    """Then it is in the way of everything that changes something."""
    owner = Owner()
    async with open_desk(control=owner.control) as desk:
        assert await desk.post("/control/shutdown", {"forget": True}) == {"ok": True}
        again = await desk.post("/control/shutdown", status=409)
        await desk.post("/control/module/load", {"config": MODULE}, status=409)

    assert owner.asked == [True]
    assert again["detail"]["code"] == "stopping"


async def test_what_only_the_owner_can_do_is_not_offered_without_one() -> None:
    """501, and where to go instead."""
    async with open_desk() as desk:
        for path in ("/control/shutdown", "/control/reload"):
            got = await desk.post(path, status=501)
            assert got["detail"]["next"]
        await desk.get("/api/doctor", status=501)


async def test_all_projects_are_read_again() -> None:
    """By their owner, as SIGHUP has it; what is refused is told."""
    owner = Owner()
    async with open_desk(control=owner.control) as desk:
        got = await desk.post("/control/reload")
        owner.fault = ModuleError("it does not start")
        refused = await desk.post("/control/reload", status=409)

    assert got == {"ok": True, "generations": {"engineering": 1}}
    assert (owner.reloads, refused["error"]) == (2, "it does not start")
    assert desk.actions() == [("control.reload", None, "done"), ("control.reload", None, "refused")]
