"""
Facts of GitHub become provenance and payload: the same whether a webhook told them or a poll found them. Pure.

Each function takes things in the shape of GitHub's REST API (which is that of its webhooks; what GraphQL says is
brought into it first), and gives a :class:`Draft`. Names are those of the original.
"""

from __future__ import annotations

from typing import Any

import attrs

from orgloop.sdk import Event
from orgloop_connectors._github.shapes import Thing, number_at, text_at, thing_at, things

EVENTS = (
    "pull_request.review_submitted",
    "pull_request.closed",
    "pull_request.merged",
    "pull_request.opened",
    "pull_request.ready_for_review",
    "pull_request_review_comment",
    "issue_comment",
    "issues.opened",
    "issues.labeled",
    "issues.assigned",
    "workflow_run.completed",
    "check_suite.completed",
)
"""What can be subscribed to."""

MAX_LABELS = 100

_INSIDE = ("OWNER", "MEMBER", "COLLABORATOR")


@attrs.frozen
class Draft:
    """An event without its envelope."""

    provenance: dict[str, Any]
    payload: Any

    def event(self, source: str, **more: object) -> Event:
        """The event, with more provenance."""
        return Event(source, "resource.changed", {**self.provenance, **more}, self.payload)


@attrs.frozen
class Author:
    """Who did it."""

    login: str
    type: str
    """``bot``, ``team_member`` (may write here), ``external``, or ``unknown`` where GitHub does not say."""


def author_of(user: object, association: str = "", *, insider: bool = False) -> Author:
    """
    An author; ``insider`` says that nobody else could have done this.

    >>> author_of({"login": "dependabot[bot]", "type": "Bot"}).type
    'bot'
    >>> author_of({"login": "mallory", "type": "User"}, "NONE").type
    'external'
    """
    login = text_at(user, "login")
    if not login:
        return Author("unknown", "unknown")
    if text_at(user, "type") == "Bot" or login.endswith("[bot]"):
        return Author(login, "bot")
    if insider or association in _INSIDE:
        return Author(login, "team_member")
    return Author(login, "external" if association else "unknown")


def is_subscribed(wanted: frozenset[str], name: str) -> bool:
    """Whether an event is wanted; closed and merged are one wish, and no wish at all is all of them."""
    if not wanted:
        return True
    if name in ("pull_request.closed", "pull_request.merged"):
        return not wanted.isdisjoint(("pull_request.closed", "pull_request.merged"))
    return name in wanted


# -- pull requests -----------------------------------------------------------------------------------------------------


def review(repo: str, pull: Thing, said: Thing) -> Draft:
    """A review was submitted."""
    id_, state = number_at(said, "id"), text_at(said, "state").lower()
    provenance = _provenance(
        "pull_request.review_submitted",
        f"review-{id_}",
        author_of(said.get("user"), text_at(said, "author_association")),
        repo,
        text_at(said, "html_url") or text_at(pull, "html_url"),
    )
    provenance |= _about(pull) | _standing(pull) | {"review_id": id_, "review_state": state}
    payload = {
        "action": "review_submitted",
        "review_id": id_,
        "review_state": state,
        "review_body": text_at(said, "body"),
        "pr_title": text_at(pull, "title"),
        "pr_number": number_at(pull, "number"),
    }
    return Draft(provenance, payload)


def review_comment(repo: str, pull: Thing, said: Thing) -> Draft:
    """Somebody wrote about a line of a pull request."""
    provenance = _provenance(
        "pull_request_review_comment",
        f"comment-{number_at(said, 'id')}",
        author_of(said.get("user"), text_at(said, "author_association")),
        repo,
        text_at(said, "html_url"),
    )
    payload = {
        "action": "review_comment",
        "comment_body": text_at(said, "body"),
        "pr_title": text_at(pull, "title"),
        "pr_number": number_at(pull, "number"),
        "diff_hunk": text_at(said, "diff_hunk"),
        "path": text_at(said, "path"),
    }
    return Draft(provenance | _about(pull) | _standing(pull), payload)


def issue_comment(repo: str, issue: Thing, said: Thing, *, action: str = "created") -> Draft:
    """Somebody wrote below an issue or a pull request, or changed what they wrote."""
    id_, name, suffix = number_at(said, "id"), "issue_comment", ""
    if action != "created":
        name, suffix = f"{name}.{action}", f"-{action}"
    provenance = _provenance(
        name,
        f"issue-comment-{id_}{suffix}",
        author_of(said.get("user"), text_at(said, "author_association")),
        repo,
        text_at(said, "html_url"),
    )
    payload = {
        "action": name,
        "comment_body": text_at(said, "body"),
        "issue_title": text_at(issue, "title"),
        "issue_number": number_at(issue, "number"),
        "is_pull_request": bool(issue.get("pull_request")),
    }
    return Draft(provenance | _about(issue) | _standing(issue), payload)


def pull_closed(repo: str, pull: Thing) -> Draft:
    """A pull request was merged, or closed without."""
    number = number_at(pull, "number")
    merged = bool(pull.get("merged") or pull.get("merged_at"))
    how = "merged" if merged else "closed"
    merger = pull.get("merged_by")
    # Only those who may write here can merge.
    author = author_of(merger, insider=True) if merged and merger else _opener(pull)
    provenance = _provenance(f"pull_request.{how}", f"pr-{number}-{how}", author, repo, text_at(pull, "html_url"))
    payload = {"action": how, "pr_title": text_at(pull, "title"), "pr_number": number, "merged": merged}
    if text_at(merger, "login"):
        payload["merged_by"] = text_at(merger, "login")
    return Draft(provenance | _about(pull) | _standing(pull), payload)


