"""What the poll finds in a repository, what it asks for, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orgloop.errors import ConfigError
from orgloop.event import faults_of
from orgloop.sdk import Event, PollFailed
from orgloop_connectors._github.api import PER_PAGE
from orgloop_connectors._github.facts import EVENTS
from orgloop_connectors.github import CONNECTOR
from tests.connectors.github_standin import REPO, Github, open_github
from tests.connectors.outside import Heard, Says, unused_port
from tests.connectors.stage import checked, made

FIRST = json.dumps({"version": 1, "feeds": {}})


def names(events: list[Event]) -> list[str]:
    return [event.provenance["resource_id"] for event in events]


async def found(github: Github, checkpoint: str | None = None, **config: Any) -> list[Event]:
    """What one poll of a new source finds, a while later."""
    github.repo.now_s += 10
    async with github.source(**config) as source:
        events: list[Event] = (await source.poll(checkpoint)).events
    return events


def everything(github: Github) -> int:
    """One change of each kind; the number of the pull request."""
    repo = github.repo
    number, issue = repo.open_pull(draft=True), repo.open_issue()
    repo.now_s += 1
    repo.ready(number)
    repo.review(number, "CHANGES_REQUESTED")
    repo.comment_on_code(number)
    repo.comment(number)
    repo.label(issue, "bug")
    repo.assign(issue, "ann")
    repo.fail_run(number)
    repo.complete_suite()
    repo.now_s += 1
    repo.close_pull(number, merged=True)
    return number


# -- events ------------------------------------------------------------------------------------------------------------


async def test_one_of_each_kind_is_found_in_order() -> None:
    """And each is an event that can be written down."""
    async with open_github() as github:
        everything(github)
        events = await found(github)

    assert sorted(names(events)) == sorted(github.repo.happened)
    assert {event.provenance["platform_event"] for event in events} == set(EVENTS) - {"pull_request.closed"}
    assert names(events)[:2] == ["pr-1-opened", "issue-2-opened"]
    assert names(events)[-1] == "pr-1-merged"
    assert [faults_of(event) for event in events] == [[]] * len(events)


async def test_a_comment_knows_what_it_is_about() -> None:
    """Its title, its author and its labels are asked for, all of them at once."""
    async with open_github() as github:
        number, issue = github.repo.open_pull(login="dependabot[bot]"), github.repo.open_issue()
        for at in (number, issue, number):
            github.repo.comment(at)
        events = await found(github, events=["issue_comment"])

    first, second, _ = events
    assert (first.payload["issue_title"], first.payload["is_pull_request"]) == ("Change 1", True)
    assert (first.provenance["pr_author"], first.provenance["labels"]) == ("dependabot[bot]", ["bug"])
    assert (second.payload["issue_title"], second.payload["is_pull_request"]) == ("Fault 2", False)
    assert github.asked() == ["/issues/comments", "/graphql"]


async def test_an_edit_is_nothing_new() -> None:
    """Nor is what is said beside it."""
    async with open_github() as github:
        said = github.repo.comment(github.repo.open_pull())
        github.repo.now_s += 10
        async with github.source(events=["issue_comment"]) as source:
            first = await source.poll(None)
            github.repo.now_s += 3600
            github.repo.edit(said)
            second = await source.poll(first.checkpoint)

    assert (len(first.events), second.events) == (1, [])


async def test_a_pull_request_that_is_closed_again_is_told_again() -> None:
    """It is another fact, under the name of the original."""
    async with open_github() as github:
        number = github.repo.open_pull()
        async with github.source(events=["pull_request.merged"]) as source:
            checkpoint, told = None, list[str]()
            for _ in range(2):
                github.repo.close_pull(number)
                github.repo.now_s += 10
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint, told + names(polled.events)

    assert told == ["pr-1-closed", "pr-1-closed"]


async def test_only_what_is_subscribed_to_is_asked_for() -> None:
    """Of kinds, and of authors."""
    async with open_github() as github:
        number = everything(github)
        github.repo.comment(number, "hubot[bot]")
        reviews = await found(github, events=["pull_request.review_submitted"])
        asked = github.asked()
        bots = await found(github, authors=["hubot[bot]"])

    assert (names(reviews), asked) == (["review-1003"], ["/graphql"])
    assert {event.provenance["author"] for event in bots} == {"hubot[bot]"}
    assert {event.provenance["author_type"] for event in bots} == {"bot"}


async def test_a_run_is_found_that_began_long_ago() -> None:
    """It is dated by its beginning, and fails hours later."""
    async with open_github() as github, github.source(events=["workflow_run.completed"]) as source:
        checkpoint = (await source.poll(None)).checkpoint
        github.repo.now_s += 7200
        github.repo.fail_run(begun_ago_s=7000)
        late = await source.poll(checkpoint)
        again = await source.poll(late.checkpoint)

    assert (len(late.events), again.events) == (1, [])


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["comment", "review", "label", "fail_run"])
async def test_many_pages_are_read_over_many_polls(name: str) -> None:
    """Up by time, or down from the newest; each poll reads so many, and the next goes on at once."""
    async with open_github() as github:
        github.per_page = 4
        repo, number, issue = github.repo, github.repo.open_pull(), github.repo.open_issue()
        happen: Callable[[int], object] = {
            "comment": lambda _: repo.comment(number),
            "review": lambda _: repo.review(repo.open_pull()),
            "label": lambda at: repo.label(issue, f"label-{at}"),
            "fail_run": lambda _: repo.fail_run(),
        }[name]
        for at in range(60):
            repo.now_s += 5
            happen(at)
        repo.now_s += 600
        kind = ["issue_comment", "pull_request.opened", "pull_request.review_submitted"]
        kind += ["issues.labeled", "workflow_run.completed"]
        checkpoint, told, polls, waits_s = None, list[str](), 0, 1.0
        while waits_s == 1.0:
            async with github.source(events=kind) as source:
                polled = await source.poll(checkpoint)
            checkpoint, polls, waits_s = polled.checkpoint or checkpoint, polls + 1, polled.next_in_s
            told += names(polled.events)

    assert sorted(told) == sorted(one for one in repo.happened if one != "issue-2-opened")
    assert polls > 4


async def test_what_moves_while_a_list_is_read_is_found() -> None:
    """A pull request that is not read yet comes to the beginning, where reading has been; its review is old by then."""
    async with open_github() as github:
        repo = github.repo
        reviewed = repo.open_pull()
        repo.review(reviewed)
        for _ in range(60):
            repo.now_s += 60
            repo.open_pull()
        repo.now_s += 600

        def move(_: Heard) -> None:
            if len(github.outside.heard) == 1:
                repo.now_s += 1
                repo.ready(reviewed)

        github.during = move
        told = list[str]()
        async with github.source() as source:
            checkpoint = None
            for _ in range(3):
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint or checkpoint, told + names(polled.events)

    assert sorted(told) == sorted(repo.happened)


async def test_more_reviews_than_a_page_are_read() -> None:
    """Back to what was read before."""
    async with open_github() as github:
        number = github.repo.open_pull()
        for _ in range(250):
            github.repo.review(number)
        events = await found(github, events=["pull_request.review_submitted"])

    assert len(events) == 250


async def test_many_changes_of_one_second_are_read() -> None:
    """Time alone would not lead past them."""
    async with open_github() as github:
        github.per_page = 5
        number = github.repo.open_pull()
        for _ in range(33):
            github.repo.comment(number)
        events = await found(github, events=["issue_comment"])

    assert len(events) == 33


async def test_endless_pages_end() -> None:
    """What never ends cannot be what changed just now; it is refused rather than read."""
    async with open_github() as github:
        comment = github.repo.comment(github.repo.open_pull())
        link = {"link": '<https://192.0.2.1/x?page=2>; rel="next"'}
        github.deny = lambda _: Says(200, [comment], link)
        async with github.source(events=["issue_comment"]) as source:
            with pytest.raises(PollFailed, match="more often than 100 pages"):
                await source.poll(None)


# -- again and again ---------------------------------------------------------------------------------------------------


async def test_what_has_not_changed_costs_nothing() -> None:
    """GitHub does not count what it answers with 304; GraphQL has none of that."""
    async with open_github() as github:
        everything(github)
        github.repo.now_s += 10
        async with github.source() as source:
            checkpoint = (await source.poll(None)).checkpoint
            await source.poll(checkpoint)
            used = github.used
            quiet = await source.poll(checkpoint)

    assert (quiet.events, quiet.checkpoint) == ([], None)
    assert github.used == used + 1


async def test_the_same_checkpoint_gives_the_same_again() -> None:
    """It was not durable, then; an ETag must not stand for what nobody has."""
    async with open_github() as github, github.source() as source:
        checkpoint = (await source.poll(None)).checkpoint
        await source.poll(checkpoint)
        everything(github)
        github.repo.now_s += 1
        found = [names((await source.poll(checkpoint)).events) for _ in range(3)]

    assert sorted(found[0]) == sorted(github.repo.happened)
    assert found[0] == found[1] == found[2]


async def test_a_full_page_is_asked_for_again() -> None:
    """Its ETag says nothing of the page that has come behind it."""
    async with open_github() as github:
        number, checkpoint, told = github.repo.open_pull(), None, list[str]()
        async with github.source(events=["issue_comment"]) as source:
            for more in (PER_PAGE, 0, 1):
                for _ in range(more):
                    github.repo.comment(number)
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint or checkpoint, told + names(polled.events)

    assert len(told) == PER_PAGE + 1


async def test_what_was_edited_before_it_was_read_is_found() -> None:
    """It stands at the end of a list by time, though it is older than what was read in the poll before."""
    async with open_github() as github:
        github.per_page, repo, number = 5, github.repo, github.repo.open_pull()
        edited = repo.comment(number)
        for _ in range(30):
            repo.now_s += 60
            repo.comment(number)
        repo.edit(edited)
        repo.now_s += 600
        checkpoint, told = None, list[str]()
        async with github.source(events=["issue_comment"]) as source:
            for _ in range(6):
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint or checkpoint, told + names(polled.events)

    assert sorted(told) == sorted(repo.happened[1:])


async def test_what_shows_later_than_it_is_dated_is_found() -> None:
    """GitHub's lists lag behind a little."""
    async with open_github() as github:
        number, checkpoint, told = github.repo.open_pull(), None, list[str]()
        async with github.source(events=["issue_comment"]) as source:
            for late_s in (60, 0, 0):
                github.repo.late_s = late_s
                github.repo.comment(number)
                github.repo.now_s += 40
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint, told + names(polled.events)

    assert sorted(told) == sorted(github.repo.happened[1:])


