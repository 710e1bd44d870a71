"""Which repository, as whom, and where: what can be wrong with it, and whether it works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import attrs

from orgloop.sdk import Checked
from orgloop_connectors._http import Answer, Client, NoAnswer, Reply, open_client, url_faults

BASE_URL = "https://api.github.com"
"""Where GitHub's API is; that of GitHub Enterprise Server is ``https://<host>/api/v3``."""

API_VERSION = "2022-11-28"

_REPO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_TOKEN = re.compile(r"[!-~]{1,1024}")


@attrs.frozen
class Account:
    """A repository, and a token that may read or write it."""

    repo: str
    """``owner/name``."""
    token: str = attrs.field(repr=False)
    base_url: str = BASE_URL

    def rest(self, path: str) -> str:
        """The URL of a path of the REST API."""
        return f"{self.base_url.rstrip('/')}{path}"

    def graphql(self) -> str:
        """The URL of the GraphQL API, which on GitHub Enterprise Server is beside that of REST."""
        return f"{self.base_url.rstrip('/').removesuffix('/v3')}/graphql"

    def headers(self) -> dict[str, str]:
        """What every request says."""
        return {
            "authorization": f"Bearer {self.token}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": API_VERSION,
        }

    def open(self) -> AbstractAsyncContextManager[Client]:
        """A client that never tells the token."""
        return open_client(secrets=[self.token])


def repo_faults(repo: str, *, key: str = "repo") -> Iterator[str]:
    if not _REPO.fullmatch(repo):
        yield f"{key}: {repo[:80]!r} is no repository; write owner/name, as in octo-org/checkout"


def token_faults(token: str | None) -> Iterator[str]:
    if not token:
        yield "token: is empty; set token: ${GITHUB_TOKEN}, from https://github.com/settings/tokens"
    elif not _TOKEN.fullmatch(token):
        yield "token: must be printable ASCII without spaces, at most 1024 characters"


def base_url_faults(base_url: str) -> Iterator[str]:
    yield from (f"base_url: {fault}" for fault in url_faults(base_url))
    if "?" in base_url or "#" in base_url:
        yield "base_url: must have no query; write https://<host>/api/v3 for GitHub Enterprise Server"


# -- does it work ------------------------------------------------------------------------------------------------------


async def check_account(account: Account) -> list[Checked]:
    """Whose the token is, and whether it sees the repository; both are asked for, and nothing is changed."""
    async with account.open() as client:
        token = await _check_token(account, client)
        if not token.ok:
            return [token]
        reply = await client.request("GET", account.rest(f"/repos/{account.repo}"), headers=account.headers())
    if isinstance(reply, Answer) and reply.ok:
        return [token, Checked(name="repo", ok=True, detail=f"{account.repo} can be read")]
    detail = f"{account.repo} cannot be read ({_said(reply)}); is it spelt so, and may the token see it?"
    return [token, Checked(name="repo", ok=False, detail=detail)]


async def _check_token(account: Account, client: Client) -> Checked:
    reply = await client.request("GET", account.rest("/user"), headers=account.headers())
    if isinstance(reply, Answer) and reply.status == 403:
        # The token of an app is nobody's, and may not ask whose it is.
        url = account.rest("/installation/repositories")
        reply = await client.request("GET", url, headers=account.headers(), params={"per_page": "1"})
        if isinstance(reply, Answer) and reply.ok:
            return _token(ok=True, detail="the token works", identity="app: GitHub App installation")
    if isinstance(reply, NoAnswer):
        return _token(ok=False, detail=f"GitHub cannot be asked ({reply.reason}); is base_url right?")
    if not reply.ok:
        advice = "make a new one at https://github.com/settings/tokens"
        return _token(ok=False, detail=f"Invalid token ({_said(reply)}); {advice}")
    try:
        login = str(reply.json()["login"])[:100]
    except (ValueError, TypeError, KeyError):
        return _token(ok=False, detail="what answers is not GitHub; is base_url right?")
    scopes = [scope.strip() for scope in reply.headers.get("x-oauth-scopes", "").split(",") if scope.strip()]
    return attrs.evolve(_token(ok=True, detail="the token works", identity=f"user: @{login}"), scopes=scopes)


def _token(*, ok: bool, detail: str, identity: str | None = None) -> Checked:
    return Checked(name="GITHUB_TOKEN", ok=ok, detail=detail, identity=identity)


def _said(reply: Reply) -> str:
    if isinstance(reply, NoAnswer):
        return reply.reason
    return f"{reply.status} {reply.excerpt}".strip()
