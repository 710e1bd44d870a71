"""Mail through gog: what is told, once and only once, and what keeps gog from answering."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orgloop.event import faults_of
from orgloop.sdk import Polled, PollFailed
from orgloop_connectors.gog import CONNECTOR
from tests.connectors.stage import checked, made, place
from tests.transforms.stage import executable

GOG = r"""
printf '%s\n' "$*" >> asked
case "$2" in
  messages) name=search;;
  history) name=history;;
  get) name="$3";;
esac
for word in "$@"; do case "$word" in --page=*) name="$name.${word#--page=}";; esac; done
if [ -e "$name.fails" ]; then cat "$name.fails" >&2; exit 1; fi
if [ ! -e "$name.json" ]; then echo "Google API error (404 notFound): Requested entity was not found." >&2; exit 1; fi
cat "$name.json"
"""
"""A stand-in for gog: it answers with the file of what it is asked for, and keeps its arguments."""


def mail(id_: str, *, at: int = 1_700_000_000_000, history: int = 100, **changed: Any) -> dict[str, Any]:
    """A message, as gog passes it on from Gmail's API."""
    headers = {
        "From": '"Bell, Ada" <ada@example.com>',
        "To": 'ann@example.com, "Cy, D." <cy@example.com>',
        "Cc": "",
        "Subject": "=?utf-8?q?Caf=C3=A9?= is red",
        "Date": "Tue, 14 Nov 2023 22:13:20 +0000",
    }
    return {
        "id": id_,
        "threadId": f"t{id_}",
        "labelIds": ["INBOX", "UNREAD"],
        "snippet": "It is red.",
        "historyId": str(history),
        "internalDate": str(at),
        "payload": {"headers": [{"name": name, "value": value} for name, value in headers.items()]},
        **changed,
    }


class Mailbox:
    """What the stand-in answers with."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self._directory = directory
        executable(directory / "gog", GOG)
        config = {"account": "ann@example.com", "program": "./gog", **config}
        self.source = made(CONNECTOR.source, config, place(directory, id="inbox"))

    def answers(self, name: str, said: Any) -> None:
        (self._directory / f"{name}.json").write_text(said if isinstance(said, str) else json.dumps(said))

    def fails(self, name: str, words: str) -> None:
        (self._directory / f"{name}.fails").write_text(words)

    def mends(self, name: str) -> None:
        (self._directory / f"{name}.fails").unlink()

    def holds(self, *messages: dict[str, Any]) -> None:
        """Messages, newest first, as a search finds them."""
        self.answers("search", {"messages": [{"id": one["id"]} for one in messages], "nextPageToken": ""})
        for one in messages:
            self.answers(one["id"], {"message": one})

    def history(self, reached: str, *messages: dict[str, Any], more: str = "", page: str = "") -> None:
        name = f"history.{page}" if page else "history"
        ids = [one["id"] for one in messages]
        self.answers(name, {"historyId": reached, "messages": ids, "nextPageToken": more})
        for one in messages:
            self.answers(one["id"], {"message": one})

    async def poll(self, checkpoint: str | None = None) -> Polled:
        polled: Polled = await self.source.poll(checkpoint)
        assert not [fault for event in polled.events for fault in faults_of(event)]
        return polled

    def asked(self) -> list[str]:
        return (self._directory / "asked").read_text().splitlines()


def ids(polled: Polled) -> list[str]:
    return [event.payload["message_id"] for event in polled.events]


# -- by a query --------------------------------------------------------------------------------------------------------


async def test_a_mail_is_told(tmp_path: Path) -> None:
    """In the original's shape; names with commas stay whole."""
    box = Mailbox(tmp_path, query="is:unread")
    box.holds(mail("a1"))

    (event,) = (await box.poll()).events

    assert (event.source, event.type) == ("inbox", "resource.changed")
    assert event.provenance == {
        "platform": "gmail",
        "platform_event": "email.received",
        "resource_id": "a1",
        "author": "ada@example.com",
        "author_type": "external",
        "url": "https://mail.google.com/mail/u/0/#inbox/ta1",
    }
    assert event.payload == {
        "message_id": "a1",
        "thread_id": "ta1",
        "subject": "Café is red",
        "from": {"name": "Bell, Ada", "email": "ada@example.com"},
        "to": [{"name": "", "email": "ann@example.com"}, {"name": "Cy, D.", "email": "cy@example.com"}],
        "cc": [],
        "date": "Tue, 14 Nov 2023 22:13:20 +0000",
        "labels": ["INBOX", "UNREAD"],
        "snippet": "It is red.",
    }


