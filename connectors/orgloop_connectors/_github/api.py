"""
One conversation with GitHub: pages, ETags, GraphQL, and how much of the rate limit it leaves.

Law: an address is made of the operator's base URL and of our own paths, never of a link that an answer holds. What is
not wholly what was asked for raises :class:`PollFailed`, with the time at which GitHub wants to be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from orgloop.sdk import PollFailed
from orgloop_connectors._github.account import Account
from orgloop_connectors._github.shapes import Thing, date_s, things
from orgloop_connectors._http import Answer, Client, Reply, json_of, poll_failure, retry_after_s

PER_PAGE = 100

LIMITED_WAIT_S = 60.0
"""How long to stay away when GitHub limits us and does not say for how long; its own advice."""

_NEXT = re.compile(r'<([^<>]{1,4096})>\s*;[^,<]{0,200}\brel="next"')


@attrs.frozen(kw_only=True)
class Page:
    """Some things of a list."""

    items: Sequence[Thing]
    at_s: float | None
    """When GitHub said it, by its own clock; None if it did not tell the time."""
    etag: str | None = None
    next: Mapping[str, str] | None = None
    """The query of the page after it; None if it is the last."""


@attrs.frozen(kw_only=True)
class Allowance:
    """What is left of one of GitHub's rate limits."""

    limit: int
    remaining: int
    reset_in_s: float


class Api:
    """Asks GitHub, and keeps what the answers say of the rate limits."""

    def __init__(self, client: Client, account: Account) -> None:
        self._client, self._account = client, account
        self._allowances: dict[str, Allowance] = {}

    @property
    def repo(self) -> str:
        """The repository, as ``owner/name``."""
        return self._account.repo

    async def page(
        self, path: str, params: Mapping[str, str], *, key: str | None = None, etag: str | None = None
    ) -> Page | None:
        """
        A page of a list below the repository; None if it is still what ``etag`` stands for.

        ``key`` is where the list is in the answer, if the answer is not the list.
        """
        headers = self._account.headers() | ({"if-none-match": etag} if etag else {})
        url = self._account.rest(f"/repos/{self.repo}{path}")
        reply = await self._client.request("GET", url, headers=headers, params={"per_page": str(PER_PAGE), **params})
        self._note(reply)
        if isinstance(reply, Answer) and reply.status == 304 and etag:
            return None
        said = self._json(reply)
        found = said.get(key) if key is not None and isinstance(said, Mapping) else said
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise PollFailed(f"GitHub error: {path} is not the list that it was")
        assert isinstance(reply, Answer)
        return Page(
            items=found,
            at_s=date_s(reply.headers.get("date", "")),
            etag=reply.headers.get("etag"),
            next=_next_in(reply.headers.get("link", "")),
        )

    async def ask(self, query: str, *, operation: str, **variables: object) -> tuple[Thing, float | None]:
        """The ``repository`` of a GraphQL answer, and when GitHub said it."""
        owner, _, name = self.repo.partition("/")
        body = {"query": query, "operationName": operation, "variables": {"owner": owner, "name": name, **variables}}
        reply = await self._client.request("POST", self._account.graphql(), headers=self._account.headers(), json=body)
        self._note(reply)
        said = self._json(reply)
        assert isinstance(reply, Answer)
        data = said.get("data") if isinstance(said, Mapping) else None
        repository = data.get("repository") if isinstance(data, Mapping) else None
        if not isinstance(repository, Mapping):
            raise _graphql_failure(reply, said)
        if errors := [one for one in things(said.get("errors")) if one.get("type") != "NOT_FOUND"]:
            raise _graphql_failure(reply, {"errors": errors})
        return repository, date_s(reply.headers.get("date", ""))

    async def post(self, path: str) -> Reply:
        """Ask for something to be done below the repository."""
        reply = await self._client.request(
            "POST", self._account.rest(f"/repos/{self.repo}{path}"), headers=self._account.headers()
        )
        self._note(reply)
        return reply

    def stay_away_s(self, budget: float) -> float | None:
        """How long to wait until a rate limit is renewed of which more than ``budget`` is used; None if none is."""
        waits = [
            one.reset_in_s for one in self._allowances.values() if one.remaining <= one.limit * (1 - budget) + 1e-9
        ]
        return max(waits) if waits else None

    def _json(self, reply: Reply) -> Any:
        if isinstance(reply, Answer) and is_limited(reply):
            raise PollFailed(str(poll_failure(reply, who="GitHub")), retry_after_s=limited_for_s(reply))
        return json_of(reply, who="GitHub")

    def _note(self, reply: Reply) -> None:
        if not isinstance(reply, Answer):
            return
        limit, remaining, reset = (
            _whole(reply.headers.get(f"x-ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")
        )
        at_s = date_s(reply.headers.get("date", ""))
        if limit and remaining is not None and reset is not None and at_s is not None:
            name = reply.headers.get("x-ratelimit-resource", "core")
            self._allowances[name] = Allowance(limit=limit, remaining=remaining, reset_in_s=max(0.0, reset - at_s))


def is_limited(answer: Answer) -> bool:
    """Whether GitHub refuses because we ask too much, which it says with 403 as often as with 429."""
    if answer.status == 429:
        return True
    told = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
    return answer.status == 403 and (told or b"rate limit" in answer.body.lower())


def limited_for_s(answer: Answer) -> float:
    """For how long GitHub does not want to be asked, in seconds."""
    asked_s = retry_after_s(answer, limits=True)
    return LIMITED_WAIT_S if asked_s is None else asked_s


def _graphql_failure(answer: Answer, said: object) -> PollFailed:
    """GraphQL says with 200 what went wrong."""
    errors = said.get("errors") if isinstance(said, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    if str(first.get("type", "")).startswith("RATE_LIMIT"):
        wait_s = limited_for_s(attrs.evolve(answer, status=429))
        return PollFailed("GitHub rate limited (GraphQL)", retry_after_s=wait_s)
    if first.get("type") == "NOT_FOUND":
        return PollFailed("GitHub rejected: there is no such repository, or the token may not see it; check both")
    # Its message may repeat what we asked, and what people wrote: only its kind is told.
    kind = str(first.get("type") or "no data")[:60]
    return PollFailed(f"GitHub error: GraphQL answered {kind!r}")


def _next_in(link: str) -> dict[str, str] | None:
    """The query of the next page, from a Link header; its address is ours all the same."""
    found = _NEXT.search(link)
    if found is None:
        return None
    return {name: values[-1] for name, values in parse_qs(urlsplit(found[1]).query).items()}


def _whole(text: str) -> int | None:
    return int(text[:18]) if text.isascii() and text.isdigit() else None
