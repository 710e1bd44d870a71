"""Projects that are reloaded when their files change, on a real file system."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from orgloop.errors import ConfigError
from orgloop.runtime.watch import Watched, watch

pytestmark = pytest.mark.slow


@attrs.define(eq=False)
class Reloads:
    """Which modules were reloaded, and what was told."""

    files: dict[str, tuple[Path, ...]]
    names: list[str] = attrs.field(factory=list)
    told: list[Any] = attrs.field(factory=list)
    fault: Exception | None = None

    async def reload(self, name: str) -> None:
        self.names.append(name)
        if self.fault is not None:
            raise self.fault

    async def until(self, count: int) -> None:
        """Wait until so many reloads have been asked for."""
        with trio.fail_after(5):
            while len(self.names) < count:  # noqa: ASYNC110 - it comes from a thread of the file system's
                await trio.sleep(0.02)


@asynccontextmanager
async def watching(reloads: Reloads) -> AsyncGenerator[None]:
    watched = Watched(
        files=lambda: dict(reloads.files),
        reload=reloads.reload,
        tell=lambda phase, **fields: reloads.told.append((phase, fields)),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(watch, watched)
        yield
        nursery.cancel_scope.cancel("seen enough")


def written(path: Path, text: str = "x") -> Path:
    path.write_text(text)
    return path


async def test_a_file_that_changes_reloads_its_module(tmp_path: Path) -> None:
    """And no other."""
    one, two = written(tmp_path / "one.yaml"), written(tmp_path / "two.yaml")
    reloads = Reloads({"one": (one,), "two": (two,)})
    async with watching(reloads):
        written(two, "changed")
        await reloads.until(1)
        await trio.sleep(0.5)

    assert reloads.names == ["two"]


async def test_many_files_at_once_are_one_reload(tmp_path: Path) -> None:
    """As when another branch is checked out."""
    paths = tuple(written(tmp_path / f"{number}.yaml") for number in range(20))
    reloads = Reloads({"m": paths})
    async with watching(reloads):
        for path in paths:
            written(path, "changed")
        await reloads.until(1)
        await trio.sleep(0.5)

    assert reloads.names == ["m"]


async def test_a_file_that_is_replaced_has_changed(tmp_path: Path) -> None:
    """That is how editors write."""
    path = written(tmp_path / "orgloop.yaml")
    reloads = Reloads({"m": (path,)})
    async with watching(reloads):
        os.replace(written(tmp_path / "other", "changed"), path)
        await reloads.until(1)

    assert reloads.names == ["m"]


async def test_a_reload_that_is_refused_is_told_and_tried_again_when_the_file_changes(tmp_path: Path) -> None:
    """The watcher goes on."""
    path = written(tmp_path / "orgloop.yaml")
    reloads = Reloads({"m": (path,)}, fault=ConfigError("routes: wrong"))
    async with watching(reloads):
        written(path, "wrong")
        await reloads.until(1)
        written(path, "right")
        await reloads.until(2)

    assert reloads.names == ["m", "m"]
    assert "goes on as it was: routes: wrong" in str(reloads.told[0])


async def test_a_module_that_is_loaded_later_is_watched_too(tmp_path: Path) -> None:
    """It is asked again which files there are."""
    reloads = Reloads({})
    async with watching(reloads):
        path = written(tmp_path / "orgloop.yaml")
        reloads.files["m"] = (path,)
        await trio.sleep(0.5)
        written(path, "changed")
        await reloads.until(1)

    assert reloads.names == ["m"]
