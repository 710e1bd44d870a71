"""
GitHub, as far as the connectors ask it: a repository that changes, behind a real server on loopback.

    async with open_github() as github:
        github.repo.comment(17)                       # something happens there
        async with github.source() as source:         # and is found
            polled = await source.poll(None)
        github.refuses(429, 2)                        # what the next two requests are answered with

Its clock is its own and stands still until it is told; what happens may show up a little later than it is dated, as it
does at GitHub. It speaks ETags, Link headers, ``since``, and the three questions of GraphQL that we put.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import attrs

from orgloop.event import timestamp_of
from orgloop_connectors._github.api import PER_PAGE
from orgloop_connectors.github import CONNECTOR
from tests.connectors.outside import Heard, Outside, Says, open_outside
from tests.connectors.stage import made, place

REPO = "octo-org/checkout"
Json = dict[str, Any]


def user(login: str = "mona") -> Json:
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def iso(at_s: float) -> str:
    return f"{timestamp_of(at_s)[:19]}Z"


@attrs.define(eq=False)
class Repo:
    """What there is, and when; the names of what happened are the ``resource_id`` of its event."""

    now_s: float = attrs.field(factory=lambda: float(int(time.time()) - 86_400))
    late_s: float = 0.0
    """How much later than it is dated something shows."""
    pulls: dict[int, Json] = attrs.field(factory=dict)
    issues: dict[int, Json] = attrs.field(factory=dict)
    review_comments: list[Json] = attrs.field(factory=list)
    issue_comments: list[Json] = attrs.field(factory=list)
    issue_events: list[Json] = attrs.field(factory=list)
    runs: list[Json] = attrs.field(factory=list)
    suites: list[Json] = attrs.field(factory=list)
    happened: list[str] = attrs.field(factory=list)
    _ids: int = 1000

    def _new(self, resource: str = "", **fields: Any) -> Json:
        self._ids += 1
        if resource:
            self.happened.append(resource.format(id=self._ids, **fields))
        at = iso(self.now_s)
        return {"id": self._ids, "created_at": at, "updated_at": at, "shows_s": self.now_s + self.late_s, **fields}

    def _touch(self, thing: Json) -> Json:
        if thing["shows_s"] <= self.now_s:  # until the new state shows, the old one does
            thing["before"] = {key: value[:] if isinstance(value, list) else value for key, value in thing.items()}
            thing["before"].pop("before", None)
        thing |= {"updated_at": iso(self.now_s), "shows_s": self.now_s + self.late_s}
        return thing

    # -- what can happen -----------------------------------------------------------------------------------------------

    def open_pull(self, *, login: str = "mona", draft: bool = False) -> int:
        number = len(self.pulls) + len(self.issues) + 1
        self.pulls[number] = self._new(
            "pr-{number}-opened", number=number, title=f"Change {number}", user=user(login), draft=draft, state="OPEN"
        ) | {"reviews": [], "ready": [], "closed_at": None, "merged_by": None}
        return number

    def close_pull(self, number: int, *, merged: bool = False) -> None:
        pull = self._touch(self.pulls[number])
        pull |= {"state": "MERGED" if merged else "CLOSED", "closed_at": iso(self.now_s)}
        if merged:
            pull["merged_by"] = user("hubot[bot]")
        self.happened.append(f"pr-{number}-{'merged' if merged else 'closed'}")

    def ready(self, number: int) -> None:
        self._touch(self.pulls[number])["ready"].append(iso(self.now_s))
        self.happened.append(f"pr-{number}-ready")

    def review(self, number: int, state: str = "APPROVED") -> None:
        said = self._new("review-{id}", state=state, body="Fine", user=user("ann"))
        self._touch(self.pulls[number])["reviews"].append(said)

    def comment_on_code(self, number: int) -> Json:
        url = f"https://api.github.com/repos/{REPO}/pulls/{number}"
        said = self._new("comment-{id}", pull_request_url=url, body="Why?", user=user("ann"), path="a.py")
        self.review_comments.append(said)
        self._touch(self.pulls[number])
        return said

    def comment(self, number: int, login: str = "ann") -> Json:
        url = f"https://api.github.com/repos/{REPO}/issues/{number}"
        said = self._new("issue-comment-{id}", issue_url=url, body="Hm", user=user(login), author_association="MEMBER")
        self.issue_comments.append(said)
        self._touch(self.issues.get(number) or self.pulls[number])
        return said

    def edit(self, said: Json) -> None:
        """Which is nothing new."""
        self._touch(said)["body"] = "Hm, hm"

    def open_issue(self) -> int:
        number = len(self.pulls) + len(self.issues) + 1
        fields = {"number": number, "title": f"Fault {number}", "user": user("eve"), "state": "open"}
        self.issues[number] = self._new("issue-{number}-opened", **fields)
        return number

    def label(self, number: int, label: str) -> None:
        self._issue_event(number, "labeled", f"labeled-{label}", label={"name": label})

    def assign(self, number: int, login: str) -> None:
        self._issue_event(number, "assigned", f"assigned-{login}", assignee=user(login))

    def _issue_event(self, number: int, event: str, suffix: str, **fields: Any) -> None:
        issue = self._touch(self.issues[number])
        self.issue_events.append(self._new(event=event, issue=issue, actor=user(), **fields))
        self.happened.append(f"issue-{number}-{suffix}")

    def fail_run(self, number: int | None = None, *, begun_ago_s: float = 0.0) -> None:
        pulls = [] if number is None else [{"number": number}]
        run = self._new("run-{id}", name="tests", conclusion="failure", actor=user(), pull_requests=pulls)
        self.runs.append(run | {"created_at": iso(self.now_s - begun_ago_s), "run_attempt": 1, "status": "completed"})

    def complete_suite(self) -> None:
        app = {"slug": "linter", "name": "Linter"}
        self.suites.append(self._new("suite-{id}", status="completed", conclusion="success", app=app))

    # -- what is shown of it -------------------------------------------------------------------------------------------

    def shown(self, things: Sequence[Json]) -> list[Json]:
        """As they show by now; what has just been made may not show at all."""
        states = (one if one["shows_s"] <= self.now_s else one.get("before") for one in things)
        return [state for state in states if state is not None]


@attrs.define(eq=False)
class Github:
    """The stand-in; made by :func:`open_github`."""

    outside: Outside
    repo: Repo = attrs.field(factory=Repo)
    deny: Callable[[Heard], Says | None] = lambda _: None
    """Asked first; what it says is answered."""
    per_page: int = 100
    limit: int = 5000
    used: int = 0
    during: Callable[[Heard], None] = lambda _: None
    """Called after each answer: what happens while a list is read."""

    def refuses(self, *answers: Says) -> None:
        """Answer the next requests so."""
        left = list(answers)
        self.deny = lambda _: left.pop(0) if left else None

    def source(self, **config: Any) -> Any:
        return made(CONNECTOR.source, {**self.config, **config}, place(id="github"))

    @property
    def config(self) -> Json:
        return {"repo": REPO, "token": "t0ken", "base_url": self.outside.url}

    def asked(self) -> list[str]:
        """The paths of all requests, without the repository."""
        return [heard.path.removeprefix(f"/repos/{REPO}") for heard in self.outside.heard]

    def answer(self, heard: Heard) -> Says:
        answered = self.deny(heard) or self._answer(heard)
        self.during(heard)
        left = self.limit - self.used
        headers = {
            "date": formatdate(self.repo.now_s, usegmt=True),
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, left)),
            "x-ratelimit-reset": str(int(self.repo.now_s + 1800)),
        }
        return attrs.evolve(answered, headers={**headers, **answered.headers})

    def _answer(self, heard: Heard) -> Says:
        self.used += 1
        if heard.headers.get("authorization") != "Bearer t0ken":
            return Says(401, {"message": "Bad credentials"})
        if heard.path == "/graphql":
            return Says(200, {"data": {"repository": self._asked_by_graphql(heard.json())}})
        lists: Mapping[str, Callable[[], tuple[list[Json], str | None]]] = {
            "/pulls/comments": lambda: (self._since(self.repo.review_comments, heard), None),
            "/issues/comments": lambda: (self._since(self.repo.issue_comments, heard), None),
            "/issues": lambda: (self._since([*self.repo.issues.values(), *self._pulls_as_issues()], heard), None),
            "/issues/events": lambda: (self._newest(self.repo.issue_events), None),
            "/actions/runs": lambda: (self._created_since(heard), "workflow_runs"),
            "/commits/HEAD/check-suites": lambda: (self.repo.shown(self.repo.suites), "check_suites"),
        }
        found = lists.get(heard.path.removeprefix(f"/repos/{REPO}"))
        if found is None:
            return Says(404, {"message": "Not Found"})
        things, key = found()
        return self._page(heard, things, key)

    def _page(self, heard: Heard, things: list[Json], key: str | None) -> Says:
        number = int(heard.query["page"])
        size = min(int(heard.query["per_page"]), self.per_page)
        page = [{**one, "before": None} for one in things[(number - 1) * size : number * size]]
        body = json.dumps({"total_count": len(things), key: page} if key else page)
        # Of the body alone, as GitHub's; but pages that are shorter than was asked for are our own idea.
        more = "" if size == PER_PAGE else f"{number * size < len(things)}"
        etag = f'"{hashlib.sha256(f"{body}{more}".encode()).hexdigest()[:16]}"'
        headers = {"etag": etag}
        if number * size < len(things):
            # Of a host where nobody is: an address in an answer is not followed.
            headers["link"] = f'<https://192.0.2.1/x?page={number + 1}>; rel="next", <https://192.0.2.1/>; rel="last"'
        if heard.headers.get("if-none-match") == etag:
            self.used -= 1
            return Says(304, headers=headers)
        return Says(200, body, headers)

    def _since(self, things: Sequence[Json], heard: Heard) -> list[Json]:
        assert (heard.query["sort"], heard.query["direction"]) == ("updated", "asc")
        shown = [one for one in self.repo.shown(things) if one["updated_at"] >= heard.query["since"]]
        return sorted(shown, key=lambda one: (one["updated_at"], one["id"]))

    def _newest(self, things: Sequence[Json]) -> list[Json]:
        return sorted(self.repo.shown(things), key=lambda one: -one["id"])

    def _created_since(self, heard: Heard) -> list[Json]:
        assert heard.query["status"] == "failure"
        since = heard.query["created"].removeprefix(">=")
        return [one for one in self._newest(self.repo.runs) if one["created_at"] >= since]

    def _pulls_as_issues(self) -> Iterator[Json]:
        for pull in self.repo.shown(list(self.repo.pulls.values())):
            yield {**pull, "pull_request": {"url": "…"}}

    # -- GraphQL -------------------------------------------------------------------------------------------------------

    def _asked_by_graphql(self, asked: Json) -> Json:
        variables = asked["variables"]
        assert f"{variables['owner']}/{variables['name']}" == REPO
        if asked["operationName"] == "Pulls":
            return {"pullRequests": self._pulls_after(variables.get("after"))}
        if asked["operationName"] == "Reviews":
            return {"pullRequest": {"reviews": self._reviews(variables["number"], int(variables["before"]))}}
        numbers = [int(number) for number in re.findall(r"issueOrPullRequest\(number: (\d+)\)", asked["query"])]
        return {f"n{number}": self._about(number) for number in numbers}

    def _pulls_after(self, after: str | None) -> Json:
        # Cursors are values, as GitHub's are: what moves to the beginning does not move the rest.
        def rank(pull: Json) -> str:
            return f"{pull['updated_at']} {pull['id']:09}"

        pulls = sorted(self.repo.shown(list(self.repo.pulls.values())), key=rank, reverse=True)
        pulls = [pull for pull in pulls if after is None or rank(pull) < after]
        size = min(50, self.per_page)
        info = {"hasNextPage": len(pulls) > size, "endCursor": rank(pulls[:size][-1]) if pulls else None}
        return {"pageInfo": info, "nodes": [self._node(pull) for pull in pulls[:size]]}

    def _node(self, pull: Json) -> Json:
        ready = [{"createdAt": at} for at in pull["ready"]]
        return self._about(pull["number"]) | {
            "reviews": self._reviews(pull["number"], len(pull["reviews"])),
            "timelineItems": {"nodes": ready},
        }

    def _reviews(self, number: int, before: int) -> Json:
        begin = max(0, before - self.per_page)
        nodes = [
            {
                "fullDatabaseId": str(one["id"]),
                "state": one["state"],
                "body": one["body"],
                "submittedAt": one["created_at"],
                "url": f"https://github.com/{REPO}/pull/{number}#r{one['id']}",
                "authorAssociation": "COLLABORATOR",
                "author": _actor(one["user"]),
            }
            for one in self._pull(number)["reviews"][begin:before]
        ]
        return {"pageInfo": {"hasPreviousPage": begin > 0, "startCursor": str(begin)}, "nodes": nodes}

    def _pull(self, number: int) -> Json:
        """As it shows by now, or will."""
        return next(iter(self.repo.shown([self.repo.pulls[number]])), self.repo.pulls[number])

    def _about(self, number: int) -> Json:
        pull = self._pull(number) if number in self.repo.pulls else None
        thing = pull or self.repo.issues[number]
        common = {
            "number": number,
            "title": thing["title"],
            "url": f"https://github.com/{REPO}/pull/{number}",
            "state": thing["state"],
            "authorAssociation": "MEMBER",
            "author": _actor(thing["user"]),
            "labels": {"nodes": [{"name": "bug"}]},
        }
        if pull is None:
            return common | {"__typename": "Issue", "issueState": common.pop("state")}
        return common | {
            "__typename": "PullRequest",
            "isDraft": pull["draft"],
            "merged": pull["state"] == "MERGED",
            "createdAt": pull["created_at"],
            "updatedAt": pull["updated_at"],
            "closedAt": pull["closed_at"],
            "headRefName": "topic",
            "baseRefName": "main",
            "mergedBy": _actor(pull["merged_by"]),
        }


def _actor(who: Json | None) -> Json | None:
    """GraphQL has no ``[bot]`` in a login."""
    return who and {"login": who["login"].removesuffix("[bot]"), "__typename": who["type"]}


@asynccontextmanager
async def open_github() -> AsyncGenerator[Github]:
    async with open_outside() as outside:
        github = Github(outside)
        outside.by(github.answer)
        yield github
