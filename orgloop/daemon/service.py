"""
Hand the daemon to the service manager of the host: what to write where, and which commands follow.

    systemd    watches the runtime itself: Type=notify, a watchdog that hears of real progress, restarts
    launchd    knows no watchdog, so it starts a supervising process
    docker     knows none either; an image with the project in it, and a volume for the home

A plan is a value: nothing is written by anybody but :func:`write_files`, and no command is run here at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import attrs

from orgloop.daemon.units import (
    DOCKERIGNORE,
    LABEL,
    ServiceSpec,
    compose_file,
    dockerfile,
    launchd_plist,
    systemd_unit,
)
from orgloop.delivery import _files as disk
from orgloop.errors import HomeError

Kind = Literal["systemd", "systemd-system", "launchd", "docker"]
Verb = Literal["start", "stop", "status", "logs"]

UNIT = "orgloop.service"
UNIT_BYTES = 64 * 1024
"""What is longer is no unit file of ours."""


@attrs.frozen
class UnitFile:
    """One file to be written."""

    path: Path
    text: str


@attrs.frozen
class ServicePlan:
    """What an installation comes to; nothing of it has been done."""

    kind: Kind
    files: tuple[UnitFile, ...]
    next_steps: tuple[str, ...]
    """Commands for a person to run."""


def default_kind(platform: str) -> Kind:
    """
    What ``sys.platform`` has.

    >>> default_kind("darwin"), default_kind("linux")
    ('launchd', 'systemd')
    """
    return "launchd" if platform == "darwin" else "systemd"


def plan_service(kind: Kind, spec: ServiceSpec, *, user_home: Path) -> ServicePlan:
    """What would be written, and what to do next; raises :class:`HomeError` if a path cannot be said in such a file."""
    for path in (spec.python, spec.home, spec.config):
        if not path.is_absolute() or any(ord(letter) < 32 for letter in str(path)):
            raise HomeError(f"{str(path)!r} cannot stand in a service file: it must be absolute, on one line")
    path = service_path(kind, user_home=user_home, project=spec.config.parent)
    if kind == "launchd":
        return ServicePlan(
            kind, (UnitFile(path, launchd_plist(spec)),), (f"launchctl bootstrap gui/$(id -u) '{path}'",)
        )
    if kind == "docker":
        files = {"compose.yaml": compose_file(spec), "Dockerfile": dockerfile(spec), ".dockerignore": DOCKERIGNORE}
        units = tuple(UnitFile(path.parent / name, text) for name, text in files.items())
        return ServicePlan(kind, units, (f"docker compose -f '{path}' up --build --detach",))
    scope = "" if kind == "systemd-system" else "--user "
    steps = [f"systemctl {scope}daemon-reload", f"systemctl {scope}enable --now {UNIT}"]
    if kind == "systemd":
        steps.append("loginctl enable-linger  # so that it runs while you are not logged in")
    return ServicePlan(kind, (UnitFile(path, systemd_unit(spec, is_system=kind == "systemd-system")),), tuple(steps))


def service_path(kind: Kind, *, user_home: Path, project: Path) -> Path:
    """The file by which one sees that a service is installed."""
    return {
        "systemd": user_home / ".config/systemd/user" / UNIT,
        "systemd-system": Path("/etc/systemd/system") / UNIT,
        "launchd": user_home / "Library/LaunchAgents" / f"{LABEL}.plist",
        "docker": project / "compose.yaml",
    }[kind]


def installed_service(*, user_home: Path, project: Path) -> Kind | None:
    """Which service manager has been given the daemon; None if none has."""
    kinds: tuple[Kind, ...] = ("systemd", "systemd-system", "launchd", "docker")
    for kind in kinds:
        if service_path(kind, user_home=user_home, project=project).is_file():
            return kind
    return None


def service_command(kind: Kind, verb: Verb, *, user_home: Path, project: Path, home: Path, uid: int) -> list[str]:
    """The command of the service manager for this: to be run as it is."""
    path = str(service_path(kind, user_home=user_home, project=project))
    if kind == "docker":
        words = {"start": ["up", "--build", "--detach"], "stop": ["stop"], "status": ["ps"], "logs": ["logs"]}
        return ["docker", "compose", "-f", path, *words[verb]]
    if kind == "launchd":
        domain = f"gui/{uid}"
        return {
            "start": ["launchctl", "bootstrap", domain, path],
            "stop": ["launchctl", "bootout", f"{domain}/{LABEL}"],
            "status": ["launchctl", "print", f"{domain}/{LABEL}"],
            "logs": ["tail", "-n", "100", str(home / "logs/daemon.stderr.log")],
        }[verb]
    scope = [] if kind == "systemd-system" else ["--user"]
    if verb == "logs":
        return ["journalctl", *scope, "--unit", UNIT, "--lines", "100", "--no-pager"]
    return ["systemctl", *scope, verb, UNIT]


def write_files(plan: ServicePlan, *, overwrite: bool = False) -> tuple[Path, ...]:
    """
    Write the files of a plan; those that were written.

    A file that is there and says something else is not touched, and no other one either, unless it may be overwritten:
    then :class:`HomeError` names it.
    """
    due = [file for file in plan.files if _content(file.path) != file.text.encode()]
    if taken := [str(file.path) for file in due if os.path.lexists(file.path) and not overwrite]:
        raise HomeError(f"{', '.join(taken)} is there already and differs; look at it, then use --force to replace it")
    for file in due:
        try:
            disk.write_atomic(file.path.parent, file.path.name, file.text.encode(), mode=0o644)
        except OSError as exc:
            raise HomeError(f"{file.path} cannot be written: {exc.strerror}; run this as a user who may") from exc
    return tuple(file.path for file in due)


def _content(path: Path) -> bytes | None:
    try:
        return disk.read(path.parent, path.name, limit_bytes=UNIT_BYTES)
    except OSError:
        return None
