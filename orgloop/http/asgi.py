"""
The same walls, limits and places in front of any ASGI application: what comes through the tunnel passes them again.

Only the first request of a tunnelled connection was seen by the listener. A later one may be anything: also an event,
which is admitted here, by the same code, so that a client may mix requests on one connection in any order. A body is
read whole, within its limits, before the application hears of the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import attrs
import trio

from orgloop.http.answers import BROKEN, NOT_FOUND, Answer, asgi_headers, refusal
from orgloop.http.ingest import Full, Ingest
from orgloop.http.limits import Limits
from orgloop.http.places import Elsewhere, Place, Webhook, place_of
from orgloop.http.request import LONGEST_LENGTH, folded
from orgloop.http.tellers import Refusals
from orgloop.http.walls import Terms, Walls, body_refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LATE = refusal(408, "The request did not come in time")
_OTHER_VERSION = refusal(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here")


@attrs.define
class _Answering:
    """Passes on what an application sends, and remembers whether it has begun."""

    send: Send
    has_begun: bool = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self.send(message)


@attrs.frozen(kw_only=True)
class Walled:
    """An ASGI application behind the walls."""

    app: App
    ingest: Ingest
    walls: Walls
    limits: Limits
    refusals: Refusals

    @property
    def _elsewhere_terms(self) -> Terms:
        return Terms(body_bytes=self.limits.body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it; what the application raises is told, and answered with 500."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        admitted = self._admitted(scope)
        if isinstance(admitted, Answer):
            await self._refuse(scope, admitted, send)
            return
        place, headers = admitted
        if scope["type"] == "websocket":
            await self._apply(scope, receive, send)
            return
        await self._serve(scope, place, headers, receive, send)

    def _admitted(self, scope: Scope) -> tuple[Place, dict[str, str]] | Answer:
        if scope["http_version"] not in {"1.0", "1.1"}:
            return _OTHER_VERSION
        if len(scope["headers"]) > self.limits.headers:
            return refusal(431, f"More than {self.limits.headers} headers")
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target = f"{target}?{scope['query_string'].decode('latin-1')}"
        if len(target) > self.limits.target_bytes:
            return refusal(414, f"The path is longer than {self.limits.target_bytes} bytes")
        headers = folded((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
        if isinstance(headers, Answer):
            return headers
        place = place_of(scope.get("method", "GET"), target)
        if isinstance(place, Answer):
            return place
        is_open = isinstance(place, Webhook) or (isinstance(place, Elsewhere) and place.is_open)
        return self.walls.refusal(headers, is_open=is_open) or (place, headers)

    async def _serve(self, scope: Scope, place: Place, headers: dict[str, str], receive: Receive, send: Send) -> None:
        terms = self._elsewhere_terms if isinstance(place, Elsewhere) else self.ingest.terms(place)
        most_bytes = terms.body_bytes
        length = headers.get("content-length", "0")
        has_body = length != "0" or "transfer-encoding" in headers
        found = body_refusal(headers, has_body=has_body, media_types=terms.media_types)
        if found is None and (len(length) > LONGEST_LENGTH or int(length) > most_bytes):
            found = _too_large(most_bytes)
        if found is not None:
            await self._refuse(scope, found, send)
            return
        reserved = most_bytes if "transfer-encoding" in headers else int(length)
        try:
            self.ingest.room.take(reserved)
        except Full:
            await self._refuse(scope, self.ingest.full(), send)
            return
        try:
            body = await self._body(receive, most_bytes)
            if isinstance(body, bytes) and not isinstance(place, Elsewhere):
                body = await self.ingest.answer(place, scope["method"], headers, body)
        finally:
            self.ingest.room.leave(reserved)
        if body is None:
            return
        if isinstance(body, Answer):
            await self._answer(body, send) if body.status < 400 else await self._refuse(scope, body, send)
        else:
            await self._apply(scope, _Replay(body, receive), send)

    async def _body(self, receive: Receive, most_bytes: int) -> bytes | Answer | None:
        """The whole of it; None if the client has gone."""
        pieces: list[bytes] = []
        total = 0
        with trio.move_on_after(self.limits.body_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                pieces.append(message.get("body", b""))
                total += len(pieces[-1])
                if total > most_bytes:
                    return _too_large(most_bytes)
                if not message.get("more_body", False):
                    return b"".join(pieces)
        return _LATE

    async def _apply(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = _Answering(send)
        try:
            await self.app(scope, receive, answering)
        except Exception as exc:
            self.ingest.tell("system.error", error=f"front door: {scope['path']}: {exc!r}")
            if not answering.has_begun and scope["type"] == "http":
                await self._answer(BROKEN, send)

    async def _refuse(self, scope: Scope, answer: Answer, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")
        self.refusals.note(answer.status, answer.body.decode(), peer="tunnel", target=path)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            return
        await self._answer(answer, send, close=True)

    async def _answer(self, answer: Answer, send: Send, *, close: bool = False) -> None:
        headers = asgi_headers(answer)
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})


@attrs.define
class _Replay:
    """Gives an application the body that has been read, then whatever else there is to hear."""

    body: bytes | None
    receive: Receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _too_large(most_bytes: int) -> Answer:
    return refusal(413, f"The body is larger than {most_bytes} bytes")


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """An application without a single page."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": asgi_headers(NOT_FOUND)})
        await send({"type": "http.response.body", "body": NOT_FOUND.body, "more_body": False})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        while (event := (await receive())["type"]) != "lifespan.shutdown":
            await send({"type": f"{event}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
