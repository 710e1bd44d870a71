"""Posting, and what Slack's answers mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import trio

from orgloop.sdk import Checked, Delivered, Delivery, EventError, Failed, Outcome, Place, Rejected, encode
from orgloop_connectors._http import Answer, Online, Reply, open_client, outcome_of, retry_after_s
from orgloop_connectors.slack.config import SlackConfig, faults_in
from orgloop_connectors.slack.message import compile_blocks, compile_text, escaped, line_about

CHECK_S = 5.0
"""How long a check waits for a connection."""

PASSING = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Errors of chat.postMessage that another attempt may not meet."""

ADVICE = {
    "channel_not_found": "write the channel's id, and invite the bot to it if it is private",
    "not_in_channel": "invite the bot to the channel (/invite @bot)",
    "invalid_auth": "the token is not valid; set SLACK_BOT_TOKEN anew",
    "token_revoked": "the token was revoked; set SLACK_BOT_TOKEN anew",
    "account_inactive": "the bot was removed; install the app again",
    "missing_scope": "add the scope to the app, and install it again",
}
"""What to do about errors that a person must do something about."""

_NO_CHANNEL = "no channel: write one in the actor's config, or in the route's then.config"


class SlackActor(Online):
    """Posts one message for each delivery."""

    def __init__(self, config: SlackConfig, _: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config = config
        self._text = None if config.text is None else compile_text(config.text)
        self._blocks = None if config.blocks is None else compile_blocks(config.blocks)
        super().__init__(partial(open_client, secrets=list(_secrets_of(config))))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Post it; what Slack says, it is."""
        try:
            message = self._message(delivery)
        except EventError as exc:
            return Rejected(str(exc))
        if self._config.webhook_url is not None:
            return outcome_of(await self.client.request("POST", self._config.webhook_url, json=message), who="Slack")
        if "channel" not in message:
            return Rejected(_NO_CHANNEL)
        reply = await self.client.request(
            "POST",
            f"{self._config.api_url}/chat.postMessage",
            headers={"authorization": f"Bearer {self._config.token}"},
            json=message,
        )
        return _outcome(reply)

    def _message(self, delivery: Delivery) -> dict[str, Any]:
        event = escaped(json.loads(encode(delivery.event)))
        prompt = delivery.prompt.text if delivery.prompt else ""
        said = {"event": event, "launch_prompt": prompt, "config": escaped(delivery.config)}
        text = self._text(said) if self._text else line_about(event)
        message: dict[str, Any] = {"text": text or line_about(event)}
        if self._blocks is not None:
            message["blocks"] = self._blocks(said)
        message |= {"unfurl_links": self._config.unfurl, "unfurl_media": self._config.unfurl}
        chosen = ("thread_ts",) if self._config.webhook_url is not None else ("channel", "thread_ts")
        for name in chosen:
            if value := _chosen(name, delivery.config, self._config):
                message[name] = value
        if self._config.token is not None:
            own = {"username": self._config.username, "icon_emoji": self._config.icon_emoji}
            message |= {name: value for name, value in own.items() if value is not None}
            # Nobody sees it but whoever asks Slack for it: which delivery this was.
            about = {"idempotency_key": delivery.idempotency_key, "event_id": delivery.event.id}
            message["metadata"] = {"event_type": "orgloop_delivery", "event_payload": about}
        return message


def _chosen(name: str, route: Mapping[str, Any], config: SlackConfig) -> str | None:
    value = route.get(name)
    return value if isinstance(value, str) and value else getattr(config, name)


# -- what it says ------------------------------------------------------------------------------------------------------


def _outcome(reply: Reply) -> Outcome:
    """What came of chat.postMessage, which says 200 to nearly everything."""
    outcome = outcome_of(reply, who="Slack")
    if not isinstance(outcome, Delivered) or not isinstance(reply, Answer):
        return outcome
    body = _body_of(reply)
    if body is None:
        return Failed(f"Slack error: {reply.status}, but what it says is not an answer: {reply.excerpt}")
    if body.get("ok") is True:
        return Delivered()
    error = str(body.get("error") or "unknown_error")[:100]
    reason = "; ".join(part for part in (f"Slack refused: {error}", _more(body), ADVICE.get(error, "")) if part)
    return Failed(reason, retry_after_s(reply)) if error in PASSING else Rejected(reason)


def _more(body: Mapping[str, Any]) -> str:
    """Which scope is missing, or what is wrong with a block, as Slack puts it."""
    if isinstance(needed := body.get("needed"), str):
        return f"needs {needed[:100]}"
    metadata = body.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, Mapping) else None
    words = [str(message)[:150] for message in messages[:2]] if isinstance(messages, list) else []
    return " ".join(" ".join(words).split())


def _body_of(reply: Answer) -> Mapping[str, Any] | None:
    try:
        body = reply.json()
    except ValueError:
        return None
    return body if isinstance(body, Mapping) else None


async def check_actor(config: SlackConfig, _: Place) -> list[Checked]:
    """Whose token it is and what it may, or whether the webhook's host takes connections; nothing is posted."""
    if config.webhook_url is not None:
        return [await _reached(config.webhook_url)]
    async with open_client(secrets=list(_secrets_of(config))) as client:
        reply = await client.request(
            "GET", f"{config.api_url}/auth.test", headers={"authorization": f"Bearer {config.token}"}
        )
    outcome = _outcome(reply)
    if not isinstance(outcome, Delivered) or not isinstance(reply, Answer):
        return [Checked(name="SLACK_BOT_TOKEN", ok=False, detail=getattr(outcome, "reason", "no answer"))]
    body = _body_of(reply) or {}
    scopes = [scope.strip() for scope in reply.headers.get("x-oauth-scopes", "").split(",") if scope.strip()]
    identity = f"@{body.get('user')} in {body.get('team')}"
    if scopes and "chat:write" not in scopes:
        detail = "may not post: add the scope chat:write to the app, and install it again"
        return [Checked(name="SLACK_BOT_TOKEN", ok=False, detail=detail, identity=identity, scopes=scopes)]
    return [Checked(name="SLACK_BOT_TOKEN", ok=True, detail="Slack knows it", identity=identity, scopes=scopes)]


async def _reached(url: str) -> Checked:
    # To ask Slack whether a webhook is good is to post to it.
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    detail = f"{host}:{port} does not answer within {CHECK_S:g} s; is it reachable from here?"
    try:
        with trio.move_on_after(CHECK_S):
            await (await trio.open_tcp_stream(host, port)).aclose()
            return Checked(name="SLACK_WEBHOOK_URL", ok=True, detail=f"{host}:{port} takes connections")
    except OSError as exc:
        detail = f"{host}:{port} cannot be reached ({exc}); is the address right?"
    return Checked(name="SLACK_WEBHOOK_URL", ok=False, detail=detail)


def _secrets_of(config: SlackConfig) -> Iterator[str]:
    """Every text that a far side might repeat and nobody else should read."""
    if config.token:
        yield config.token
    if config.webhook_url:
        yield config.webhook_url
        yield from (step for step in urlsplit(config.webhook_url).path.split("/") if len(step) > len("services"))
