"""
Workspaces: ``workspaces/<name>.yaml`` is laid over a project, so that one project runs in several environments.

    kind: Workspace
    variables: {API_URL: https://staging.example}     for ${…}; the process's own still win
    defaults: {poll_interval: 30s}
    sources:
      - {id: github, config: {repo: acme/staging}}    laid over the source of that id; an id that is new is added

Law: mappings are merged key by key, to any depth; lists of definitions by id or name; of anything else the workspace's
value counts. A key with nothing after it takes the value away, so that the default counts.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from orgloop.config._units import shown
from orgloop.config.document import Document
from orgloop.config.gather import NAMES, Gathered, Origin
from orgloop.config.reading import Session

DEFAULT = "default"
"""The workspace that is meant when none is named; it needs no file."""

KEYS = ("apiVersion", "kind", "metadata", "variables", "defaults", "supervision", "bus", "exports", *NAMES)
_HEAD = ("apiVersion", "kind", "metadata", "variables")


def lay_over(gathered: Gathered, document: Document, session: Session) -> None:
    """Lay a workspace over a project."""
    data = document.data
    for key in data:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            advice = f'; did you mean "{near[0]}"?' if near else f"; a workspace may have: {', '.join(KEYS)}"
            place = document.place((key,), code="OL1203")
            session.findings.fault("OL1203", f"unknown key{advice}", place=place, path=(key,))
    if data.get("kind", "Workspace") != "Workspace":
        text = f'must be "Workspace", got {shown(data["kind"])}'
        session.findings.fault("OL1211", text, place=document.place(("kind",)), path=("kind",))
    gathered.tops.append(Origin(document))
    for key, value in data.items():
        if key in NAMES:
            _merge_members(gathered, document, key, value, session)
        elif key not in _HEAD and key in KEYS:
            gathered.data[key] = merged(gathered.data.get(key), value)


def variables(document: Document, session: Session) -> dict[str, str]:
    """The variables of a workspace, which are text."""
    found = document.data.get("variables")
    if found is None:
        return {}
    if not isinstance(found, dict):
        text = f"must be a mapping of names to texts, got {shown(found)}"
        session.findings.fault("OL1201", text, place=document.place(("variables",)), path=("variables",))
        return {}
    for name, value in found.items():
        if not isinstance(value, str):
            text = f"must be text, got {shown(value)}; put it in quotes"
            place = document.place(("variables", name))
            session.findings.fault("OL1201", text, place=place, path=("variables", name))
    return {name: value for name, value in found.items() if isinstance(value, str)}


def merged(below: Any, above: Any) -> Any:
    """
    What is said above, laid over what is said below.

    >>> merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": None}})
    {'a': 1, 'b': {'c': 4}}
    """
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    whole = {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
    return {key: value for key, value in whole.items() if value is not None or key not in above}


def _merge_members(gathered: Gathered, document: Document, key: str, value: Any, session: Session) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        text = f"must be a list, got {shown(value)}"
        session.findings.fault("OL1201", text, place=document.place((key,)), path=(key,))
        return
    known = gathered.data.setdefault(key, [])
    places = {_name(member, key): number for number, member in enumerate(known)}
    for number, member in enumerate(value):
        origin = Origin(document, (key, number))
        place = places.get(_name(member, key)) if isinstance(member, dict) else None
        if place is None or _name(member, key) is None:
            gathered.add(key, member, origin)
        else:
            known[place] = merged(known[place], member)
            gathered.members[key][place] = [*gathered.members[key][place], origin]


def _name(member: Any, key: str) -> str | None:
    name = member.get(NAMES[key]) if isinstance(member, dict) else None
    return name if isinstance(name, str) else None