def pull_opened(repo: str, pull: Thing) -> Draft:
    """A pull request was opened."""
    number = number_at(pull, "number")
    url = text_at(pull, "html_url")
    provenance = _provenance("pull_request.opened", f"pr-{number}-opened", _opener(pull), repo, url)
    payload = {"action": "opened", "pr_title": text_at(pull, "title"), "pr_number": number}
    return Draft(provenance | _about(pull), payload | {"draft": bool(pull.get("draft"))} | _refs(pull))


def pull_ready(repo: str, pull: Thing) -> Draft:
    """A pull request is no draft any more."""
    number = number_at(pull, "number")
    url = text_at(pull, "html_url")
    provenance = _provenance("pull_request.ready_for_review", f"pr-{number}-ready", _opener(pull), repo, url)
    payload = {"action": "ready_for_review", "pr_title": text_at(pull, "title"), "pr_number": number}
    return Draft(provenance | _about(pull), payload | _refs(pull))


# -- issues ------------------------------------------------------------------------------------------------------------


def issue_opened(repo: str, issue: Thing) -> Draft:
    """An issue was opened."""
    return _issue(repo, issue, "opened", "opened", _opener(issue), {})


def issue_labeled(repo: str, issue: Thing, label: str, actor: object) -> Draft:
    """An issue was given a label."""
    author = author_of(actor, insider=True)  # takes the right to triage
    drafted = _issue(repo, issue, "labeled", f"labeled-{label}", author, {"label": label})
    return attrs.evolve(drafted, provenance=drafted.provenance | {"label": label})


def issue_assigned(repo: str, issue: Thing, assignee: str, actor: object) -> Draft:
    """An issue was given to somebody."""
    author = author_of(actor, insider=True)
    return _issue(repo, issue, "assigned", f"assigned-{assignee}", author, {"assignee": assignee})


def _issue(repo: str, issue: Thing, action: str, suffix: str, author: Author, more: dict[str, str]) -> Draft:
    number = number_at(issue, "number")
    url = text_at(issue, "html_url")
    payload = {
        "action": action,
        "issue_title": text_at(issue, "title"),
        "issue_number": number,
        "issue_state": text_at(issue, "state"),
    }
    return Draft(_provenance(f"issues.{action}", f"issue-{number}-{suffix}", author, repo, url), payload | more)


# -- checks ------------------------------------------------------------------------------------------------------------


def run_failed(repo: str, run: Thing, pull: Thing) -> Draft:
    """A workflow run has failed; ``pull`` is the pull request it ran for, empty if there was none."""
    attempt = run.get("run_attempt")
    again = f"-attempt-{attempt}" if isinstance(attempt, int) and attempt > 1 else ""
    actor = author_of(run.get("triggering_actor") or run.get("actor"))
    name, url = "workflow_run.completed", text_at(run, "html_url")
    provenance = _provenance(name, f"run-{number_at(run, 'id')}{again}", actor, repo, url)
    provenance |= {
        "pr_author": _opener(pull).login if text_at(pull, "user", "login") else actor.login,
        "labels": _labels(pull),
    }
    payload = {
        "action": "workflow_run_failed",
        "workflow_name": text_at(run, "name"),
        "run_number": run.get("run_number"),
        "conclusion": text_at(run, "conclusion"),
        "head_branch": text_at(run, "head_branch"),
        "head_sha": text_at(run, "head_sha"),
    }
    return Draft(provenance, payload)


def suite_completed(repo: str, suite: Thing, pull: Thing) -> Draft:
    """All checks that one app makes of a commit have ended; ``pull`` as for a run."""
    app = thing_at(suite, "app")
    author = Author(text_at(app, "slug") or text_at(app, "name") or "unknown", "bot")
    resource = f"suite-{number_at(suite, 'id')}"
    provenance = _provenance("check_suite.completed", resource, author, repo, text_at(suite, "url"))
    if text_at(pull, "user", "login"):
        provenance["pr_author"] = _opener(pull).login
    payload = {"action": "check_suite_completed", "app_name": text_at(app, "name")}
    names = ("conclusion", "status", "head_branch", "head_sha", "before", "after")
    return Draft(provenance, payload | {name: suite.get(name) for name in names})


# -- what they share ---------------------------------------------------------------------------------------------------


def _provenance(name: str, resource_id: str, author: Author, repo: str, url: str) -> dict[str, Any]:
    return {
        "platform": "github",
        "platform_event": name,
        "resource_id": resource_id,
        "author": author.login,
        "author_type": author.type,
        "repo": repo,
        "url": url,
    }


def _about(thing: Thing) -> dict[str, Any]:
    """Of a pull request, or of an issue under its names."""
    return {"pr_author": _opener(thing).login, "labels": _labels(thing), "pr_number": number_at(thing, "number")}


def _standing(thing: Thing) -> dict[str, Any]:
    merged = bool(thing.get("merged") or thing.get("merged_at") or thing_at(thing, "pull_request").get("merged_at"))
    return {"pr_state": text_at(thing, "state").lower() or "unknown", "pr_merged": merged}


def _opener(thing: Thing) -> Author:
    return author_of(thing.get("user"), text_at(thing, "author_association"))


def _labels(thing: Thing) -> list[str]:
    return [text_at(label, "name") for label in things(thing.get("labels"))[:MAX_LABELS]]


def _refs(pull: Thing) -> dict[str, str]:
    return {"head_ref": text_at(pull, "head", "ref"), "base_ref": text_at(pull, "base", "ref")}
