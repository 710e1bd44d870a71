"""``orgloop stop`` and ``orgloop shutdown``: the project of this folder, or the whole daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from orgloop.cli.client import NotRunning, Refused
from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.shown import count
from orgloop.daemon.home import Home
from orgloop.daemon.owner import LOOK_EVERY_S, Owner, Unseen, find_owner, is_free
from orgloop.daemon.stop import NotStopped, Stopped, stop_owner

ASK_S = 5.0
"""How long the daemon may take to answer that it will stop; after that it is sent a signal."""

END_S = 13.0
"""How long it may take to end, once it has said that it will: 10 s for what is under way, and 2 s for its clean-up."""

UNLOAD_S = 30.0
"""How long it may take to unload a module, 10 s of which are for what is under way."""


@click.command()
@click.option("--all", "everything", is_flag=True, help="Stop the daemon, whatever else it has loaded.")
@click.option("--force", is_flag=True, help="Kill the daemon if it does not stop in time; nothing admitted is lost.")
@pass_context
def stop(context: Context, /, *, everything: bool, force: bool) -> int:
    """Stop this folder's module, or the daemon with the last of them."""
    owner = owner_of(context)
    if owner is None:
        return 0
    if everything:
        ended = stop_daemon(context, owner, force=force)
        context.out.good(f"OrgLoop stopped (PID {ended.pid}).")
        context.out.document({"stopped": True, "pid": ended.pid, "all": True, "killed": ended.was_killed})
        return 0
    modules = _modules(context, force=force)
    here = _of_this_folder(context, modules)
    if here is None and modules:
        raise CommandFailed(
            "No module of this folder is loaded, so nothing was stopped",
            where=str(context.project_directory),
            why=f"loaded are: {', '.join(module['name'] + ' (' + module['directory'] + ')' for module in modules)}",
            next="orgloop module unload NAME, or orgloop stop --all for the whole daemon",
            code="module",
        )
    if here is not None and len(modules) > 1:
        return _stop_module(context, here, force=force)
    if here is not None:
        context.out.say(f'Module "{here}" is the last module. Shutting down daemon.')
    ended = stop_daemon(context, owner, force=force)
    context.out.good(f"OrgLoop stopped (PID {ended.pid}).")
    context.out.document(
        {"stopped": True, "pid": ended.pid, "module": here, "daemonStopped": True, "killed": ended.was_killed}
    )
    return 0


@click.command()
@click.option("--force", is_flag=True, help="Kill the daemon if it does not stop in time; nothing admitted is lost.")
@pass_context
def shutdown(context: Context, /, *, force: bool) -> int:
    """Stop the daemon; load nothing again at the next start."""
    owner = owner_of(context)
    if owner is None:
        return 0
    ended = stop_daemon(context, owner, force=force)
    context.out.good(f"OrgLoop shut down (PID {ended.pid}).")
    context.out.document({"shutdown": True, "pid": ended.pid, **({"force": True} if force else {})})
    return 0


def owner_of(context: Context) -> Owner | None:
    """Who runs on the home; None if nobody does, which has then been said."""
    found = find_owner(context.home)
    if isinstance(found, Owner):
        return found
    if isinstance(found, Unseen):
        raise NotRunning("the daemon cannot be reached", where=str(context.home.path), why=found.reason, code="unseen")
    context.out.say("OrgLoop is not running.")
    if found is not None:
        context.out.detail(found.reason)
    context.out.document({"stopped": False, "running": False})
    return None


def stop_daemon(context: Context, owner: Owner, *, force: bool) -> Stopped:
    """
    End the daemon, whoever is loaded; nothing of it is loaded again at the next start.

    It is asked over its API, because only there it can be told to forget; by a signal only if that does not help, since
    one that comes while it ends would end it untidily.
    """
    home, began_s = context.home, time.monotonic()
    is_told = _tell_to_forget(context)
    if is_told and _is_free_within(home, END_S):
        return Stopped(owner.process.pid, time.monotonic() - began_s)
    ended = stop_owner(home, owner, force=force)
    if isinstance(ended, NotStopped):
        raise CommandFailed(
            "The daemon has not stopped",
            where=str(home.path),
            why=ended.reason,
            next="orgloop stop --all --force",
            code="not_stopped",
        )
    if not is_told:
        home.remove(home.modules)
    return ended


def _is_free_within(home: Home, timeout_s: float) -> bool:
    until_s = time.monotonic() + timeout_s
    while not is_free(home):
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_EVERY_S)
    return True


def _tell_to_forget(context: Context) -> bool:
    try:
        context.client(timeout_s=ASK_S).post("/control/shutdown", {"forget": True})
    except (NotRunning, Refused) as exc:
        context.out.detail(f"It does not answer ({exc.why or exc.what}), so it is sent a signal.")
        return False
    return True


def _modules(context: Context, *, force: bool) -> Sequence[dict[str, Any]]:
    """What is loaded; a daemon that does not say is stopped as a whole, if that is wanted by force."""
    try:
        modules: list[dict[str, Any]] = context.client(timeout_s=ASK_S).get("/control/module/list")
    except NotRunning as exc:
        if force:
            return ()
        raise CommandFailed(
            exc.what, where=exc.where, why=exc.why, next="orgloop stop --all, or with --force", code=exc.code
        ) from exc
    return modules


def _of_this_folder(context: Context, modules: Sequence[dict[str, Any]]) -> str | None:
    folder = Path(os.path.realpath(context.project_directory))
    return next((one["name"] for one in modules if Path(os.path.realpath(one["directory"])) == folder), None)


def _stop_module(context: Context, name: str, *, force: bool) -> int:
    out, client = context.out, context.client(timeout_s=UNLOAD_S)
    out.say(f'Unloading module "{name}"...')
    answer = client.post("/control/module/unload", {"name": name, "force": force})
    left = len(client.get("/control/module/list"))
    out.good(f'Module "{name}" stopped. Daemon continues with {count(left, "module")}.')
    if answer["parked"]:
        out.say(f"  Deliveries that wait for its next load: {answer['parked']}.")
    out.document(
        {
            "stopped": True,
            "module": name,
            "daemonStopped": False,
            "remainingModules": left,
            "parked": answer["parked"],
        }
    )
    return 0
