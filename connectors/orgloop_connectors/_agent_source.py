"""
The source of all coding agents that call a hook: first whether it is theirs, then what it says.

Law: what is wrong with a signature or a token has one answer. What a body says chooses the step of a session, and
nothing else: not the source, not the platform, not the harness, which are the operator's.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import attrs

from orgloop.sdk import (
    FORM_TYPE,
    JSON_TYPE,
    Checked,
    Event,
    Offer,
    Place,
    Received,
    Request,
    Response,
    Takes,
    faults_of,
)
from orgloop_connectors._agent_hooks import Said, said_by
from orgloop_connectors._lifecycle import now, session_event
from orgloop_connectors._payload import from_json
from orgloop_connectors._signing import MAX_ID_CHARS, Hmac

MAX_BODY_BYTES = 1024 * 1024
"""How long a body may be, unless ``max_body`` says otherwise."""

SIGNATURE_HEADERS = ("x-hub-signature-256", "x-signature")
"""Where a signature is looked for, in this order."""

DELIVERY_ID_HEADERS = ("webhook-id", "idempotency-key")
"""Where a sender's own id for a delivery is looked for, in this order."""

IDLE_KEYS = {
    "path": "has no effect: a source is always at /webhook/<id>",
    "buffer_dir": "has no effect: the log keeps what has come",
    "max_buffer_size": "has no effect: the log keeps what has come",
    "hook_type": "has no effect: each request says what it is",
}
"""Keys of the original, and of its scaffold, that are taken, and do nothing."""

_ID = re.compile(rf"[!-~]{{1,{MAX_ID_CHARS}}}")
_TOKEN = re.compile(r"[!-~]{1,4096}")


@attrs.frozen(kw_only=True)
class AgentSourceConfig:
    """
    What a source of agents accepts.

    Without ``secret`` and ``token`` it accepts whatever is posted, and says so in each event:
    ``provenance.authenticated``.
    """

    secret: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("hmac_secret",)})
    """What requests are signed with."""
    secrets: Sequence[str] = attrs.field(default=(), metadata={"secret": True})
    """More of them, for as long as a secret is being changed."""
    token: str | None = attrs.field(default=None, metadata={"secret": True})
    """For hooks that cannot sign: they send ``Authorization: Bearer <token>``."""
    max_body_bytes: int = attrs.field(default=MAX_BODY_BYTES, metadata={"yaml": "max_body", "unit": "size"})
    path: str | None = None
    """Accepted, and without effect: a source is always at ``/webhook/<id>``."""
    buffer_dir: str | None = None
    """Accepted, and without effect: the log keeps what has come."""
    max_buffer_size: int | None = attrs.field(default=None, metadata={"unit": "size"})
    """Accepted, and without effect, as ``buffer_dir``."""
    hook_type: str | None = None
    """Accepted, and without effect: each request says what it is."""


@attrs.frozen(kw_only=True)
class NamedAgentSourceConfig(AgentSourceConfig):
    """What a source of agents accepts, and what they are called in its events."""

    platform: str | None = None
    """``provenance.platform``."""
    harness: str | None = None
    """``payload.session.harness``: ``claude-code``, ``codex``, …; as the platform, unless given."""


