"""
Linear, by asking: new issues, what changed about them, and new comments.

    sources:
      - id: linear
        connector: linear
        config: {team: ENG, api_key: "${LINEAR_API_KEY}"}
        poll: {interval: 2m}

Law: what changed is read from Linear's own history of an issue, not found out by comparing; so nothing depends on what
this machine remembers. A checkpoint holds only times and ids that Linear has said.
"""

from __future__ import annotations

from typing import Any

from orgloop.sdk import Connector, EnvVar, Event, Offer
from orgloop_connectors._linear import Author, Change, Issue, changed, commented, created, labels_said
from orgloop_connectors.linear.config import LinearConfig
from orgloop_connectors.linear.source import LinearSource, check_source


def samples() -> list[Event]:
    """Every kind of event."""
    ann, ben = Author("Ann", "team_member"), Author("Ben", "team_member")
    issue = Issue(
        id="9cfb482a-81e3-4154-b5b9-2c805e70a02d",
        identifier="ENG-12",
        title="Checkout is slow",
        url="https://linear.app/acme/issue/ENG-12",
        description="p99 is 4 s",
        state="In Progress",
        assignee="Ben",
        creator=ann,
    )
    changes: dict[str, dict[str, Any]] = {
        "state": {"previous_state": "Todo", "new_state": "In Progress"},
        "assignee": {"previous_assignee": None, "new_assignee": "Ben"},
        "priority": {"previous_priority": 0, "new_priority": 2},
        "labels": labels_said(["bug"], ["bug", "urgent"]),
        "delegate": {"old_delegate_id": None, "new_delegate": "Codex", "new_delegate_id": "0b9c"},
    }
    return [
        created("linear", issue),
        *(
            changed(
                "linear",
                issue,
                Change(what=what, id=f"history-1a2b-{what}", author=ben, said=said, state="In Progress"),
            )
            for what, said in changes.items()
        ),
        commented("linear", issue, id="3c4d", body="On it.", url=f"{issue.url}#comment-3c4d", author=ben),
    ]


CONNECTOR = Connector(
    id="linear",
    summary="Reads issues, their changes and comments from Linear.",
    source=Offer(config=LinearConfig, make=LinearSource, check=check_source),
    env=(
        EnvVar(
            name="LINEAR_API_KEY",
            description="A personal API key that may read the team's issues",
            url="https://linear.app/settings/account/security",
        ),
        EnvVar(
            name="LINEAR_TEAM_KEY",
            description="The letters that the team's issues begin with, as ENG in ENG-12",
            url="https://linear.app/settings/teams",
            required=False,
        ),
    ),
    samples=samples,
)
