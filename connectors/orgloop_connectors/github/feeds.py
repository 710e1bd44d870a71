"""
Reading GitHub's lists without gaps: up, by time, or from the newest down.

    up      what changed since a time, oldest first; each page begins at the time at which the one before it ended, so
            that nothing is skipped when things move in the list while it is read
    down    newest first, until what has been read before; what is too long for one poll goes on with the next

A list that one page has told is remembered with its ETag *under the cursor that it was read to*: asked from there, "not
modified" means nothing new. Asked from any other, a checkpoint that did not become durable, it is read as ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence

import attrs

from orgloop.sdk import PollFailed, timestamp_of
from orgloop_connectors._github.api import PER_PAGE, Api, Page
from orgloop_connectors._github.shapes import Thing, time_at
from orgloop_connectors.github.cursor import Cursor, Fact

MAX_PAGES = 3
"""How many pages of a list one poll reads, if the rest may wait: all lists together must fit into its deadline."""

MAX_RECENT_PAGES = 100
"""How many it reads of what has changed just now, which may not wait."""

SETTLING_S = 120.0
"""How much later than it is dated something may be shown."""

Facts = Callable[[Thing], Iterable[Fact]]


@attrs.frozen
class Reading:
    """What a list had that is new, and how far it is read now."""

    fresh: Sequence[Fact]
    cursor: Cursor
    more: bool = False
    """There is more to read at once."""


@attrs.frozen
class Quiet:
    """A list has been read to this cursor, and this is the ETag of all of it."""

    cursor: Cursor
    etag: str


Memory = MutableMapping[str, Quiet]
Fetch = Callable[[Cursor, str | None, str | None], Awaitable["Down | None"]]
"""Takes the cursor, where to go on, and an ETag; None if nothing has changed."""


@attrs.frozen(kw_only=True)
class Down:
    """A page of a list that is read from the newest down."""

    facts: Sequence[Fact]
    """The oldest first."""
    oldest_s: float
    """When the last thing on it changed."""
    next: str | None
    at_s: float | None
    etag: str | None = None


# -- up ----------------------------------------------------------------------------------------------------------------


async def read_up(
    api: Api, name: str, path: str, params: Mapping[str, str], *, cursor: Cursor, facts: Facts, memory: Memory
) -> Reading:
    """Read a list that can be asked for what changed since a time."""
    since_s, number, found = cursor.read_s, 1, list[Fact]()
    first: Page | None = None
    for count in range(1, MAX_RECENT_PAGES + 1):
        asked = {**params, "since": _second(since_s), "sort": "updated", "direction": "asc", "page": str(number)}
        page = await api.page(path, asked, etag=_etag_of(memory, name, cursor) if first is None else None)
        if page is None:
            return Reading((), cursor)
        first = first or page
        found += [fact for item in page.items for fact in facts(item)]
        until_s = None if first.at_s is None else first.at_s - SETTLING_S
        if page.next is None or not page.items:
            fresh = cursor.fresh(found)
            after = cursor.given(fresh).read_through(until_s, settled=True, quiet=not fresh)
            _remember(memory, name, after, _etag_of_all(first) if count == 1 else None)
            return Reading(fresh, after)
        last_s = time_at(page.items[-1], "updated_at")
        since_s, number = (last_s, 1) if last_s > since_s else (since_s, number + 1)
        if count >= MAX_PAGES and until_s is not None and cursor.read_s < since_s <= until_s:
            fresh = cursor.fresh(found)
            after = cursor.given(fresh).read_through(since_s, settled=False, quiet=False)
            return Reading(fresh, after, more=True)
    raise PollFailed(f"GitHub error: {path} has changed more often than {MAX_RECENT_PAGES} pages can tell")


# -- down --------------------------------------------------------------------------------------------------------------


async def read_down(
    name: str, *, cursor: Cursor, fetch: Fetch, memory: Memory, settling_s: float = SETTLING_S, moves: bool = False
) -> Reading:
    """
    Read a list that begins with the newest.

    ``moves``: its things come to its beginning when they change. One that does while the list is read has been missed,
    so after more than one page the floor stays until one page, which is of one moment, has told the rest.
    """
    below, top_s, found = cursor.below, cursor.top_s, list[Fact]()
    etag: str | None = None
    for count in range(1, MAX_PAGES + 1):
        page = await fetch(cursor, below, _etag_of(memory, name, cursor) if count == 1 else None)
        if page is None:
            return Reading((), cursor)
        top_s, etag = (page.at_s, page.etag) if top_s is None else (top_s, None)
        found = [*page.facts, *found]
        if page.next is None or page.oldest_s < cursor.read_s:
            fresh = cursor.fresh(found)
            at_once = cursor.below is None and count == 1
            until_s = None if top_s is None else top_s - settling_s
            settled = at_once or not moves
            after = cursor.given(fresh).read_through(until_s, settled=settled, quiet=at_once and not fresh)
            _remember(memory, name, after, etag if at_once else None)
            return Reading(fresh, after, more=not settled)
        below = page.next
    assert below is not None
    fresh = cursor.fresh(found)
    # What is read again for a whole day may always be long: only what is new in it is worth a hurry.
    more = bool(fresh) or settling_s <= SETTLING_S
    return Reading(fresh, cursor.given(fresh).paused(below, top_s), more=more)


async def page_down(
    api: Api,
    path: str,
    params: Mapping[str, str],
    *,
    below: str | None,
    etag: str | None,
    facts: Facts,
    key: str | None = None,
    dated: str | None = "created_at",
) -> Down | None:
    """A page of a list of REST, newest first; ``dated`` is the time it is sorted by, None if it is in no order."""
    page = await api.page(path, {**params, "page": below or "1"}, key=key, etag=etag)
    if page is None:
        return None
    return Down(
        facts=[fact for item in reversed(page.items) for fact in facts(item)],
        oldest_s=time_at(page.items[-1], dated) if page.items and dated else float("inf"),
        next=str(int(below or "1") + 1) if page.next is not None and page.items else None,
        at_s=page.at_s,
        etag=_etag_of_all(page),
    )


def _etag_of_all(page: Page) -> str | None:
    """The ETag of a page that cannot become longer: a full one stays as it is when another comes behind it."""
    return page.etag if len(page.items) < PER_PAGE else None


def _etag_of(memory: Memory, name: str, cursor: Cursor) -> str | None:
    quiet = memory.get(name)
    return quiet.etag if quiet is not None and quiet.cursor == cursor else None


def _remember(memory: Memory, name: str, cursor: Cursor, etag: str | None) -> None:
    if etag is not None:
        memory[name] = Quiet(cursor, etag)
    else:
        memory.pop(name, None)


def _second(at_s: float) -> str:
    """As GitHub takes times: whole seconds, and rather one too early than too late."""
    return f"{timestamp_of(at_s // 1)[:19]}Z"