async def test_a_change_dated_in_the_future_hides_nothing() -> None:
    """How far was read is said by the clock of GitHub, not by what somebody has dated."""
    async with open_github() as github:
        number = github.repo.open_pull()
        github.repo.comment(number)["created_at"] = "2099-01-01T00:00:00Z"
        github.repo.now_s += 10
        async with github.source(events=["issue_comment"]) as source:
            first = await source.poll(None)
            github.repo.now_s += 3600
            github.repo.comment(number)
            second = await source.poll(first.checkpoint)

    assert (len(first.events), len(second.events)) == (1, 1)


# -- what GitHub refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "reason", "wait_s"),
    [
        (Says(401, {"message": "Bad credentials"}), "401 Unauthorized", None),
        (Says(403, {"message": "Resource not accessible"}), "403 Forbidden", None),
        (Says(403, {}, {"x-ratelimit-remaining": "0"}), "403 Forbidden", 1800),
        (Says(403, {"message": "exceeded a secondary rate limit"}), "403 Forbidden", 60),
        (Says(429, {}, {"retry-after": "7"}), "429", 7),
        (Says(301, {}, {"location": "/repositories/1"}), "redirects are not followed", None),
        (Says(503), "503 Service Unavailable", None),
        (Says(200, "<html>"), "not JSON", None),
        (Says(200, '[{"id"'), "not JSON", None),
        (Says(200, {"message": "hello"}), "is not the list that it was", None),
        (Says(200, [1, 2]), "is not the list that it was", None),
        (Says(200, [{"id": 1, "created_at": "yesterday"}]), "does not speak as it did", None),
        (Says(200, [{"id": 1, "issue_url": "x", "created_at": "2026-01-01T00:00:00Z"}]), "names no issue", None),
        (Says(200, [], cut_after_bytes=1), "not JSON", None),
        (Says(hangs_up=True), "GitHub error", None),
    ],
)
async def test_a_refusal_fails_the_poll(says: Says, reason: str, wait_s: float | None) -> None:
    """The checkpoint stays, and what GitHub asks for in seconds is passed on."""
    async with open_github() as github:
        github.refuses(says)
        async with github.source(events=["issue_comment"]) as source:
            with pytest.raises(PollFailed, match=reason) as caught:
                await source.poll(None)

    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("said", "reason", "wait_s"),
    [
        ({"errors": [{"type": "RATE_LIMITED", "message": "m"}]}, "rate limited", 60),
        ({"errors": [{"type": "RATE_LIMIT"}], "data": {"repository": None}}, "rate limited", 60),
        ({"errors": [{"type": "NOT_FOUND"}], "data": {"repository": None}}, "no such repository", None),
        ({"errors": [{"type": "FORBIDDEN"}], "data": {"repository": {"pullRequests": None}}}, "FORBIDDEN", None),
        ({"data": {"repository": {"pullRequests": {"nodes": [{"number": "x"}]}}}}, "does not speak", None),
        ({"data": {"repository": {}}}, "does not speak", None),
        ({"errors": "?"}, "no data", None),
        ([], "no data", None),
    ],
)
async def test_graphql_refuses_with_200(said: Any, reason: str, wait_s: float | None) -> None:
    """What it says is looked at, not its status."""
    async with open_github() as github:
        github.refuses(Says(200, said))
        async with github.source(events=["pull_request.opened"]) as source:
            with pytest.raises(PollFailed, match=reason) as caught:
                await source.poll(None)

    assert caught.value.retry_after_s == wait_s


