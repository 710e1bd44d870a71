"""What a body of Linear's says, as events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orgloop.sdk import Event
from orgloop_connectors._linear import (
    Author,
    Change,
    Drift,
    Issue,
    author_at,
    changed,
    commented,
    created,
    labels_said,
    name_at,
    node_at,
    nodes_at,
    text_at,
)

Node = Mapping[str, Any]


def events_of(source: str, body: Node) -> list[Event]:
    """
    The events that a body of Linear's is.

    What is not known, or has not the shape that it had, is passed on as it was sent: a 400 would lose it.
    """
    try:
        known = _known(source, body)
    except Drift:
        return [_raw(source, body, dict(body))]
    return known or [_raw(source, body, {"data": body.get("data")} if body["type"] == "Issue" else dict(body))]


def _known(source: str, body: Node) -> list[Event]:
    data = node_at(body, "data") or {}
    match body["type"], body["action"]:
        case "Issue", "create":
            return [created(source, _issue(data, body))]
        case "Issue", "update":
            changes = _changes(data, body)
            return [changed(source, _issue(data, body), change) for change in changes] if changes else []
        case "Comment", "create" if isinstance(data.get("issue"), Mapping):
            return [_comment(source, data, body)]
    return []


def _comment(source: str, data: Node, body: Node) -> Event:
    author = author_at(data, "user", external="externalUser")
    return commented(
        source,
        _issue(data["issue"], body),
        id=text_at(data, "id"),
        body=text_at(data, "body"),
        url=_url(data, body),
        author=_actor(body) if author == Author() else author,
    )


def _raw(source: str, body: Node, payload: dict[str, Any]) -> Event:
    """Whatever else it is, as it was sent."""
    author, data = _actor(body), node_at(body, "data") or {}
    kind = f"{body['type'].lower()}.{body['action']}"
    provenance = {
        "platform": "linear",
        "platform_event": kind,
        "resource_id": f"{kind}-{data.get('id')}-{data.get('updatedAt') or body.get('createdAt')}",
        "author": author.name,
        "author_type": author.type,
        "url": _url(data, body),
    }
    return Event(source, "resource.changed", provenance, payload)


def _issue(data: Node, body: Node) -> Issue:
    creator = author_at(data, "creator", external="externalUserCreator")
    if creator == Author() and body["type"] == "Issue" and body["action"] == "create":
        creator = _actor(body)
    description, identifier = data.get("description"), data.get("identifier")
    return Issue(
        id=text_at(data, "id"),
        # Inside a comment, an issue is short.
        identifier=identifier if isinstance(identifier, str) else text_at(data, "id"),
        title=text_at(data, "title"),
        url=_url(data, body),
        description=description if isinstance(description, str) else None,
        state=name_at(data, "state"),
        assignee=name_at(data, "assignee"),
        creator=creator,
    )


def _url(data: Node, body: Node) -> str:
    return next((url for url in (data.get("url"), body.get("url")) if isinstance(url, str)), "")


def _actor(body: Node) -> Author:
    """Who did it; what is done by an integration or by an app says so."""
    actor = node_at(body, "actor") or {}
    name, kind = actor.get("name"), str(actor.get("type", "user")).lower()
    if not isinstance(name, str) or not name:
        return Author()
    return Author(name, "team_member" if kind == "user" else "bot")


def _changes(data: Node, body: Node) -> list[Change]:
    """What an update has changed, of what is known; it says what was before."""
    before, author = node_at(body, "updatedFrom") or {}, _actor(body)
    moment = f"{data.get('id')}-{data.get('updatedAt') or body.get('createdAt')}"
    changes: list[Change] = []

    def add(what: str, **said: Any) -> None:
        id_ = f"issue-{moment}-{what}"
        changes.append(Change(what=what, id=id_, author=author, said=said, state=name_at(data, "state")))

    if "stateId" in before or "state" in before:
        add("state", previous_state=name_at(before, "state") or "Unknown", new_state=name_at(data, "state"))
    if "assigneeId" in before:
        add(
            "assignee",
            previous_assignee=name_at(before, "assignee"),
            new_assignee=name_at(data, "assignee"),
            previous_assignee_id=before["assigneeId"],
        )
    if "priority" in before:
        add("priority", previous_priority=before["priority"], new_priority=data.get("priority"))
    if "labelIds" in before:
        add("labels", **_labels(data, before))
    if "delegateId" in before:
        delegate = node_at(data, "delegate") or {}
        add(
            "delegate",
            old_delegate_id=before["delegateId"],
            new_delegate=delegate.get("name"),
            new_delegate_id=data.get("delegateId") or delegate.get("id"),
        )
    return changes


def _labels(data: Node, before: Node) -> dict[str, list[str]]:
    """Labels by name; one that is gone is known by its id only, unless Linear says its name."""
    names: dict[Any, str] = {
        label.get("id"): text_at(label, "name") for label in (*nodes_at(before, "labels"), *nodes_at(data, "labels"))
    }
    ids = before["labelIds"]
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise Drift("updatedFrom.labelIds is not a list of texts")
    return labels_said(
        [names.get(one, str(one)) for one in ids], [text_at(one, "name") for one in nodes_at(data, "labels")]
    )
