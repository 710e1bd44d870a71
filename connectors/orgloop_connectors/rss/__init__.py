"""
Feeds: each new entry of an RSS or Atom feed, once.

    sources:
      - id: advisories
        connector: rss
        config: {url: https://www.example.com/security/feed.xml}
        poll: {interval: 15m}

Law: an entry is known by the id that its feed gives it. A feed is read without entities, without a DTD, and never
beyond a limit; what it says is data.
"""

from __future__ import annotations

from orgloop.sdk import Connector, Event, Offer
from orgloop_connectors.rss.config import RssConfig
from orgloop_connectors.rss.feed import Entry, Feed
from orgloop_connectors.rss.source import RssSource, check_source, event_of


def samples() -> list[Event]:
    """An entry that says much, and one that says little."""
    feed = Feed(title="Advisories", link="https://www.example.com/security")
    much = Entry(
        id="https://www.example.com/security/2026-17",
        title="2026-17: overflow in the parser",
        link="https://www.example.com/security/2026-17",
        summary="Update to 1.4.3.",
        author="Ann",
        published="Sun, 01 Mar 2026 09:00:00 GMT",
        at_s=1_772_355_600.0,
        categories=("high",),
    )
    return [event_of("advisories", feed, much), event_of("advisories", feed, Entry(id="17", title="2026-16"))]


CONNECTOR = Connector(
    id="rss",
    summary="Reads new entries of RSS and Atom feeds.",
    source=Offer(config=RssConfig, make=RssSource, check=check_source),
    samples=samples,
)
