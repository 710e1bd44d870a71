"""What the two can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from orgloop_connectors._http import url_faults
from orgloop_connectors._signing import TOLERANCE_S, Algorithm, Encoding, Hmac, standard_key
from orgloop_connectors._template import template_faults

MAX_BODY_BYTES = 1024 * 1024
"""How long a body may be, unless ``max_body`` says otherwise."""

Signature = Literal["hmac", "github", "standard"]

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,8192}")


@attrs.frozen(kw_only=True)
class Signed:
    """How requests are signed."""

    secret: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("hmac_secret",)})
    signature: Signature = "hmac"
    """``hmac``: a digest in a header; ``github``: that of GitHub; ``standard``: Standard Webhooks."""
    signature_header: str | None = None
    """For ``hmac``; a source looks by itself for X-Hub-Signature-256, then X-Signature."""
    signature_algorithm: Algorithm = "sha256"
    signature_encoding: Encoding = "hex"
    signature_prefix: str | None = None
    """For ``hmac``: what stands before the digest; the algorithm and ``=`` unless given."""

    def hmac(self) -> Hmac:
        """The digest of this scheme."""
        if self.signature == "github":
            return Hmac()
        prefix = f"{self.signature_algorithm}=" if self.signature_prefix is None else self.signature_prefix
        return Hmac(algorithm=self.signature_algorithm, prefix=prefix, encoding=self.signature_encoding)


@attrs.frozen(kw_only=True)
class SourceConfig(Signed):
    """
    What a source accepts.

    Without a secret it accepts whatever is posted, and says so in each event: ``provenance.authenticated``.
    """

    secrets: Sequence[str] = attrs.field(default=(), metadata={"secret": True})
    """More of them, for as long as a secret is being changed."""
    tolerance_s: float = attrs.field(default=TOLERANCE_S, metadata={"yaml": "tolerance", "unit": "duration"})
    """How old a ``standard`` signature may be."""
    event_type_field: str = "type"
    """The dot path in the body at which the sender says what happened."""
    event_type: Literal["resource.changed", "message.received"] = "resource.changed"
    max_body_bytes: int = attrs.field(default=MAX_BODY_BYTES, metadata={"yaml": "max_body", "unit": "size"})
    path: str | None = None
    """Accepted, and without effect: a source is always at ``/webhook/<id>``."""
    buffer_dir: str | None = None
    """Accepted, and without effect: the log keeps what has come."""
    max_buffer_size: int | None = attrs.field(default=None, metadata={"unit": "size"})
    """Accepted, and without effect, as ``buffer_dir``."""


@attrs.frozen(kw_only=True)
class Auth:
    """Who we are to the far side."""

    type: Literal["bearer", "basic"]
    token: str | None = attrs.field(default=None, metadata={"secret": True})
    username: str | None = None
    password: str | None = attrs.field(default=None, metadata={"secret": True})


@attrs.frozen(kw_only=True)
class ActorConfig(Signed):
    """Where to post, as whom, and what."""

    url: str = attrs.field(metadata={"secret": True})
    """Secret, because those of Slack and its like are."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    auth: Auth | None = None
    body_template: Mapping[str, Any] | None = None
    """With ``{{ event.… }}``, ``{{ launch_prompt }}`` and ``{{ config.… }}`` (the route's); without it, the event."""


# -- what can be wrong ------------------------------------------------------------------------------------------------

_OURS = ("connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade")


def signature_faults(config: Signed) -> Iterator[str]:
    secrets = {"secret": config.secret}
    if isinstance(config, SourceConfig):
        secrets |= {f"secrets.{index}": secret for index, secret in enumerate(config.secrets)}
    for where, secret in secrets.items():
        if secret == "":
            yield f"{where}: is empty; set the variable it comes from, or leave the key out and sign nothing"
        elif secret is not None and config.signature == "standard":
            try:
                standard_key(secret)
            except ValueError as exc:
                yield f"{where}: {exc}"
    if config.signature_header is not None and not _HEADER.fullmatch(config.signature_header):
        yield f"signature_header: {config.signature_header[:60]!r} is no name of a header"
    if config.signature != "hmac":
        yield from (
            f"{name}: only for signature: hmac; {config.signature} has its own"
            for name in ("signature_header", "signature_algorithm", "signature_encoding", "signature_prefix")
            if getattr(config, name) != getattr(attrs.fields(Signed), name).default
        )
    if config.signature_prefix is not None and not _HEADER_VALUE.fullmatch(config.signature_prefix):
        yield "signature_prefix: must be printable ASCII"


def source_faults(config: SourceConfig) -> Iterator[str]:
    if not config.event_type_field:
        yield "event_type_field: is empty; name a field of the body, as in type"
    if not 0 < config.max_body_bytes <= 100 * MAX_BODY_BYTES:
        yield "max_body: must be more than nothing, and at most 100MB"


def actor_faults(config: ActorConfig) -> Iterator[str]:
    yield from (f"url: {fault}" for fault in url_faults(config.url))
    for name, value in config.headers.items():
        if not _HEADER.fullmatch(name):
            yield f"headers: {name[:60]!r} is no name of a header"
        elif name.lower() in _OURS:
            yield f"headers.{name}: is set by the client itself"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"headers.{name}: must be printable ASCII, at most 8192 characters"
    if config.auth is not None:
        needed = {"bearer": ("token",), "basic": ("username", "password")}[config.auth.type]
        yield from (
            f"auth.{name}: required for type {config.auth.type}" for name in needed if not getattr(config.auth, name)
        )
        if not _HEADER_VALUE.fullmatch(config.auth.token or ""):
            yield "auth.token: must be printable ASCII, at most 8192 characters"
        if ":" in (config.auth.username or ""):
            yield "auth.username: must not contain a colon"
    if config.body_template is not None:
        yield from template_faults(
            config.body_template, roots=("event", "launch_prompt", "config"), where="body_template"
        )


def refuse(faults: Sequence[str]) -> None:
    """Raise ValueError if there is a fault, a line for each."""
    if faults:
        raise ValueError("\n".join(faults))
