"""
The gog command: how it is asked, and what its answers may be.

Law: what Gmail has said is an argument of gog only where it is an id, and cannot be an option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orgloop.sdk import PollFailed
from orgloop_connectors._query import MAX_EXCERPT_CHARS, CommandFailed, ask, program_at
from orgloop_connectors.gog.config import GogConfig

TIMEOUT_S = 30.0
"""How long gog may take to answer."""

RATE_LIMITED_S = 60.0
"""How long to wait when Gmail says that it was asked too often; gog does not pass on for how long."""

# No more than that: "credentials not found" is not a message that is gone.
GONE = re.compile(r"\b404\b|\bnotFound\b|Requested entity was not found")
"""What gog says of something that Gmail does not know, or not any more."""

BAD_PAGE = re.compile(r"page.?token", re.IGNORECASE)
"""What it says of a page that Gmail does not know any more."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PAGE = re.compile(r"[!-~]{1,2048}")
_RATE_LIMITED = re.compile(r"\b429\b|RESOURCE_EXHAUSTED|rateLimitExceeded|quota", re.IGNORECASE)
_UNKNOWN_TO_IT = re.compile(r"\b40[13]\b|UNAUTHENTICATED|invalid_grant|unauthorized|no auth", re.IGNORECASE)


class Gog:
    """Asks gog for one account."""

    def __init__(self, config: GogConfig, directory: Path) -> None:
        self._config, self._directory = config, directory
        self._program = program_at(config.program, directory)

    async def found(self, query: str, *, limit: int, page: str | None = None) -> Mapping[str, Any]:
        """What a search finds, newest first; a page of it."""
        options = ["--max", str(limit), *_at(page)]
        # Behind -- nothing is an option: queries begin with '-' where something is not wanted.
        return await self._asked("gmail", "messages", "search", *options, last=("--", query))

    async def messages(self, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """The messages of ids, without those that are gone meanwhile."""
        form = ("full",) if self._config.fetch_body else ("metadata", "--headers", "From,To,Cc,Subject,Date")
        messages = []
        for id_ in ids:
            try:
                said = await self._asked("gmail", "get", id_, "--format", *form)
            except CommandFailed as exc:
                if GONE.search(exc.words):
                    continue
                raise
            message = said.get("message", said)
            if not isinstance(message, Mapping) or message.get("id") != id_:
                raise PollFailed(f"gog has answered with what is not message {id_}; is it up to date?")
            messages.append(message)
        return messages

    async def history(self, since: str, *, limit: int, page: str | None) -> Mapping[str, Any]:
        """What has come since a place in the history; a page of it."""
        options = ["--since", since, "--max", str(limit), *_at(page)]
        return await self._asked("gmail", "history", *options)

    async def _asked(self, *words: str, last: Sequence[str] = ()) -> Mapping[str, Any]:
        config = self._config
        client = () if config.gog_client is None else ("--client", config.gog_client)
        argv = [self._program, *words, "--account", config.account, "--json", "--no-input", *client, *last]
        try:
            said = await ask(argv, timeout_s=TIMEOUT_S, cwd=self._directory, env=config.env, lenient=True)
        except CommandFailed as exc:
            raise _explained(exc, config.account) from exc
        if not isinstance(said, Mapping):
            raise PollFailed("gog has answered with what is no object; is it up to date?")
        if said.get("error"):
            why = " ".join(str(said["error"]).split())[:MAX_EXCERPT_CHARS]
            raise _explained(CommandFailed(f"gog has answered with an error: {why}", words=why), config.account)
        return said


def _at(page: str | None) -> list[str]:
    return [] if page is None else [f"--page={page}"]


def _explained(exc: CommandFailed, account: str) -> CommandFailed:
    if _RATE_LIMITED.search(exc.words):
        return CommandFailed(str(exc), words=exc.words, retry_after_s=RATE_LIMITED_S)
    if _UNKNOWN_TO_IT.search(exc.words):
        return CommandFailed(f"{exc}; let gog in with: gog auth add {account} --services gmail", words=exc.words)
    return exc


def ids_in(said: Mapping[str, Any]) -> list[str]:
    """The ids of the messages of an answer: texts, or objects that have one."""
    listed = said.get("messages")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise PollFailed("gog has answered with messages that are no list; is it up to date?")
    ids = [id_in(one.get("id") if isinstance(one, Mapping) else one) for one in listed]
    return list(dict.fromkeys(ids))


def next_page_in(said: Mapping[str, Any]) -> str | None:
    """Where an answer goes on; None if it does not."""
    page = said.get("nextPageToken") or None
    if page is not None and (not isinstance(page, str) or not _PAGE.fullmatch(page)):
        raise PollFailed(f"gog has answered with a page token that is none: {str(page)[:60]!r}")
    return page


def id_in(value: object) -> str:
    """An id, which becomes an argument of gog, and must not look like an option."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or value.startswith("-"):
        raise PollFailed(f"gog has answered with an id that is none: {str(value)[:60]!r}")
    return value
