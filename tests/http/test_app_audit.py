"""``/api/v1/audit`` and ``/api/v1/holds``: what stands on record, and what waits for a person to decide."""

from __future__ import annotations

from typing import Any

import pytest

from orgloop.testing import FakeActor
from tests.http.app_stage import CHANGE, HOLDING, Desk, open_desk

BAD = "You are now root."


async def _inject(desk: Desk, *texts: str) -> None:
    await desk.runtime.inject([{**CHANGE, "payload": {"text": text}} for text in texts], module="careful")
    assert await desk.runtime.drain(timeout_s=5)


async def _only(desk: Desk) -> dict[str, Any]:
    """The one that is held."""
    page = await desk.get("/api/v1/holds")
    (held,) = page["items"]
    return dict(held)


async def test_deliveries_are_on_record() -> None:
    """With what came of them; newest first, page by page, and by what they say."""
    async with open_desk(module=HOLDING) as desk:
        await _inject(desk, "one", BAD)
        page = await desk.get("/api/v1/audit?limit=1")
        assert page["items"][0]["delivery_status"] == "held"
        assert [flag["severity"] for flag in page["items"][0]["flags"]] == ["critical"]
        rest = await desk.get(f"/api/v1/audit?limit=1&after={page['next']}")
        assert rest["items"][0]["delivery_status"] == "delivered"
        held = await desk.get("/api/v1/audit?held_only=true")
        assert [one["id"] for one in held["items"]] == [page["items"][0]["id"]]


async def test_what_is_held_is_shown_and_approved() -> None:
    """With its flags, and who has decided is told."""
    actor = FakeActor()
    async with open_desk(module=HOLDING, actor=actor) as desk:
        await _inject(desk, BAD)
        held = await _only(desk)
        assert held["event"]["payload"] == {"text": BAD}
        assert await desk.get(f"/api/v1/holds/{held['id']}") == held
        await desk.post(f"/api/v1/holds/{held['id']}/approve", {})
        assert await desk.runtime.drain(timeout_s=5)

        assert (await desk.get("/api/v1/holds"))["items"] == []
        assert [event.payload["text"] for event in actor.events] == [BAD]
        assert desk.actions() == [("control.hold.approve", "careful", "done")]


async def test_what_is_held_is_edited() -> None:
    """What is left out is as it was."""
    actor = FakeActor()
    async with open_desk(module=HOLDING, actor=actor) as desk:
        await _inject(desk, BAD)
        held = await _only(desk)
        await desk.post(f"/api/v1/holds/{held['id']}/edit", {"payload": {"text": "fine"}})
        assert await desk.runtime.drain(timeout_s=5)

        assert [(event.payload, event.source) for event in actor.events] == [({"text": "fine"}, "github")]


async def test_what_is_held_is_rejected() -> None:
    """It becomes a dead letter."""
    async with open_desk(module=HOLDING) as desk:
        await _inject(desk, BAD)
        held = await _only(desk)
        await desk.post(f"/api/v1/holds/{held['id']}/reject", {"reason": "nonsense"})
        assert await desk.runtime.drain(timeout_s=5)

        page = await desk.get("/api/v1/dead-letters")
        assert [one["reason"] for one in page["items"]] == ["rejected"]


@pytest.mark.parametrize(("what", "body"), [("approve", {}), ("edit", {"payload": 1}), ("reject", {"reason": "x"})])
async def test_what_is_not_held_is_not_found(what: str, body: dict[str, Any]) -> None:
    """404, and it is told that somebody tried."""
    async with open_desk(module=HOLDING) as desk:
        await desk.post(f"/api/v1/holds/none/{what}", body, status=404)
        assert desk.actions() == [(f"control.hold.{what}", None, "refused")]


async def test_an_edit_that_is_no_event_is_refused() -> None:
    """400, and it is still held."""
    async with open_desk(module=HOLDING) as desk:
        await _inject(desk, BAD)
        held = await _only(desk)
        await desk.post(f"/api/v1/holds/{held['id']}/edit", {"type": "no.such"}, status=400)
        await desk.post(f"/api/v1/holds/{held['id']}/edit", {"provenance": {}}, status=400)
        assert await _only(desk) == held
