"""
``/control``: the runtime and its modules. Each thing that is done is told of: what, by what right, and what came of it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.config.plan import Plan, as_json
from orgloop.config.project import Project
from orgloop.errors import ConfigError, ModuleError, OrgLoopError
from orgloop.http.app import given, shapes
from orgloop.http.app.looking import module_status
from orgloop.http.app.plain import builtins
from orgloop.http.app.problems import Problem, Refused, absent, bad, conflict, not_offered
from orgloop.http.app.route import Api, Asked, Route

Plain = Asked[given.Nothing, None]

IF_MATCH = "If-Match"
_SEEN = ((IF_MATCH, "The generation that the client has seen; with another, nothing is done."),)

_STOPPING = "It is being stopped: nothing can be loaded, or changed, any more"


# -- looking -----------------------------------------------------------------------------------------------------------


async def status(api: Api, _: Plain) -> shapes.ControlStatus:
    """Tell how the runtime and its modules are."""
    statistics = api.runtime.statistics()
    now_s = api.now_s()
    return shapes.ControlStatus(
        running=api.runtime.is_open,
        pid=os.getpid(),
        uptime_ms=round(api.uptime_s * 1000),
        http_port=port_of(api),
        modules=[module_status(module, now_s) for module in statistics.modules],
        generation=sum(module.generation for module in statistics.modules),
        version=version("orgloop"),
        bus=dict(statistics.bus),
        notices=builtins(statistics.notices),
        parked=dict(statistics.parked),
        no_route=dict(statistics.no_route),
        loops=dict(statistics.loops),
    )


def port_of(api: Api) -> int | None:
    """Where the door listens, if that is a port."""
    return next((address.port for address in api.behind.addresses if address.port), None)


async def health(_api: Api, _: Plain) -> shapes.Alive:
    """Say that the process answers; without the token."""
    return shapes.Alive()


async def ready(api: Api, _: Plain) -> tuple[int, shapes.Ready]:
    """Say whether events can be admitted; without the token, 503 if not."""
    is_ready = (
        api.runtime.is_open
        and not api.turn.is_last
        and not api.behind.stopping.is_set()
        and api.runtime.statistics().bus.get("state") != "failed"
    )
    return 200 if is_ready else 503, shapes.Ready(ready=is_ready)


async def tree(api: Api, _: Plain) -> shapes.Tree:
    """Show the supervision tree as it is: states, lives, restarts, last errors."""
    return shapes.Tree(text=api.runtime.tree())


async def listed(api: Api, _: Plain) -> list[shapes.ModuleStatus]:
    """List the loaded modules."""
    return [module_status(module, api.now_s()) for module in api.runtime.modules()]


async def one(api: Api, asked: Plain) -> shapes.ModuleStatus:
    """Tell how one module is."""
    return module_of(api, asked.path["name"])


def module_of(api: Api, name: str) -> shapes.ModuleStatus:
    """A loaded module by its name, or 404."""
    for module in api.runtime.modules():
        if module.name == name:
            return module_status(module, api.now_s())
    raise absent(f"Module not found: {name}", next_="`GET /control/module/list` shows what is loaded.")


# -- changing ----------------------------------------------------------------------------------------------------------


@attrs.define
class _Told:
    """What is told of a control action when it is over."""

    module: str | None
    result: str = "done"
    metadata: dict[str, Any] = attrs.field(factory=dict)


@asynccontextmanager
async def action(api: Api, what: str, module: str | None = None) -> AsyncGenerator[_Told]:
    """
    Have a control action come to its end, even without its client, and tell of it; 409 once the end was asked for.

    Cut off in the middle it might have changed what runs, and not what is loaded again at the next start.
    """
    if api.turn.is_last:
        raise conflict(_STOPPING, code="stopping", next_="Start it again, then repeat this.")
    told = _Told(module)
    phase = f"control.{what}"
    try:
        with trio.CancelScope(shield=True):
            yield told
    except Exception as exc:
        api.tell(phase, module=told.module, result="refused", error=str(exc)[:1000], metadata={"by": "token"})
        raise
    api.tell(phase, module=told.module, result=told.result, metadata={"by": "token", **told.metadata})


async def load_project(api: Api, asked: Asked[given.Nothing, given.LoadProject]) -> shapes.ModuleStatus:
    """Load a project from the disk of the daemon; one that is loaded already is read again, and changed to it."""
    body = asked.body
    path = absolute(body.config_path, "configPath", folder=body.project_dir)
    return await start(api, path, workspace=body.workspace)


async def start(api: Api, path: Path, *, workspace: str) -> shapes.ModuleStatus:
    """Have a project loaded as it is on disk."""
    async with action(api, "module.load") as told:
        project = await read(api, path, workspace=workspace)
        told.module = project.name
        await reconcile(api, project)
        status = module_of(api, project.name)
        told.metadata["generation"] = status.generation
        return status


async def read(api: Api, path: Path, *, workspace: str) -> Project:
    """A project as it is on disk; its secrets are known from then on."""
    project = await api.runtime.read_project(path, workspace=workspace, environ=api.environ)
    api.masks.learn(project.secrets)
    for inner in project.modules:
        api.masks.learn(inner.secrets)
    return project


async def reconcile(api: Api, project: Project) -> None:
    """Load a project, or change what is loaded of it; 409 if another one has its name."""
    if all(module.name != project.name for module in api.runtime.modules()):
        await api.runtime.load_module(project)
        return
    loaded = api.runtime.project_of(project.name)
    if loaded is None or not await trio.to_thread.run_sync(_is_same, loaded.file, project.file):
        where = "plain data" if loaded is None else str(loaded.file)
        raise conflict(
            f'A module "{project.name}" is loaded already, from {where}',
            why="The name of a module is its identity.",
            next_="Unload that one first, or give this one another metadata.name.",
        )
    await api.runtime.reload_module(project.name, project)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, by whatever links."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def absolute(text: str, where: str, *, folder: str | None = None) -> Path:
    """
    A path that means the same wherever the daemon was started; 400 if it is none.

    ``folder`` is what it may be relative to, and has to be where the file is: paths in a project begin at its file.
    """
    if "\0" in text or (folder is not None and "\0" in folder):
        raise bad(f"{where}: a path cannot hold a NUL", where=where)
    path = Path(text) if folder is None else Path(folder) / text
    if not path.is_absolute():
        raise bad(
            f"{where}: {text!r} is not an absolute path",
            where=where,
            why="The daemon runs in a folder of its own.",
            next_="Give the whole path, from /.",
        )
    path = Path(os.path.normpath(path))
    if folder is not None and path.parent != Path(os.path.normpath(folder)):
        raise bad(
            f"projectDir: {folder!r} is not the folder of {path}",
            where="projectDir",
            why="Paths in a project are relative to its file.",
            next_="Leave projectDir out, or give the folder of the file.",
        )
    return path


async def load(api: Api, asked: Asked[given.Nothing, given.Load]) -> shapes.ModuleStatus:
    """Load a module from plain data: `{name?, config}`, or the configuration itself as the original has it."""
    body = asked.body
    async with action(api, "module.load", body.name) as told:
        told.module = await api.runtime.load_module(body.config, name=body.name)
        return module_of(api, told.module)


async def unload(api: Api, asked: Asked[given.Nothing, given.Unload]) -> shapes.Unloaded:
    """Take a module out: sources first, then what is under way has `drain_s` to end; the rest waits in the log."""
    body = asked.body
    async with action(api, "module.unload", body.name) as told:
        refuse_if_other(module_of(api, body.name), asked.headers[IF_MATCH])
        parked = await api.runtime.unload_module(body.name, drain_s=0.0 if body.force else body.drain_s)
        told.metadata["parked"] = parked
        return shapes.Unloaded(parked=parked)


async def reload(api: Api, asked: Asked[given.Nothing, given.Unload]) -> shapes.Reloaded:
    """Read a module again from its files, and apply what has changed; any fault changes nothing."""
    body = asked.body
    async with action(api, "module.reload", body.name) as told:
        loaded = module_of(api, body.name)
        refuse_if_other(loaded, asked.headers[IF_MATCH])
        before = loaded.generation
        project, plan = await _plan_of_loaded(api, body.name)
        drain_s = 0.0 if body.force else body.drain_s
        generation = await api.runtime.reload_module(body.name, project, drain_s=drain_s)
        told.metadata["generation"] = generation
        return shapes.Reloaded(
            generation=generation, changed=generation != before, plan=None if plan is None else as_json(plan)
        )


async def _plan_of_loaded(api: Api, name: str) -> tuple[Project | None, Plan | None]:
    """What the files of a module say now, and what that changes; nothing of one that was not read from files."""
    loaded = api.runtime.project_of(name)
    if loaded is None:
        return None, None
    project = await read(api, loaded.file, workspace=loaded.workspace)
    if project.name != name and loaded.name == name:
        raise ConfigError(f"{loaded.file}: metadata.name is {project.name!r} now; unload {name!r}, then load the other")
    return project, api.runtime.plan(project)


def refuse_if_other(module: shapes.ModuleStatus, generation: str | None) -> None:
    """412 if a module has another generation than a client has seen; 400 if that is no generation."""
    if generation is None:
        return
    digits = generation.strip().strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise bad(f"{IF_MATCH}: {generation[:40]!r} is no generation", where=IF_MATCH, next_='Write it as in "3".')
    if int(digits) != module.generation:
        what = f"Module {module.name} has generation {module.generation}, not {digits}"
        raise Refused(
            Problem(status=412, code="stale", what=what, where=IF_MATCH, next="Look at what it is now, then decide.")
        )


async def plan(api: Api, asked: Asked[given.Nothing, given.LoadProject]) -> dict[str, Any]:
    """Show what loading, or reloading, a project would change of what runs; changes nothing."""
    body = asked.body
    path = absolute(body.config_path, "configPath", folder=body.project_dir)
    return as_json(api.runtime.plan(await read(api, path, workspace=body.workspace)))


async def shutdown(api: Api, asked: Asked[given.Nothing, given.ShutDown]) -> shapes.Done:
    """Stop the daemon: what is under way drains; with `forget`, nothing is loaded again at the next start."""
    ask = api.control.shutdown
    if ask is None:
        raise not_offered("This runtime is part of another program", next_="Stop that program.")
    async with action(api, "shutdown") as told:
        told.metadata["forget"] = asked.body.forget
        ask(asked.body.forget)
        api.turn.is_last = True
    return shapes.Done()


async def reload_all(api: Api, _: Plain) -> shapes.ReloadedAll:
    """Read every project again, as SIGHUP does."""
    again = api.control.reload
    if again is None:
        raise not_offered(
            "This runtime is part of another program, which alone reads its projects again",
            next_="`POST /control/module/reload` reloads one module.",
        )
    async with action(api, "reload"):
        try:
            await again()
        except (ConfigError, ModuleError):
            raise
        except OrgLoopError as exc:
            raise conflict(f"Not everything was reloaded: {exc}") from exc
    return shapes.ReloadedAll(generations={module.name: module.generation for module in api.runtime.modules()})


ROUTES = (
    Route("GET", "/control/status", status, shapes.ControlStatus),
    Route("GET", "/control/health", health, shapes.Alive, needs_token=False),
    Route("GET", "/livez", health, shapes.Alive, needs_token=False),
    Route("GET", "/control/ready", ready, shapes.Ready, needs_token=False, faults=(503,)),
    Route("GET", "/control/tree", tree, shapes.Tree),
    Route("GET", "/control/module/list", listed, list[shapes.ModuleStatus]),
    Route("GET", "/control/module/status/{name}", one, shapes.ModuleStatus, faults=(404,)),
    Route(
        *("POST", "/control/module/load-project", load_project, shapes.ModuleStatus),
        body=given.LoadProject,
        faults=(409, 422),
    ),
    Route("POST", "/control/module/load", load, shapes.ModuleStatus, body=given.Load, faults=(409, 422)),
    Route(
        *("POST", "/control/module/unload", unload, shapes.Unloaded),
        body=given.Unload,
        headers=_SEEN,
        faults=(404, 409, 412),
    ),
    Route(
        *("POST", "/control/module/reload", reload, shapes.Reloaded),
        body=given.Unload,
        headers=_SEEN,
        faults=(404, 409, 412, 422),
    ),
    Route("POST", "/control/module/plan", plan, dict[str, Any], body=given.LoadProject, faults=(422,)),
    Route("POST", "/control/shutdown", shutdown, shapes.Done, body=given.ShutDown, faults=(409, 501)),
    Route("POST", "/control/reload", reload_all, shapes.ReloadedAll, body=given.Nothing, faults=(409, 422, 501)),
)
