"""What a daemon serves: real files, a real log and a real port, in this process."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.hosting import serve_home
from orgloop.daemon.launch import Doorway
from orgloop.daemon.serving import Serving
from orgloop.errors import ConfigError
from orgloop.http.app.route import Control
from orgloop.http.asgi import App
from orgloop.http.front import Behind, MakeApp
from orgloop.runtime.remembered import recall
from orgloop.runtime.runtime import Runtime
from orgloop_supervisors import Supervisor
from tests.http.server import answered, echo_app, read_all, request
from tests.runtime.test_projects import out, project

ANY_PORT = Doorway(port=0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    prepare_home(home)
    return home


@attrs.define
class Hosted:
    """A daemon at work, seen from outside; ``runtime`` and ``control`` are what the application gets."""

    home: Home
    serving: Serving = attrs.field(factory=Serving)
    over: trio.Event = attrs.field(factory=trio.Event)
    runtime: Runtime | None = None
    control: Control = attrs.field(factory=Control)

    def compose(self, runtime: Runtime, home: Home, control: Control) -> MakeApp:
        """An application that says what it was asked."""
        self.runtime, self.control = runtime, control

        def make_app(behind: Behind) -> App:
            return echo_app

        return make_app

    @property
    def inside(self) -> Runtime:
        assert self.runtime is not None
        return self.runtime

    async def post(self, path: str, body: bytes) -> int:
        """The status of what is answered to a request."""
        assert self.serving.port is not None
        async with await trio.open_tcp_stream("127.0.0.1", self.serving.port) as stream:
            await stream.send_all(request("POST", path, body, Host=f"127.0.0.1:{self.serving.port}"))
            return answered(await read_all(stream)).status

    async def stop(self) -> None:
        """Ask, and wait for the end."""
        assert self.serving.stop is not None
        self.serving.stop()
        with trio.fail_after(10):
            await self.over.wait()


@asynccontextmanager
async def hosted(home: Home, *projects: Path, **options: Any) -> AsyncGenerator[Hosted]:
    """A daemon of this process, asked to stop at the end."""
    one = Hosted(home)

    async def serve(*, task_status: trio.TaskStatus[Serving]) -> None:
        given = {"doorway": ANY_PORT, "compose": one.compose, **options}
        await serve_home(home, projects=projects, task_status=task_status, **given)
        one.over.set()

    async with trio.open_nursery() as nursery:
        one.serving = await nursery.start(serve)
        yield one
        await one.stop()


def log_of(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in home.log.read_text().splitlines()]


def names(found: Sequence[Any]) -> list[str]:
    return [module.name for module in found]


async def test_ready_means_that_a_webhook_reaches_its_actor(home: Home, tmp_path: Path) -> None:
    """The door is open, the module is loaded, and what was answered with 200 is delivered before the end."""
    here = project(tmp_path / "p")
    async with hosted(home, here) as daemon:
        status = await daemon.post("/webhook/told", b'"world"')
        about = daemon.serving.about()

    assert (status, about) == (200, {"modules": 1})
    assert out(here) == ['hello "world"']


async def test_the_log_of_the_home_tells_of_everything(home: Home, tmp_path: Path) -> None:
    """From the loading of the first module on."""
    async with hosted(home, project(tmp_path / "p")) as daemon:
        await daemon.post("/webhook/told", b'"world"')
        await daemon.inside.drain(timeout_s=5)

    phases = [notice["phase"] for notice in log_of(home)]
    assert [phase for phase in phases if phase.startswith("module.")] == ["module.loading", "module.active"]
    assert {"source.emit", "route.match", "deliver.success"} <= set(phases)


async def test_a_project_with_faults_ends_the_start(home: Home, tmp_path: Path) -> None:
    """All of them are told, and nothing was opened."""
    here = project(tmp_path / "p", more="sorces: []\ncolour: red\n")
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=r"yaml:13:1: .*\n.*yaml:14:1: ")):
        async with hosted(home, here):
            pass

    assert not home.modules.exists()


async def test_what_ran_is_restored_beside_what_is_given(home: Home, tmp_path: Path) -> None:
    """What was given a second time is there once."""
    one, two = project(tmp_path / "one", name="one"), project(tmp_path / "two", name="two")
    async with hosted(home, one, two):
        pass
    async with hosted(home, two) as daemon:
        found = daemon.inside.modules()

    assert sorted(names(found)) == ["one", "two"]
    assert sorted(names(recall(home.path, now_s=0.0))) == ["one", "two"]


async def test_what_a_project_names_is_not_restored_before_it(home: Home, tmp_path: Path) -> None:
    """It is loaded with the project, at the second start as at the first."""
    inner = project(tmp_path / "inner", name="inner")
    outer = project(tmp_path / "outer", name="outer", more=f"modules:\n  - package: {inner}\n")
    for _ in range(2):
        async with hosted(home, outer) as daemon:
            assert sorted(names(daemon.inside.modules())) == ["inner", "outer"]


async def test_what_cannot_be_restored_is_told_and_not_forgotten(home: Home, tmp_path: Path) -> None:
    """The others run; when its files are back, so is it."""
    one, two = project(tmp_path / "one", name="one"), project(tmp_path / "two", name="two")
    async with hosted(home, one, two):
        pass
    (one / "orgloop.yaml").rename(tmp_path / "away")
    async with hosted(home, two) as daemon:
        assert names(daemon.inside.modules()) == ["two"]
    (tmp_path / "away").rename(one / "orgloop.yaml")
    async with hosted(home) as daemon:
        found = daemon.inside.modules()

    assert sorted(names(found)) == ["one", "two"]
    assert any("one was not restored" in notice.get("error", "") for notice in log_of(home))


async def test_a_project_that_has_moved_is_loaded_from_where_it_is_now(home: Home, tmp_path: Path) -> None:
    """Who names a folder means that one, whatever was loaded under its name before."""
    before, now = project(tmp_path / "before"), project(tmp_path / "now", greeting="ciao")
    async with hosted(home, before):
        pass
    async with hosted(home, now) as daemon:
        found = daemon.inside.modules()

    assert [(module.name, module.directory) for module in found] == [("hello", str(now))]


async def test_a_port_that_is_taken_is_found_before_anything_runs(home: Home, tmp_path: Path) -> None:
    """The reason names the port; no log was opened, and no module loaded."""
    async with hosted(home) as daemon:
        taken = Doorway(port=daemon.serving.port or 0)
        other = Home(tmp_path / "other")
        with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=f"{taken.port} is in use")):
            async with hosted(other, project(tmp_path / "p"), doorway=taken):
                pass

    assert not other.data.exists()


async def test_a_door_that_others_could_reach_must_be_meant(home: Home) -> None:
    """Y34: an address of all interfaces alone is refused."""
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="can be reached from elsewhere")):
        async with hosted(home, doorway=Doorway(host="0.0.0.0", port=0)):
            pass


async def test_a_door_that_is_opened_again_is_where_it_was(home: Home) -> None:
    """Though any port would have done the first time."""
    async with hosted(home) as daemon:
        faces = next(one.value for one in daemon.inside.root.which_children() if one.id == "faces")
        assert isinstance(faces, Supervisor)
        await faces.terminate_child("http")
        await faces.restart_child("http")

        assert await daemon.post("/webhook/nobody", b"{}") == 404


async def test_the_socket_of_the_home_is_there_while_it_runs(home: Home) -> None:
    """For the command line, which needs no port then; nobody but the owner may use it."""
    path = home.path / "control.sock"
    async with hosted(home):
        mode = path.lstat().st_mode
    assert (mode & 0o777, path.exists()) == (0o600, False)


async def test_a_reload_reads_every_project_again(home: Home, tmp_path: Path) -> None:
    """One with a fault goes on as it was, and the others are changed; who asked hears of the fault."""
    one, two = project(tmp_path / "one", name="one"), project(tmp_path / "two", name="two")
    async with hosted(home, one, two) as daemon:
        project(one, name="one", greeting="[")
        project(two, name="two", greeting="ciao")
        with pytest.raises(ConfigError, match=r"one: .*orgloop\.yaml"):
            await daemon.serving.reload()
        found = {module.name: module.generation for module in daemon.inside.modules()}

    assert found == {"one": 1, "two": 2}


@pytest.mark.slow
async def test_watching_reloads_what_changes(home: Home, tmp_path: Path) -> None:
    """Without anybody asking."""
    here = project(tmp_path / "p")
    async with hosted(home, here, watches=True) as daemon:
        project(here, greeting="ciao")
        with trio.fail_after(10):
            while daemon.inside.modules()[0].generation == 1:  # noqa: ASYNC110 - it comes from the file system
                await trio.sleep(0.02)


@pytest.mark.parametrize("forgets", [False, True])
async def test_it_can_be_asked_over_http_to_end_and_to_forget(home: Home, tmp_path: Path, forgets: bool) -> None:
    """What is forgotten is not restored by the next run."""
    async with hosted(home, project(tmp_path / "p")) as daemon:
        assert daemon.control.shutdown is not None
        daemon.control.shutdown(forgets)
        await daemon.over.wait()

    assert names(recall(home.path, now_s=0.0)) == ([] if forgets else ["hello"])


async def test_a_stop_lets_a_delivery_end(home: Home, tmp_path: Path) -> None:
    """The actor takes its time, and is not asked twice."""
    here = project(tmp_path / "p")
    slow = "import trio\n" + (here / "greeter.py").read_text().replace(
        "    async def deliver(self, delivery):\n",
        "    async def deliver(self, delivery):\n        await trio.sleep(0.1)\n",
    )
    (here / "greeter.py").write_text(slow)
    async with hosted(home, here) as daemon:
        await daemon.post("/webhook/told", b'"once"')
    async with hosted(home, here):
        pass

    assert out(here) == ['hello "once"']


async def test_it_gets_on_while_it_works_and_while_it_does_not(home: Home, tmp_path: Path) -> None:
    """What is asked every few seconds by whoever keeps it alive."""
    async with hosted(home, project(tmp_path / "p")) as daemon:
        idle = [daemon.serving.is_progressing() for _ in range(3)]
        await daemon.post("/webhook/told", b'"world"')
        busy = daemon.serving.is_progressing()

    assert (idle, busy) == ([True] * 3, True)


async def test_a_log_that_cannot_be_written_is_a_reason_not_to_start(home: Home) -> None:
    """What is in its place is named."""
    home.log.mkdir()
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=r"orgloop\.log: cannot be opened for logging")):
        async with hosted(home):
            pass


async def test_a_home_for_a_group_has_a_socket_for_it(tmp_path: Path) -> None:
    """Its members need no port, and no more rights than that."""
    home = Home(tmp_path / "shared", group=grp.getgrgid(os.getgid()).gr_name)
    prepare_home(home)
    async with hosted(home):
        found = (home.path / "control.sock").lstat()

    assert (found.st_mode & 0o777, found.st_gid) == (0o660, os.getgid())
