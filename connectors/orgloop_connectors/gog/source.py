"""
Asking gog: for what fits a query and was not seen, or for what has come into the mailbox since.

Law: one page for each poll, so that what is told and how far that reaches become durable together; whatever keeps gog
from answering is a failed poll, and the checkpoint stays.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import trio

from orgloop.sdk import Checked, Event, Place, Polled, PollFailed, faults_of
from orgloop_connectors._command import environment
from orgloop_connectors._query import CommandFailed, program_at
from orgloop_connectors.gog.config import GogConfig, faults_in
from orgloop_connectors.gog.mail import label_event, mail_event
from orgloop_connectors.gog.place import Standing, having_seen, read
from orgloop_connectors.gog.tool import BAD_PAGE, GONE, Gog, id_in, ids_in, next_page_in

MAX_PAGES = 100
"""How many pages a search may go back to what was seen."""

CATCH_UP = 200
"""How many of the latest mails are told when Gmail has forgotten the history; it keeps about a week."""

IDLE_KEYS = {"cache_dir": "has no effect: what was seen stands in the checkpoint"}
"""Keys of the original that are taken, and do nothing."""

_HISTORY_ID = re.compile(r"[0-9]{1,20}")


class GogSource:
    """Looks for mail."""

    def __init__(self, config: GogConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        self._gog = Gog(config, place.directory)

    async def poll(self, checkpoint: str | None) -> Polled:
        """Look once, at one page."""
        if self._config.query is not None:
            return await self._search(self._config.query, read(checkpoint, "search"))
        standing = read(checkpoint, "history")
        if standing is None:
            return await self._begin()
        if standing.history_id is None:
            return await self._catch_up(standing)
        return await self._follow(standing, standing.history_id)

    # -- by a query ----------------------------------------------------------------------------------------------------

    async def _search(self, query: str, standing: Standing | None) -> Polled:
        before = standing or Standing(mode="search")
        try:
            said = await self._gog.found(query, limit=self._config.max_per_poll, page=before.page)
        except CommandFailed as exc:
            if before.page is None or not BAD_PAGE.search(exc.words):
                raise
            # The page that was to come is forgotten: what it had comes again from the first.
            before = attrs.evolve(before, page=None, pages=0)
            said = await self._gog.found(query, limit=self._config.max_per_poll)
        listed = ids_in(said)
        known = set(before.seen)
        new = [id_ for id_ in reversed(listed) if id_ not in known]
        messages = await self._gog.messages(new)
        # The first look goes no further than a page, any other to what was seen.
        more = next_page_in(said)
        if standing is None or len(new) < len(listed) or not new or before.pages + 1 >= MAX_PAGES:
            more = None
        after = attrs.evolve(
            before, seen=having_seen(before.seen, new), page=more, pages=before.pages + 1 if more else 0
        )
        return self._polled([self._mail(message) for message in messages], standing, after)

    # -- by the history ------------------------------------------------------------------------------------------------

    async def _begin(self, since_ms: int = 0) -> Polled:
        """Stand at the latest mail there is, and tell nothing."""
        latest = await self._gog.messages(ids_in(await self._gog.found("in:anywhere", limit=1)))
        return Polled((), _standing_at(latest, Standing(mode="history", since_ms=since_ms)).written())

    async def _follow(self, standing: Standing, history_id: str) -> Polled:
        try:
            said = await self._gog.history(history_id, limit=self._config.max_per_poll, page=standing.page)
        except CommandFailed as exc:
            if standing.page is not None and BAD_PAGE.search(exc.words):
                return await self._follow(attrs.evolve(standing, page=None, pages=0), history_id)
            if not GONE.search(exc.words):
                raise
            return await self._catch_up(standing)
        messages = await self._gog.messages(ids_in(said))
        events = [self._mail(message) for message in messages if _has_come(message)] + list(self._labels(said))
        since_ms = max([standing.since_ms, *map(_internal_ms, messages)])
        more = next_page_in(said)
        newest = said.get("historyId")
        reached = newest if more is None and isinstance(newest, str) and _HISTORY_ID.fullmatch(newest) else history_id
        after = attrs.evolve(
            standing,
            history_id=reached,
            since_ms=since_ms,
            page=more,
            pages=standing.pages + 1 if more else 0,
        )
        return self._polled(events, standing, after)

    async def _catch_up(self, standing: Standing) -> Polled:
        """Tell what has come since the latest mail that is known, and stand at the latest there is."""
        query = f"in:anywhere after:{standing.since_ms // 1000}" if standing.since_ms else "in:anywhere"
        found = await self._gog.messages(list(reversed(ids_in(await self._gog.found(query, limit=CATCH_UP)))))
        new = [message for message in found if _internal_ms(message) > standing.since_ms and _has_come(message)]
        if not found and standing.history_id is not None:
            return await self._begin(standing.since_ms)
        after = _standing_at(found, attrs.evolve(standing, page=None, pages=0))
        return self._polled([self._mail(message) for message in new], standing, after)

    def _labels(self, said: Mapping[str, Any]) -> Iterator[Event]:
        """Changes of labels: gog tells them where it passes on the records of the history."""
        records = said.get("history")
        for record in records if isinstance(records, list) else []:
            for kind in ("labelsAdded", "labelsRemoved"):
                for change in record.get(kind) or [] if isinstance(record, Mapping) else []:
                    labels = [label for label in change.get("labelIds") or [] if isinstance(label, str)]
                    message = change.get("message") or {}
                    id_ = id_in(message.get("id"))
                    yield label_event(
                        self._place.id,
                        f"{record.get('id', '')}",
                        id_,
                        str(message.get("threadId") or id_),
                        added=labels if kind == "labelsAdded" else [],
                        removed=labels if kind == "labelsRemoved" else [],
                    )

    def _mail(self, message: Mapping[str, Any]) -> Event:
        event = mail_event(self._place.id, message, with_body=self._config.fetch_body)
        if faults := faults_of(event):
            raise PollFailed(f"message {event.payload['message_id']} cannot be an event: {faults[0]}")
        return event

    @staticmethod
    def _polled(events: Sequence[Event], before: Standing | None, after: Standing) -> Polled:
        return Polled(
            events, None if after == before else after.written(), next_in_s=None if after.page is None else 0.0
        )


def _has_come(message: Mapping[str, Any]) -> bool:
    """Whether it is mail that has come, and not what was written here."""
    labels = message.get("labelIds")
    labels = labels if isinstance(labels, list) else []
    return "INBOX" in labels or not {"SENT", "DRAFT"} & {label for label in labels if isinstance(label, str)}


def _internal_ms(message: Mapping[str, Any]) -> int:
    text = str(message.get("internalDate", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else 0


def _standing_at(messages: Sequence[Mapping[str, Any]], standing: Standing) -> Standing:
    """At the latest of messages; as it was, if there is none."""
    ids = [int(text) for message in messages if _HISTORY_ID.fullmatch(text := str(message.get("historyId", "")))]
    if not ids:
        return standing
    since_ms = max([standing.since_ms, *map(_internal_ms, messages)])
    return attrs.evolve(standing, history_id=str(max(ids)), since_ms=since_ms)


async def check_source(config: GogConfig, place: Place) -> Sequence[Checked]:
    """Whether gog is there, and which keys have no effect; nothing is run."""
    program = program_at(config.program, place.directory)
    path = environment(config.env)["PATH"]
    found = await trio.to_thread.run_sync(lambda: shutil.which(program, path=path))
    advice = "install it, and let it in with: gog auth add <account> --services gmail"
    return [
        Checked(name="gog", ok=found is not None, detail=found or f"{program} is not found; {advice}"),
        *(Checked(name=key, ok=True, detail=why) for key, why in IDLE_KEYS.items() if getattr(config, key) is not None),
    ]
