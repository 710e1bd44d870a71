"""Feeds: what is read of them, that each entry is told once, and what a hostile one cannot do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orgloop.errors import ConfigError
from orgloop.event import faults_of
from orgloop.sdk import Event, Polled, PollFailed
from orgloop_connectors.rss import CONNECTOR
from orgloop_connectors.rss.config import MAX_ENTRIES
from orgloop_connectors.rss.feed import MAX_TEXT_CHARS, feed_of
from orgloop_connectors.rss.source import MAX_SEEN
from tests.connectors.outside import Outside, Says, open_outside, unused_port
from tests.connectors.stage import checked, made, place

URL = "https://www.example.com/feed.xml"


def item(number: int, **said: str) -> str:
    about = {"title": f"Entry {number}", "guid": f"id-{number}", "link": f"/{number}", **said}
    return "<item>" + "".join(f"<{name}>{text}</{name}>" for name, text in about.items() if text) + "</item>"


def rss(*items: str) -> str:
    return f"<?xml version='1.0'?><rss version='2.0'><channel><title>News</title>{''.join(items)}</channel></rss>"


def numbered(*numbers: int) -> str:
    return rss(*(item(number) for number in numbers))


ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title>Releases</title>
  <link rel="self" href="/feed.xml"/><link href="/"/>
  <entry>
    <id>tag:example.com,2026:1</id>
    <title type="html">Version &lt;b&gt;1.4.3&lt;/b&gt;</title>
    <link rel="self" href="/self"/><link rel="alternate" href="/1"/>
    <author><name>Ann</name><email>ann@example.com</email></author>
    <published>2026-03-01T10:00:00+01:00</published>
    <updated>2026-03-02T10:00:00Z</updated>
    <category term="release"/><category term="release"/><category term="fix"/>
    <summary>Fixes</summary>
    <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">A <b>fix</b>.</div></content>
  </entry>
</feed>"""

RSS_2 = """<?xml version="1.0" encoding="windows-1252"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <channel><title>News</title><link>https://news.example.com/</link>
  <item>
    <title>Caf\xe9</title><guid isPermaLink="false">17</guid><link>https://news.example.com/17</link>
    <description><![CDATA[<p>Short</p>]]></description><content:encoded>Long</content:encoded>
    <dc:creator>Ben</dc:creator><pubDate>Sun, 01 Mar 2026 09:00:00 GMT</pubDate><category>a</category>
  </item></channel></rss>""".encode("latin-1")

