"""
What an entry of an issue's history says. Pure.

Linear may write several changes into one entry, and write into it again when more follow soon; so a change is known by
its entry, by what it is about, and by what it became.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orgloop_connectors._linear import (
    Author,
    Change,
    Issue,
    author_at,
    labels_said,
    name_at,
    node_at,
    nodes_at,
    text_at,
    time_ms_at,
)

Node = Mapping[str, Any]


def issue_of(node: Node) -> Issue:
    """What events say of the issue that a node is."""
    description = node.get("description")
    return Issue(
        id=text_at(node, "id"),
        identifier=text_at(node, "identifier"),
        title=text_at(node, "title"),
        url=text_at(node, "url"),
        description=description if isinstance(description, str) else None,
        state=name_at(node, "state"),
        assignee=name_at(node, "assignee"),
        creator=author_at(node, "creator", external="externalUserCreator"),
    )


def changes_of(issue: Node, entries: Sequence[Node]) -> Iterator[tuple[int, Change]]:
    """What happened to an issue, newest first, and when (Unix milliseconds); nothing that came later may be missing."""
    labels = {text_at(label, "name") for label in nodes_at(node_at(issue, "labels") or {}, "nodes")}
    for entry in sorted(entries, key=lambda entry: time_ms_at(entry, "createdAt"), reverse=True):
        at_ms = max(time_ms_at(entry, "createdAt"), time_ms_at(entry, "updatedAt"))
        author, id_ = author_at(entry, "actor"), text_at(entry, "id")
        yield from ((at_ms, change) for change in _of_values(entry, author, id_))
        added = {text_at(label, "name") for label in nodes_at(entry, "addedLabels")}
        removed = {text_at(label, "name") for label in nodes_at(entry, "removedLabels")}
        if added or removed:
            before = (labels - added) | removed
            became = "+".join(sorted(added)) + "-" + "-".join(sorted(removed))
            said = labels_said(sorted(before), sorted(labels))
            yield at_ms, Change(what="labels", id=f"history-{id_}-labels-{became}", author=author, said=said)
            labels = before


def _of_values(entry: Node, author: Author, id_: str) -> Iterator[Change]:
    for what in ("state", "assignee", "delegate"):
        old, new = node_at(entry, f"from{what.title()}"), node_at(entry, f"to{what.title()}")
        if old is None and new is None:
            continue
        names = [None if node is None else text_at(node, "name") for node in (old, new)]
        ids = [None if node is None else text_at(node, "id") for node in (old, new)]
        said: dict[str, Any] = {f"previous_{what}": names[0], f"new_{what}": names[1]}
        if what == "delegate":
            said = {"old_delegate_id": ids[0], "new_delegate": names[1], "new_delegate_id": ids[1]}
        yield Change(what=what, id=f"history-{id_}-{what}-{ids[1]}", author=author, said=said, state=names[1])
    old_priority, new_priority = _number(entry.get("fromPriority")), _number(entry.get("toPriority"))
    if old_priority is not None or new_priority is not None:
        said = {"previous_priority": old_priority, "new_priority": new_priority}
        yield Change(what="priority", id=f"history-{id_}-priority-{new_priority}", author=author, said=said)


def _number(value: object) -> int | None:
    """A priority; Linear's is a float that holds a whole number."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1000 else None
