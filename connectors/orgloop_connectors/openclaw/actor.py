"""
Waking the agent: first in the session that waits for this event, if it names one, else in that of the route.

    callback session   refused (4xx, and our token is right)      the session of the route
                       anything else                              is what came of it

A callback that was not answered, or answered 5xx, may have been taken: it is tried again, under the same idempotency
key, and not also sent elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from orgloop.sdk import Checked, Delivery, EventError, Failed, Outcome, Place, Rejected, Skipped
from orgloop_connectors._http import Answer, Client, Limits, NoAnswer, Online, Reply, open_client, outcome_of
from orgloop_connectors._identity import identity_headers
from orgloop_connectors.openclaw.body import Callback, body_of, callback_of
from orgloop_connectors.openclaw.config import OpenClawConfig, faults_in

CHECK = Limits(connect_s=3.0, read_s=5.0, total_s=5.0, body_bytes=64 * 1024)
"""A check is for somebody who waits for it."""


class OpenClawActor(Online):
    """Posts each delivery to the hooks of one gateway."""

    def __init__(self, config: OpenClawConfig, _: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config = config
        super().__init__(_opening(config))

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Wake the agent; what OpenClaw answers, it is."""
        config = self._config
        callback = callback_of(delivery.event) if config.callbacks else Callback()
        if callback.agent_id and config.agent_id and callback.agent_id != config.agent_id:
            return Skipped("callback targets different agent")
        try:
            body = body_of(config, delivery)
        except (EventError, ValueError) as exc:
            return Rejected(str(exc))
        if callback.session_key is None:
            return _outcome(await self._post(delivery, body))
        return await self._call_back(delivery, body, callback)

    async def _call_back(self, delivery: Delivery, body: Mapping[str, Any], callback: Callback) -> Outcome:
        """Wake the session that waits; that of the route, if OpenClaw refuses it for good."""
        agent = {} if callback.agent_id is None else {"agentId": callback.agent_id}
        reply = await self._post(delivery, {**body, "sessionKey": callback.session_key, **agent})
        outcome = _outcome(reply)
        # A wrong token is wrong for every session, and OpenClaw counts those who try.
        if not isinstance(outcome, Rejected) or _status_of(reply) == 401:
            return outcome
        second = _outcome(await self._post(delivery, body))
        if isinstance(second, Rejected):
            return Rejected(f"{second.reason}; and, for the callback session, {outcome.reason}")
        return second

    async def _post(self, delivery: Delivery, body: Mapping[str, Any]) -> Reply:
        headers = {"content-type": "application/json", **identity_headers(delivery), **_authorization(self._config)}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return await self.client.request("POST", self._config.url("/agent"), content=content, headers=headers)


# -- what came of it ---------------------------------------------------------------------------------------------------


def _outcome(reply: Reply) -> Outcome:
    outcome = outcome_of(reply, who="OpenClaw")
    # The session was about to change, or is full: it may take the next attempt.
    if isinstance(outcome, Rejected) and _status_of(reply) == 409:
        return Failed(outcome.reason.replace("rejected", "error", 1))
    return outcome


def _status_of(reply: Reply) -> int | None:
    return None if isinstance(reply, NoAnswer) else reply.status


# -- whether it would work ---------------------------------------------------------------------------------------------


async def check_actor(config: OpenClawConfig, _: Place) -> list[Checked]:
    """
    Whether the gateway is there, and takes our token: no agent is woken.

    The token is shown at ``hooks_path`` itself, at which OpenClaw has no action: it answers 401 or 404 there.
    """
    async with _opening(config, CHECK)() as client:
        health = await client.request("GET", f"{config.root}/healthz")
        if isinstance(health, NoAnswer):
            detail = f"{config.base_url} does not answer ({health.reason}); is it running (openclaw gateway status)?"
            return [Checked(name="openclaw", ok=False, detail=detail)]
        if health.status >= 500:
            detail = f"{config.base_url} answers {health.status}; see openclaw logs"
            return [Checked(name="openclaw", ok=False, detail=detail)]
        service = Checked(name="openclaw", ok=True, detail=f"{config.base_url} answers")
        return [service, await _check_token(client, config)]


async def _check_token(client: Client, config: OpenClawConfig) -> Checked:
    headers = _authorization(config)
    reply = await client.request("GET", config.url("/agent"), headers=headers)
    # Nothing is posted to what has not said that it takes nothing else, as the hooks of OpenClaw do.
    is_theirs = isinstance(reply, Answer) and reply.status == 405 and reply.headers.get("allow") == "POST"
    if is_theirs:
        reply = await client.request("POST", config.url(), headers=headers)
    said = partial(Checked, name="OPENCLAW_WEBHOOK_TOKEN")
    status = _status_of(reply)
    if status in (401, 403):
        advice = "write hooks.token of OpenClaw there" if headers else "auth_token_env is not set"
        return said(ok=False, detail=f"Invalid token ({status}); {advice}")
    if status == 429:
        return said(ok=False, detail="too many wrong tokens came from here; wait a minute, and check again")
    if is_theirs and status == 404:
        return said(ok=True, detail="its hooks take the token")
    advice = "set hooks.enabled: true in OpenClaw, and hooks_path here if its hooks.path is another"
    return said(ok=False, detail=f"there are no hooks at {config.url()}; {advice}")


def _authorization(config: OpenClawConfig) -> dict[str, str]:
    return {} if config.auth_token_env is None else {"authorization": f"Bearer {config.auth_token_env}"}


def _opening(config: OpenClawConfig, limits: Limits | None = None) -> Callable[[], AbstractAsyncContextManager[Client]]:
    secrets = [config.auth_token_env] if config.auth_token_env else []
    return partial(open_client, secrets=secrets, limits=limits)