async def test_what_was_seen_is_told_no_more(tmp_path: Path) -> None:
    """Oldest first; and a look that finds nothing new moves nothing."""
    box = Mailbox(tmp_path, query="is:unread")
    box.holds(mail("a2"), mail("a1"))
    first = await box.poll()
    box.holds(mail("a3"), mail("a2"), mail("a1"))
    second = await box.poll(first.checkpoint)

    assert (ids(first), ids(second)) == (["a1", "a2"], ["a3"])
    assert ids(await box.poll(first.checkpoint)) == ["a3"]
    assert await box.poll(second.checkpoint) == Polled([], None)


async def test_gog_is_asked_as_the_original_does(tmp_path: Path) -> None:
    """The query is never an option, though one that leaves something out begins like one."""
    box = Mailbox(tmp_path, query="-in:spam", gog_client="work", max_per_poll=7)
    box.holds(mail("a1"))

    await box.poll()

    common = "--account ann@example.com --json --no-input --client work"
    assert box.asked() == [
        f"gmail messages search --max 7 {common} -- -in:spam",
        f"gmail get a1 --format metadata --headers From,To,Cc,Subject,Date {common}",
    ]


async def test_all_that_came_between_two_looks_is_told(tmp_path: Path) -> None:
    """Page by page, at once, until something is known."""
    box = Mailbox(tmp_path, query="is:unread", max_per_poll=2)
    box.holds(mail("a1"))
    checkpoint = (await box.poll()).checkpoint
    box.holds(mail("a5"), mail("a4"), mail("a3"), mail("a2"))
    box.answers("search", {"messages": [{"id": "a5"}, {"id": "a4"}], "nextPageToken": "p2"})
    box.answers("search.p2", {"messages": [{"id": "a3"}, {"id": "a2"}], "nextPageToken": "p3"})
    box.answers("search.p3", {"messages": [{"id": "a1"}], "nextPageToken": "p4"})

    polls = []
    for _ in range(3):
        polls.append(await box.poll(checkpoint))
        checkpoint = polls[-1].checkpoint or checkpoint

    assert [ids(polled) for polled in polls] == [["a4", "a5"], ["a2", "a3"], []]
    assert [polled.next_in_s for polled in polls] == [0.0, 0.0, None]


async def test_the_first_look_goes_no_further_than_a_page(tmp_path: Path) -> None:
    """Or it would tell a mailbox of twenty years."""
    box = Mailbox(tmp_path, query="is:unread")
    box.holds(mail("a1"))
    box.answers("search", {"messages": [{"id": "a1"}], "nextPageToken": "p2"})

    assert (await box.poll()).next_in_s is None


async def test_a_page_that_is_not_known_any_more_is_begun_anew(tmp_path: Path) -> None:
    """Gmail forgets the tokens of pages; nothing is lost, nothing told twice."""
    box = Mailbox(tmp_path, query="is:unread")
    box.holds(mail("a2"), mail("a1"))
    box.fails("search.old", "Google API error (400 badRequest): Invalid pageToken")
    standing = json.dumps({"mode": "search", "seen": ["a2"], "page": "old", "pages": 1})

    polled = await box.poll(standing)

    assert ids(polled) == ["a1"]
    assert "page" not in json.loads(polled.checkpoint or "")


async def test_a_message_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """Somebody has deleted it since it was found."""
    box = Mailbox(tmp_path, query="is:unread")
    box.holds(mail("a1"))
    box.answers("search", {"messages": [{"id": "gone"}, {"id": "a1"}]})

    assert ids(await box.poll()) == ["a1"]


def part(kind: str, text: bytes, charset: str = "utf-8") -> dict[str, Any]:
    return {
        "mimeType": kind,
        "headers": [{"name": "Content-Type", "value": f"{kind}; charset={charset}"}],
        "body": {"data": base64.urlsafe_b64encode(text).decode().rstrip("=")},
    }


async def test_bodies_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    """Only if asked for; in whatever charset, and the first of each kind."""
    inner = {
        "mimeType": "multipart/alternative",
        "parts": [part("text/plain", b"caf\xe9", "latin1"), part("text/html", b"<p>")],
    }
    root = {"mimeType": "multipart/mixed", "headers": [], "parts": [{"parts": [inner]}, part("text/plain", b"second")]}
    box = Mailbox(tmp_path, query="x", fetch_body=True)
    box.holds(mail("a1", payload=root))

    (event,) = (await box.poll()).events

    assert (event.payload["body_text"], event.payload["body_html"]) == ("café", "<p>")
    assert "--format full" in box.asked()[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": None},
        {"payload": {"headers": [7, {"name": 1}]}, "labelIds": "x", "snippet": 5, "internalDate": "later"},
        {"payload": {"headers": [{"name": "From", "value": "=?x?q?=FF?= <"}], "parts": "none"}},
        {"payload": part("text/plain", b"x", "no-such-charset")},
        {"payload": {"mimeType": "text/plain", "body": {"data": "!!!"}}},
    ],
)
async def test_a_strange_message_is_still_told(tmp_path: Path, changed: dict[str, Any]) -> None:
    """What anybody on the Internet can write stops no source."""
    box = Mailbox(tmp_path, query="x", fetch_body=True)
    box.holds(mail("a1", **changed))

    assert ids(await box.poll()) == ["a1"]


