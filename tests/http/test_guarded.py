"""What stands between hypercorn and an application that does not behave as hypercorn expects."""

from __future__ import annotations

import pytest
import trio

from orgloop.http.asgi import Receive, Scope, Send
from tests.http.server import AUTH, echo_app, open_front


async def ends_itself(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers, and is cancelled by its own hearing that the answer was the end, as Quart's requests are."""
    if scope["type"] != "http":
        await echo_app(scope, receive, send)
        return
    async with trio.open_nursery() as nursery:

        async def hear() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel("the request has ended")

        nursery.start_soon(hear)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("number", range(8))  # Trio runs tasks in any order: each time is a chance of one in two
async def test_a_connection_is_closed_though_its_request_cancels_itself(number: int) -> None:
    """The client was told that it would be."""
    async with open_front(app=ends_itself) as front:
        with trio.fail_after(2):
            got = await front.ask(front.request("GET", "/control/x", **AUTH))
    assert got.status == 200
