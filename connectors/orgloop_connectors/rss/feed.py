"""From elements to a feed: RSS 0.9x, 1.0 and 2.0, and Atom. Pure; lenient where feeds differ, bounded everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import attrs

from orgloop_connectors.rss.config import MAX_ENTRIES
from orgloop_connectors.rss.tree import Element, parsed

MAX_TEXT_CHARS = 50_000
"""How much of a text of an entry is kept."""

MAX_LINE_CHARS = 2000
"""How much of a title, a name, an id or a link is kept."""

MAX_CATEGORIES = 50


@attrs.frozen(kw_only=True)
class Entry:
    """One entry, as far as it says what it is."""

    id: str
    title: str = ""
    link: str = ""
    summary: str = ""
    content: str = ""
    author: str = ""
    published: str = ""
    updated: str = ""
    at_s: float | None = None
    """When it was published, or else updated, if that can be told."""
    categories: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Feed:
    """A feed and its entries, in the order in which they stand."""

    title: str = ""
    link: str = ""
    entries: Sequence[Entry] = ()


def feed_of(document: bytes, *, url: str) -> Feed:
    """The feed that a document is; ``url`` is where it was. ValueError, in one sentence, if it is none."""
    root = parsed(document)
    if root.name == "feed":
        top, found = root, root.all("entry")
    elif root.name in ("rss", "rdf"):
        channel = next(root.all("channel"), None)
        if channel is None:
            raise ValueError("no feed: an rss without a channel")
        top, found = channel, channel.all("item") if root.name == "rss" else root.all("item")
    else:
        raise ValueError(f"no feed: it begins with <{root.name[:40]}>")
    # Those of RSS 1.0 stand beside the channel, and those of a confused 2.0, too.
    items = list(found) or list(root.all("item"))
    return Feed(
        title=_line(top.first("title")),
        link=_link(top, url),
        entries=[_entry(item, url) for item in items[:MAX_ENTRIES]],
    )


def _entry(item: Element, url: str) -> Entry:
    link, title = _link(item, url), _line(item.first("title"))
    summary = item.first("summary", "description")
    published = _line(item.first("published", "pubdate", "date", "issued"))
    updated = _line(item.first("updated", "modified"))
    return Entry(
        id=_id(item, link=link, title=title, summary=summary, published=published),
        title=title,
        link=link,
        summary=summary[:MAX_TEXT_CHARS],
        content=item.first("encoded", "content")[:MAX_TEXT_CHARS],
        author=_author(item),
        published=published,
        updated=updated,
        at_s=_seconds(published) or _seconds(updated),
        categories=_categories(item),
    )


def _id(item: Element, *, link: str, title: str, summary: str, published: str) -> str:
    """What its feed calls it; where it has no name, what it says."""
    about = next((value for key, value in item.attributes.items() if key == "about"), "")
    said = item.first("id", "guid") or about or link
    if not said:
        said = "sha256:" + hashlib.sha256("\x1f".join((title, published, summary)).encode()).hexdigest()
    # Cut short, two ids could become one.
    return said if len(said) <= MAX_LINE_CHARS else "sha256:" + hashlib.sha256(said.encode()).hexdigest()


def _link(item: Element, url: str) -> str:
    """Where it leads, if that is a web address; never a script."""
    ranked = sorted(item.all("link"), key=lambda link: link.attributes.get("rel", "alternate") != "alternate")
    said = [link.attributes.get("href") or link.text() for link in ranked]
    said += [guid.text() for guid in item.all("guid") if guid.text().startswith(("http://", "https://"))]
    return next(filter(None, (_whole(link, url) for link in said)), "")


def _whole(link: str, url: str) -> str:
    try:
        whole = urljoin(url, link) if link else ""
        return whole[:MAX_LINE_CHARS] if urlsplit(whole).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _author(item: Element) -> str:
    for author in item.all("author", "creator"):
        if name := author.first("name") or author.text():
            return _line(name)
    return ""


def _categories(item: Element) -> list[str]:
    said = [_line(one.attributes.get("term") or one.text()) for one in item.all("category", "subject")]
    return list(dict.fromkeys(filter(None, said)))[:MAX_CATEGORIES]


def _line(text: str) -> str:
    return " ".join(text[: 4 * MAX_LINE_CHARS].split())[:MAX_LINE_CHARS]


def _seconds(text: str) -> float | None:
    """Unix seconds, of a date as mail has it or as ISO 8601 has it."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text)
            return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
