"""
What happened in Linear, as events: the same whether it was asked for or told. Pure.

    issue.created  issue.state_changed  issue.assignee_changed  issue.priority_changed  issue.labels_changed
    issue.delegate_changed  comment.created

Names, provenance and payloads are those of the original; unlike there, ``author`` is who did it, and each event has a
``resource_id`` that is the same whenever it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from orgloop.sdk import Event


class Drift(ValueError):
    """What Linear said has not the shape that it had; the message says where."""


@attrs.frozen
class Author:
    """Who did something."""

    name: str = "unknown"
    type: str = "unknown"
    """Of :data:`orgloop.event.AUTHOR_TYPES`."""


@attrs.frozen(kw_only=True)
class Issue:
    """What events say of an issue."""

    id: str
    identifier: str
    title: str
    url: str
    description: str | None = None
    state: str | None = None
    assignee: str | None = None
    creator: Author = Author()


@attrs.frozen(kw_only=True)
class Change:
    """One thing about an issue that became another."""

    what: str
    """``state``, ``assignee``, ``priority``, ``labels`` or ``delegate``."""
    id: str
    """Of the change, or of the moment: unique with ``what`` and what it became."""
    author: Author
    said: Mapping[str, Any]
    """What the payload says of it: the previous, and the new."""
    state: str | None = None


def created(source: str, issue: Issue) -> Event:
    """An issue that is new."""
    said = {"action": "issue_created", **_about(issue), "issue_description": issue.description, "state": issue.state}
    provenance = _provenance("issue.created", issue, issue.creator, f"issue-{issue.id}-created")
    return Event(source, "resource.changed", provenance | {"state": issue.state}, said)


def changed(source: str, issue: Issue, change: Change) -> Event:
    """An issue of which something has changed."""
    provenance = _provenance(f"issue.{change.what}_changed", issue, change.author, change.id)
    if change.what == "state":
        provenance["state"] = change.state
    said = {"action": f"{change.what}_changed", **_about(issue), **change.said}
    return Event(source, "resource.changed", provenance, said)


def commented(source: str, issue: Issue, *, id: str, body: str, url: str, author: Author) -> Event:
    """A comment that is new."""
    provenance = _provenance("comment.created", issue, author, f"comment-{id}") | {
        "url": url,
        "issue_assignee": issue.assignee,
        "issue_creator": issue.creator.name,
    }
    return Event(
        source, "resource.changed", provenance, {"action": "comment_created", **_about(issue), "comment_body": body}
    )


def labels_said(previous: Sequence[str], new: Sequence[str]) -> dict[str, list[str]]:
    """What a payload says of labels that have changed."""
    return {
        "previous_labels": sorted(previous),
        "new_labels": sorted(new),
        "added_labels": sorted(set(new) - set(previous)),
        "removed_labels": sorted(set(previous) - set(new)),
    }


def _about(issue: Issue) -> dict[str, Any]:
    return {"issue_id": issue.identifier, "issue_title": issue.title}


def _provenance(platform_event: str, issue: Issue, author: Author, resource_id: str) -> dict[str, Any]:
    return {
        "platform": "linear",
        "platform_event": platform_event,
        "resource_id": resource_id,
        "author": author.name,
        "author_type": author.type,
        "issue_id": issue.identifier,
        "url": issue.url,
    }


# -- reading what Linear says ------------------------------------------------------------------------------------------


def node_at(node: Any, name: str) -> Mapping[str, Any] | None:
    """The object of that name, None if it says null or nothing; :class:`Drift` if it is anything else."""
    value = node.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise Drift(f"{name} is {_kind(value)}, not an object")
    return value


def nodes_at(node: Any, name: str) -> list[Mapping[str, Any]]:
    """The objects of a list of that name, none if it says null."""
    value = node.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, Mapping) for member in value):
        raise Drift(f"{name} is {_kind(value)}, not a list of objects")
    return value


def text_at(node: Any, name: str) -> str:
    """The text of that name, which must be there."""
    value = node.get(name)
    if not isinstance(value, str):
        raise Drift(f"{name} is {_kind(value)}, not a text")
    return value


def name_at(node: Any, name: str) -> str | None:
    """The name of the object of that name, if there is one."""
    found = node_at(node, name)
    return None if found is None else text_at(found, "name")


def time_ms_at(node: Any, name: str) -> int:
    """The time of that name, in Unix milliseconds."""
    text = text_at(node, name)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Drift(f"{name} is {text[:40]!r}, not a time") from exc
    if when.tzinfo is None:
        raise Drift(f"{name} is {text[:40]!r}, a time without a zone")
    return round(when.timestamp() * 1000)


def author_at(node: Any, user: str, *, bot: str = "botActor", external: str = "") -> Author:
    """Who did it: a member, an app or an integration, a guest, or somebody who is not in the workspace at all."""
    for key, kind in ((user, "team_member"), (bot, "bot"), (external, "external")):
        found = node_at(node, key) if key else None
        name = found.get("name") if found is not None else None
        if found is not None and isinstance(name, str) and name:
            return Author(
                name, "bot" if found.get("app") is True else "external" if found.get("guest") is True else kind
            )
    return Author()


def _kind(value: object) -> str:
    return "not there" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
