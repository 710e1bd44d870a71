"""Posting what happened to one URL."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import trio

from orgloop.sdk import Checked, Delivery, EventError, Outcome, Place, Rejected, encode
from orgloop_connectors._http import Online, open_client, outcome_of
from orgloop_connectors._identity import identity_headers
from orgloop_connectors._signing import sign_standard, standard_key
from orgloop_connectors._template import compile_template
from orgloop_connectors.webhook.config import ActorConfig, Auth, actor_faults, refuse, signature_faults

CHECK_S = 5.0
"""How long a check waits for a connection."""


class WebhookActor(Online):
    """Posts each delivery to one URL."""

    def __init__(self, config: ActorConfig, _: Place) -> None:
        """ValueError, a line for each fault."""
        refuse([*signature_faults(config), *actor_faults(config)])
        self._config = config
        self._fill = None if config.body_template is None else compile_template(config.body_template)
        self._authorization = _authorization(config.auth) if config.auth else None
        self._key = standard_key(config.secret) if config.secret and config.signature == "standard" else None
        super().__init__(partial(open_client, secrets=list(_secrets_of(config))))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Post it; what the status says, it is."""
        try:
            body = self._body(delivery)
        except EventError as exc:
            return Rejected(str(exc))
        reply = await self.client.request(
            self._config.method, self._config.url, content=body, headers=self._headers(delivery, body)
        )
        return outcome_of(reply, who="Webhook")

    def _body(self, delivery: Delivery) -> bytes:
        event = json.loads(encode(delivery.event))
        prompt = delivery.prompt.text if delivery.prompt else None
        if self._fill is None:
            body = {"event": event} | ({} if prompt is None else {"launch_prompt": prompt})
        else:
            body = self._fill({"event": event, "launch_prompt": prompt or "", "config": delivery.config})
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        config = self._config
        headers = {"content-type": "application/json"} | {name.lower(): v for name, v in config.headers.items()}
        headers |= identity_headers(delivery)
        if self._authorization is not None:
            headers["authorization"] = self._authorization
        if self._key is not None:
            id_ = headers["idempotency-key"].replace(".", "%2E")
            headers |= sign_standard(self._key, body, id=id_, at_s=time.time())
        elif config.secret is not None:
            name = config.signature_header or "x-hub-signature-256"
            headers[name.lower()] = config.hmac().sign(config.secret, body)
        return headers


async def check_actor(config: ActorConfig, _: Place) -> list[Checked]:
    """Whether the host takes connections; nothing is sent."""
    parts = urlsplit(config.url)
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    detail = f"{host}:{port} does not answer within {CHECK_S:g} s; is it running, and reachable from here?"
    try:
        with trio.move_on_after(CHECK_S):
            await (await trio.open_tcp_stream(host, port)).aclose()
            return [Checked(name="url", ok=True, detail=f"{host}:{port} takes connections")]
    except OSError as exc:
        detail = f"{host}:{port} cannot be reached ({exc}); is it running, and is the url right?"
    return [Checked(name="url", ok=False, detail=detail)]


def _authorization(auth: Auth) -> str:
    if auth.type == "bearer":
        return f"Bearer {auth.token}"
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def _secrets_of(config: ActorConfig) -> Iterator[str]:
    """Every text that a far side might repeat and nobody else should read."""
    parts = urlsplit(config.url)
    yield from (config.url, parts.query, *(step for step in parts.path.split("/") if len(step) >= 16))
    yield from config.headers.values()
    if config.secret:
        yield config.secret
    if config.auth:
        yield from (text for text in (config.auth.token, config.auth.password) if text)
        yield _authorization(config.auth).partition(" ")[2]
