"""What ``start``, ``serve`` and ``demo`` share: where the door is to be, and how a daemon comes to run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orgloop.cli.context import Context
from orgloop.cli.errors import FAILED, CommandFailed, report
from orgloop.cli.output import Output
from orgloop.cli.shown import count, duration
from orgloop.daemon.home import Home
from orgloop.daemon.launch import PORT, Doorway, Launch

if TYPE_CHECKING:
    from orgloop.daemon.serving import Serving
    from orgloop.runtime.runtime import Runtime

F = TypeVar("F", bound=Callable[..., Any])

JOIN_S = 60.0
"""How long a daemon may take to load a project."""

_DOOR = (
    click.option("--host", envvar="ORGLOOP_HOST", default="127.0.0.1", help="Where to listen. [ORGLOOP_HOST]"),
    click.option(
        "--port",
        envvar="ORGLOOP_PORT",
        type=click.IntRange(0, 65535),
        default=PORT,
        help="On which port; 0 takes a free one. [ORGLOOP_PORT, 4800]",
    ),
    click.option(
        "--public",
        envvar="ORGLOOP_PUBLIC",
        is_flag=True,
        help="Let --host be an address that others can reach, without TLS. [ORGLOOP_PUBLIC]",
    ),
    click.option(
        "--trust-host",
        envvar="ORGLOOP_TRUST_HOSTS",
        multiple=True,
        metavar="NAME:PORT",
        help="A value of Host that is ours too, such as that of a proxy. [ORGLOOP_TRUST_HOSTS]",
    ),
    click.option("--group", metavar="NAME", help="Open the home, its socket and its token to a group of users."),
)


def door_options(command: F) -> F:
    """The options that say where the door is."""
    for option in reversed(_DOOR):
        command = option(command)
    return command


def doorway_of(door: Mapping[str, Any]) -> Doorway:
    """Where the door is to be."""
    return Doorway(host=door["host"], port=door["port"], is_public=door["public"], hosts=frozenset(door["trust_host"]))


def join_options(context: Context) -> dict[str, str]:
    """The project that is meant, as the control API wants it named."""
    file = context.project_file
    return {"configPath": str(file), "projectDir": str(file.parent), "workspace": context.workspace}


def refuse_if_faulty(context: Context) -> None:
    """Look at the project as ``doctor`` does; what keeps it from working ends the start."""
    from orgloop.cli.doctor import diagnosis_of, tell_diagnosis

    diagnosis = diagnosis_of(context)
    if diagnosis.status == "ok":
        return
    tell_diagnosis(diagnosis, context.out)
    if diagnosis.status == "error":
        raise CommandFailed(
            "Doctor check failed. Fix errors above or use --force to bypass.",
            where=str(context.project_file),
            next="orgloop doctor",
            code="doctor",
            faults=[_fault(check) for check in diagnosis.checks if check.status == "error"] if context.is_json else (),
        )
    context.out.warn("Proceeding in degraded mode.")


def _fault(check: Any) -> dict[str, Any]:
    return {"code": check.category, "text": check.detail or check.name, "fix": check.description}


# -- to run ------------------------------------------------------------------------------------------------------------


def launch(context: Context, home: Home, wanted: Launch, *, in_background: bool, supervised: bool) -> int:
    """Run a daemon: behind us, or in this process until it ends; the exit code."""
    if in_background:
        return _behind(context, home, wanted, supervised=supervised)
    context.out.say("Starting...")
    if supervised:
        from orgloop.daemon.parent import supervise

        os.environ["ORGLOOP_HOME"] = str(home.path)
        return supervise(wanted.command("run"), home)
    return _here(context, home, wanted)


def _behind(context: Context, home: Home, wanted: Launch, *, supervised: bool) -> int:
    from orgloop.daemon.background import NotStarted, start_in_background

    started = start_in_background(wanted.command("supervise" if supervised else "run"), home)
    if isinstance(started, NotStarted):
        raise CommandFailed(
            f"OrgLoop did not start: {started.reason}",
            where=str(home.stderr_log),
            next="correct that, then start it again; orgloop validate shows every fault of a project",
            code="not_started",
        )
    out = context.out
    modules = context.client().get("/control/module/list")
    for module in modules:
        counts = ", ".join(count(module[f"{part}s"], part) for part in ("source", "actor", "route"))
        out.good(f'Module "{module["name"]}" — {module["state"]}: {counts}')
    _tell_where(out, started.pid, started.port)
    out.document(
        {"started": True, "pid": started.pid, "port": started.port, "supervised": supervised, "modules": modules}
    )
    return 0


def _here(context: Context, home: Home, wanted: Launch) -> int:
    from orgloop.daemon.hosting import serve_launch
    from orgloop.daemon.run import run_daemon

    code = FAILED

    def tell_why(exc: BaseException) -> None:
        nonlocal code
        code = report(exc, context.out)

    ended = run_daemon(serve_launch(wanted, when_ready=partial(_tell_ready, context.out)), home, tell_why=tell_why)
    return code if ended else 0


def _tell_ready(out: Output, runtime: Runtime, serving: Serving) -> None:
    """Say what runs; who does not listen any more ends nothing by that."""
    with contextlib.suppress(OSError):
        for line in _lines(runtime):
            out.good(line)
        _tell_where(out, os.getpid(), serving.port)
        names = [module.name for module in runtime.modules()]
        out.document({"started": True, "pid": os.getpid(), "port": serving.port, "modules": names})
        out.out.flush()


def _lines(runtime: Runtime) -> Iterator[str]:
    for module in runtime.modules():
        for id_, source in module.sources.items():
            how = "hook listener started"
            if source.interval_s is not None:
                how = f"polling started (every {duration(source.interval_s)})"
            yield f"Source {id_} — {how}"
        yield from (f"Actor {id_} — ready" for id_ in module.actors)
        yield from (f"Route {name} — active" for name in module.routes)
        yield from (f"Logger {logger.name} — configured" for logger in runtime.config_of(module.name).loggers)


def _tell_where(out: Output, pid: int, port: int | None) -> None:
    out.say(f"OrgLoop is running. PID: {pid}" + (f", http://127.0.0.1:{port}" if port is not None else ""))
    out.say("Logs: orgloop logs | Status: orgloop status | Stop: orgloop stop")