async def test_what_a_comment_is_about_may_be_gone() -> None:
    """The comment is told all the same."""
    async with open_github() as github:
        github.repo.comment(github.repo.open_pull())
        said = {"data": {"repository": {"n1": None}}, "errors": [{"type": "NOT_FOUND", "path": ["repository", "n1"]}]}
        github.deny = lambda heard: Says(200, said) if heard.path == "/graphql" else None
        (event,) = await found(github, events=["issue_comment"])

    assert (event.payload["issue_number"], event.payload["issue_title"]) == (1, "")


async def test_a_slow_answer_is_given_up(autojump_clock: object) -> None:
    """By the client, if by nobody before it."""
    async with open_github() as github:
        github.deny = lambda _: Says(200, [], delay_s=3600)
        async with github.source(events=["issue_comment"]) as source:
            with pytest.raises(PollFailed, match="GitHub error"):
                await source.poll(None)


async def test_the_rest_of_the_budget_is_for_others() -> None:
    """Past the share that we may use, we come back when it is renewed."""
    async with open_github() as github:
        github.limit, github.used = 5000, 3998
        async with github.source(events=["issue_comment"], rate_budget=0.8) as source:
            waits = [(await source.poll(None)).next_in_s for _ in range(2)]

    assert waits == [None, 1800]


