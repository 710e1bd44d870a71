"""Polling: issues in the order in which they were last touched, and comments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orgloop.sdk import Checked, Event, Place, Polled, PollFailed, timestamp_of
from orgloop_connectors._http import Online, open_client
from orgloop_connectors._linear import (
    Drift,
    author_at,
    changed,
    commented,
    created,
    name_at,
    node_at,
    nodes_at,
    text_at,
    time_ms_at,
)
from orgloop_connectors.linear.ask import Api, page_of
from orgloop_connectors.linear.config import LinearConfig, faults_in
from orgloop_connectors.linear.cursor import Cursor, Sweep, read, written
from orgloop_connectors.linear.history import changes_of, issue_of
from orgloop_connectors.linear.queries import COMMENTS, HISTORY, ISSUES, VIEWER

MAX_PAGES = 20
"""How many pages of issues one poll reads, if the next can go on from there; of comments, five times as many."""

MAX_PAGES_AT_ONCE = 400
"""How many pages of issues are read because all of them were touched at the same moment, as by an import."""

MAX_HISTORY_PAGES = 40
"""How many pages of what happened to one issue are read."""

MAX_HALVINGS = 40

SOON_S = 1.0
"""When the rest is asked for."""

Node = Mapping[str, Any]
Timed = tuple[int, Event]


class LinearSource(Online):
    """Makes events of what Linear says has happened."""

    def __init__(
        self,
        config: LinearConfig,
        place: Place,
        *,
        now_s: Callable[[], float] = time.time,
        max_pages: int = MAX_PAGES,
    ) -> None:
        """ValueError, a line for each fault; ``now_s`` gives Unix seconds, for the first poll."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place, self._now_s, self._max_pages = config, place, now_s, max_pages
        super().__init__(partial(open_client, secrets=[config.api_key]))

    async def poll(self, checkpoint: str | None) -> Polled:
        """What has happened since the checkpoint, oldest first."""
        of = f"{self._config.team}/{self._config.project or ''}"
        begin_ms = round((self._now_s() - self._config.initial_lookback_s) * 1000)
        cursors = read(checkpoint, of=of, begin_ms=begin_ms)
        api, sweeps = Api(self.client, self._config), {kind: Sweep(cursor) for kind, cursor in cursors.items()}
        try:
            issues, issues_over = await self._issues(api, sweeps["issues"])
            comments, comments_over = await self._comments(api, sweeps["comments"])
        except Drift as exc:
            raise PollFailed(f"Linear error: its answer has not the shape that is known: {exc}") from exc
        over = {"issues": issues_over, "comments": comments_over}
        place = written(of, {kind: sweep.end(is_over=over[kind]) for kind, sweep in sweeps.items()})
        found = sorted([*issues, *comments], key=lambda timed: timed[0])
        return Polled(
            [event for _, event in found],
            None if place == checkpoint else place,
            None if all(over.values()) else SOON_S,
        )

    # -- issues --------------------------------------------------------------------------------------------------------

    async def _issues(self, api: Api, sweep: Sweep) -> tuple[list[Timed], bool]:
        """
        What happened to issues, from the one that was touched longest ago; and whether that is all.

        Each page is asked for by the time at which the last one ended. A cursor of Linear's is an issue, and one that
        is touched meanwhile would take its place in the list with it.
        """
        found: list[Timed] = []
        from_ms, after = sweep.cursor.asks_from_ms, None
        for count in range(1, MAX_PAGES_AT_ONCE + 1):
            about = {**self._config.about_issues(), "updatedAt": {"gte": timestamp_of(from_ms / 1000)}}
            page = await api.page(ISSUES, {"filter": about, "after": after}, "issues")
            times_ms = [time_ms_at(node, "updatedAt") for node in page.nodes]
            if times_ms != sorted(times_ms) or (page.after is not None and not times_ms):
                raise Drift("issues do not come in the order that was asked for")
            for node in page.nodes:
                found += await self._of_issue(api, node, sweep)
            if times_ms:
                sweep.reached(times_ms[-1])
            if page.after is None:
                return found, True
            if times_ms[-1] == from_ms:
                after = page.after
                continue
            from_ms, after = times_ms[-1], None
            if count >= self._max_pages:
                return found, False
        raise PollFailed(f"Linear error: more than {MAX_PAGES_AT_ONCE} pages of issues were touched at one moment")

    async def _of_issue(self, api: Api, node: Node, sweep: Sweep) -> list[Timed]:
        issue, source = issue_of(node), self._place.id
        entries = await self._history(api, node, sweep.cursor)
        happened = [(time_ms_at(node, "createdAt"), created(source, issue))]
        happened += [(at_ms, changed(source, issue, change)) for at_ms, change in changes_of(node, entries)]
        return [(at_ms, event) for at_ms, event in happened if sweep.is_new(_identity(event), at_ms)]

    async def _history(self, api: Api, node: Node, cursor: Cursor) -> list[Node]:
        """What happened to an issue, as far back as it may be news."""
        history = node_at(node, "history")
        if history is None:
            raise Drift("history is not there")
        page = page_of(history)
        entries = list(page.nodes)
        for _ in range(MAX_HISTORY_PAGES):
            if page.after is None or _is_old(page.nodes, cursor):
                return entries
            page = await api.page(HISTORY, {"id": text_at(node, "id"), "after": page.after}, "issue", "history")
            entries += page.nodes
        raise PollFailed(f"Linear error: {text_at(node, 'identifier')} has changed more often than can be read")

    # -- comments ------------------------------------------------------------------------------------------------------

    async def _comments(self, api: Api, sweep: Sweep) -> tuple[list[Timed], bool]:
        """
        The oldest comments that are new, as many as can be read; and whether that is all.

        Linear gives the newest first: where those are too many, only the first half of the time is asked for.
        """
        from_ms, until_ms = sweep.cursor.asks_from_ms, None
        for _ in range(MAX_HALVINGS):
            nodes, more = await self._comments_between(api, from_ms, until_ms)
            if not more:
                found = self._of_comments(nodes, sweep)
                sweep.reached(until_ms or from_ms)
                return found, until_ms is None
            newest_ms = max(time_ms_at(node, "createdAt") for node in nodes)
            until_ms = from_ms + (min(newest_ms, until_ms or newest_ms) - from_ms) // 2
            if until_ms <= sweep.cursor.since_ms:
                break
        raise PollFailed("Linear error: more comments at one moment than can be read")

    async def _comments_between(self, api: Api, from_ms: int, until_ms: int | None) -> tuple[list[Node], bool]:
        until = {} if until_ms is None else {"lt": timestamp_of(until_ms / 1000)}
        created_at = {"gte": timestamp_of(from_ms / 1000), **until}
        about = {"createdAt": created_at, "issue": self._config.about_issues()}
        found: list[Node] = []
        after = None
        for _ in range(5 * self._max_pages):
            page = await api.page(COMMENTS, {"filter": about, "after": after}, "comments")
            found += page.nodes
            after = page.after
            if after is None:
                break
        return found, after is not None

    def _of_comments(self, nodes: list[Node], sweep: Sweep) -> list[Timed]:
        found: list[Timed] = []
        for node in nodes:
            at_ms = time_ms_at(node, "createdAt")
            sweep.reached(at_ms)
            if not isinstance(node.get("issue"), Mapping):
                continue  # of a document, a project or an update
            event = commented(
                self._place.id,
                issue_of(node["issue"]),
                id=text_at(node, "id"),
                body=text_at(node, "body"),
                url=text_at(node, "url"),
                author=author_at(node, "user", external="externalUser"),
            )
            if sweep.is_new(_identity(event), at_ms):
                found.append((at_ms, event))
        return found


