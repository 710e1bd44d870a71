"""
Projects on disk, loaded as modules: the one that a path leads to, and those that it names under ``modules:``.

Reading is done in a thread, beside what runs; only when everything has been read is anything changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.config.plan import Plan, plan
from orgloop.config.project import Examined, Project, examine_project, load_project
from orgloop.errors import OrgLoopError
from orgloop.runtime.installed import Installed
from orgloop.runtime.module import Objects, Origin
from orgloop.runtime.modules import Loaded, Modules
from orgloop.runtime.remembered import Entry, Unreadable, recall, remember


@attrs.define(eq=False)
class Projects:
    """Reads projects, and has the registry load what they say."""

    _modules: Modules
    _home: Path | None
    """Where the user's own defaults are, the cache, and what is remembered."""
    _tell: Callable[..., None]
    _missing: dict[str, Entry] = attrs.field(factory=dict)
    """What was loaded in an earlier run, and could not be restored: it is tried again at the next start."""

    async def read(self, path: Path, *, workspace: str, environ: Mapping[str, str] | None = None) -> Project:
        """
        What stands in a folder, or in a file; ``environ`` are the variables of this process unless given.

        Raises :class:`orgloop.errors.ConfigError` with every fault of every file.
        """
        load = partial(load_project, path, **self._around(workspace, environ))
        return await trio.to_thread.run_sync(load)

    async def examine(self, path: Path, *, workspace: str, environ: Mapping[str, str] | None = None) -> Examined:
        """All there is to say of a project, as :meth:`read` reads it; variables that are not set are warnings."""
        examine = partial(examine_project, path, **self._around(workspace, environ))
        return await trio.to_thread.run_sync(examine)

    def _around(self, workspace: str, environ: Mapping[str, str] | None) -> dict[str, Any]:
        """What a project is read with, beside its files."""
        return {
            "environ": dict(os.environ) if environ is None else environ,
            "catalogue": Installed(self._modules.plugins),
            "workspace": workspace,
            "home": self._home,
            "cache": None if self._home is None else self._home / "cache",
        }

    async def load(self, project: Project, objects: Objects, *, name: str | None = None) -> Loaded:
        """Load a project, and what it names; all or none."""
        origins = [origin_of(project, objects, name=name), *(origin_of(one, objects) for one in project.modules)]
        done: list[Loaded] = []
        try:
            for origin in origins:
                loaded = await self._modules.load(origin)
                done.append(loaded)
        except OrgLoopError:
            for loaded in reversed(done):
                await self._modules.unload(loaded.module.name, drain_s=0.0)
            raise
        return done[0]

    async def reload(self, loaded: Loaded, project: Project, objects: Objects, *, drain_s: float) -> Loaded:
        """
        Give a loaded project what was read anew, and the modules that it names likewise.

        Each module changes whole or not at all. The project itself comes first, so that a fault of it changes nothing;
        a module that it names no longer goes last.
        """
        before = loaded.origin.project
        named = {one.name for one in project.modules}
        result = await self._modules.reload(origin_of(project, objects, name=loaded.module.name), drain_s=drain_s)
        for one in project.modules:
            if one.name in self._modules.loaded:
                await self._modules.reload(origin_of(one, objects), drain_s=drain_s)
            else:
                await self._modules.load(origin_of(one, objects))
        for gone in before.modules if before is not None else ():
            if gone.name not in named and gone.name in self._modules.loaded:
                await self._modules.unload(gone.name, drain_s=drain_s)
        return result

    async def unload(self, name: str, *, drain_s: float) -> int:
        """Take a module out, and after it those that it names; how many obligations are left for their next loads."""
        project = self._modules.find(name).origin.project
        left = await self._modules.unload(name, drain_s=drain_s)
        for one in project.modules if project is not None else ():
            if one.name in self._modules.loaded:
                left += await self._modules.unload(one.name, drain_s=drain_s)
        return left

    # -- over restarts -------------------------------------------------------------------------------------------------

    async def remember(self) -> None:
        """Write down which projects are loaded; a disk that refuses is told of, and changes nothing else."""
        if self._home is None:
            return
        for name in self._modules.loaded:
            self._missing.pop(name, None)
        entries = [
            Entry(
                name=name,
                sourceDir=str(project.directory),
                configPath=str(project.file),
                loadedAt=loaded.loaded_at,
                workspace=project.workspace,
            )
            for name, loaded in self._modules.loaded.items()
            if (project := loaded.origin.project) is not None
        ] + list(self._missing.values())
        try:
            await trio.to_thread.run_sync(remember, self._home, entries)
        except OSError as exc:
            self._tell("system.error", error=f"what is loaded cannot be written down for the next start: {exc}")

    async def restore(self, *, but: Collection[Path] = ()) -> None:
        """
        Load again what was loaded when the last run ended, but for the projects whose files are ``but``.

        What cannot be loaded is told, and does not keep the others from it.
        """
        if self._home is None:
            return
        try:
            entries = await trio.to_thread.run_sync(partial(recall, self._home, now_s=time.time()))
        except (Unreadable, OSError) as exc:
            self._tell("system.error", error=str(exc))
            return
        for entry in entries:
            path = Path(entry.configPath)
            if path in but or entry.name in self._modules.loaded:
                continue
            try:
                project = await self.read(path, workspace=entry.workspace)
                await self._modules.load(origin_of(project, Objects(), name=entry.name))
            except OrgLoopError as exc:
                self._missing[entry.name] = entry
                self._tell("module.error", module=entry.name, error=f"{entry.name} was not restored: {exc}")

    def plan(self, project: Project) -> Plan:
        """What loading, or reloading, a project would change of what runs."""
        loaded = self._modules.loaded.get(project.name)
        before = None if loaded is None else loaded.origin.project
        return plan(
            None if loaded is None else loaded.origin.config,
            project.config,
            name=project.name,
            secrets=project.secrets | (frozenset() if before is None else before.secrets),
            identity=lambda source: self._modules.plugins.identity(source, project.directory),
        )


def origin_of(project: Project, objects: Objects, *, name: str | None = None) -> Origin:
    """What a module is built from that stands in files."""
    return Origin(
        name=name or project.name,
        config=project.config,
        objects=objects,
        where=str(project.file),
        directory=project.directory,
        project=project,
    )
