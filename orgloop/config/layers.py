"""
What is laid below and over a project: the user's defaults, the workspace, and the variables of ``.env``.

Law: the user's file never stops a project, so what is wrong in it is a warning; a workspace and ``.env`` are the
project's own, so what is wrong in them is a fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from orgloop.config._codec import structure
from orgloop.config._files import decoded, refuse_stray_link
from orgloop.config._refused import Refused
from orgloop.config._units import shown
from orgloop.config.document import Document
from orgloop.config.environment import parse_env
from orgloop.config.gather import Gathered, Origin
from orgloop.config.module import ID, Defaults
from orgloop.config.reading import Session
from orgloop.config.workspace import DEFAULT, lay_over, variables
from orgloop.errors import ConfigError, Fault, Place


def lay_below(gathered: Gathered, home: Path, session: Session, *, is_told: bool) -> None:
    """
    Lay the project's defaults over those in the user's ``config.yaml``, of which nothing else is used.

    ``is_told``: warn of what is wrong there; once is enough for a project and all its modules.
    """
    apart = Session()
    document = apart.document(home / "config.yaml", named_at=None)
    faults = [fault for fault in apart.findings.faults if fault.code != "OL1001"]
    session.contents.update(apart.contents)
    users: dict[str, Any] = {}
    if document is not None and document.data is not None:
        users, strange = _users_defaults(document)
        faults += strange
    for fault in faults if is_told else ():
        text = f"in the user's defaults: {fault.text}; this is left out"
        session.findings.warn("OL1905", text, place=fault.place, path=fault.path)
    own = gathered.data.get("defaults")
    if users and document is not None and (own is None or isinstance(own, dict)):
        gathered.data["defaults"] = {**users, **(own or {})}
        gathered.tops.insert(0, Origin(document))


def _users_defaults(document: Document) -> tuple[dict[str, Any], list[Fault]]:
    """Those of the user's defaults that can be used, and what is wrong with the others."""
    data = document.data
    users = data.get("defaults") if isinstance(data, dict) else data
    if users is None:
        return {}, []
    if not isinstance(users, dict):
        return {}, [Fault((), "must be a mapping", "OL1106", document.place(("defaults",)))]
    try:
        structure(Defaults, users, where="")
    except ConfigError as exc:
        bad = {fault.path[0] for fault in exc.faults if fault.path}
        faults = [_placed(fault, document) for fault in exc.faults]
        return {key: value for key, value in users.items() if key not in bad}, faults
    return users, []


def _placed(fault: Fault, document: Document) -> Fault:
    path = ("defaults", *fault.path)
    return attrs.evolve(fault, path=path, place=document.place(path, code=fault.code))


def lay_workspace_over(gathered: Gathered, name: str, session: Session, *, is_required: bool) -> Mapping[str, str]:
    """Lay a workspace over a project; its variables. ``is_required``: that there is none is a fault."""
    if not ID.fullmatch(name):
        text = f"{shown(name)} cannot be the name of a workspace: it is the name of a file"
        session.findings.fault("OL1802", text, place=None)
        return {}
    folder = gathered.folder / "workspaces"
    file = next((file for file in _spellings(folder, name) if os.path.lexists(file)), None)
    if file is None:
        if is_required and name != DEFAULT:
            known = sorted(Path(entry).stem for entry in _entries(folder) if entry.endswith((".yaml", ".yml")))
            text = f"there is no workspace {shown(name)}: {folder / name}.yaml was not found"
            text += f"; there are: {', '.join(dict.fromkeys([DEFAULT, *known]))}"
            session.findings.fault("OL1801", text, place=gathered.tops[-1].document.place(()))
        return {}
    document = session.document(file, named_at=None, within=[gathered.folder])
    if document is None or document.data is None:
        return {}
    if not isinstance(document.data, dict):
        session.findings.fault("OL1106", "must be a mapping", place=document.place(()))
        return {}
    lay_over(gathered, document, session)
    return variables(document, session)


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _spellings(folder: Path, name: str) -> Iterator[Path]:
    yield folder / f"{name}.yaml"
    yield folder / f"{name}.yml"


def env_file(folder: Path, session: Session) -> Mapping[str, str]:
    """The variables in the ``.env`` of a folder; there need be none. Its lines are never shown."""
    file = folder / ".env"
    try:
        refuse_stray_link(file, within=[folder])
        found, strange = parse_env(decoded(session.bytes_of(file), file))
    except Refused as exc:
        if exc.code != "OL1001":
            session.findings.fault(exc.code, str(exc), place=Place(str(file), 1, 1))
        return {}
    for line in strange:
        text = "not of the form NAME=value; the line is left out"
        session.findings.warn("OL1403", text, place=Place(str(file), line, 1))
    return found
