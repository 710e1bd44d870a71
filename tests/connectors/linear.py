"""
Linear, as far as it is asked: issues with a history, and comments, behind its GraphQL.

It keeps time by a clock of its own, gives issues in the order in which they were last touched and everything else
newest first, as Linear does, and refuses what it was told to refuse.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orgloop.event import timestamp_of
from tests.connectors.outside import Heard, Says

Node = dict[str, Any]


def user(name: str | None) -> Node | None:
    return None if name is None else {"id": f"user-{name}", "name": name}


def refused(code: str, message: str = "no", *, headers: Mapping[str, str] | None = None) -> Says:
    """An error as Linear words it."""
    return Says(400, {"errors": [{"message": message, "extensions": {"code": code}}]}, headers or {})


@attrs.define
class Linear:
    """The stand-in; ``answer`` is what :meth:`tests.connectors.outside.Outside.by` takes."""

    now_s: float = 1_772_000_000.0
    issues: list[Node] = attrs.field(factory=list)
    comments: list[Node] = attrs.field(factory=list)
    refuses: Callable[[str], Says | None] = lambda _: None
    """Asked with the name of each query."""
    asked: list[str] = attrs.field(factory=list)
    variables: list[Node] = attrs.field(factory=list)
    page: int = 3
    """How much a page of issues or comments holds."""
    entries: int = 2
    """How many changes stand beside an issue."""
    _numbers: Any = attrs.field(factory=lambda: itertools.count(1))

    def now(self) -> str:
        return timestamp_of(self.now_s)

    # -- what people do ------------------------------------------------------------------------------------------------

    def create(self, title: str = "Checkout is slow", *, by: str = "Ann", state: str = "Todo") -> Node:
        number = next(self._numbers)
        issue: Node = {
            "id": f"uuid-{number}",
            "identifier": f"ENG-{number}",
            "title": title,
            "description": "p99 is 4 s",
            "url": f"https://linear.app/acme/issue/ENG-{number}",
            "createdAt": self.now(),
            "updatedAt": self.now(),
            "state": {"name": state},
            "assignee": None,
            "creator": user(by),
            "botActor": None,
            "externalUserCreator": None,
            "labels": [],
            "history": [],
        }
        self.issues.append(issue)
        return issue

    def change(self, issue: Node, *, by: str = "Ben", **entry: Any) -> Node:
        """Write an entry of a history, and what it changes."""
        written = {
            "id": f"entry-{next(self._numbers)}",
            "createdAt": self.now(),
            "updatedAt": self.now(),
            "actor": user(by),
            **entry,
        }
        issue["history"].insert(0, written)
        issue["updatedAt"] = self.now()
        return written

    def move(self, issue: Node, state: str, *, by: str = "Ben") -> Node:
        old, issue["state"] = issue["state"], {"name": state}
        ids = [{"id": f"state-{one['name']}", "name": one["name"]} for one in (old, issue["state"])]
        return self.change(issue, by=by, fromState=ids[0], toState=ids[1])

    def comment(self, issue: Node | None, body: str = "On it.", *, by: str = "Ben") -> Node:
        number = next(self._numbers)
        comment = {
            "id": f"comment-{number}",
            "body": body,
            "url": f"https://linear.app/acme/issue/c-{number}",
            "createdAt": self.now(),
            "user": user(by),
            "botActor": None,
            "externalUser": None,
            "issue": issue,
        }
        self.comments.insert(0, comment)
        return comment

    # -- what it answers -----------------------------------------------------------------------------------------------

    def answer(self, heard: Heard) -> Says:
        asked = heard.json()
        name = asked["query"].split("query ")[1].split("(")[0].strip()
        self.asked.append(name)
        self.variables.append(asked["variables"])
        if (refusal := self.refuses(name)) is not None:
            return refusal
        return Says(200, {"data": getattr(self, f"_{name.lower()}")(**asked["variables"])})

    def _issues(self, filter: Node, after: str | None) -> Node:
        since = filter["updatedAt"]["gte"]
        touched = sorted((one for one in self.issues if one["updatedAt"] >= since), key=lambda one: one["updatedAt"])
        return {"issues": self._connection([self._issue(one) for one in touched], after, self.page)}

    def _issue(self, issue: Node) -> Node:
        labels = {"nodes": [{"name": name} for name in issue["labels"]]}
        return {**issue, "labels": labels, "history": self._connection(issue["history"], None, self.entries)}

    def _history(self, id: str, after: str | None) -> Node:
        [issue] = [one for one in self.issues if one["id"] == id]
        return {"issue": {"history": self._connection(issue["history"], after, self.entries)}}

    def _comments(self, filter: Node, after: str | None) -> Node:
        times = filter["createdAt"]
        found = [
            one
            for one in self.comments
            if times["gte"] <= one["createdAt"] and ("lt" not in times or one["createdAt"] < times["lt"])
        ]
        return {"comments": self._connection(found, after, self.page)}

    def _viewer(self, team: Node) -> Node:
        known = team == {"key": {"eq": "ENG"}}
        return {"viewer": user("Ann"), "teams": {"nodes": [{"key": "ENG", "name": "Engineering"}] if known else []}}

    def _connection(self, nodes: list[Node], after: str | None, size: int) -> Node:
        begin = int(after) if after else 0
        more = len(nodes) > begin + size
        return {
            "nodes": nodes[begin : begin + size],
            "pageInfo": {"hasNextPage": more, "endCursor": str(begin + size) if more else None},
        }
