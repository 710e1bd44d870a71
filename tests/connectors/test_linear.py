"""Linear by asking: what is found, that nothing is missed or found twice, and what its refusals mean."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.sdk import Event, Polled, PollFailed
from orgloop_connectors.linear import CONNECTOR
from orgloop_connectors.linear.config import LinearConfig
from orgloop_connectors.linear.cursor import MAX_SEEN, Cursor, Sweep, read, written
from orgloop_connectors.linear.source import LinearSource
from tests.connectors.linear import Linear, refused, user
from tests.connectors.outside import Outside, Says, open_outside, unused_port
from tests.connectors.stage import checked, made, place

KEY = "lin_api_s3cret"
LEAST = {"team": "ENG", "api_key": KEY}


@attrs.define
class Desk:
    """A stand-in, and a source that asks it; what was found stays."""

    linear: Linear
    outside: Outside
    config: dict[str, Any]
    max_pages: int = 20
    checkpoint: str | None = None
    found: list[Event] = attrs.field(factory=list)

    async def poll(self, checkpoint: str | None = None) -> Polled:
        """Ask once, with a source that remembers nothing."""
        config = structure(LinearConfig, {**LEAST, "api_url": self.outside.url, **self.config}, where="config")
        source = LinearSource(config, place(id="linear"), now_s=lambda: self.linear.now_s, max_pages=self.max_pages)
        async with source:
            return await source.poll(checkpoint or self.checkpoint)

    async def look(self) -> list[Event]:
        """Ask until nothing is left, from where the last time ended, an hour later."""
        self.linear.now_s += 3600
        events: list[Event] = []
        while True:
            polled = await self.poll()
            events += polled.events
            self.checkpoint = polled.checkpoint or self.checkpoint
            if polled.next_in_s is None:
                self.found += events
                return events


@asynccontextmanager
async def desk(**config: Any) -> AsyncGenerator[Desk]:
    """A desk that has looked once."""
    linear = Linear()
    async with open_outside() as outside:
        outside.by(linear.answer)
        one = Desk(linear, outside, config)
        await one.look()
        linear.now_s += 3600
        yield one


def named(events: list[Event]) -> list[str]:
    return [event.provenance["platform_event"] for event in events]


# -- what is found -----------------------------------------------------------------------------------------------------


async def test_a_new_issue_is_found() -> None:
    """With the names of the original; who wrote it is its author."""
    async with desk() as one:
        one.linear.create()
        (event,) = await one.look()

    assert (event.source, event.type) == ("linear", "resource.changed")
    assert event.provenance == {
        "platform": "linear",
        "platform_event": "issue.created",
        "resource_id": "issue-uuid-1-created",
        "author": "Ann",
        "author_type": "team_member",
        "issue_id": "ENG-1",
        "url": "https://linear.app/acme/issue/ENG-1",
        "state": "Todo",
    }
    assert event.payload == {
        "action": "issue_created",
        "issue_id": "ENG-1",
        "issue_title": "Checkout is slow",
        "issue_description": "p99 is 4 s",
        "state": "Todo",
    }


@pytest.mark.parametrize(
    ("entry", "name", "said"),
    [
        (
            {"fromState": {"id": "1", "name": "Todo"}, "toState": {"id": "2", "name": "Done"}},
            "state",
            {"previous_state": "Todo", "new_state": "Done"},
        ),
        ({"toAssignee": user("Cid")}, "assignee", {"previous_assignee": None, "new_assignee": "Cid"}),
        ({"fromAssignee": user("Cid")}, "assignee", {"previous_assignee": "Cid", "new_assignee": None}),
        ({"fromPriority": 0.0, "toPriority": 2.0}, "priority", {"previous_priority": 0, "new_priority": 2}),
        (
            {"toDelegate": user("Codex")},
            "delegate",
            {"old_delegate_id": None, "new_delegate": "Codex", "new_delegate_id": "user-Codex"},
        ),
        (
            {"addedLabels": [{"name": "bug"}], "removedLabels": [{"name": "idea"}]},
            "labels",
            {
                "previous_labels": ["idea"],
                "new_labels": ["bug"],
                "added_labels": ["bug"],
                "removed_labels": ["idea"],
            },
        ),
    ],
)
async def test_a_change_is_found_in_the_history(entry: dict[str, Any], name: str, said: dict[str, Any]) -> None:
    """Who made it is its author; in the original that was the assignee."""
    async with desk() as one:
        issue = one.linear.create()
        await one.look()
        one.linear.change(issue, by="Ben", **entry)
        issue["labels"] = ["bug"]
        (event,) = await one.look()

    assert event.provenance["platform_event"] == f"issue.{name}_changed"
    assert (event.provenance["author"], event.provenance["author_type"]) == ("Ben", "team_member")
    assert event.payload == {
        "action": f"{name}_changed",
        "issue_id": "ENG-1",
        "issue_title": "Checkout is slow",
        **said,
    }


async def test_labels_are_followed_back_in_time() -> None:
    """Each change says what was there before it and after it, though only the end is known."""
    async with desk() as one:
        issue = one.linear.create()
        await one.look()
        for added in ("a", "b", "c"):
            one.linear.now_s += 1
            one.linear.change(issue, addedLabels=[{"name": added}])
            issue["labels"].append(added)
        events = await one.look()

    assert [event.payload["new_labels"] for event in events] == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert [event.payload["previous_labels"] for event in events] == [[], ["a"], ["a", "b"]]


async def test_a_comment_is_found() -> None:
    """With who the issue belongs to; one on a document is none of an issue."""
    async with desk() as one:
        issue = one.linear.create()
        issue["assignee"] = user("Cid")
        await one.look()
        one.linear.comment(issue, by="Ben")
        one.linear.comment(None)
        (event,) = await one.look()

    assert event.provenance == {
        "platform": "linear",
        "platform_event": "comment.created",
        "resource_id": "comment-comment-2",
        "author": "Ben",
        "author_type": "team_member",
        "issue_id": "ENG-1",
        "url": "https://linear.app/acme/issue/c-2",
        "issue_assignee": "Cid",
        "issue_creator": "Ann",
    }
    assert event.payload["comment_body"] == "On it."


@pytest.mark.parametrize(
    ("who", "author"),
    [
        ({"user": None, "botActor": {"name": "GitHub"}}, ("GitHub", "bot")),
        ({"user": None, "externalUser": {"name": "Eve"}}, ("Eve", "external")),
        ({"user": {"name": "Codex", "app": True}}, ("Codex", "bot")),
        ({"user": {"name": "Gil", "app": False, "guest": True}}, ("Gil", "external")),
        ({"user": None}, ("unknown", "unknown")),
    ],
)
async def test_who_is_no_member_is_called_none(who: dict[str, Any], author: tuple[str, str]) -> None:
    """The original called everybody a team member, and a filter on that let everybody in."""
    async with desk() as one:
        one.linear.comment(one.linear.create()).update(who)
        event = (await one.look())[-1]

    assert (event.provenance["author"], event.provenance["author_type"]) == author


async def test_what_happened_comes_in_order() -> None:
    """Over issues and comments, oldest first."""
    async with desk() as one:
        first = one.linear.create()
        for act in (one.linear.comment, lambda issue: one.linear.move(issue, "Done"), one.linear.comment):
            one.linear.now_s += 10
            act(first)

        assert named(await one.look()) == ["issue.created", "comment.created", "issue.state_changed", "comment.created"]


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "about"),
    [
        ({}, {"team": {"key": {"eq": "ENG"}}}),
        ({"project": "Checkout"}, {"team": {"key": {"eq": "ENG"}}, "project": {"name": {"eq": "Checkout"}}}),
        (
            {"team": "9cfb482a-81e3-4154-b5b9-2c805e70a02d"},
            {"team": {"id": {"eq": "9cfb482a-81e3-4154-b5b9-2c805e70a02d"}}},
        ),
    ],
)
async def test_the_team_is_asked_for_by_key_or_id(config: dict[str, Any], about: dict[str, Any]) -> None:
    """And the project by name."""
    async with desk(**config) as one:
        issues, comments = one.linear.variables

    assert {key: one for key, one in issues["filter"].items() if key != "updatedAt"} == about
    assert comments["filter"]["issue"] == about


@pytest.mark.parametrize(("key", "sent"), [("lin_api_x", "lin_api_x"), ("lin_oauth_x", "Bearer lin_oauth_x")])
async def test_a_key_stands_alone_and_a_token_does_not(key: str, sent: str) -> None:
    """As Linear asks."""
    async with desk(api_key=key) as one:
        assert one.outside.heard[0].headers["authorization"] == sent


async def test_the_first_poll_looks_back_a_little() -> None:
    """As far as it is told."""
    linear = Linear()
    linear.create()
    linear.now_s += 600
    async with open_outside() as outside:
        outside.by(linear.answer)
        short = await Desk(linear, outside, {}).poll()
        long = await Desk(linear, outside, {"initial_lookback": "1h"}).poll()

    assert (len(short.events), len(long.events)) == (0, 1)


# -- neither missed nor found twice ------------------------------------------------------------------------------------


async def test_the_same_checkpoint_gives_the_same_events() -> None:
    """What did not become durable is found again; what did, is not."""
    async with desk() as one:
        one.linear.create()
        first, again = await one.poll(), await one.poll()
        after = await one.poll(first.checkpoint)

    assert [event.provenance for event in first.events] == [event.provenance for event in again.events]
    assert first.checkpoint == again.checkpoint
    assert (after.events, after.checkpoint) == ([], None)


async def test_what_linear_shows_late_is_found() -> None:
    """An entry that is older than what was found before it."""
    async with desk() as one:
        issue, other = one.linear.create(), one.linear.create()
        await one.look()
        one.linear.now_s += 60
        late = one.linear.move(issue, "Done")
        one.linear.now_s += 30
        one.linear.move(other, "Done")
        issue["history"].remove(late)
        first = (await one.poll()).checkpoint
        issue["history"].append(late)

        assert named(list((await one.poll(first)).events)) == ["issue.state_changed"]


async def test_an_entry_that_grows_is_told_of_what_grew() -> None:
    """Linear writes what follows soon into the same entry; what was told already is not told again."""
    async with desk() as one:
        issue = one.linear.create()
        await one.look()
        entry = one.linear.move(issue, "Doing")
        first = await one.poll()
        one.linear.now_s += 150
        entry |= {"toAssignee": user("Cid"), "updatedAt": one.linear.now()}
        issue["updatedAt"] = one.linear.now()
        second = await one.poll(first.checkpoint)

    assert named(list(first.events)) == ["issue.state_changed"]
    assert named(list(second.events)) == ["issue.assignee_changed"]


async def test_a_long_history_is_read_as_far_back_as_it_is_news() -> None:
    """Page by page, and no further."""
    async with desk() as one:
        issue = one.linear.create()
        for number in range(20):
            one.linear.now_s += 600
            one.linear.move(issue, f"old-{number}")
        await one.look()
        one.linear.now_s += 600
        for number in range(5):
            one.linear.now_s += 1
            one.linear.move(issue, f"new-{number}")
        one.linear.asked.clear()
        events = await one.look()

    assert [event.payload["new_state"] for event in events] == [f"new-{number}" for number in range(5)]
    assert one.linear.asked.count("History") == 3  # of ten: two changes each, until one is old


@pytest.mark.parametrize("step_s", [0.0, 60.0])
async def test_more_than_one_poll_reads_is_read_by_the_next(step_s: float) -> None:
    """Issues and comments; at once, as by an import, or one after another."""
    async with desk() as one:
        one.max_pages = 1
        for _ in range(10):
            one.linear.now_s += step_s
            one.linear.create()
        for issue in one.linear.issues:
            one.linear.now_s += step_s or 200.0
            one.linear.comment(issue)
        first = await one.poll()
        events = await one.look()

    assert first.next_in_s == 1.0 or not step_s
    assert len({event.provenance["resource_id"] for event in events}) == len(events) == 20


async def test_an_issue_that_changed_early_and_is_touched_during_a_sweep_is_not_missed() -> None:
    """It comes late in the sweep, and its early change still counts."""
    async with desk() as one:
        one.max_pages = 1
        issues = [one.linear.create(str(number)) for number in range(8)]
        for issue in issues:
            one.linear.now_s += 300
            one.linear.move(issue, "Doing")
        first = await one.poll()
        one.linear.now_s += 300
        one.linear.move(issues[-1], "Done")
        one.checkpoint = first.checkpoint
        rest = await one.look()

    moved = [event.payload for event in (*first.events, *rest) if event.payload["action"] == "state_changed"]
    assert sorted(said["issue_title"] for said in moved) == sorted([*map(str, range(8)), "7"])


async def _soak(rounds: int, seed: int) -> tuple[Desk, int]:
    """Random work, random refusals, a new source each time, and answers that are lost now and then."""
    chance = random.Random(seed)
    async with desk(initial_lookback="30d") as one:
        linear = one.linear
        failures = [
            lambda: refused("RATELIMITED"),
            lambda: Says(500, "down"),
            lambda: Says(200, {"data": None}),
            lambda: Says(200, b'{"data": {', cut_after_bytes=5),
        ]
        linear.refuses = lambda _: chance.choice(failures)() if chance.random() < 0.1 else None
        done = 0
        for _ in range(rounds):
            for _ in range(chance.randrange(12)):
                linear.now_s += chance.choice([0.0, 0.5, 20.0, 100.0])
                if not linear.issues or chance.random() < 0.3:
                    linear.create()
                elif chance.random() < 0.5:
                    linear.comment(chance.choice(linear.issues))
                else:
                    linear.move(chance.choice(linear.issues), f"state-{done}")
                done += 1
            linear.now_s += chance.choice([1.0, 60.0, 600.0])
            one.max_pages = chance.choice([1, 2, 20])
            try:
                polled = await one.poll()
            except PollFailed:
                continue
            if chance.random() < 0.8:  # else the daemon died before it was durable
                one.found += polled.events
                one.checkpoint = polled.checkpoint or one.checkpoint
        linear.refuses = lambda _: None
        await one.look()
        return one, done


@pytest.mark.parametrize(
    ("rounds", "seed"), [(10, 1), *(pytest.param(200, seed, marks=pytest.mark.slow) for seed in range(3))]
)
async def test_nothing_is_missed_and_nothing_found_twice(rounds: int, seed: int) -> None:
    """Whatever fails in between."""
    one, done = await _soak(rounds, seed)

    identities = [event.provenance["resource_id"] for event in one.found]
    assert len(identities) == done
    assert len(set(identities)) == done


# -- refusals ----------------------------------------------------------------------------------------------------------


def at(seconds: float) -> str:
    return str(round((time.time() + seconds) * 1000))


@pytest.mark.parametrize(
    ("says", "reason", "wait_s"),
    [
        (Says(401, {"errors": [{"message": "Authentication required"}]}), "refused the api_key: Authentication", None),
        (refused("AUTHENTICATION_ERROR"), "refused the api_key: no; set LINEAR_API_KEY anew", None),
        (Says(403, "no"), "refused the api_key: no", None),
        (refused("RATELIMITED", "slow down"), "rate limited: slow down", None),
        (Says(429, {"errors": [{"message": "x"}]}, {"retry-after": "30"}), "rate limited", 30),
        (Says(429, "", {"retry-after": "30"}), r"rate limited \(429\)", 30),
        (refused("INTERNAL", "Entity not found"), "GraphQL error: Entity not found", None),
        (Says(200, {"errors": ["odd"]}), "GraphQL error", None),
        (Says(500, "oops"), "500", None),
        (Says(302, "", {"location": "https://evil.example"}), "302", None),
        (Says(200, "<html>"), "no data: <html>", None),
        (Says(200, {"data": None}), "no data", None),
        (Says(200, b'{"data": {"issues":', cut_after_bytes=8), "no data: the body broke off", None),
        (Says(hangs_up=True), "error", None),
    ],
)
async def test_a_refusal_fails_the_poll(says: Says, reason: str, wait_s: float | None) -> None:
    """In the original it was an empty answer, and the source stayed healthy."""
    async with desk() as one:
        one.linear.refuses = lambda _: says
        with pytest.raises(PollFailed, match=reason) as failed:
            await one.poll()

    assert failed.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"x-ratelimit-requests-remaining": "0", "x-ratelimit-requests-reset": at(600)}, 600),
        ({"x-ratelimit-complexity-remaining": "0", "x-ratelimit-complexity-reset": at(900)}, 900),
        ({"x-ratelimit-requests-remaining": "5", "x-ratelimit-requests-reset": at(600)}, None),
        ({"x-ratelimit-requests-reset": at(1e9)}, 3600),
        ({"x-ratelimit-requests-reset": at(-600)}, None),
        ({"x-ratelimit-requests-reset": "soon"}, None),
    ],
)
async def test_a_limit_says_when_it_is_lifted(headers: dict[str, str], wait_s: float | None) -> None:
    """In milliseconds, by what is used up, and at most an hour away."""
    async with desk() as one:
        one.linear.refuses = lambda _: refused("RATELIMITED", headers=headers)
        with pytest.raises(PollFailed) as failed:
            await one.poll()

    assert failed.value.retry_after_s == (None if wait_s is None else pytest.approx(wait_s, abs=30))


@pytest.mark.parametrize("refuses", ["Issues", "History", "Comments"])
async def test_a_part_of_an_answer_is_none(refuses: str) -> None:
    """Whatever was read before is read again."""
    async with desk() as one:
        issue = one.linear.create()
        for _ in range(3):
            one.linear.move(issue, "Done")
        one.linear.refuses = lambda name: Says(503) if name == refuses else None
        with pytest.raises(PollFailed):
            await one.poll()
        one.linear.refuses = lambda _: None

        assert len(await one.look()) == 4


def _without(key: str) -> Callable[[Any], None]:
    return lambda issue: issue.pop(key)


def _with(key: str, value: Any) -> Callable[[Any], None]:
    return lambda issue: issue.update({key: value})


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (_without("identifier"), "identifier is not there, not a text"),
        (_with("title", 7), "title is int '7', not a text"),
        (_with("updatedAt", "9999-01-01"), "updatedAt is '9999-01-01', a time without a zone"),
        (_with("createdAt", "soon"), "createdAt is 'soon', not a time"),
        (_with("state", "Todo"), "state is str 'Todo', not an object"),
        (_with("creator", {"id": "x", "name": "Ann"}), None),
        (_with("history", [{"id": "e"}]), "createdAt is not there"),
    ],
)
async def test_a_shape_that_has_drifted_fails_the_poll(drift: Callable[[Any], None], said: str | None) -> None:
    """And says where; it is no crash."""
    async with desk() as one:
        drift(one.linear.create())
        if said is None:
            assert len(await one.look()) == 1
        else:
            with pytest.raises(PollFailed, match=f"not the shape that is known: {said}"):
                await one.look()


async def test_the_key_is_never_told() -> None:
    """Even if Linear repeats it."""
    async with desk() as one:
        one.linear.refuses = lambda _: Says(500, f"bad key {KEY}")
        with pytest.raises(PollFailed) as failed:
            await one.poll()

    assert "s3cret" not in str(failed.value)


# -- the checkpoint ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "checkpoint",
    [
        "",
        "nonsense",
        "[]",
        "7",
        '{"of": "ENG/"}',
        '{"of": "OPS/", "issues": {"floor": 1, "since": 1, "seen": {}}}',
        '{"of": "ENG/", "issues": {"floor": "1", "since": 1, "seen": {}}, "comments": []}',
        '{"of": "ENG/", "issues": {"floor": 1, "since": 1e999, "seen": {}}}',
        '{"of": "ENG/", "issues": {"floor": 1, "since": 1, "seen": {"a": null}}}',
        "[" * 100_000,
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_a_beginning(checkpoint: str) -> None:
    """So is one of another team."""
    assert read(checkpoint, of="ENG/", begin_ms=17) == {"issues": Cursor(17, 17), "comments": Cursor(17, 17)}


def test_the_checkpoint_of_the_original_is_gone_on_from() -> None:
    """It was a time."""
    cursors = read("2026-03-01T09:00:00.000Z", of="ENG/", begin_ms=17)

    assert cursors["issues"] == Cursor(1_772_355_600_000, 1_772_355_600_000)


def test_a_checkpoint_is_bounded() -> None:
    """By forgetting the oldest; a daemon that is ten times as busy has the same."""
    sweep = Sweep(Cursor(0, 0))
    for number in range(10 * MAX_SEEN):
        assert sweep.is_new(f"history-{number}", number)
    cursor = sweep.end(is_over=False)

    assert len(cursor.seen) == MAX_SEEN
    assert len(written("ENG/", {"issues": cursor, "comments": cursor})) < 1024 * 1024
    assert min(cursor.seen.values()) == 9 * MAX_SEEN


# -- configuration and check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"team": ""}, "team: is empty"),
        ({"project": ""}, "project: is empty"),
        ({"api_key": ""}, "api_key: is empty; set LINEAR_API_KEY"),
        ({"api_key": "a\nb"}, "api_key: is none"),
        ({"initial_lookback": "60d"}, "initial_lookback: must be at most 30d"),
        ({"api_url": "linear.app"}, "api_url: must begin with http"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str) -> None:
    """One that says where, and what to write."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, {**LEAST, **config})


