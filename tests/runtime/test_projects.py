"""Projects on disk, loaded as modules: with plug-ins in files, read again, and with the modules that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from orgloop.errors import ConfigError, ModuleError
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Request
from tests.runtime.test_runtime import CHANGE

PLUGIN = """
import attrs
from orgloop.sdk import Connector, Delivered, Event, Offer, Received

@attrs.frozen
class Config:
    greeting: str = "hello"

seen = []

class Greeter:
    def __init__(self, config, place):
        self.config, self.place = config, place
        seen.append("made")

    async def deliver(self, delivery):
        out = self.place.directory / "out.txt"
        out.write_text(f"{self.config.greeting} {delivery.event.payload}\\n")
        return Delivered()

class Told:
    def __init__(self, config, place):
        pass

    async def receive(self, request):
        return Received([Event("told", "resource.changed", {"platform": "test"}, request.body.decode())])

CONNECTOR = Connector(
    id="greeter", summary="Greets.", source=Offer(config=Config, make=Told), actor=Offer(config=Config, make=Greeter)
)
"""

PROJECT = """
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: NAME}
sources:
  - {id: told, connector: ./greeter.py}
actors:
  - {id: greeter, connector: ./greeter.py, config: {greeting: GREETING}}
routes:
  - name: greet
    when: {source: told, events: [resource.changed]}
    then: {actor: greeter}
"""


def project(directory: Path, *, name: str = "hello", greeting: str = "hello", more: str = "") -> Path:
    """A project in a folder."""
    directory.mkdir(exist_ok=True)
    (directory / "greeter.py").write_text(PLUGIN)
    (directory / "orgloop.yaml").write_text(PROJECT.replace("NAME", name).replace("GREETING", greeting) + more)
    return directory


def out(directory: Path) -> list[str]:
    return (directory / "out.txt").read_text().splitlines()


async def test_a_project_is_loaded_from_its_folder(tmp_path: Path) -> None:
    """Its plug-ins are files beside it, and do their work."""
    here = project(tmp_path / "p")
    async with open_runtime() as runtime:
        assert await runtime.load_module(here) == "hello"
        response = await runtime.receive("told", Request("POST", "/webhook/told", {}, b"world"))
        assert await runtime.drain(timeout_s=5)

    assert response.status == 200
    assert out(here) == ["hello world"]


async def test_a_reload_reads_the_files_again(tmp_path: Path) -> None:
    """What has changed there holds from then on."""
    here = project(tmp_path / "p")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        project(here, greeting="ciao")
        assert await runtime.reload_module("hello") == 2
        await runtime.inject({**CHANGE, "source": "told", "payload": "world"})
        assert await runtime.drain(timeout_s=5)

    assert out(here) == ["ciao world"]


async def test_a_plugin_whose_file_has_changed_is_made_anew(tmp_path: Path) -> None:
    """Though its configuration is the same."""
    here = project(tmp_path / "p")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        (here / "greeter.py").write_text(PLUGIN.replace("{self.config.greeting} ", "changed "))
        assert await runtime.reload_module("hello") == 2
        await runtime.inject({**CHANGE, "source": "told", "payload": "world"})
        assert await runtime.drain(timeout_s=5)

    assert out(here) == ["changed world"]


async def test_a_file_that_is_broken_changes_nothing(tmp_path: Path) -> None:
    """The module goes on as it was, and the error names file and line."""
    here = project(tmp_path / "p")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        (here / "orgloop.yaml").write_text("routes: [")
        with pytest.raises(ConfigError, match=r"orgloop\.yaml:2"):
            await runtime.reload_module("hello")
        assert [(one.state, one.generation) for one in runtime.modules()] == [("active", 1)]


async def test_what_a_project_names_is_loaded_with_it(tmp_path: Path) -> None:
    """Each as a module of its own; and taken out again when it is named no longer."""
    other = project(tmp_path / "other", name="other")
    here = project(tmp_path / "p", more=f"modules:\n  - package: {other}\n")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        assert [module.name for module in runtime.modules()] == ["hello", "other"]
        project(here)
        await runtime.reload_module("hello")
        assert [module.name for module in runtime.modules()] == ["hello"]


async def test_what_a_project_names_goes_with_it(tmp_path: Path) -> None:
    """It was loaded with it, and nobody else has asked for it."""
    other = project(tmp_path / "other", name="other")
    here = project(tmp_path / "p", more=f"modules:\n  - package: {other}\n")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        await runtime.unload_module("hello")
        assert runtime.modules() == ()


async def test_a_project_is_loaded_with_all_that_it_names_or_not_at_all(tmp_path: Path) -> None:
    """Nothing is left of a half."""
    other = project(tmp_path / "other", name="other")
    here = project(tmp_path / "p", more=f"modules:\n  - package: {other}\n")
    async with open_runtime() as runtime:
        await runtime.load_module(other)
        with pytest.raises(ModuleError, match="'other' is loaded already"):
            await runtime.load_module(here)
        assert [module.name for module in runtime.modules()] == ["other"]


POLLED = """
import attrs
from orgloop.sdk import Connector, Offer, Polled

@attrs.frozen
class Config:
    pass

class Polls:
    async def poll(self, checkpoint):
        return Polled([], "c1")

