"""
Codex, both ways: told by its ``notify`` program and its hooks what becomes of its sessions, and run by ``codex exec``.

    sources:
      - id: codex
        connector: codex
        config: {token: "${CODEX_WEBHOOK_TOKEN}"}
    actors:
      - id: fixer
        connector: codex
        config: {cwd: checkout, sandbox: workspace-write}
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Event, Offer
from orgloop_connectors._agent_source import ENDED, preset, samples_of
from orgloop_connectors.codex.actor import check_actor, make_actor
from orgloop_connectors.codex.config import CodexConfig

SOURCE = preset("codex", "model")


def samples() -> list[Event]:
    """The end of a turn, as ``notify`` tells it, and that of a session, as the original does."""
    notified = {
        "type": "agent-turn-complete",
        "thread-id": "0199a213-81c0-7800-8aa1-bbab2a035a53",
        "turn-id": "12",
        "cwd": "/srv/engineering",
        "input-messages": ["Mend the flaky test."],
        "last-assistant-message": "The flaky test waited for a port; it listens on port 0 now.",
    }
    return samples_of(SOURCE, "codex", notified, {**ENDED, "model": "gpt-5.2-codex"})


CONNECTOR = Connector(
    id="codex",
    summary="Hears from Codex what becomes of its sessions, and runs it headless for an event.",
    source=SOURCE,
    actor=Offer(config=CodexConfig, make=make_actor, check=check_actor),
    env=[
        EnvVar(
            name="CODEX_WEBHOOK_SECRET",
            description="What requests are signed with, by what can sign",
            command="openssl rand -hex 32",
            required=False,
        ),
        EnvVar(
            name="CODEX_WEBHOOK_TOKEN",
            description="What a notify program that cannot sign sends as a bearer token",
            command="openssl rand -hex 32",
            required=False,
        ),
        EnvVar(
            name="CODEX_API_KEY",
            description="For the actor, in its env, unless Codex is logged in on this machine",
            url="https://platform.openai.com/api-keys",
            required=False,
        ),
    ],
    samples=samples,
)
