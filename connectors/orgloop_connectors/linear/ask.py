"""Asking Linear, and what it means when it does not answer the question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.sdk import PollFailed
from orgloop_connectors._http import Answer, Client, NoAnswer, poll_failure, retry_after_s
from orgloop_connectors._linear import Drift, node_at, nodes_at, text_at
from orgloop_connectors.linear.config import LinearConfig

MAX_WAIT_S = 3600.0
"""How long Linear may make us wait at a time."""

_LIMITS = ("requests", "endpoint-requests", "complexity")


class Api:
    """Linear, for one poll."""

    def __init__(self, client: Client, config: LinearConfig) -> None:
        self._client, self._config = client, config

    async def ask(self, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The ``data`` of an answer; :class:`PollFailed` if there is none, or not all of it."""
        reply = await self._client.request(
            "POST",
            self._config.api_url,
            headers=self._config.headers(),
            json={"query": query, "variables": dict(variables)},
        )
        if isinstance(reply, NoAnswer):
            raise poll_failure(reply, who="Linear")
        body = _body_of(reply)
        errors = body.get("errors") if body is not None else None
        if isinstance(errors, list) and errors:
            raise _failure(reply, errors[0] if isinstance(errors[0], Mapping) else {})
        if reply.status in (401, 403):
            raise _refused(reply.excerpt)
        if not reply.ok:
            raise poll_failure(reply, who="Linear")
        data = None if body is None else body.get("data")
        if not isinstance(data, Mapping):
            raise PollFailed(f"Linear API returned no data: {reply.fault or reply.excerpt}")
        return data

    async def page(self, query: str, variables: Mapping[str, Any], *path: str) -> Page:
        """One page of the list at ``path``."""
        data = await self.ask(query, variables)
        for name in path:
            found = node_at(data, name)
            if found is None:
                raise Drift(f"{name} is not there")
            data = found
        return page_of(data)


@attrs.frozen
class Page:
    """A part of a list."""

    nodes: list[Mapping[str, Any]]
    after: str | None
    """Where the next part begins; None if this is the last."""


def page_of(connection: Mapping[str, Any]) -> Page:
    """The page that a connection of GraphQL is."""
    info = node_at(connection, "pageInfo")
    if info is None or not isinstance(info.get("hasNextPage"), bool):
        raise Drift("pageInfo.hasNextPage is not there")
    return Page(nodes_at(connection, "nodes"), text_at(info, "endCursor") if info["hasNextPage"] else None)


def _body_of(reply: Answer) -> Mapping[str, Any] | None:
    try:
        body = reply.json()
    except ValueError:
        return None
    return body if isinstance(body, Mapping) else None


def _failure(reply: Answer, error: Mapping[str, Any]) -> PollFailed:
    extensions = error.get("extensions")
    code = str(extensions.get("code", "")) if isinstance(extensions, Mapping) else ""
    message = " ".join(str(error.get("message", "")).split())[:300]
    if code in ("RATELIMITED", "RATE_LIMITED") or reply.status == 429:
        return PollFailed(f"Linear rate limited: {message}", retry_after_s=_wait_s(reply))
    if code in ("AUTHENTICATION_ERROR", "FORBIDDEN") or reply.status in (401, 403):
        return _refused(message)
    return PollFailed(f"Linear GraphQL error: {message}", retry_after_s=retry_after_s(reply))


def _refused(said: str) -> PollFailed:
    return PollFailed(f"Linear refused the api_key: {said}; set LINEAR_API_KEY anew, or let it read this team")


def _wait_s(reply: Answer) -> float | None:
    """Until the limits that are used up are lifted, which Linear says in Unix milliseconds."""
    waits = [retry_after_s(reply)]
    for limit in _LIMITS:
        remaining = reply.headers.get(f"x-ratelimit-{limit}-remaining", "").strip()
        reset = reply.headers.get(f"x-ratelimit-{limit}-reset", "").strip()
        if remaining in ("", "0") and reset.isascii() and reset.isdigit():
            waits.append(float(reset[:18]) / 1000 - reply.at_s)
    known = [wait_s for wait_s in waits if wait_s is not None and wait_s > 0]
    return min(max(known), MAX_WAIT_S) if known else None
