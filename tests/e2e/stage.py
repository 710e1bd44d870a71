"""
The engineering organisation of ``examples/``, with stand-ins for all that it leads to.

    async with open_stage() as stage:
        stage.environ()                       # what the project's variables are, for a process too
        happened("github-pr-review", 7)       # an event of the very shape that goes down a route
        stage.openclaw.heard                  # what has woken the agent
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from orgloop.sdk import Event, new_id
from tests.connectors.outside import Outside, Says, open_outside

PROJECT = Path(__file__).resolve().parents[2] / "examples/engineering-org"
ACTOR_TOKEN = "openclaw-t0ken"
HOOK_TOKEN = "claude-code-t0ken"
TAKEN = Says(200, {"ok": True, "runId": "run"})


@attrs.frozen
class Way:
    """What goes down a route, and what the agent is to be told."""

    connector: str
    kind: str
    """``provenance.platform_event``."""
    session_key: str
    prompt: str | None
    """The file in ``sops/``."""
    deliver: bool
    first_line: str


WAYS: Mapping[str, Way] = {
    "github-pr-review": Way(
        "github",
        "pull_request.review_submitted",
        "hook:github:pr-review:engineering",
        "pr-review.md",
        True,
        "[github] resource.changed (pull_request.review_submitted) by mona",
    ),
    "github-pr-comment": Way(
        "github",
        "pull_request_review_comment",
        "hook:github:pr-comment:engineering",
        "pr-review.md",
        True,
        "[github] resource.changed (pull_request_review_comment) by mona",
    ),
    "github-ci-failure": Way(
        "github",
        "workflow_run.completed",
        "hook:github:ci-failure:engineering",
        "ci-failure.md",
        False,
        "[github] resource.changed (workflow_run.completed) by mona",
    ),
    "claude-code-to-supervisor": Way(
        "claude_code",
        "session.completed",
        "hook:claude-code:engineering",
        None,
        False,
        "[claude-code] actor.stopped (session.completed) by claude-code",
    ),
    "linear-to-engineering": Way(
        "linear",
        "issue.state_changed",
        "hook:linear:activity:engineering",
        "linear-ticket.md",
        True,
        "[linear] resource.changed (issue.state_changed) by Ben",
    ),
}
"""By the name of the route."""


def sample(connector: str, kind: str) -> Event:
    """What a connector shows of such an event."""
    samples: list[Event] = import_module(f"orgloop_connectors.{connector}").CONNECTOR.samples()
    return next(one for one in samples if one.provenance["platform_event"] == kind)


def happened(route: str, number: int = 0, **provenance: Any) -> Event:
    """An event that goes down a route; each number is another thing that has happened."""
    way = WAYS[route]
    event = sample(way.connector, way.kind)
    identity = {"resource_id": f"{route}-{number}", **provenance}
    return attrs.evolve(event, id=new_id(), trace_id=new_id("trc"), provenance={**event.provenance, **identity})


def prompt_of(way: Way) -> str | None:
    """What stands in the file, without its front matter."""
    if way.prompt is None:
        return None
    return (PROJECT / "sops" / way.prompt).read_text(encoding="utf-8").split("---\n", 2)[2].strip()


@attrs.frozen
class Stage:
    """The outside of the organisation."""

    openclaw: Outside
    github: Outside
    linear: Outside

    def environ(self) -> dict[str, str]:
        return {
            "GITHUB_REPO": "octo-org/checkout",
            "GITHUB_TOKEN": "github-t0ken",
            "GITHUB_API_URL": self.github.url,
            "LINEAR_TEAM_KEY": "ENG",
            "LINEAR_API_KEY": "lin_api_t0ken",
            "LINEAR_API_URL": f"{self.linear.url}/graphql",
            "CLAUDE_CODE_WEBHOOK_TOKEN": HOOK_TOKEN,
            "OPENCLAW_URL": self.openclaw.url,
            "OPENCLAW_WEBHOOK_TOKEN": ACTOR_TOKEN,
            "OPENCLAW_DEFAULT_TO": "C0123456",
        }


@asynccontextmanager
async def open_stage() -> AsyncGenerator[Stage]:
    """OpenClaw takes all that comes; GitHub and Linear are there, and have their bad day."""
    async with open_outside() as openclaw, open_outside() as github, open_outside() as linear:
        openclaw.by(lambda _: TAKEN)
        for down in (github, linear):
            down.says(Says(503, {"message": "down for maintenance"}))
        yield Stage(openclaw, github, linear)