CONNECTOR = Connector(id="polls", summary="Polls.", source=Offer(config=Config, make=lambda config, place: Polls()))
"""


async def test_checkpoints_have_copies_in_the_folder_of_their_module(tmp_path: Path) -> None:
    """Where the original keeps them, and people look for them."""
    (tmp_path / "polls.py").write_text(POLLED)
    values = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"
    (tmp_path / "orgloop.yaml").write_text(values + "sources:\n  - {id: told, connector: ./polls.py}\n")
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.load_module(tmp_path)
        assert runtime.poll_now("told", module="m")
        with trio.fail_after(5):
            while runtime.modules()[0].sources["told"].health.last_success_at is None:  # noqa: ASYNC110
                await trio.sleep(0.01)

    assert '"c1"' in (tmp_path / ".orgloop" / "checkpoints" / "told.json").read_text()


async def test_what_was_loaded_is_loaded_again_by_the_next_run(tmp_path: Path) -> None:
    """From the same files, as they are then."""
    here = project(tmp_path / "p")
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.load_module(here)
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.restore()
        assert [(one.name, one.state) for one in runtime.modules()] == [("hello", "active")]


async def test_what_was_unloaded_is_not_loaded_again(tmp_path: Path) -> None:
    """Somebody took it out."""
    here = project(tmp_path / "p")
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.load_module(here)
        await runtime.unload_module("hello")
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.restore()
        assert runtime.modules() == ()


async def test_one_that_cannot_be_restored_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    """It is told, by name."""
    one, two = project(tmp_path / "one", name="one"), project(tmp_path / "two", name="two")
    async with open_runtime(home=tmp_path / "home") as runtime:
        await runtime.load_module(one)
        await runtime.load_module(two)
    (one / "orgloop.yaml").unlink()
    async with open_runtime(home=tmp_path / "home") as runtime:
        errors: list[str | None] = []
        runtime.on("module.error", lambda notice: errors.append(notice.error))
        await runtime.restore()
        assert [module.name for module in runtime.modules()] == ["two"]

    assert "one was not restored" in str(errors)


async def test_a_list_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    """Nobody is loaded by guessing, and the daemon starts."""
    (tmp_path / "modules.json").write_text("{")
    async with open_runtime(home=tmp_path) as runtime:
        errors: list[str | None] = []
        runtime.on("system.error", lambda notice: errors.append(notice.error))
        await runtime.restore()

    assert "cannot be read, and is now" in str(errors)
    assert any(tmp_path.glob("modules.json.unreadable-*"))  # noqa: ASYNC240 - nothing else runs any more


async def test_a_plan_says_what_a_reload_would_change(tmp_path: Path) -> None:
    """Against what runs, not against a file."""
    here = project(tmp_path / "p")
    async with open_runtime() as runtime:
        await runtime.load_module(here)
        assert runtime.plan(await runtime.read_project(here)).is_empty
        project(here, greeting="ciao")
        changed = runtime.plan(await runtime.read_project(here))
        assert [change.name for change in changed.actors if change.kind == "change"] == ["greeter"]


async def test_another_token_leaves_the_checkpoint(tmp_path: Path) -> None:
    """Whoever rotates a token still looks at the same outside; another repository is another one."""
    with_token = POLLED.replace(
        "    pass\n", '    token: str = attrs.field(metadata={"secret": True})\n    repo: str = "a"\n', 1
    )
    (tmp_path / "polls.py").write_text(with_token)
    values = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"
    source = "sources:\n  - {id: told, connector: ./polls.py, poll: {interval: 1h}, config: {token: TOKEN}}\n"
    file = tmp_path / "orgloop.yaml"
    async with open_runtime() as runtime:
        file.write_text(values + source.replace("TOKEN", '"${A}"'))
        await runtime.load_module(tmp_path, environ={"A": "first-secret"})
        rotated = await runtime.read_project(tmp_path, environ={"A": "second-secret"})
        assert [change.checkpoint for change in runtime.plan(rotated).sources] == ["kept"]
        file.write_text(values + source.replace("TOKEN", '"${A}", repo: b'))
        moved = await runtime.read_project(tmp_path, environ={"A": "first-secret"})
        assert [change.checkpoint for change in runtime.plan(moved).sources] == ["reset"]


LEAKS = """
import attrs
from orgloop.sdk import Connector, Offer, Rejected

@attrs.frozen
class Config:
    token: str = attrs.field(metadata={"secret": True})

class Leaks:
    def __init__(self, config, place):
        self.config = config

    async def deliver(self, delivery):
        return Rejected(f"401 from https://x/?token={self.config.token}")

CONNECTOR = Connector(id="leaks", summary="Leaks.", actor=Offer(config=Config, make=Leaks))
"""


async def test_a_secret_that_a_plugin_lets_slip_does_not_get_out(tmp_path: Path) -> None:
    """Not into notices, and not into dead letters."""
    (tmp_path / "leaks.py").write_text(LEAKS)
    values = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: m}\n"
    values += 'actors:\n  - {id: a, connector: ./leaks.py, config: {token: "${TOKEN}"}}\nsources:\n'
    values += "  - {id: s, connector: webhook}\nroutes:\n"
    values += "  - {name: r, when: {source: s, events: [resource.changed]}, then: {actor: a}}\n"
    (tmp_path / "orgloop.yaml").write_text(values)
    notices: list[object] = []
    async with open_runtime() as runtime:
        runtime.on("deliver.", notices.append)
        await runtime.load_module(tmp_path, environ={"TOKEN": "planted-secret"})
        await runtime.inject({**CHANGE, "source": "s"})
        assert await runtime.drain(timeout_s=5)
        letters = runtime.dead_letters()

    assert "401 from" in str(letters)
    assert "planted-secret" not in f"{letters} {notices}"