@pytest.mark.parametrize(
    ("team", "refusal", "told"),
    [
        ("ENG", None, [("LINEAR_API_KEY", True, "user: Ann"), ("team", True, None)]),
        ("OPS", None, [("LINEAR_API_KEY", True, "user: Ann"), ("team", False, None)]),
        ("ENG", refused("AUTHENTICATION_ERROR"), [("LINEAR_API_KEY", False, None)]),
        ("ENG", Says(200, {"data": {"viewer": 7}}), [("LINEAR_API_KEY", False, None)]),
    ],
)
async def test_a_check_says_whose_key_it_is_and_what_it_sees(team: str, refusal: Says | None, told: list[Any]) -> None:
    """Nothing is changed by it."""
    linear = Linear(refuses=lambda _: refusal)
    async with open_outside() as outside:
        outside.by(linear.answer)
        found = await checked(CONNECTOR.source, {**LEAST, "team": team, "api_url": outside.url})

    assert [(one.name, one.ok, one.identity) for one in found] == told
    assert linear.asked == ["Viewer"]


async def test_a_linear_that_is_not_there_fails_the_poll() -> None:
    """With what the network said."""
    config = {**LEAST, "api_url": f"http://127.0.0.1:{unused_port()}"}
    async with made(CONNECTOR.source, config) as source:
        with pytest.raises(PollFailed, match="Linear error"):
            await source.poll(json.dumps({}))
