"""Polling a feed: asking only whether it has changed, and telling what is new in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from orgloop.sdk import Checked, Event, Place, Polled, PollFailed, timestamp_of
from orgloop_connectors._http import Answer, Limits, Online, Reply, open_client, poll_failure
from orgloop_connectors.rss.config import MAX_ENTRIES, RssConfig, faults_in
from orgloop_connectors.rss.feed import Entry, Feed, feed_of

MAX_FEED_BYTES = 5 * 1024 * 1024

MAX_SEEN = 2 * MAX_ENTRIES
"""How many entries are remembered beyond those that the feed still has; the oldest are forgotten first."""

MAX_VALIDATOR_CHARS = 512
"""A longer ``ETag`` is not sent back."""

_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


@attrs.frozen(kw_only=True)
class Seen:
    """What a checkpoint holds: how the feed was when it was last read, and digests of its entries, newest first."""

    of: str
    """A digest of the address: another feed is another beginning."""
    etag: str = ""
    modified: str = ""
    entries: Sequence[str] = ()

    def written(self) -> str:
        """As a checkpoint."""
        return json.dumps(attrs.asdict(self), separators=(",", ":"))


class RssSource(Online):
    """Makes an event of each entry that was not there before."""

    def __init__(self, config: RssConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        super().__init__(_opener(config))

    async def poll(self, checkpoint: str | None) -> Polled:
        """What is new since the checkpoint, oldest first."""
        seen = _seen_in(checkpoint, of=_digest(self._config.url))
        reply = await self.client.request("GET", self._config.url, headers=_headers(self._config, seen))
        if isinstance(reply, Answer) and reply.status == 304 and seen is not None:
            return Polled()
        feed = await _feed_in(reply, url=self._config.url)
        keys = {_digest(entry.id): entry for entry in reversed(feed.entries)}
        if seen is None:
            new = [entry for _, entry in reversed(keys.items())][: self._config.initial_entries]
        else:
            known = set(seen.entries)
            new = [entry for key, entry in reversed(keys.items()) if key not in known]
        place = self._place_after(reply, list(reversed(keys)), seen).written()
        events = [event_of(self._place.id, feed, entry) for entry in _oldest_first(new)]
        return Polled(events, None if place == checkpoint else place)

    def _place_after(self, reply: Reply, keys: Sequence[str], seen: Seen | None) -> Seen:
        assert isinstance(reply, Answer)
        there = set(keys)
        older = [key for key in (seen.entries if seen else ()) if key not in there][:MAX_SEEN]
        etag, modified = (reply.headers.get(name, "") for name in ("etag", "last-modified"))
        return Seen(
            of=_digest(self._config.url),
            etag=etag if _is_fit(etag) else "",
            modified=modified if _is_fit(modified) else "",
            entries=[*keys, *older],
        )


def event_of(source: str, feed: Feed, entry: Entry) -> Event:
    """The event that an entry is."""
    provenance: dict[str, Any] = {
        "platform": "rss",
        "platform_event": "entry.published",
        "resource_id": entry.id,
        "author": entry.author or "unknown",
        "author_type": "external",
        "url": entry.link,
        "feed": feed.title,
    }
    said = attrs.asdict(entry, filter=lambda field, _: field.name not in ("id", "at_s", "categories"))
    at = None if entry.at_s is None else _timestamp(entry.at_s)
    payload = {
        "action": "entry_published",
        "entry_id": entry.id,
        **said,
        "categories": list(entry.categories),
        "at": at,
    }
    return Event(source, "resource.changed", provenance, payload | {"feed_title": feed.title, "feed_link": feed.link})


# -- asking ------------------------------------------------------------------------------------------------------------


def _opener(config: RssConfig) -> Callable[[], Any]:
    return partial(open_client, limits=Limits(body_bytes=MAX_FEED_BYTES), secrets=list(config.headers.values()))


def _headers(config: RssConfig, seen: Seen | None) -> dict[str, str]:
    headers = {"accept": _ACCEPT, **{name.lower(): value for name, value in config.headers.items()}}
    if seen is not None and seen.etag:
        headers["if-none-match"] = seen.etag
    if seen is not None and seen.modified:
        headers["if-modified-since"] = seen.modified
    return headers


async def _feed_in(reply: Reply, *, url: str) -> Feed:
    """The feed of an answer; :class:`PollFailed` for anything else."""
    if not isinstance(reply, Answer) or reply.status != 200:
        raise poll_failure(reply, who="Feed")
    if reply.fault is not None:
        raise PollFailed(f"Feed error: {reply.fault}")
    try:
        # A large one takes a tenth of a second, in which others would wait.
        return await trio.to_thread.run_sync(partial(feed_of, reply.body, url=url))
    except ValueError as exc:
        raise PollFailed(f"Feed error: {exc}") from exc


async def check_source(config: RssConfig, _: Place) -> list[Checked]:
    """Whether the feed is there, and how many entries it has."""
    async with _opener(config)() as client:
        reply = await client.request("GET", config.url, headers=_headers(config, None))
    try:
        feed = await _feed_in(reply, url=config.url)
    except PollFailed as exc:
        return [Checked(name="url", ok=False, detail=str(exc))]
    return [Checked(name="url", ok=True, detail=f"{feed.title or 'a feed'}: {len(feed.entries)} entries")]


# -- what was seen -----------------------------------------------------------------------------------------------------


def _oldest_first(newest_first: Sequence[Entry]) -> list[Entry]:
    """By date if all have one; else in the order in which feeds stand, which is newest first."""
    entries = list(reversed(newest_first))
    if all(entry.at_s is not None for entry in entries):
        entries.sort(key=lambda entry: entry.at_s or 0.0)
    return entries


def _seen_in(checkpoint: str | None, *, of: str) -> Seen | None:
    """What a checkpoint says; None if it is about another feed, or cannot be read."""
    try:
        found = json.loads(checkpoint or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("of") != of:
        return None
    etag, modified, entries = (found.get(name) for name in ("etag", "modified", "entries"))
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        return None
    return Seen(
        of=of,
        etag=etag if isinstance(etag, str) and _is_fit(etag) else "",
        modified=modified if isinstance(modified, str) and _is_fit(modified) else "",
        entries=entries,
    )


def _is_fit(validator: str) -> bool:
    return len(validator) <= MAX_VALIDATOR_CHARS and validator.isascii() and validator.isprintable()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _timestamp(at_s: float) -> str | None:
    try:
        return timestamp_of(at_s)
    except (ValueError, OverflowError, OSError):
        return None
