"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from orgloop_connectors._http import url_faults
from orgloop_connectors._template import template_faults

ROOTS = ("event", "launch_prompt", "config")
"""What a placeholder may begin with: the event, the route's prompt, the route's ``then.config``."""

MAX_BLOCKS = 50
"""How many blocks a message may have; Slack takes no more."""


@attrs.frozen(kw_only=True)
class SlackConfig:
    """
    Where to post, as whom, and what.

    Either ``webhook_url``, or ``token`` and a channel, here or in the route's ``then.config``.
    """

    webhook_url: str | None = attrs.field(default=None, metadata={"secret": True, "aliases": ("url",)})
    token: str | None = attrs.field(default=None, metadata={"secret": True})
    channel: str | None = None
    """A channel's id, or its name with ``#``; the route's ``then.config.channel`` comes first."""
    text: str | None = None
    """The message, or what notifications show of one with ``blocks``; a line about the event unless given."""
    blocks: Sequence[Mapping[str, Any]] | None = None
    """Block Kit, with placeholders in any text."""
    thread_ts: str | None = None
    """The message to answer to, by its ``ts``; the route's ``then.config.thread_ts`` comes first."""
    username: str | None = None
    icon_emoji: str | None = None
    unfurl: bool = False
    """Whether Slack shows what is behind the links."""
    api_url: str = "https://slack.com/api"


def faults_in(config: SlackConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    if config.webhook_url is None and config.token is None:
        yield "webhook_url: required, or token and channel; get one at https://api.slack.com/messaging/webhooks"
    if config.webhook_url is not None and config.token is not None:
        yield "token: beside webhook_url, only one of the two can be used; leave one out"
    for name in ("webhook_url", "api_url"):
        url = getattr(config, name)
        yield from (f"{name}: {fault}" for fault in (url_faults(url) if url is not None else ()))
    yield from _secret_faults(config)
    for name in ("channel", "thread_ts", "username", "icon_emoji"):
        if getattr(config, name) == "":
            yield f"{name}: is empty; leave the key out"
    for name in ("channel", "username", "icon_emoji"):
        if config.webhook_url is not None and getattr(config, name) is not None:
            yield f"{name}: a webhook posts where and as whom it was made for; only a token can choose"
    yield from template_faults(config.text, roots=ROOTS, where="text")
    yield from _block_faults(config.blocks)


def _secret_faults(config: SlackConfig) -> Iterator[str]:
    token = config.token
    if token == "":
        yield "token: is empty; set the variable it comes from"
    elif token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        yield "token: is none; one looks like xoxb-…"


def _block_faults(blocks: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    if blocks is None:
        return
    if not 0 < len(blocks) <= MAX_BLOCKS:
        yield f"blocks: has {len(blocks)}; Slack takes from 1 to {MAX_BLOCKS}"
    for index, block in enumerate(blocks):
        if not isinstance(block.get("type"), str):
            yield f"blocks.{index}.type: required, as in section; see https://api.slack.com/reference/block-kit/blocks"
    yield from template_faults(list(blocks), roots=ROOTS, where="blocks")
