"""Agents in their house: one stops and its hook says so, another reviews its work, and its end is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Request
from orgloop_connectors import claude_code, codex, webhook
from tests.connectors.agent_standin import CODEX, SESSION, THREAD, agent, runs, says
from tests.connectors.outside import Says, open_outside
from tests.connectors.stage import made, place
from tests.connectors.test_agent_hooks import STOP

DELIVERY = {"timeout": "30s", "retry": {"initial_delay": "10ms"}}


def route(name: str, source: str, actor: str, **config: str) -> dict[str, Any]:
    return {
        "name": name,
        "when": {"source": source, "events": ["actor.stopped"]},
        "then": {"actor": actor, "delivery": DELIVERY, "config": config},
    }


async def test_an_agents_stop_wakes_a_reviewer_whose_end_is_told(tmp_path: Path) -> None:
    """The loop of an organisation: a stop hook, a headless run that crashes once, and its conforming end."""
    crashes_once = "if [ ! -e crashed ]; then touch crashed; exit 1; fi\n"
    reviewer = {"program": agent(tmp_path, crashes_once, says(*CODEX))}
    config = {
        "metadata": {"name": "engineering"},
        "sources": [{"id": "claude-code", "connector": "claude-code"}],
        "actors": [{"id": "reviewer", "connector": "codex"}, {"id": "teller", "connector": "webhook"}],
        "routes": [
            route("review", "claude-code", "reviewer", session_key="session:{{payload.session_id}}"),
            route("tell", "reviewer", "teller"),
        ],
    }
    async with open_outside() as outside, open_runtime() as runtime:
        outside.says(Says(200))
        await runtime.load_module(
            config,
            sources={"claude-code": made(claude_code.CONNECTOR.source, {}, place(id="claude-code"))},
            actors={
                "reviewer": made(codex.CONNECTOR.actor, reviewer, place(tmp_path, id="reviewer")),
                "teller": made(webhook.CONNECTOR.actor, {"url": outside.url}, place(id="teller")),
            },
        )
        request = Request("POST", "/webhook/claude-code", {}, json.dumps(STOP).encode())
        assert (await runtime.receive("claude-code", request)).status == 200
        assert await runtime.drain(timeout_s=10)

    told = [heard.json()["event"] for heard in outside.heard]
    ends = [event["payload"]["lifecycle"]["reason"] for event in told]
    assert ends == ["exit_code_1", "turn_completed"]
    assert told[1]["payload"]["session"]["id"] == THREAD
    assert told[1]["payload"]["session"]["meta"]["session_key"] == f"session:{SESSION}"
    assert len(runs(tmp_path)) == 2
    assert "This is attempt 2 at it" in (tmp_path / "told").read_text()