RSS_1 = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/">
  <channel rdf:about="https://old.example.com/"><title>Old</title></channel>
  <item rdf:about="https://old.example.com/1"><title>One</title><link>https://old.example.com/1</link>
  <dc:date>2026-03-01T09:00:00Z</dc:date></item></rdf:RDF>"""


# -- what is read ------------------------------------------------------------------------------------------------------


def test_atom_is_read() -> None:
    """Addresses are made whole, markup inside text is text."""
    feed = feed_of(ATOM.encode(), url=URL)
    [entry] = feed.entries

    assert (feed.title, feed.link) == ("Releases", "https://www.example.com/")
    assert (entry.id, entry.title) == ("tag:example.com,2026:1", "Version <b>1.4.3</b>")
    assert (entry.link, entry.author) == ("https://www.example.com/1", "Ann")
    assert (entry.summary, entry.content) == ("Fixes", "A fix.")
    assert (entry.categories, entry.at_s) == (["release", "fix"], 1_772_355_600.0)


def test_rss_2_is_read() -> None:
    """In the encoding that it declares."""
    [entry] = feed_of(RSS_2, url=URL).entries

    assert (entry.id, entry.title, entry.link) == ("17", "Café", "https://news.example.com/17")
    assert (entry.summary, entry.content, entry.author) == ("<p>Short</p>", "Long", "Ben")
    assert entry.at_s == 1_772_355_600.0


def test_rss_1_is_read() -> None:
    """Its entries stand beside the channel."""
    feed = feed_of(RSS_1.encode(), url=URL)

    assert feed.title == "Old"
    assert [(one.id, one.title, one.at_s) for one in feed.entries] == [
        ("https://old.example.com/1", "One", 1_772_355_600)
    ]


@pytest.mark.parametrize(
    ("said", "id_"),
    [
        ({}, "id-1"),
        ({"guid": ""}, "https://www.example.com/1"),
        ({"guid": "x" * 3000}, "sha256:"),
        ({"guid": "", "link": ""}, "sha256:"),
        ({"guid": "", "link": "javascript:alert(1)"}, "sha256:"),
    ],
)
def test_an_entry_has_an_id_whatever_it_lacks(said: dict[str, str], id_: str) -> None:
    """The same each time."""
    first, again = (feed_of(rss(item(1, **said)).encode(), url=URL).entries[0].id for _ in range(2))

    assert first.startswith(id_)
    assert first == again


@pytest.mark.parametrize("link", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "http://[", ""])
def test_a_link_leads_to_the_web_or_nowhere(link: str) -> None:
    """Whoever follows it can rely on that."""
    assert feed_of(rss(item(1, link=link)).encode(), url=URL).entries[0].link == ""


@pytest.mark.parametrize(
    "date", ["", "yesterday", "2026-13-01", "Sun, 99 Mar 2026 09:00:00 GMT", "9" * 5000, "0001-01-01"]
)
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    """The text stays, for what it is worth."""
    [entry] = feed_of(rss(item(1, pubDate=date)).encode(), url=URL).entries

    assert entry.at_s is None or date == "0001-01-01"


def test_what_is_long_is_cut() -> None:
    """Entries after the first thousand, text, lines."""
    feed = feed_of(
        rss(item(0, title="t" * 9000, description="d" * 90_000), *(item(n) for n in range(1, 2000))).encode(), url=URL
    )

    assert len(feed.entries) == MAX_ENTRIES
    assert (len(feed.entries[0].title), len(feed.entries[0].summary)) == (2000, MAX_TEXT_CHARS)


# -- what a hostile one cannot do --------------------------------------------------------------------------------------


BOMB = "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (f"{BOMB}]><rss><channel><title>&j;</title></channel></rss>", "declares an entity, 'a', which is refused"),
        (
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><rss><channel>&e;</channel></rss>",
            "declares an entity",
        ),
        ("<!DOCTYPE x [<!ENTITY % e SYSTEM 'http://evil.example'>%e;]><rss/>", "declares an entity"),
        ("<rss><channel>&undefined;</channel></rss>", "not XML: undefined entity"),
        ("<a>" * 65, "nested deeper than 64"),
        ("<rss>" + "<a/>" * 50_001 + "</rss>", "more than 50000 elements"),
        ("<html><body>Sign in</body></html>", "no feed: it begins with <html>"),
        ("<!doctype html><html><br></html>", "not XML"),
        ("", "not XML: no element found"),
        ('{"version": "https://jsonfeed.org/version/1.1"}', "not XML"),
        ("<rss><channel>", "not XML: no element found"),
        ("<rss/>", "no feed: an rss without a channel"),
        ("<?xml version='1.0' encoding='no-such'?><rss/>", "not XML"),
        ("<rss>\x00</rss>", "not XML"),
    ],
)
def test_what_is_no_feed_is_refused(document: str, fault: str) -> None:
    """In one sentence; nothing is expanded, and nothing fetched."""
    with pytest.raises(ValueError, match=fault):
        feed_of(document.encode(), url=URL)


def test_a_dtd_is_not_fetched() -> None:
    """RSS 0.91 names one, and is read without it."""
    dtd = "<!DOCTYPE rss PUBLIC '-//Netscape//DTD RSS 0.91//EN' 'http://127.0.0.1:9/rss-0.91.dtd'>"
    feed = feed_of(f"{dtd}<rss version='0.91'><channel>{item(1, title='a&nbsp;b')}</channel></rss>".encode(), url=URL)

    assert feed.entries[0].title == "ab"


# -- each entry once ---------------------------------------------------------------------------------------------------


async def poll(outside: Outside, checkpoint: str | None = None, **config: Any) -> Polled:
    """Ask once, with a source that remembers nothing."""
    async with made(CONNECTOR.source, {"url": f"{outside.url}/feed.xml", **config}, place(id="news")) as source:
        polled: Polled = await source.poll(checkpoint)
        return polled


def ids(polled: Polled) -> list[str]:
    return [event.provenance["resource_id"] for event in polled.events]


async def test_an_entry_is_an_event() -> None:
    """Whoever wrote it is no member of the team."""
    async with open_outside() as outside:
        outside.says(Says(200, ATOM))
        (event,) = (await poll(outside, initial_entries=1)).events

    assert isinstance(event, Event)
    assert faults_of(event) == []
    assert event.provenance == {
        "platform": "rss",
        "platform_event": "entry.published",
        "resource_id": "tag:example.com,2026:1",
        "author": "Ann",
        "author_type": "external",
        "url": f"{outside.url}/1",
        "feed": "Releases",
    }
    assert event.payload["title"] == "Version <b>1.4.3</b>"
    assert event.payload["at"] == "2026-03-01T09:00:00.000Z"


async def test_the_first_poll_begins_now_and_the_next_tell_what_is_new() -> None:
    """Oldest first, though feeds stand the other way round."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(2, 1)), Says(200, numbered(5, 4, 3, 2)))
        first = await poll(outside)
        second = await poll(outside, first.checkpoint)
        third = await poll(outside, second.checkpoint)

    assert (ids(first), ids(second), ids(third)) == ([], ["id-3", "id-4", "id-5"], [])
    assert third.checkpoint is None


