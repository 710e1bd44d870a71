"""``orgloop install-service`` and ``orgloop service``: the daemon in the hands of the host's service manager."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import attrs
import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.daemon.launch import PORT
from orgloop.daemon.service import (
    Kind,
    Verb,
    default_kind,
    installed_service,
    plan_service,
    service_command,
    write_files,
)
from orgloop.daemon.units import ServiceSpec


@click.command("install-service")
@click.option("--systemd", "kind", flag_value="systemd", help="A systemd unit of this user; what Linux has.")
@click.option("--systemd-system", "kind", flag_value="systemd-system", help="A systemd unit of the host, for root.")
@click.option("--launchd", "kind", flag_value="launchd", help="A launch agent; what macOS has.")
@click.option("--docker", "kind", flag_value="docker", help="A Dockerfile and a compose.yaml beside the project.")
@click.option("--port", envvar="ORGLOOP_PORT", type=click.IntRange(1, 65535), default=PORT, help="Where it listens.")
@click.option("--user", help="As whom a unit of the host runs.  [orgloop]")
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
@click.option("--force", is_flag=True, help="Replace files that are there and differ.")
@pass_context
def install_service(
    context: Context, /, *, kind: Kind | None, port: int, user: str | None, dry_run: bool, force: bool
) -> int:
    """Write the files by which the host starts OrgLoop and keeps it running."""
    spec = ServiceSpec(
        python=Path(sys.executable),
        home=context.home.path,
        config=context.project_file,
        version=version("orgloop"),
        search_path=context.environ.get("PATH", os.defpath),
        user=user,
        port=port,
    )
    plan = plan_service(kind or default_kind(sys.platform), spec, user_home=_user_home(context))
    out = context.out
    written = () if dry_run else write_files(plan, overwrite=force)
    for file in plan.files:
        if dry_run:
            out.say(f"# {file.path}\n{file.text}")
        else:
            out.good(f"{file.path} — {'written' if file.path in written else 'is as it should be'}")
    out.say("Next:")
    for step in plan.next_steps:
        out.say(f"  {step}")
    out.document(
        {
            "platform": plan.kind,
            "config": str(spec.config),
            "files": [attrs.asdict(file) if dry_run else {"path": str(file.path)} for file in plan.files],
            "written": [str(path) for path in written],
            "next": list(plan.next_steps),
        }
    )
    return 0


@click.command()
@click.argument("verb", type=click.Choice(get_args(Verb)))
@pass_context
def service(context: Context, /, verb: Verb) -> int:
    """Start, stop, look at the installed service, or read its log."""
    user_home, project = _user_home(context), context.project_directory
    kind = installed_service(user_home=user_home, project=project)
    if kind is None:
        return _nothing_installed(context, verb)
    home = context.home.path
    command = service_command(kind, verb, user_home=user_home, project=project, home=home, uid=os.getuid())
    context.out.detail(" ".join(command))
    try:
        ended = subprocess.run(command, check=False, capture_output=context.is_json, text=True)
    except OSError as exc:
        raise CommandFailed(
            f"{command[0]} cannot be run",
            why=str(exc.strerror),
            next=f"install it, or run OrgLoop without it: orgloop start --daemon --supervised ({kind} was found)",
            code="service",
        ) from exc
    context.out.document(
        {"platform": kind, "command": command, "exit": ended.returncode, "output": ended.stdout or ended.stderr or ""}
    )
    # Of systemd, 3 says that a unit is stopped, which is an answer and no failure.
    return 0 if verb == "status" else int(ended.returncode != 0)


def _nothing_installed(context: Context, verb: Verb) -> int:
    if verb == "status":
        context.out.say("No service is installed. Install one: orgloop install-service")
        context.out.document({"installed": False})
        return 0
    raise CommandFailed(
        "No service is installed", next="orgloop install-service; or orgloop start --daemon", code="no_service"
    )


def _user_home(context: Context) -> Path:
    home = context.environ.get("HOME")
    if not home:
        raise CommandFailed("HOME is not set, so it is not known whose service this is", next="set HOME")
    return Path(home)
