"""
Doing something in one repository: a comment, a dispatch, a commit status.

Law: the repository is the operator's word alone. What a route fills in from an event is checked against the form that
it must have before it becomes a part of a path. GitHub knows no idempotency keys, so a comment carries ours, where
nobody sees it, and one that was perhaps made is looked for before it is made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Place, Rejected, encode, timestamp_of
from orgloop_connectors._github.api import is_limited, limited_for_s
from orgloop_connectors._github.shapes import seconds_of, things
from orgloop_connectors._http import Answer, Online, Reply, outcome_of
from orgloop_connectors.github.config import ActorConfig, account_faults, refuse

MAX_COMMENT_CHARS = 65_536
"""How long a comment may be, says GitHub."""

MAX_DESCRIPTION_CHARS = 140
"""How long the description of a status may be; the rest is cut."""

MAX_INPUTS = 25
"""How many inputs a workflow, or properties a dispatch, may have."""

LOOKED_BACK_PAGES = 10
"""How many pages of comments are looked through for one that was made already."""

SKEW_S = 3600.0
"""How far GitHub's clock and ours may differ; a comment is looked for from so long before its event on."""

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WORKFLOW = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
_STATES = ("error", "failure", "pending", "success")


@attrs.frozen
class Call:
    """One request that does something."""

    path: str
    body: Mapping[str, Any]


class GithubActor(Online):
    """Does what a route's ``then.config`` says."""

    def __init__(self, config: ActorConfig, _: Place) -> None:
        """ValueError, a line for each fault."""
        refuse(account_faults(config))
        self._config, self._account = config, config.account()
        super().__init__(self._account.open)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Do it; what GitHub says came of it, it is."""
        try:
            call = call_for(delivery, default=self._config.action)
        except ValueError as exc:
            return Rejected(f"GitHub was not asked: {exc}")
        if call.path.endswith("/comments") and delivery.attempt > 1:
            said = await self._look_for(call.path, delivery)
            if said is not None:
                return said
        return outcome(await self._send("POST", call.path, body=call.body))

    async def _look_for(self, path: str, delivery: Delivery) -> Outcome | None:
        """Delivered if the comment is there; None if it is not; else why that cannot be known."""
        marker, params = marker_of(delivery), {"per_page": "100"}
        if (made_s := seconds_of(delivery.event.timestamp)) is not None:
            params["since"] = timestamp_of(made_s - SKEW_S)
        for number in range(1, LOOKED_BACK_PAGES + 1):
            reply = await self._send("GET", path, params={**params, "page": str(number)})
            if not isinstance(reply, Answer) or not reply.ok:
                return outcome(reply)
            try:
                comments = things(reply.json())
            except ValueError as exc:
                return Failed(f"GitHub error: the comments cannot be read: {exc}")
            if any(marker in str(comment.get("body")) for comment in comments):
                return Delivered()
            if 'rel="next"' not in reply.headers.get("link", ""):
                return None
        return None

    async def _send(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> Reply:
        url = self._account.rest(f"/repos/{self._account.repo}{path}")
        return await self.client.request(method, url, headers=self._account.headers(), json=body, params=params)


def outcome(reply: Reply) -> Outcome:
    """What came of it; a 403 because we ask too much passes, as a 429 does."""
    if isinstance(reply, Answer) and is_limited(reply):
        return Failed(f"GitHub rate limited ({reply.status})", limited_for_s(reply))
    return outcome_of(reply, who="GitHub")


# -- what to ask for ---------------------------------------------------------------------------------------------------


def call_for(delivery: Delivery, *, default: str) -> Call:
    """The request of a delivery; ValueError, in a sentence, if it says too little, or what cannot be."""
    action = delivery.config.get("action") or default
    make = {
        "comment": _comment,
        "repository_dispatch": _repository_dispatch,
        "workflow_dispatch": _workflow_dispatch,
        "status": _status,
    }.get(str(action))
    if make is None:
        raise ValueError(
            f"action is {str(action)[:40]!r}; write comment, repository_dispatch, workflow_dispatch or status"
        )
    return make(delivery)


def marker_of(delivery: Delivery) -> str:
    """What a comment carries so that it can be found again; people do not see it."""
    return f"<!-- orgloop:{hashlib.sha256(delivery.idempotency_key.encode()).hexdigest()[:32]} -->"


def _comment(delivery: Delivery) -> Call:
    said = _said(delivery, "number", "pr_number", "issue_number")
    number = _fitting("number", said, _NUMBER, "the number of an issue or a pull request")
    body = delivery.config.get("body")
    if not isinstance(body, str) or not body.strip():
        raise ValueError("body is missing; write body: in the route's then.config")
    text = f"{body}\n\n{marker_of(delivery)}"
    if len(text) > MAX_COMMENT_CHARS:
        raise ValueError(f"body has {len(body)} characters; GitHub takes {MAX_COMMENT_CHARS}")
    return Call(f"/issues/{number}/comments", {"body": text})


def _repository_dispatch(delivery: Delivery) -> Call:
    event_type = delivery.config.get("event_type")
    if not isinstance(event_type, str) or not 0 < len(event_type) <= 100:
        raise ValueError("event_type must be a text of 1 to 100 characters")
    payload = delivery.config.get("client_payload")
    if payload is None:
        payload = {"event": json.loads(encode(delivery.event)), "idempotency_key": delivery.idempotency_key}
    return Call("/dispatches", {"event_type": event_type, "client_payload": _mapping("client_payload", payload)})


def _workflow_dispatch(delivery: Delivery) -> Call:
    config = delivery.config
    workflow = _fitting("workflow", config.get("workflow"), _WORKFLOW, "the file name or the id of a workflow")
    ref = _fitting("ref", config.get("ref", "main"), _REF, "a branch or a tag")
    inputs = _mapping("inputs", config.get("inputs") or {})
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in inputs.items()}
    return Call(f"/actions/workflows/{workflow}/dispatches", {"ref": ref, "inputs": texts})


def _status(delivery: Delivery) -> Call:
    config = delivery.config
    sha = _fitting("sha", _said(delivery, "sha", "head_sha"), _SHA, "the 40 hex digits of a commit")
    if config.get("state") not in _STATES:
        raise ValueError(f"state is {str(config.get('state'))[:40]!r}; write one of {', '.join(_STATES)}")
    body = {"state": config["state"], "context": str(config.get("context") or "orgloop")}
    if config.get("description"):
        body["description"] = str(config["description"])[:MAX_DESCRIPTION_CHARS]
    if config.get("target_url"):
        body["target_url"] = str(config["target_url"])
    return Call(f"/statuses/{sha}", body)


def _said(delivery: Delivery, key: str, *found_as: str) -> object:
    """What the route says; where it says nothing, what the event is about."""
    if delivery.config.get(key):
        return delivery.config[key]
    payload = delivery.event.payload if isinstance(delivery.event.payload, dict) else {}
    places = (delivery.event.provenance, payload)
    return next((place[name] for name in found_as for place in places if place.get(name)), None)


def _fitting(key: str, value: object, form: re.Pattern[str], what: str) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not form.fullmatch(text):
        raise ValueError(f"{key} must be {what}, and is {str(value)[:60]!r}")
    return text


def _mapping(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MAX_INPUTS:
        raise ValueError(f"{key} must be a mapping of at most {MAX_INPUTS} keys")
    return value