async def test_the_first_poll_may_tell_some() -> None:
    """The newest."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(5, 4, 3)))

        assert ids(await poll(outside, initial_entries=2)) == ["id-4", "id-5"]


async def test_dates_decide_the_order_if_all_have_one() -> None:
    """Some feeds stand in no order at all."""
    days = {1: "02", 2: "03", 3: "01"}
    feed = rss(*(item(number, pubDate=f"Sun, {day} Mar 2026 09:00:00 GMT") for number, day in days.items()))
    async with open_outside() as outside:
        outside.says(Says(200, feed))

        assert ids(await poll(outside, initial_entries=3)) == ["id-3", "id-1", "id-2"]


async def test_the_same_checkpoint_gives_the_same_entries() -> None:
    """What did not become durable is found again."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(1)), Says(200, numbered(2, 1)))
        begin = (await poll(outside)).checkpoint
        first, again = await poll(outside, begin), await poll(outside, begin)

    assert ids(first) == ids(again) == ["id-2"]
    assert first.checkpoint == again.checkpoint


async def test_what_has_gone_and_comes_back_is_not_new() -> None:
    """A feed that shows other entries for a while; an entry that stands in it twice."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(2, 1)), Says(200, numbered(9)), Says(200, numbered(2, 9, 1, 3, 3)))
        place_ = None
        told: list[str] = []
        for _ in range(3):
            polled = await poll(outside, place_)
            place_, told = polled.checkpoint, told + ids(polled)

    assert told == ["id-9", "id-3"]


@pytest.mark.slow
async def test_a_checkpoint_is_bounded() -> None:
    """By forgetting what has long been gone, never what still stands there."""
    async with open_outside() as outside:
        place_: str | None = None
        for begin in range(0, 4 * MAX_ENTRIES, MAX_ENTRIES):
            outside.says(Says(200, numbered(*range(begin, begin + MAX_ENTRIES))))
            place_ = (await poll(outside, place_)).checkpoint

    assert len(json.loads(place_ or "")["entries"]) == MAX_ENTRIES + MAX_SEEN
    assert len(place_ or "") < 100_000


async def test_only_what_has_changed_is_asked_for() -> None:
    """By what the server has said of the last answer."""
    async with open_outside() as outside:
        validators = {"etag": 'W/"17"', "last-modified": "Sun, 01 Mar 2026 09:00:00 GMT"}
        outside.says(Says(200, numbered(1), validators), Says(304), Says(200, numbered(2, 1), {"etag": "x" * 600}))
        first = await poll(outside)
        unchanged = await poll(outside, first.checkpoint)
        changed = await poll(outside, first.checkpoint)
        await poll(outside, changed.checkpoint)

    assert unchanged == Polled()
    asked = outside.heard[1].headers
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('W/"17"', validators["last-modified"])
    assert "if-none-match" not in outside.heard[0].headers
    assert "if-none-match" not in outside.heard[3].headers
    assert ids(changed) == ["id-2"]


@pytest.mark.parametrize(
    "checkpoint", ["", "nonsense", "[]", '{"of": 1}', '{"of": "?", "entries": [1]}', "[" * 100_000]
)
async def test_a_checkpoint_that_cannot_be_read_is_a_beginning(checkpoint: str) -> None:
    """And so is that of another feed."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(1)))
        polled = await poll(outside, checkpoint)
        moved = await poll(outside, polled.checkpoint, url=f"{outside.url}/other.xml")

    assert (ids(polled), ids(moved)) == ([], [])
    assert polled.checkpoint != moved.checkpoint