# -- by the history ----------------------------------------------------------------------------------------------------


async def test_the_history_is_followed_from_the_latest_mail(tmp_path: Path) -> None:
    """The first look tells nothing, and the next ones what has come; in the original none ever did."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1", history=100))
    first = await box.poll()
    box.history("105", mail("a2", history=103), mail("a3", history=104))
    second = await box.poll(first.checkpoint)
    box.history("105")

    assert (ids(first), ids(second)) == ([], ["a2", "a3"])
    assert await box.poll(second.checkpoint) == Polled([], None)
    since = [call.split(" --max")[0] for call in box.asked() if " history " in call]
    assert since == ["gmail history --since 100", "gmail history --since 105"]


async def test_a_long_history_is_read_page_by_page(tmp_path: Path) -> None:
    """The place moves when the last page has been read."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1"))
    checkpoint = (await box.poll()).checkpoint
    box.history("109", mail("a2"), more="p2")
    box.history("109", mail("a3"), page="p2")

    first = await box.poll(checkpoint)
    second = await box.poll(first.checkpoint)

    assert (ids(first), first.next_in_s) == (["a2"], 0.0)
    assert (ids(second), second.next_in_s) == (["a3"], None)
    assert [json.loads(polled.checkpoint or "")["historyId"] for polled in (first, second)] == ["100", "109"]


async def test_an_empty_mailbox_misses_nothing(tmp_path: Path) -> None:
    """There is no place to stand at yet; what comes then is all new."""
    box = Mailbox(tmp_path)
    box.holds()
    first = await box.poll()
    box.holds(mail("a2", history=7), mail("a1", history=5))

    second = await box.poll(first.checkpoint)

    assert ids(second) == ["a1", "a2"]
    assert json.loads(second.checkpoint or "")["historyId"] == "7"


async def test_a_history_that_is_forgotten_is_caught_up_with(tmp_path: Path) -> None:
    """After a week away: by the time of the latest mail that is known."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1", at=1_700_000_000_500))
    first = await box.poll()
    box.holds(mail("a2", at=1_700_000_900_000, history=900), mail("a1", at=1_700_000_000_500))
    (tmp_path / "asked").unlink()

    second = await box.poll(first.checkpoint)

    assert ids(second) == ["a2"]
    assert box.asked()[1].endswith("-- in:anywhere after:1700000000")
    assert json.loads(second.checkpoint or "")["historyId"] == "900"


async def test_a_history_that_is_forgotten_and_without_news_is_begun_anew(tmp_path: Path) -> None:
    """At the latest mail there is; if there is none, from the time that is known."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1", history=100))
    standing = (await box.poll()).checkpoint
    box.holds()

    polled = await box.poll(standing)

    assert json.loads(polled.checkpoint or "") == {
        "mode": "history",
        "historyId": None,
        "since_ms": 1_700_000_000_000,
    }


async def test_a_page_of_the_history_that_is_forgotten_is_begun_anew(tmp_path: Path) -> None:
    """From where the history was to be read."""
    box = Mailbox(tmp_path)
    box.history("109", mail("a2"))
    box.fails("history.old", "Google API error (400 badRequest): Invalid pageToken")
    standing = {"mode": "history", "historyId": "100", "since_ms": 1, "page": "old", "pages": 1}

    polled = await box.poll(json.dumps(standing))

    assert (ids(polled), json.loads(polled.checkpoint or "")["historyId"]) == (["a2"], "109")


async def test_a_history_that_cannot_be_read_is_a_failed_poll(tmp_path: Path) -> None:
    """Only what is forgotten is caught up with."""
    box = Mailbox(tmp_path)
    box.fails("history", "dial tcp: no route to host")

    with pytest.raises(PollFailed, match="no route"):
        await box.poll('{"mode":"history","historyId":"100","since_ms":1}')


async def test_what_was_written_here_is_no_mail_that_came(tmp_path: Path) -> None:
    """The history has drafts and sent mail too; a mail to oneself has come."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1"))
    first = await box.poll()
    sent, draft = mail("s", labelIds=["SENT"]), mail("d", labelIds=["DRAFT"])
    box.history("105", sent, draft, mail("me", labelIds=["SENT", "INBOX"]))

    assert ids(await box.poll(first.checkpoint)) == ["me"]


async def test_changes_of_labels_are_told_where_gog_tells_them(tmp_path: Path) -> None:
    """From the records of the history."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1"))
    first = await box.poll()
    message = {"id": "a1", "threadId": "ta1"}
    record = {"id": "104", "labelsAdded": [{"message": message, "labelIds": ["STARRED"]}]}
    box.answers("history", {"historyId": "105", "messages": [], "history": [record]})

    (event,) = (await box.poll(first.checkpoint)).events

    assert (event.provenance["platform_event"], event.provenance["author"]) == ("email.label_changed", "unknown")
    assert event.payload == {"message_id": "a1", "thread_id": "ta1", "labels_added": ["STARRED"], "labels_removed": []}


