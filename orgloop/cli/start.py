"""``orgloop start``: the project at work, here, in the background, or in the daemon that runs already."""

from __future__ import annotations

from typing import Any

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.launching import JOIN_S, door_options, doorway_of, join_options, launch, refuse_if_faulty
from orgloop.daemon.home import home_of
from orgloop.daemon.launch import Launch
from orgloop.daemon.owner import Owner, Unseen, find_owner


@click.command()
@click.option("--daemon", is_flag=True, help="Run in the background; return when it is ready, or with the reason.")
@click.option("--supervised", is_flag=True, help="Start it again when it dies or hangs; ten times in five minutes.")
@click.option("--force", is_flag=True, help="Skip the checks of `orgloop doctor`.")
@click.option("--watch", is_flag=True, help="Reload projects when their files change.")
@door_options
@pass_context
def start(context: Context, /, *, daemon: bool, supervised: bool, force: bool, watch: bool, **door: Any) -> int:
    """Start the project: as a daemon, or in the daemon that runs."""
    home = home_of(context.environ, group=door["group"])
    if isinstance(find_owner(home), Owner | Unseen):
        _warn_of_what_has_no_effect(context)
        return join(context)
    file = context.project_file
    if not force:
        refuse_if_faulty(context)
    wanted = Launch(
        projects=(file,),
        workspace=context.workspace,
        watches=watch,
        is_verbose=context.out.is_verbose,
        group=door["group"],
        doorway=doorway_of(door),
    )
    return launch(context, home, wanted, in_background=daemon, supervised=supervised)


def join(context: Context) -> int:
    """Have the daemon that runs load the project, or change what it has loaded of it."""
    out, client = context.out, context.client(timeout_s=JOIN_S)
    wanted = join_options(context)
    out.say("OrgLoop daemon is already running. Registering module...")
    plan = client.post("/control/module/plan", wanted)
    module = client.post("/control/module/load-project", wanted)
    summary = plan["summary"]
    out.say(f"Plan: {summary['add']} to add, {summary['change']} to change, {summary['remove']} to remove.")
    out.good(f'Module "{module["name"]}" registered into running daemon')
    parts = {part.capitalize(): module[part] for part in ("sources", "actors", "routes")}
    out.say(f"  State: {module['state']} | {' | '.join(f'{part}: {number}' for part, number in parts.items())}")
    out.document({"registered": True, "module": module, "plan": plan})
    return 0


def _warn_of_what_has_no_effect(context: Context) -> None:
    """Options that say how a daemon is to be, when there is one already."""
    current = click.get_current_context()
    for name in ("supervised", "watch", "host", "port", "public", "trust_host", "group"):
        if current.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            context.out.warn(f"--{name.replace('_', '-')} has no effect: the daemon runs already")


@click.command()
@click.option("--daemon", is_flag=True, help="Run in the background; return when it is ready, or with the reason.")
@click.option("--supervised", is_flag=True, help="Start it again when it dies or hangs; ten times in five minutes.")
@click.option("--watch", is_flag=True, help="Reload projects when their files change.")
@door_options
@pass_context
def serve(context: Context, /, *, daemon: bool, supervised: bool, watch: bool, **door: Any) -> int:
    """Start the daemon without a project; modules are loaded later."""
    home = home_of(context.environ, group=door["group"])
    wanted = Launch(watches=watch, is_verbose=context.out.is_verbose, group=door["group"], doorway=doorway_of(door))
    return launch(context, home, wanted, in_background=daemon, supervised=supervised)
