"""
Claude Code, both ways: told by its hooks what becomes of its sessions, and run headless for each event.

    sources:
      - id: claude-code
        connector: claude-code
        config: {token: "${CLAUDE_CODE_WEBHOOK_TOKEN}"}
    actors:
      - id: reviewer
        connector: claude-code
        config: {cwd: checkout, allowed_tools: [Read, Grep], max_turns: 30}
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Event, Offer, Place
from orgloop_connectors._agent_source import AgentSource, NamedAgentSourceConfig, check_source, samples_of
from orgloop_connectors.claude_code.actor import check_actor, make_actor
from orgloop_connectors.claude_code.config import ClaudeCodeConfig

NAME = "claude-code"


def make_source(config: NamedAgentSourceConfig, place: Place) -> AgentSource:
    """One whose platform and harness are the name, unless it is told."""
    platform = NAME if config.platform is None else config.platform
    harness = platform if config.harness is None else config.harness
    return AgentSource(config, place, platform=platform, harness=harness, shape="transcript")


SOURCE = Offer(config=NamedAgentSourceConfig, make=make_source, check=check_source)


def samples() -> list[Event]:
    """A session that begins, asks, answers, and ends."""
    hook = {
        "session_id": "7f3c9e5a-2a0f-4f5e-9d1c-3d1f0b6f2c11",
        "transcript_path": "/home/ann/.claude/projects/-srv-engineering/7f3c9e5a.jsonl",
        "cwd": "/srv/engineering",
        "permission_mode": "default",
    }
    return samples_of(
        SOURCE,
        NAME,
        {**hook, "hook_event_name": "SessionStart", "source": "startup"},
        {
            **hook,
            "hook_event_name": "Notification",
            "message": "Claude needs your permission to use Bash",
            "notification_type": "permission_prompt",
        },
        {
            **hook,
            "hook_event_name": "Stop",
            "stop_hook_active": False,
            "last_assistant_message": "The flaky test waited for a port; it listens on port 0 now.",
        },
        {**hook, "hook_event_name": "SessionEnd", "reason": "prompt_input_exit"},
    )


CONNECTOR = Connector(
    id=NAME,
    summary="Hears from Claude Code's hooks what becomes of its sessions, and runs it headless for an event.",
    source=SOURCE,
    actor=Offer(config=ClaudeCodeConfig, make=make_actor, check=check_actor),
    env=[
        EnvVar(
            name="CLAUDE_CODE_WEBHOOK_SECRET",
            description="What requests of hooks that can sign are signed with",
            command="openssl rand -hex 32",
            required=False,
        ),
        EnvVar(
            name="CLAUDE_CODE_WEBHOOK_TOKEN",
            description="What hooks that cannot sign send as a bearer token",
            command="openssl rand -hex 32",
            required=False,
        ),
        EnvVar(
            name="ANTHROPIC_API_KEY",
            description="For the actor, in its env, unless Claude Code is logged in on this machine",
            url="https://console.anthropic.com/settings/keys",
            required=False,
        ),
    ],
    samples=samples,
)
