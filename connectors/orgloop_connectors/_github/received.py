"""
What a webhook says becomes drafts of events. Pure.

Law: nothing that GitHub tells is lost because we do not know it, or know it in another shape: then it goes on as it is,
with who did it, under the name ``<event>.<action>``. Only what the original leaves out is left out: the beginnings of
runs and suites, and pull requests that come disguised as issues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orgloop_connectors._github import facts
from orgloop_connectors._github.facts import Draft, author_of, is_subscribed
from orgloop_connectors._github.shapes import Drift, Thing, need, text_at, things


def drafts_of(event: str, body: Thing, wanted: frozenset[str]) -> list[Draft]:
    """The drafts of one delivery; ``wanted`` are the kinds that are subscribed to, all of them if it is empty."""
    action = text_at(body, "action")
    read = _READERS.get(event)
    try:
        found = _raw(event, body) if read is None else read(action, text_at(body, "repository", "full_name"), body)
    except Drift:
        found = _raw(event, body)
    if found is None:
        return []
    return [found] if _is_raw(found, body) or is_subscribed(wanted, _kind_of(found)) else []


def _raw(event: str, body: Thing) -> Draft:
    action = text_at(body, "action")
    author = author_of(body.get("sender"))
    provenance: dict[str, Any] = {
        "platform": "github",
        "platform_event": f"{event}.{action}" if action else event,
        "author": author.login,
        "author_type": author.type,
    }
    if repo := text_at(body, "repository", "full_name"):
        provenance["repo"] = repo
    return Draft(provenance, body)


def _is_raw(draft: Draft, body: Thing) -> bool:
    return draft.payload is body


def _kind_of(draft: Draft) -> str:
    name: str = draft.provenance["platform_event"]
    return "issue_comment" if name.startswith("issue_comment.") else name


# -- the kinds that we know --------------------------------------------------------------------------------------------


def _review(action: str, repo: str, body: Thing) -> Draft:
    draft = facts.review(repo, _object(body, "pull_request"), _object(body, "review"))
    return _also(draft, action, usual="submitted")


def _review_comment(action: str, repo: str, body: Thing) -> Draft:
    draft = facts.review_comment(repo, _object(body, "pull_request"), _object(body, "comment"))
    return _also(draft, action, usual="created")


def _also(draft: Draft, action: str, *, usual: str) -> Draft:
    """The original tells edits and dismissals under the same name; a filter can tell them by this."""
    return draft if action == usual else Draft(draft.provenance | {"action": action}, draft.payload)


def _issue_comment(action: str, repo: str, body: Thing) -> Draft:
    return facts.issue_comment(repo, _object(body, "issue"), _object(body, "comment"), action=action or "created")


def _pull_request(action: str, repo: str, body: Thing) -> Draft:
    pull: Thing = _object(body, "pull_request")
    match action:
        case "closed":
            return facts.pull_closed(repo, pull)
        case "opened":
            return facts.pull_opened(repo, pull)
        case "ready_for_review":
            return facts.pull_ready(repo, pull)
    return _raw("pull_request", body)


def _issues(action: str, repo: str, body: Thing) -> Draft | None:
    issue: Thing = _object(body, "issue")
    if issue.get("pull_request"):
        return None
    match action:
        case "opened":
            return facts.issue_opened(repo, issue)
        case "labeled":
            return facts.issue_labeled(repo, issue, _name(body, "label", "name"), body.get("sender"))
        case "assigned":
            return facts.issue_assigned(repo, issue, _name(body, "assignee", "login"), body.get("sender"))
    return _raw("issues", body)


def _workflow_run(action: str, repo: str, body: Thing) -> Draft | None:
    if action != "completed":
        return None
    run: Thing = _object(body, "workflow_run")
    if run.get("conclusion") != "failure":
        return _raw("workflow_run", body)
    return facts.run_failed(repo, run, _first_pull(run))


def _check_suite(action: str, repo: str, body: Thing) -> Draft | None:
    if action != "completed":
        return None
    suite: Thing = _object(body, "check_suite")
    return facts.suite_completed(repo, suite, _first_pull(suite))


def _object(body: Thing, name: str) -> Thing:
    found = need(body, name)
    if not isinstance(found, Mapping):
        raise Drift(f"{name} is no object")
    return found


def _name(body: Thing, *path: str) -> str:
    if not (found := text_at(body, *path)):
        raise Drift(f"{'.'.join(path)} is no text")
    return found


def _first_pull(thing: Thing) -> Thing:
    return next(iter(things(thing.get("pull_requests"))), {})


_READERS: Mapping[str, Callable[[str, str, Thing], Draft | None]] = {
    "pull_request_review": _review,
    "pull_request_review_comment": _review_comment,
    "issue_comment": _issue_comment,
    "pull_request": _pull_request,
    "issues": _issues,
    "workflow_run": _workflow_run,
    "check_suite": _check_suite,
}
