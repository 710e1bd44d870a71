"""The doors in their house: what one posts, another runs, and a third is told how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Request
from orgloop_connectors import exec as exec_
from orgloop_connectors import webhook
from tests.connectors.outside import Says, open_outside
from tests.connectors.stage import made, place

QUICK = {"retry": {"initial_delay": "10ms"}}


def route(name: str, source: str, event: str, actor: str) -> dict[str, Any]:
    return {"name": name, "when": {"source": source, "events": [event]}, "then": {"actor": actor, "delivery": QUICK}}


async def test_a_post_is_run_and_its_end_is_posted(tmp_path: Path) -> None:
    """Once, though it came twice: the loop of an organisation, with real doors."""
    config = {
        "metadata": {"name": "engineering"},
        "sources": [{"id": "partner", "connector": "webhook"}],
        "actors": [{"id": "runner", "connector": "exec"}, {"id": "teller", "connector": "webhook"}],
        "routes": [
            route("run", "partner", "resource.changed", "runner"),
            route("tell", "runner", "actor.stopped", "teller"),
        ],
    }
    runner = {"command": ["sh", "-c", 'echo "built $1"', "sh", "{{ event.payload.version }}"], "emits": True}
    request = Request("POST", "/webhook/partner", {"idempotency-key": "release-7"}, b'{"version": "1.4.2"}')
    async with open_outside() as outside, open_runtime() as runtime:
        outside.says(Says(503), Says(200))
        await runtime.load_module(
            config,
            sources={"partner": made(webhook.CONNECTOR.source, {}, place(id="partner"))},
            actors={
                "runner": made(exec_.CONNECTOR.actor, runner, place(tmp_path, id="runner")),
                "teller": made(webhook.CONNECTOR.actor, {"url": outside.url}, place(id="teller")),
            },
        )
        for _ in range(2):
            assert (await runtime.receive("partner", request)).status == 200
        assert await runtime.drain(timeout_s=10)

    told = [heard.json()["event"]["payload"]["stdout"] for heard in outside.heard]
    assert told == ["built 1.4.2", "built 1.4.2"]
    assert len({heard.headers["idempotency-key"] for heard in outside.heard}) == 1
    assert [heard.headers["x-orgloop-attempt"] for heard in outside.heard] == ["1", "2"]