def _identity(event: Event) -> str:
    return str(event.provenance["resource_id"])


def _is_old(entries: list[Node], cursor: Cursor) -> bool:
    """Whether the rest of a history is of no interest, because it goes back in time and has gone back far enough."""
    times = [time_ms_at(entry, "createdAt") for entry in entries]
    return bool(times) and times == sorted(times, reverse=True) and times[-1] < cursor.counts_from_ms


async def check_source(config: LinearConfig, _: Place) -> list[Checked]:
    """Whose key it is, and whether it can see the team."""
    async with open_client(secrets=[config.api_key]) as client:
        try:
            data = await Api(client, config).ask(VIEWER, {"team": config.about_issues()["team"]})
            viewer = name_at(data, "viewer")
            teams = nodes_at(data.get("teams") or {}, "nodes")
        except (PollFailed, Drift) as exc:
            return [Checked(name="LINEAR_API_KEY", ok=False, detail=str(exc))]
    key = Checked(name="LINEAR_API_KEY", ok=True, detail="Linear knows it", identity=f"user: {viewer}")
    if teams:
        return [key, Checked(name="team", ok=True, detail=f"{config.team} is there")]
    return [key, Checked(name="team", ok=False, detail=f"this key sees no team {config.team!r}; write a key, as ENG")]
