"""What Pi in Rust posts when a session begins or ends, as events of that session: ``coding-agent`` under its name."""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Event
from orgloop_connectors._agent_source import ENDED, preset, samples_of

SOURCE = preset("pi-rust", "model")


def samples() -> list[Event]:
    """A beginning and an end."""
    start = {"session_id": ENDED["session_id"], "cwd": ENDED["cwd"], "hook_type": "start"}
    return samples_of(SOURCE, "pi-rust", start, {**ENDED, "model": "claude-sonnet-4-5"})


CONNECTOR = Connector(
    id="pi-rust",
    summary="Takes what Pi in Rust posts when a session begins or ends.",
    source=SOURCE,
    env=[
        EnvVar(
            name="PI_RUST_WEBHOOK_SECRET",
            description="What its requests are signed with",
            command="openssl rand -hex 32",
            required=False,
        )
    ],
    samples=samples,
)
