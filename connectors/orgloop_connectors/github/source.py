"""Looking for what is new in a repository: each list as far as it goes, then what it is about, then events."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial

from orgloop.sdk import Event, Place, Polled, PollFailed, timestamp_of
from orgloop_connectors._github import facts as drafts
from orgloop_connectors._github.api import Api
from orgloop_connectors._github.facts import Draft, is_subscribed
from orgloop_connectors._github.shapes import Drift, Thing, number_at, text_at, thing_at, things, time_at
from orgloop_connectors._http import Online
from orgloop_connectors.github import cursor as cursors
from orgloop_connectors.github.config import SourceConfig, refuse, source_faults
from orgloop_connectors.github.cursor import Cursor, Fact
from orgloop_connectors.github.feeds import Down, Memory, Reading, page_down, read_down, read_up
from orgloop_connectors.github.pulls import ask_about, pulls_down

RUN_SETTLING_S = 86_400.0
"""For how long after its beginning the end of a run, or of a suite of checks, is looked for."""

AT_ONCE_S = 1.0
"""When to go on with what was too much for one poll."""

_NUMBER = re.compile(r"/(?:issues|pulls)/([0-9]{1,15})$")

Feed = Callable[[Api, Cursor, Memory], Awaitable[Reading]]


class GithubSource(Online):
    """Polls one repository; all it keeps beside its checkpoint are ETags, which save requests and decide nothing."""

    def __init__(self, config: SourceConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        refuse(source_faults(config))
        self._config, self._place = config, place
        self._account = config.account()
        self._wanted = frozenset(config.events)
        self._feeds = {name: feed for name, (kinds, feed) in self._all_feeds().items() if self._wants_any(kinds)}
        self._memory: Memory = {}
        super().__init__(self._account.open)

    async def poll(self, checkpoint: str | None) -> Polled:
        """What is new since the checkpoint."""
        config, api = self._config, Api(self.client, self._account)
        before = cursors.read(checkpoint, list(self._feeds), lookback_s=config.initial_lookback_s, now_s=time.time())
        try:
            readings = {name: await feed(api, before[name], self._memory) for name, feed in self._feeds.items()}
            fresh = [fact for reading in readings.values() for fact in reading.fresh]
            events = await self._events(api, fresh)
        except Drift as exc:
            raise PollFailed(f"GitHub error: it does not speak as it did: {exc}") from exc
        after = {name: reading.cursor for name, reading in readings.items()}
        unmoved = checkpoint is not None and after == before and not fresh
        next_in_s = api.stay_away_s(config.rate_budget)
        if next_in_s is None and any(reading.more for reading in readings.values()):
            next_in_s = AT_ONCE_S
        return Polled(events, None if unmoved else cursors.write(after), next_in_s)

    async def _events(self, api: Api, fresh: list[Fact]) -> list[Event]:
        fresh = sorted(fresh, key=lambda fact: fact.at_s)
        about = await ask_about(api, {fact.number for fact in fresh if fact.number is not None})
        found = [draft_of(api.repo, fact, about).event(self._place.id) for fact in fresh]
        authors = frozenset(self._config.authors)
        return [event for event in found if not authors or event.provenance["author"] in authors]

    # -- what is looked at ---------------------------------------------------------------------------------------------

    def _wants_any(self, kinds: Iterable[str]) -> bool:
        return any(is_subscribed(self._wanted, kind) for kind in kinds)

    def _all_feeds(self) -> Mapping[str, tuple[tuple[str, ...], Feed]]:
        """Each list, with the kinds of events that are in it."""
        pulls = tuple(f"pull_request.{name}" for name in ("review_submitted", "closed", "opened", "ready_for_review"))
        return {
            "pulls": (pulls, self._pulls),
            "review_comments": (
                ("pull_request_review_comment",),
                partial(_up, "review_comments", "/pulls/comments", {}),
            ),
            "issue_comments": (("issue_comment",), partial(_up, "issue_comments", "/issues/comments", {})),
            "issues": (("issues.opened",), partial(_up, "issues", "/issues", {"state": "all"})),
            "issue_events": (("issues.labeled", "issues.assigned"), self._issue_events),
            "runs": (("workflow_run.completed",), _runs),
            "suites": (("check_suite.completed",), _suites),
        }

    async def _pulls(self, api: Api, cursor: Cursor, memory: Memory) -> Reading:
        fetch = partial(pulls_down, api, wanted=self._wanted)
        return await read_down("pulls", cursor=cursor, fetch=fetch, memory=memory, moves=True)

    async def _issue_events(self, api: Api, cursor: Cursor, memory: Memory) -> Reading:
        def facts(item: Thing) -> Iterator[Fact]:
            yield from (fact for fact in _issue_event(item) if is_subscribed(self._wanted, fact.kind))

        async def fetch(_: Cursor, below: str | None, etag: str | None) -> Down | None:
            return await page_down(api, "/issues/events", {}, below=below, etag=etag, facts=facts)

        return await read_down("issue_events", cursor=cursor, fetch=fetch, memory=memory)


# -- lists -------------------------------------------------------------------------------------------------------------


async def _up(name: str, path: str, params: Mapping[str, str], api: Api, cursor: Cursor, memory: Memory) -> Reading:
    return await read_up(api, name, path, params, cursor=cursor, facts=_FACTS[name], memory=memory)


async def _runs(api: Api, cursor: Cursor, memory: Memory) -> Reading:
    async def fetch(at: Cursor, below: str | None, etag: str | None) -> Down | None:
        asked = {"status": "failure", "created": f">={timestamp_of(at.read_s)[:19]}Z"}
        return await page_down(
            api, "/actions/runs", asked, below=below, etag=etag, facts=_run, key="workflow_runs", dated=None
        )

    return await read_down("runs", cursor=cursor, fetch=fetch, memory=memory, settling_s=RUN_SETTLING_S)


async def _suites(api: Api, cursor: Cursor, memory: Memory) -> Reading:
    async def fetch(_: Cursor, below: str | None, etag: str | None) -> Down | None:
        path = "/commits/HEAD/check-suites"
        return await page_down(api, path, {}, below=below, etag=etag, facts=_suite, key="check_suites", dated=None)

    return await read_down("suites", cursor=cursor, fetch=fetch, memory=memory, settling_s=RUN_SETTLING_S)


# -- things to facts ---------------------------------------------------------------------------------------------------


def _review_comment(item: Thing) -> Iterator[Fact]:
    key, number = f"comment-{number_at(item, 'id')}", _number_in(item, "pull_request_url")
    yield Fact("pull_request_review_comment", key, time_at(item, "created_at"), item, number)


def _issue_comment(item: Thing) -> Iterator[Fact]:
    key, number = f"issue-comment-{number_at(item, 'id')}", _number_in(item, "issue_url")
    yield Fact("issue_comment", key, time_at(item, "created_at"), item, number)


def _issue(item: Thing) -> Iterator[Fact]:
    if not item.get("pull_request"):
        yield Fact("issues.opened", f"issue-{number_at(item, 'number')}-opened", time_at(item, "created_at"), item)


def _issue_event(item: Thing) -> Iterator[Fact]:
    kind = text_at(item, "event")
    if kind in ("labeled", "assigned") and not thing_at(item, "issue").get("pull_request"):
        yield Fact(f"issues.{kind}", f"issue-event-{number_at(item, 'id')}", time_at(item, "created_at"), item)


def _run(item: Thing) -> Iterator[Fact]:
    again = item.get("run_attempt")
    key = f"run-{number_at(item, 'id')}-{again if isinstance(again, int) else 1}"
    yield Fact("workflow_run.completed", key, time_at(item, "created_at"), item, _pull_number(item))


def _suite(item: Thing) -> Iterator[Fact]:
    if item.get("status") == "completed":
        key = f"suite-{number_at(item, 'id')}"
        yield Fact("check_suite.completed", key, time_at(item, "created_at"), item, _pull_number(item))


_FACTS: Mapping[str, Callable[[Thing], Iterator[Fact]]] = {
    "review_comments": _review_comment,
    "issue_comments": _issue_comment,
    "issues": _issue,
}


def _number_in(item: Thing, field: str) -> int:
    found = _NUMBER.search(text_at(item, field))
    if found is None:
        raise Drift(f"{field} is {text_at(item, field)[:60]!r}, which names no issue and no pull request")
    return int(found[1])


def _pull_number(item: Thing) -> int | None:
    pulls = things(item.get("pull_requests"))
    return number_at(pulls[0], "number") if pulls else None


# -- facts to events ---------------------------------------------------------------------------------------------------


def draft_of(repo: str, fact: Fact, about: Mapping[int, Thing]) -> Draft:
    """The event of a fact, and of what is known of the thing it is about."""
    item, of = fact.item, about.get(fact.number, {}) if fact.number is not None else {}
    match fact.kind:
        case "pull_request.review_submitted":
            return drafts.review(repo, thing_at(item, "pull"), item)
        case "pull_request.opened":
            return drafts.pull_opened(repo, item)
        case "pull_request.ready_for_review":
            return drafts.pull_ready(repo, item)
        case "pull_request.closed" | "pull_request.merged":
            return drafts.pull_closed(repo, item)
        case "pull_request_review_comment":
            return drafts.review_comment(repo, of, item)
        case "issue_comment":
            return drafts.issue_comment(repo, of, item)
        case "issues.opened":
            return drafts.issue_opened(repo, item)
        case "issues.labeled":
            label = text_at(item, "label", "name")
            return drafts.issue_labeled(repo, thing_at(item, "issue"), label, item.get("actor"))
        case "issues.assigned":
            login = text_at(item, "assignee", "login")
            # Of the two, REST names who was assigned as the actor, too, where it does not know better.
            return drafts.issue_assigned(
                repo, thing_at(item, "issue"), login, item.get("assigner") or item.get("actor")
            )
        case "workflow_run.completed":
            return drafts.run_failed(repo, item, of)
        case "check_suite.completed":
            return drafts.suite_completed(repo, item, of)
    raise AssertionError(f"no feed gives {fact.kind}")
