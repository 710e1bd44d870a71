"""
Any coding agent that calls a hook: what it posts becomes an event of its session.

    sources:
      - id: agents
        connector: coding-agent
        config: {secret: "${WEBHOOK_SECRET}", harness: codex}

Claude Code, Codex, OpenCode, Pi and Pi in Rust have connectors of their own, which are this one under their names.
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Event, Offer, Place
from orgloop_connectors._agent_source import ENDED, AgentSource, NamedAgentSourceConfig, check_source, samples_of


def make_source(config: NamedAgentSourceConfig, place: Place) -> AgentSource:
    """One whose platform is its id, and whose harness is its platform, unless it is told."""
    platform = place.id if config.platform is None else config.platform
    harness = platform if config.harness is None else config.harness
    return AgentSource(config, place, platform=platform, harness=harness, shape="transcript")


SOURCE = Offer(config=NamedAgentSourceConfig, make=make_source, check=check_source)


def samples() -> list[Event]:
    """A beginning, a good end and a bad one."""
    start = {"session_id": ENDED["session_id"], "cwd": ENDED["cwd"], "hook_type": "start"}
    return samples_of(SOURCE, "coding-agent", start, ENDED, {**ENDED, "exit_status": 1, "summary": "Out of tokens."})


CONNECTOR = Connector(
    id="coding-agent",
    summary="Takes what coding agents post when a session begins, goes on or ends.",
    source=SOURCE,
    env=[
        EnvVar(
            name="WEBHOOK_SECRET",
            description="What the agents' requests are signed with",
            command="openssl rand -hex 32",
            required=False,
        )
    ],
    samples=samples,
)