# -- what fails a poll -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "reason", "wait_s"),
    [
        (Says(301, "", {"location": "/new"}), "redirects are not followed; write the address it is at now", None),
        (Says(304), "304", None),
        (Says(401), "Feed rejected: 401 Unauthorized", None),
        (Says(404), "404", None),
        (Says(429, "", {"retry-after": "60"}), "rate limited", 60.0),
        (Says(503, "", {"retry-after": "7"}), "503", 7.0),
        (Says(200, "<html/>"), "Feed error: no feed", None),
        (Says(200, numbered(1), cut_after_bytes=30), "Feed error: the body broke off", None),
        (Says(200, b"<rss><!--" + b"x" * 6_000_000), "the body is longer than 5242880 bytes", None),
        (Says(206, numbered(1)), "206", None),
        (Says(hangs_up=True), "Feed error", None),
    ],
)
async def test_what_is_no_answer_fails_the_poll(says: Says, reason: str, wait_s: float | None) -> None:
    """The checkpoint stays where it was."""
    async with open_outside() as outside:
        outside.says(says)
        with pytest.raises(PollFailed, match=reason) as failed:
            await poll(outside)

    assert failed.value.retry_after_s == wait_s


async def test_a_packed_feed_is_unpacked() -> None:
    """As most are sent."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(1), packed=True))

        assert ids(await poll(outside, initial_entries=9)) == ["id-1"]


# -- configuration and check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"url": "feed.xml"}, "url: must begin with http"),
        ({"url": "https://u:p@example.com"}, "url: has a user name"),
        ({"initial_entries": 1001}, "initial_entries: must be from 0 to 1000"),
        ({"initial_entries": -1}, "initial_entries"),
        ({"headers": {"a b": "x"}}, "headers: 'a b' is no name"),
        ({"headers": {"Host": "x"}}, r"headers\.Host: is set by the source itself"),
        ({"headers": {"X": "a\nb"}}, r"headers\.X: must be printable"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str) -> None:
    """One that says where, and what to write."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, {"url": URL, **config})


async def test_a_check_reads_the_feed() -> None:
    """With the headers that it needs, and tells how many entries it has."""
    async with open_outside() as outside:
        outside.says(Says(200, numbered(1, 2)), Says(403, "the key s3cret-key is odd"))
        config = {"url": outside.url, "headers": {"Authorization": "s3cret-key"}}
        (there,) = await checked(CONNECTOR.source, config)
        (refused,) = await checked(CONNECTOR.source, config)
    (gone,) = await checked(CONNECTOR.source, {"url": f"http://127.0.0.1:{unused_port()}"})

    assert (there.ok, there.detail) == (True, "News: 2 entries")
    assert outside.heard[0].headers["authorization"] == "s3cret-key"
    assert (refused.ok, gone.ok) == (False, False)
    assert "s3cret" not in refused.detail
