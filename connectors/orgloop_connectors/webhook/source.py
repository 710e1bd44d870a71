"""Taking what anybody posts: first whether it is theirs, then what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from orgloop.sdk import FORM_TYPE, JSON_TYPE, Checked, Event, Place, Received, Request, Response, Takes, faults_of
from orgloop_connectors._payload import found_at, from_form, from_json
from orgloop_connectors._signing import MAX_ID_CHARS, standard_key, verify_standard
from orgloop_connectors.webhook.config import SourceConfig, refuse, signature_faults, source_faults

MAX_TYPE_CHARS = 200
"""A longer text at ``event_type_field`` is no type of anything."""

DELIVERY_ID_HEADERS = ("webhook-id", "x-github-delivery", "idempotency-key")
"""Where a sender's own id for a delivery is looked for, in this order."""

IDLE_KEYS = {
    "path": "has no effect: a source is always at /webhook/<id>",
    "buffer_dir": "has no effect: the log keeps what has come",
    "max_buffer_size": "has no effect: the log keeps what has come",
}
"""Keys of the original that are taken, and do nothing."""

_ID = re.compile(rf"[!-~]{{1,{MAX_ID_CHARS}}}")


class WebhookSource:
    """Makes an event of each request that is signed as it should be."""

    def __init__(self, config: SourceConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        refuse([*signature_faults(config), *source_faults(config)])
        self._config, self._place = config, place
        self._secrets = [secret for secret in (config.secret, *config.secrets) if secret is not None]
        self._keys = [standard_key(secret) for secret in self._secrets] if config.signature == "standard" else []
        self._hmac = config.hmac()
        if config.signature_header is not None:
            self._headers: tuple[str, ...] = (config.signature_header.lower(),)
        else:
            self._headers = ("x-hub-signature-256", *(["x-signature"] if config.signature == "hmac" else []))

    @property
    def takes(self) -> Takes:
        """Forms too, if whose they are can be told."""
        media_types = {JSON_TYPE, FORM_TYPE} if self._secrets else {JSON_TYPE}
        return Takes(media_types=frozenset(media_types), body_bytes=self._config.max_body_bytes)

    async def receive(self, request: Request) -> Received:
        """The event of a request, or what is wrong with it."""
        if request.method != "POST":
            return _answer(405, "Method not allowed", allow="POST")
        if len(request.body) > self._config.max_body_bytes:
            return _answer(413, f"Body longer than {self._config.max_body_bytes} bytes")
        if self._secrets and not self._is_authentic(request):
            return _answer(401, "Invalid signature")
        delivery_id = next((request.headers[name] for name in DELIVERY_ID_HEADERS if name in request.headers), None)
        if delivery_id is not None and not _ID.fullmatch(delivery_id):
            return _answer(400, "Invalid delivery id", f"1 to {MAX_ID_CHARS} graphic ASCII characters are expected")
        read = _reader(request.headers.get("content-type", ""))
        if read is None:
            return _answer(415, "Unsupported content type", "JSON or a form is expected, in UTF-8")
        try:
            event = self._event(read(request.body))
        except ValueError as exc:
            return _answer(400, "Invalid JSON payload", str(exc))
        return Received([event], Response(200, {"ok": True, "event_id": event.id}), delivery_id)

    def _is_authentic(self, request: Request) -> bool:
        config = self._config
        if config.signature == "standard":
            return verify_standard(
                self._keys, request.body, request.headers, now_s=time.time(), tolerance_s=config.tolerance_s
            )
        written = next((request.headers[name] for name in self._headers if name in request.headers), "")
        return self._hmac.verify(self._secrets, request.body, written)

    def _event(self, payload: Any) -> Event:
        said = found_at(payload, self._config.event_type_field)
        known = isinstance(said, str) and 0 < len(said) <= MAX_TYPE_CHARS
        provenance = {
            "platform": "webhook",
            "platform_event": said if known else "unknown",
            "authenticated": bool(self._secrets),
        }
        event = Event(self._place.id, self._config.event_type, provenance, payload)
        if faults := faults_of(event):
            raise ValueError(faults[0])
        return event


def _reader(content_type: str) -> Callable[[bytes], Any] | None:
    """What reads a body of this type; None if nothing does."""
    kind, *parameters = [part.strip().lower() for part in content_type.split(";")]
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
        return None
    if kind in ("", "application/json", "text/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return from_json
    return _from_form_or_json if kind == "application/x-www-form-urlencoded" else None


def _from_form_or_json(body: bytes) -> Any:
    # `curl -d '{…}'` says it sends a form, whatever it sends; no form begins like that unencoded.
    return from_json(body) if body.lstrip()[:1] in (b"{", b"[") else from_form(body)


def _answer(status: int, error: str, detail: str | None = None, **headers: str) -> Received:
    body = {"error": error} if detail is None else {"error": error, "detail": detail}
    return Received((), Response(status, body, headers))


async def check_source(config: SourceConfig, place: Place) -> list[Checked]:
    """Whether requests are authenticated, and which keys have no effect; nothing is asked of anybody."""
    detail = "requests are checked against it"
    if config.secret is None and not config.secrets:
        detail = (
            f"there is none: anyone who reaches /webhook/{place.id} can send events; set secret: ${{WEBHOOK_SECRET}}"
        )
    return [
        Checked(name="secret", ok=True, detail=detail),
        *(Checked(name=key, ok=True, detail=why) for key, why in IDLE_KEYS.items() if getattr(config, key) is not None),
    ]
