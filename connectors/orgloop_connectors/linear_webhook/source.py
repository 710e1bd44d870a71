"""Taking what Linear sends: first whether it is Linear's, then what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orgloop.sdk import Checked, Event, Place, Received, Request, Response, Takes, faults_of
from orgloop_connectors._linear import Drift, node_at
from orgloop_connectors._payload import from_json
from orgloop_connectors._signing import MAX_ID_CHARS, Hmac
from orgloop_connectors.linear_webhook.config import NAME, LinearWebhookConfig, faults_in
from orgloop_connectors.linear_webhook.said import events_of

IDLE_KEYS = {
    "path": "has no effect: a source is always at /webhook/<id>",
    "buffer_dir": "has no effect: the log keeps what has come",
    "max_buffer_size": "has no effect: the log keeps what has come",
}
"""Keys of the original that are taken, and do nothing."""

_ID = re.compile(rf"[!-~]{{1,{MAX_ID_CHARS}}}")
_SIGNATURE = Hmac(prefix="")

Node = Mapping[str, Any]


class LinearWebhookSource:
    """Makes events of what Linear sends."""

    def __init__(self, config: LinearWebhookConfig, place: Place, *, now_s: Callable[[], float] = time.time) -> None:
        """ValueError, a line for each fault; ``now_s`` gives Unix seconds."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place, self._now_s = config, place, now_s
        self._secrets = [secret for secret in (config.secret, *config.secrets) if secret is not None]

    @property
    def takes(self) -> Takes:
        """JSON, of any size that its configuration allows."""
        return Takes(body_bytes=self._config.max_body_bytes)

    async def receive(self, request: Request) -> Received:
        """The events of a request, or what is wrong with it."""
        if request.method != "POST":
            return _answer(405, "Method not allowed", allow="POST")
        if len(request.body) > self._config.max_body_bytes:
            return _answer(413, f"Body longer than {self._config.max_body_bytes} bytes")
        signature = request.headers.get("linear-signature", "")
        if self._secrets and not _SIGNATURE.verify(self._secrets, request.body, signature):
            return _answer(401, "Invalid signature")
        try:
            body = from_json(request.body)
        except ValueError as exc:
            return _answer(400, "Invalid JSON payload", str(exc))
        if self._secrets and not self._is_fresh(body):
            return _answer(401, "Invalid signature")
        return self._admitted(body, request.headers.get("linear-delivery"))

    def _is_fresh(self, body: Any) -> bool:
        sent_ms = body.get("webhookTimestamp") if isinstance(body, Mapping) else None
        return type(sent_ms) is int and abs(self._now_s() * 1000 - sent_ms) <= self._config.tolerance_s * 1000

    def _admitted(self, body: Any, delivery_id: str | None) -> Received:
        if delivery_id is not None and not _ID.fullmatch(delivery_id):
            return _answer(400, "Invalid delivery id", f"1 to {MAX_ID_CHARS} graphic ASCII characters are expected")
        kinds = [body.get(key) for key in ("type", "action")] if isinstance(body, Mapping) else []
        if not kinds or not all(isinstance(kind, str) and NAME.fullmatch(kind) for kind in kinds):
            return _answer(400, "Missing type or action field")
        try:
            if reason := self._filtered(body):
                return Received((), Response(200, {"ok": True, "filtered": True, "reason": reason}), delivery_id)
            authenticated = bool(self._secrets)
            events = [stamped(event, authenticated=authenticated) for event in events_of(self._place.id, body)]
        except Drift as exc:
            return _answer(400, "Unknown shape", str(exc))
        for event in events:
            if faults := faults_of(event):
                return _answer(400, "Invalid JSON payload", faults[0])
        said = {"ok": True, "events_created": len(events), "event_ids": [event.id for event in events]}
        return Received(events, Response(200, said), delivery_id)

    def _filtered(self, body: Node) -> str | None:
        """Why what was sent is not for this source; None if it is."""
        if self._config.events and body["type"] not in self._config.events:
            return "event_type"
        team = _team_of(node_at(body, "data") or {})
        return "team_mismatch" if self._config.team and team not in (None, self._config.team) else None


def stamped(event: Event, *, authenticated: bool) -> Event:
    return attrs.evolve(event, provenance={**event.provenance, "authenticated": authenticated})


def _answer(status: int, error: str, detail: str | None = None, **headers: str) -> Received:
    body = {"error": error} if detail is None else {"error": error, "detail": detail}
    return Received((), Response(status, body, headers))


def _team_of(data: Node) -> str | None:
    for node in (data, node_at(data, "issue") or {}):
        key = (node_at(node, "team") or {}).get("key")
        if isinstance(key, str):
            return key
    return None


async def check_source(config: LinearWebhookConfig, place: Place) -> list[Checked]:
    """Whether requests are authenticated, and which keys have no effect; nothing is asked of anybody."""
    detail = "requests are checked against it"
    if config.secret is None and not config.secrets:
        detail = (
            f"there is none: anyone who reaches /webhook/{place.id} can send events; "
            "set secret: ${LINEAR_WEBHOOK_SECRET}"
        )
    return [
        Checked(name="secret", ok=True, detail=detail),
        *(Checked(name=key, ok=True, detail=why) for key, why in IDLE_KEYS.items() if getattr(config, key) is not None),
    ]