@pytest.mark.parametrize(
    "checkpoint",
    ['{"mode":"history","lastPollTimestamp":"x"}', '{"mode":"search","lastPollTimestamp":"x"}', "2026-02-14"],
)
async def test_a_checkpoint_of_the_original_is_a_beginning(tmp_path: Path, checkpoint: str) -> None:
    """It kept what it had seen elsewhere, and never came to a place in the history."""
    box = Mailbox(tmp_path)
    box.holds(mail("a1"))

    polled = await box.poll(checkpoint)

    assert (ids(polled), json.loads(polled.checkpoint or "")["historyId"]) == ([], "100")


# -- what keeps gog from answering -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why", "wait_s"),
    [
        ("Google API error (401): UNAUTHENTICATED", "gog auth add ann@example.com", None),
        ("oauth2: invalid_grant", "gog auth add", None),
        ("Google API error (403 forbidden)", "gog auth add", None),
        ("Google API error (429 rateLimitExceeded)", "429", 60.0),
        ("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", 60.0),
        ("dial tcp: no route to host", "no route to host", None),
    ],
)
async def test_a_refusal_is_a_failed_poll(tmp_path: Path, words: str, why: str, wait_s: float | None) -> None:
    """With what to do; in the original it looked like an empty mailbox."""
    box = Mailbox(tmp_path, query="x")
    box.holds()
    box.fails("search", words)

    with pytest.raises(PollFailed, match=why) as caught:
        await box.poll()

    assert caught.value.retry_after_s == wait_s


async def test_one_message_that_cannot_be_read_fails_the_poll(tmp_path: Path) -> None:
    """Or it would be taken for seen; asked again, all of them come."""
    box = Mailbox(tmp_path, query="x")
    box.holds(mail("a2"), mail("a1"))
    box.fails("a2", "Google API error (429 rateLimitExceeded)")

    with pytest.raises(PollFailed):
        await box.poll()
    box.mends("a2")

    assert ids(await box.poll()) == ["a1", "a2"]


async def test_what_is_not_found_is_not_always_a_message(tmp_path: Path) -> None:
    """Taken for one that was deleted, every mail would be passed over."""
    box = Mailbox(tmp_path, query="x")
    box.holds(mail("a1"))
    box.fails("a1", "oauth credentials not found")

    with pytest.raises(PollFailed, match="credentials not found"):
        await box.poll()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("no json", "no JSON"),
        ([], "no object"),
        ({"messages": "x"}, "no list"),
        ({"messages": [{"id": "--help"}]}, "an id that is none"),
        ({"messages": [{"id": "a b"}]}, "an id that is none"),
        ({"messages": [7]}, "an id that is none"),
        ({"messages": [], "nextPageToken": 7}, "a page token that is none"),
        ({"messages": [], "nextPageToken": "a b"}, "a page token that is none"),
        ({"error": {"code": 403, "message": "forbidden"}}, "gog auth add"),
    ],
)
async def test_an_answer_of_another_shape_is_a_failed_poll(tmp_path: Path, said: Any, why: str) -> None:
    """And no id becomes an option."""
    box = Mailbox(tmp_path, query="x")
    box.answers("search", said)

    with pytest.raises(PollFailed, match=why):
        await box.poll()


async def test_another_message_than_was_asked_for_is_a_failed_poll(tmp_path: Path) -> None:
    """It would be told under a wrong name."""
    box = Mailbox(tmp_path, query="x")
    box.holds(mail("a1"))
    box.answers("a1", {"message": mail("b1")})

    with pytest.raises(PollFailed, match="not message a1"):
        await box.poll()


# -- configs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"account": ""}, "account: is empty"),
        ({"account": "--help"}, "account: begins with '-'"),
        ({"query": ""}, "query: is empty"),
        ({"max_per_poll": 501}, "max_per_poll: must be"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.source, {"account": "a@example.com", **config})


async def test_a_check_looks_for_gog(tmp_path: Path) -> None:
    """And runs nothing; it names what has no effect."""
    config = {"account": "a@example.com", "program": "./nowhere", "cache_dir": "/tmp/x"}

    told = await checked(CONNECTOR.source, config, place(tmp_path))

    assert [(one.name, one.ok) for one in told] == [("gog", False), ("cache_dir", True)]
