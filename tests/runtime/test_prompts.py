"""The operator's prompt on its way to the actor, and when a changed file counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orgloop.errors import ConfigError
from orgloop.runtime.runtime import Runtime, open_runtime
from orgloop.testing import FakeActor, FakePolledSource

CONFIG: dict[str, Any] = {
    "metadata": {"name": "m"},
    "sources": [{"id": "github", "connector": "given"}],
    "actors": [{"id": "agent", "connector": "given"}],
    "routes": [
        {
            "name": "r",
            "when": {"source": "github", "events": ["resource.changed"]},
            "then": {"actor": "agent"},
            "with": {"prompt_file": "sop.md"},
        }
    ],
}


async def load(runtime: Runtime, actor: FakeActor, base: Path) -> None:
    """Load a module whose route has a prompt."""
    given = {"github": FakePolledSource()}
    await runtime.load_module(CONFIG, sources=given, actors={"agent": actor}, base=base)


async def inject(runtime: Runtime) -> None:
    """Have one event delivered."""
    await runtime.inject({"source": "github", "type": "resource.changed"}, module="m")
    assert await runtime.drain(timeout_s=5)


async def test_a_prompt_reaches_the_actor_with_its_front_matter_apart(tmp_path: Path) -> None:
    """Text, absolute path, and what stands between the dashes."""
    (tmp_path / "sop.md").write_text("---\nmodel: small\n---\nReview it.\n", encoding="utf-8")
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor, tmp_path)
        await inject(runtime)
    prompt = actor.deliveries[0].prompt

    assert prompt is not None
    assert (prompt.text, prompt.meta) == ("Review it.\n", {"model": "small"})
    assert prompt.file == str((tmp_path / "sop.md").resolve())


async def test_a_changed_prompt_counts_from_the_next_reload_on(tmp_path: Path) -> None:
    """All of a generation see the same; half an edit reaches nobody."""
    file = tmp_path / "sop.md"
    file.write_text("old", encoding="utf-8")
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor, tmp_path)
        file.write_text("new", encoding="utf-8")
        await inject(runtime)
        await runtime.reload_module("m")
        await inject(runtime)

    assert [one.prompt and one.prompt.text for one in actor.deliveries] == ["old", "new"]


async def test_a_prompt_that_is_gone_refuses_the_reload_and_the_old_one_goes_on(tmp_path: Path) -> None:
    """Nobody is sent to work without instructions."""
    file = tmp_path / "sop.md"
    file.write_text("old", encoding="utf-8")
    actor = FakeActor()
    async with open_runtime() as runtime:
        await load(runtime, actor, tmp_path)
        file.unlink()
        with pytest.raises(ConfigError, match=r"sop\.md"):
            await runtime.reload_module("m")
        await inject(runtime)

    assert [one.prompt and one.prompt.text for one in actor.deliveries] == ["old"]
