"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import attrs

from orgloop_connectors._http import url_faults

MAX_PAYLOAD_BYTES = 96 * 1024
"""How much of a payload a message has, unless ``max_payload`` says otherwise; OpenClaw takes 256 KiB in all."""

SessionMode = Literal["isolated", "persistent"]

_NAME_OF_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


@attrs.frozen(kw_only=True)
class OpenClawConfig:
    """Which gateway, who we are there, and what holds for routes that do not say otherwise."""

    base_url: str = attrs.field(default="http://127.0.0.1:18789", metadata={"aliases": ("webhook_url",)})
    auth_token_env: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("token",)})
    """The token itself, usually written as a variable."""
    agent_id: str | None = attrs.field(default=None, metadata={"aliases": ("agent",)})
    """Which agent; without it, OpenClaw's default."""
    default_channel: str | None = None
    default_to: str | None = None
    lane: str | None = None
    """Which of its lanes the runs wait in, so that they do not wait for others."""
    session_mode: SessionMode | None = None
    """Whether a session key leads to one conversation; OpenClaw begins a new one for each event unless told."""
    hooks_path: str = "/hooks"
    """Where its hooks are: its own ``hooks.path``."""
    callbacks: bool = True
    """Whether an event may name, by its metadata, the session that waits for it."""
    max_payload_bytes: int = attrs.field(default=MAX_PAYLOAD_BYTES, metadata={"yaml": "max_payload", "unit": "size"})
    """How much of a payload a message has."""

    @property
    def root(self) -> str:
        """Where the gateway is, whether or not the address goes on to its hooks."""
        return self.base_url.rstrip("/").removesuffix("/agent").removesuffix(self.hooks_path)

    def url(self, path: str = "") -> str:
        """Where its hooks are, or one of them."""
        return f"{self.root}{self.hooks_path}{path}"


def faults_in(config: OpenClawConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    yield from (f"base_url: {fault}" for fault in url_faults(config.base_url))
    if "?" in config.base_url or "#" in config.base_url:
        yield "base_url: ends with the path; a query or a fragment has no meaning there"
    yield from _token_faults(config.auth_token_env)
    if not _PATH.fullmatch(config.hooks_path):
        yield f"hooks_path: {config.hooks_path[:60]!r} is no path; write it as /hooks"
    for name in ("agent_id", "default_channel", "default_to", "lane"):
        if getattr(config, name) == "":
            yield f"{name}: is empty; set the variable it comes from, or leave the key out"
    if not 1024 <= config.max_payload_bytes <= 10 * 1024 * 1024:
        yield "max_payload: must be at least 1KB, and at most 10MB"


def _token_faults(token: str | None) -> Iterator[str]:
    if token is None:
        return
    if not token:
        yield "auth_token_env: is empty; set the variable it comes from, or leave the key out"
    elif _NAME_OF_VARIABLE.fullmatch(token):
        yield f'auth_token_env: is the token itself, not the name of a variable; write "${{{token}}}"'
    elif not _TOKEN.fullmatch(token):
        yield "auth_token_env: must be graphic ASCII, at most 4096 characters"
