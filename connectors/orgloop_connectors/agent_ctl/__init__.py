"""
Sessions of coding agents, as ``agentctl list --json`` tells them: what has changed since the last look.

    sources:
      - id: agents
        connector: agent-ctl
        poll: {interval: 10s}
"""

from __future__ import annotations

from pathlib import Path

from orgloop.sdk import Connector, Event, Offer, Place
from orgloop_connectors.agent_ctl.changes import Known, Listed, changes
from orgloop_connectors.agent_ctl.source import AgentCtlConfig, AgentCtlSource, check_source


def samples() -> list[Event]:
    """A session that begins, waits and fails, and one that is not there any more."""
    one = {
        "id": "7f3c9e5a-2a0f-4f5e-9d1c-3d1f0b6f2c11",
        "adapter": "claude-code",
        "startedAt": "2026-02-14T09:30:00.000Z",
        "cwd": "/srv/engineering",
        "spec": "Mend the flaky test.",
        "model": "claude-sonnet-4-5",
        "tokens": {"in": 18200, "out": 940},
        "cost": 0.12,
        "pid": 4711,
        "meta": {},
    }
    gone = {**one, "id": "0c1d5a52-6f7b-4a55-9d0c-6b1f3b6f0a11"}
    source = AgentCtlSource(AgentCtlConfig(), Place(module="engineering", id="agents", directory=Path()))
    before: Known = {}
    events: list[Event] = []
    for listed in (
        [{**one, "status": "running"}, {**gone, "status": "running"}],
        [{**one, "status": "idle"}, {**gone, "status": "running"}],
        [{**one, "status": "error", "stoppedAt": "2026-02-14T09:41:00.000Z"}],
    ):
        found, before = changes(before, [Listed.of(said) for said in listed], whole=True)
        events += [source.event_of(change) for change in found]
    return events


CONNECTOR = Connector(
    id="agent-ctl",
    summary="Looks at the sessions of coding agents through agentctl.",
    source=Offer(config=AgentCtlConfig, make=AgentCtlSource, check=check_source),
    samples=samples,
)
