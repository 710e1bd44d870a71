"""``/api/inbox``: to look changes nothing, and what is acknowledged is gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.app_stage import CHANGE, WITH_INBOX, Desk, open_desk

SESSION = "session_key=pr:7"


async def _inject(desk: Desk, count: int = 1) -> None:
    await desk.runtime.inject([{**CHANGE, "payload": {"pr": 7, "n": n}} for n in range(count)], module="letters")
    assert await desk.runtime.drain(timeout_s=5)


def _numbers(page: dict[str, Any]) -> list[int]:
    return [event["payload"]["n"] for event in page["events"]]


async def test_looking_into_an_inbox_changes_nothing() -> None:
    """As often as one likes: GET has no effect."""
    async with open_desk(module=WITH_INBOX) as desk:
        await _inject(desk, 3)
        for _ in range(2):
            page = await desk.get(f"/api/inbox/drain?{SESSION}&limit=2")
            assert (_numbers(page), page["remaining"]) == ([0, 1], 1)

        assert await desk.get(f"/api/inbox/status?{SESSION}") == {"pending": 3}
        one = {"sessionKey": "pr:7", "pending": 3, "module": "letters", "actor": "agent"}
        assert await desk.get("/api/inbox/list") == {"sessions": [one], "count": 1}
        assert not desk.actions()


async def test_what_is_acknowledged_does_not_come_again() -> None:
    """And it is told who has taken how much."""
    async with open_desk(module=WITH_INBOX) as desk:
        await _inject(desk, 2)
        page = await desk.get(f"/api/inbox/drain?{SESSION}&limit=1")
        body = {"session_key": "pr:7", "continuation": page["continuation"]}
        assert await desk.post("/api/inbox/ack", body) == {"acknowledged": 1}
        assert _numbers(await desk.get(f"/api/inbox/drain?{SESSION}")) == [1]
        assert desk.actions() == [("control.inbox.ack", None, "done")]


async def test_an_inbox_is_emptied_page_by_page() -> None:
    """Each page acknowledges the one before it."""
    async with open_desk(module=WITH_INBOX) as desk:
        await _inject(desk, 3)
        body: dict[str, Any] = {"session_key": "pr:7", "limit": 2}
        pages = []
        while True:
            page = await desk.post("/api/inbox/drain", body)
            pages.append(_numbers(page))
            if page["continuation"] is None:
                break
            body["continuation"] = page["continuation"]

        assert pages == [[0, 1], [2], []]
        assert await desk.get("/api/inbox/list") == {"sessions": [], "count": 0}


async def test_a_continuation_that_was_not_given_is_a_conflict() -> None:
    """Nothing is acknowledged, and it says what to do."""
    async with open_desk(module=WITH_INBOX) as desk:
        await _inject(desk)
        answer = await desk.post("/api/inbox/ack", {"session_key": "pr:7", "continuation": "x"}, status=409)
        assert answer["detail"]["code"] == "stale_continuation"
        assert await desk.get(f"/api/inbox/status?{SESSION}") == {"pending": 1}


@pytest.mark.parametrize("path", ["status", "drain"])
async def test_a_session_has_to_be_named(path: str) -> None:
    """400, naming the parameter; the original answers 200 here."""
    async with open_desk(module=WITH_INBOX) as desk:
        answer = await desk.get(f"/api/inbox/{path}", status=400)
        assert answer["detail"]["where"] == "session_key"