async def test_the_token_is_told_to_nobody() -> None:
    """Not even when GitHub repeats it."""
    async with open_github() as github:
        github.refuses(Says(400, "what is t0ken?"))
        async with github.source(events=["issue_comment"]) as source:
            with pytest.raises(PollFailed, match=r"what is \*\*\*\?"):
                await source.poll(None)


# -- where and what ----------------------------------------------------------------------------------------------------


async def test_enterprise_has_graphql_beside_rest() -> None:
    """At /api/graphql, where REST is at /api/v3."""
    async with open_github() as github:
        github.deny = lambda _: Says(404)
        for event in ("pull_request.opened", "issue_comment"):
            async with github.source(events=[event], base_url=f"{github.outside.url}/api/v3/") as source:
                with pytest.raises(PollFailed):
                    await source.poll(None)

    assert [heard.path for heard in github.outside.heard] == ["/api/graphql", f"/api/v3/repos/{REPO}/issues/comments"]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"repo": "checkout"}, "repo: 'checkout' is no repository"),
        ({"repo": "o/.."}, "repo: 'o/..' is no repository"),
        ({"repo": "o/r/x"}, "repo: 'o/r/x' is no repository"),
        ({"token": ""}, "token: is empty"),
        ({"token": "a\nb"}, "token: must be printable"),
        ({"base_url": "api.github.com"}, "base_url: must begin with http"),
        ({"base_url": "https://h/api/v3?x=1"}, "base_url: must have no query"),
        ({"events": ["pull_request.open"]}, "events.0: there is no 'pull_request.open'"),
        ({"initial_lookback": "91d"}, "initial_lookback: must be at most 90d"),
        ({"rate_budget": 0}, "rate_budget: must be more than 0"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read, not with the first poll."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, {"repo": REPO, "token": "t0ken", **config})


async def test_a_check_tells_whose_the_token_is() -> None:
    """Of a person, with its scopes, or of an app, which may not ask."""
    async with open_github() as github:
        outside = github.outside
        outside.at("GET", "/user", Says(200, {"login": "mona"}, {"x-oauth-scopes": "repo, user"}), Says(403), Says(401))
        outside.at("GET", "/installation/repositories", Says(200, {}))
        outside.at("GET", f"/repos/{REPO}", Says(200, {}), Says(404))
        person, app, nobody = [await checked(CONNECTOR.source, github.config) for _ in range(3)]

    assert (person[0].identity, person[0].scopes, person[1].ok) == ("user: @mona", ["repo", "user"], True)
    assert (app[0].identity, app[1].ok) == ("app: GitHub App installation", False)
    assert (nobody[0].ok, "Invalid token (401" in nobody[0].detail) == (False, True)


async def test_nobody_there_fails_the_poll() -> None:
    """It may come back."""
    config = {"repo": REPO, "token": "t0ken", "base_url": f"http://127.0.0.1:{unused_port()}"}
    async with made(CONNECTOR.source, config) as source:
        with pytest.raises(PollFailed, match="GitHub error"):
            await source.poll(None)