def source_faults(config: AgentSourceConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    for where, secret in {
        "secret": config.secret,
        **{f"secrets.{number}": secret for number, secret in enumerate(config.secrets)},
    }.items():
        if secret == "":
            yield f"{where}: is empty; set the variable it comes from, or leave the key out and sign nothing"
    if config.token is not None and not _TOKEN.fullmatch(config.token):
        yield "token: must be graphic ASCII, at most 4096 characters; set the variable it comes from, or leave it out"
    if not 0 < config.max_body_bytes <= 100 * MAX_BODY_BYTES:
        yield "max_body: must be more than nothing, and at most 100MB"
    if isinstance(config, NamedAgentSourceConfig):
        for key in ("platform", "harness"):
            if getattr(config, key) == "":
                yield f"{key}: is empty; leave the key out, or name what runs"


Shape = Literal["transcript", "model"]
"""Which fields stand flat in a payload: ``working_directory`` and ``transcript_path``, or ``cwd`` and ``model``."""


class AgentSource:
    """Makes an event of each request that is authentic."""

    def __init__(self, config: AgentSourceConfig, place: Place, *, platform: str, harness: str, shape: Shape) -> None:
        """ValueError, a line for each fault."""
        if faults := list(source_faults(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        self._platform, self._harness, self._shape = platform, harness, shape
        self._secrets = [secret for secret in (config.secret, *config.secrets) if secret is not None]
        self._is_open = not self._secrets and config.token is None

    @property
    def takes(self) -> Takes:
        """Forms too, if whose they are can be told."""
        media_types = {JSON_TYPE, FORM_TYPE} if not self._is_open else {JSON_TYPE}
        return Takes(media_types=frozenset(media_types), body_bytes=self._config.max_body_bytes)

    async def receive(self, request: Request) -> Received:
        """The event of a request, or what is wrong with it."""
        if request.method != "POST":
            return _answer(405, "Method not allowed", allow="POST")
        if len(request.body) > self._config.max_body_bytes:
            return _answer(413, f"Body longer than {self._config.max_body_bytes} bytes")
        if not self._is_open and not self._is_authentic(request):
            return _answer(401, "Invalid signature")
        delivery_id = next((request.headers[name] for name in DELIVERY_ID_HEADERS if name in request.headers), None)
        if delivery_id is not None and not _ID.fullmatch(delivery_id):
            return _answer(400, "Invalid delivery id", f"1 to {MAX_ID_CHARS} graphic ASCII characters are expected")
        if not _is_json(request):
            return _answer(415, "Unsupported content type", "JSON is expected, in UTF-8")
        try:
            body = from_json(request.body)
        except ValueError as exc:
            return _answer(400, "Invalid JSON payload", str(exc))
        try:
            event = self.event_of(body)
        except ValueError as exc:
            return _answer(400, "Invalid hook", str(exc))
        return Received([event], Response(200, {"ok": True, "event_id": event.id}), delivery_id)

    def _is_authentic(self, request: Request) -> bool:
        written = next((request.headers[name] for name in SIGNATURE_HEADERS if name in request.headers), "")
        signed = Hmac().verify(self._secrets, request.body, written)
        token = self._config.token
        shown = request.headers.get("authorization", "").encode("utf-8", "surrogatepass")
        return signed or (token is not None and hmac.compare_digest(shown, f"Bearer {token}".encode()))

    def event_of(self, body: Any) -> Event:
        """What a body that is authentic says; ValueError if it cannot be an event."""
        said = said_by(body)
        session: dict[str, Any] = {"cwd": said.cwd} if said.cwd else {}
        if said.step.phase == "started":
            session["started_at"] = now()
        if said.step.terminal:
            session |= {"ended_at": now(), "exit_status": said.exit_status}
        if said.meta is not None:
            session["meta"] = dict(said.meta)
        provenance = {
            "author": self._platform,
            "session_id": said.step.session_id,
            "working_directory": said.cwd,
            "authenticated": not self._is_open,
        }
        event = session_event(
            self._place.id,
            said.step,
            platform=self._platform,
            harness=self._harness,
            session=session,
            flat=self._flat(said),
            provenance=provenance,
        )
        if faults := faults_of(event):
            raise ValueError(faults[0])
        return event

    def _flat(self, said: Said) -> dict[str, Any]:
        flat: dict[str, Any] = {
            "session_id": said.step.session_id,
            "working_directory" if self._shape == "transcript" else "cwd": said.cwd,
            "duration_seconds": said.duration_s,
            "exit_status": said.exit_status,
            "summary": said.summary,
            **({"transcript_path": said.transcript_path} if self._shape == "transcript" else {"model": said.model}),
        }
        optional: Mapping[str, Mapping[str, Any] | None] = {"meta": said.meta, "hook": said.hook}
        return flat | {key: dict(value) for key, value in optional.items() if value is not None}


def _is_json(request: Request) -> bool:
    kind, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
        return False
    if kind in ("", "application/json", "text/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return True
    # `curl -d '{…}'` says that it sends a form, and hooks are written with curl.
    return kind == "application/x-www-form-urlencoded" and request.body.lstrip()[:1] == b"{"


def _answer(status: int, error: str, detail: str | None = None, **headers: str) -> Received:
    body = {"error": error} if detail is None else {"error": error, "detail": detail}
    return Received((), Response(status, body, headers))


async def check_source(config: AgentSourceConfig, place: Place) -> list[Checked]:
    """Whether requests are authenticated, and which keys have no effect; nothing is asked of anybody."""
    if config.secret is not None or config.secrets or config.token is not None:
        detail = "requests are checked against it"
    else:
        detail = f"there is none: anyone who reaches /webhook/{place.id} can send events; set secret, or token"
    return [
        Checked(name="secret", ok=True, detail=detail),
        *(Checked(name=key, ok=True, detail=why) for key, why in IDLE_KEYS.items() if getattr(config, key) is not None),
    ]


def preset(name: str, shape: Shape) -> Offer:
    """The source of an agent whose platform and harness are its name."""
    return Offer(
        config=AgentSourceConfig,
        make=partial(AgentSource, platform=name, harness=name, shape=shape),
        check=check_source,
    )


def samples_of(offer: Offer, id: str, *bodies: Mapping[str, Any]) -> list[Event]:
    """What a source with the least config makes of bodies."""
    source = offer.make(offer.config(), Place(module="engineering", id=id, directory=Path()))
    return [source.event_of(body) for body in bodies]


ENDED: Mapping[str, Any] = {
    "session_id": "0c1d5a52-6f7b-4a55-9d0c-6b1f3b6f0a11",
    "cwd": "/srv/engineering",
    "duration_seconds": 184,
    "exit_status": 0,
    "summary": "The flaky test waited for a port; it listens on port 0 now.",
}
"""The body of the original, for samples."""
