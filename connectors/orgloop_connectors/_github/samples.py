"""One thing of each kind, small, in the shape of REST: what samples of events are made of."""

from __future__ import annotations

from orgloop_connectors._github import facts
from orgloop_connectors._github.facts import Draft
from orgloop_connectors._github.shapes import Thing

REPO = "octo-org/checkout"
_AT = f"https://github.com/{REPO}"
_SHA = "5779607b49aab1200488439f02372c57b4f75444"

MONA: Thing = {"login": "mona", "type": "User"}
HUBOT: Thing = {"login": "hubot[bot]", "type": "Bot"}
PULL: Thing = {
    "number": 17,
    "title": "Ask for the postcode once",
    "state": "open",
    "html_url": f"{_AT}/pull/17",
    "user": MONA,
    "author_association": "MEMBER",
    "labels": [{"name": "bug"}],
    "draft": False,
    "head": {"ref": "one-postcode"},
    "base": {"ref": "main"},
}
ISSUE: Thing = {
    "number": 16,
    "title": "The postcode is asked for twice",
    "state": "open",
    "html_url": f"{_AT}/issues/16",
    "user": {"login": "mallory", "type": "User"},
    "author_association": "NONE",
    "labels": [{"name": "bug"}],
}
COMMENT: Thing = {
    "id": 1001,
    "body": "Does this hold for Ireland, too?",
    "html_url": f"{_AT}/pull/17#discussion_r1001",
    "user": MONA,
    "author_association": "MEMBER",
    "path": "checkout/address.py",
    "diff_hunk": "@@ -1 +1 @@",
}
RUN: Thing = {
    "id": 3001,
    "name": "tests",
    "run_number": 36,
    "run_attempt": 1,
    "conclusion": "failure",
    "head_branch": "one-postcode",
    "head_sha": _SHA,
    "html_url": f"{_AT}/actions/runs/3001",
    "actor": MONA,
}
SUITE: Thing = {
    "id": 4001,
    "url": f"https://api.github.com/repos/{REPO}/check-suites/4001",
    "status": "completed",
    "conclusion": "success",
    "head_branch": "main",
    "head_sha": _SHA,
    "app": {"name": "Linter", "slug": "linter"},
}


def examples() -> list[Draft]:
    """An event of each kind."""
    review = {**COMMENT, "id": 2001, "state": "CHANGES_REQUESTED", "html_url": f"{_AT}/pull/17#pullrequestreview-2001"}
    merged = {**PULL, "state": "closed", "merged": True, "merged_by": MONA}
    return [
        facts.review(REPO, PULL, review),
        facts.pull_closed(REPO, {**PULL, "state": "closed"}),
        facts.pull_closed(REPO, merged),
        facts.pull_opened(REPO, PULL),
        facts.pull_ready(REPO, PULL),
        facts.review_comment(REPO, PULL, COMMENT),
        facts.issue_comment(REPO, ISSUE, {**COMMENT, "html_url": f"{_AT}/issues/16#issuecomment-1001"}),
        facts.issue_opened(REPO, ISSUE),
        facts.issue_labeled(REPO, ISSUE, "bug", MONA),
        facts.issue_assigned(REPO, ISSUE, "mona", HUBOT),
        facts.run_failed(REPO, RUN, PULL),
        facts.suite_completed(REPO, SUITE, {}),
    ]
