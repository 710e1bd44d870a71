"""
Asking GitHub to deliver again what did not arrive: it does not do so by itself, and forgets it after three days.

    deliveries ──▶ by guid: did any attempt arrive? ──no──▶ asked often enough? ──no──▶ "deliver it again"
                                                                     │ yes
                                                                     └──▶ an event that says what has not arrived

Law: what is delivered again has the guid that it had, so whatever arrives twice is admitted once, by the same door and
the same mark as all others. Nothing is read past that has not arrived: it stays in the checkpoint until it has, or
until it is given up, visibly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from orgloop.sdk import Event, Polled, PollFailed, timestamp_of
from orgloop_connectors._github.api import Api
from orgloop_connectors._github.shapes import Drift, Thing, number_at, seconds_of, text_at, time_at
from orgloop_connectors._http import Answer, poll_failure

MAX_ASKED = 5
"""How often something is asked for again before it is given up."""

MAX_ASKED_PER_POLL = 100
MAX_PAGES = 30
"""How many pages of deliveries one poll looks through; the rest is for the next."""

MAX_OPEN = 10_000
"""How many that have not arrived a checkpoint may hold; the oldest are given up beyond."""

AT_ONCE_S = 1.0

VERSION = 1


@attrs.frozen
class Missing:
    """Something that has not arrived."""

    id: int
    """Of the newest attempt."""
    asked: int
    """How often it was asked for."""
    name: str
    """``<event>.<action>``."""
    at_s: float
    status: str

    @property
    def given_up(self) -> bool:
        return self.asked > MAX_ASKED


@attrs.frozen(kw_only=True)
class Standing:
    """How far the deliveries have been looked through."""

    since_s: float | None = None
    missing: Mapping[str, Missing] = attrs.field(factory=dict)
    """By guid."""
    below: str | None = None
    """Where looking goes on that was too long for one poll."""
    top_s: float | None = None

    def noted(self, deliveries: Sequence[Thing]) -> Standing:
        """With these looked at, newest first: what has not arrived is missing, what has arrived is not."""
        missing, arrived = dict(self.missing), set[str]()
        for one in deliveries:
            guid = text_at(one, "guid")
            if not guid:
                raise Drift("guid is missing")
            if 200 <= number_at(one, "status_code") < 300:
                arrived.add(guid)
                missing.pop(guid, None)
            elif guid not in arrived and number_at(one, "id") > getattr(missing.get(guid), "id", 0):
                missing[guid] = _missing(one, missing.get(guid))
        return attrs.evolve(self, missing=missing)

    def lost(self) -> dict[str, Missing]:
        """What has been asked for often enough, or is too much, and has not been given up yet."""
        open_ = {guid: one for guid, one in self.missing.items() if not one.given_up}
        oldest = sorted(open_.items(), key=lambda pair: pair[1].at_s)[: max(0, len(open_) - MAX_OPEN)]
        return {guid: one for guid, one in open_.items() if one.asked >= MAX_ASKED} | dict(oldest)

    def without_forgotten(self, deliveries: Iterable[Thing]) -> Standing:
        """Without what was given up and is not among these any more, so that it is not met again."""
        heard = {text_at(one, "guid") for one in deliveries}
        kept = {guid: one for guid, one in self.missing.items() if not one.given_up or guid in heard}
        return attrs.evolve(self, missing=kept)


async def look_again(api: Api, hook_id: int, checkpoint: str | None, *, lookback_s: float, source: str) -> Polled:
    """Ask for what has not arrived since the checkpoint; the events are of what is given up."""
    before = read(checkpoint)
    standing, more = await _looked_through(api, hook_id, before, lookback_s=lookback_s)
    if more:  # what has arrived stands before what has not: first all of it is looked at
        return Polled((), write(standing), AT_ONCE_S)
    lost = standing.lost()
    open_ = {guid: one for guid, one in standing.missing.items() if guid not in lost and not one.given_up}
    missing = {**standing.missing, **{guid: attrs.evolve(one, asked=MAX_ASKED + 1) for guid, one in lost.items()}}
    for guid, one in sorted(open_.items(), key=lambda pair: pair[1].asked)[:MAX_ASKED_PER_POLL]:
        await _ask(api, hook_id, one.id)
        missing[guid] = attrs.evolve(one, asked=one.asked + 1)
    after = attrs.evolve(standing, missing=missing)
    events = [undelivered(source, api.repo, guid, one) for guid, one in lost.items()]
    return Polled(events, None if after == before else write(after))


async def _looked_through(api: Api, hook_id: int, before: Standing, *, lookback_s: float) -> tuple[Standing, bool]:
    standing, below, top_s, heard = before, before.below, before.top_s, list[Thing]()
    for _ in range(MAX_PAGES):
        asked = {"cursor": below} if below is not None else {}
        page = await api.page(f"/hooks/{hook_id}/deliveries", asked)
        assert page is not None  # no ETag was given
        top_s = page.at_s if top_s is None else top_s
        begin_s = before.since_s if before.since_s is not None else top_s
        recent = [one for one in page.items if begin_s is None or time_at(one, "delivered_at") >= begin_s - lookback_s]
        standing, heard = standing.noted(recent), heard + recent
        below = (page.next or {}).get("cursor")
        if below is None or len(recent) < len(page.items):
            since_s = before.since_s if top_s is None else top_s
            if before.below is None:
                standing = standing.without_forgotten(heard)
            return attrs.evolve(standing, since_s=since_s, below=None, top_s=None), False
    since_s = before.since_s if before.since_s is not None else top_s
    return attrs.evolve(standing, since_s=since_s, below=below, top_s=top_s), True


async def _ask(api: Api, hook_id: int, delivery_id: int) -> None:
    reply = await api.post(f"/hooks/{hook_id}/deliveries/{delivery_id}/attempts")
    # One that GitHub has forgotten cannot be delivered; it counts as asked for, and is given up in the end.
    if not isinstance(reply, Answer) or not (reply.ok or reply.status in (404, 422)):
        raise poll_failure(reply, who="GitHub")


async def hook_of(api: Api, paths: Sequence[str]) -> int:
    """The id of the webhook that posts to one of these paths."""
    page = await api.page("/hooks", {})
    assert page is not None  # no ETag was given
    found = [
        number_at(one, "id")
        for one in page.items
        if text_at(one, "config", "url").partition("?")[0].endswith(tuple(paths))
    ]
    if len(found) != 1:
        what = "no webhook" if not found else f"{len(found)} webhooks"
        raise PollFailed(
            f"{what} of {api.repo} posts to {paths[-1]}; say which it is: hook_id: <the number in its URL>"
        )
    return found[0]


def undelivered(source: str, repo: str, guid: str, lost: Missing) -> Event:
    """What is said of a delivery that is given up."""
    provenance = {
        "platform": "github",
        "platform_event": "webhook.undelivered",
        "resource_id": f"delivery-{guid}",
        "author": "github",
        "author_type": "system",
        "repo": repo,
        "delivery_id": guid,
    }
    payload = {
        "action": "webhook_undelivered",
        "event": lost.name,
        "delivered_at": timestamp_of(lost.at_s),
        "status": lost.status,
        "asked_again": lost.asked,
    }
    return Event(source, "resource.changed", provenance, payload)


def _missing(delivery: Thing, before: Missing | None) -> Missing:
    action = text_at(delivery, "action")
    return Missing(
        id=number_at(delivery, "id"),
        asked=before.asked if before else 0,
        name=".".join(filter(None, (text_at(delivery, "event"), action)))[:200],
        at_s=before.at_s if before else time_at(delivery, "delivered_at"),
        status=f"{delivery.get('status_code')} {text_at(delivery, 'status')}"[:200],
    )


# -- as a checkpoint ---------------------------------------------------------------------------------------------------


def write(standing: Standing) -> str:
    """The checkpoint."""
    said: dict[str, Any] = {
        "version": VERSION,
        "since": None if standing.since_s is None else timestamp_of(standing.since_s),
        "missing": {guid: attrs.astuple(one) for guid, one in standing.missing.items()},
    }
    if standing.below is not None:
        said |= {"below": standing.below, "top": standing.top_s}
    return json.dumps(said, separators=(",", ":"))


def read(checkpoint: str | None) -> Standing:
    """The standing of a checkpoint: ours, or a time, as the original wrote it; what is neither is as none."""
    if checkpoint and (since_s := seconds_of(checkpoint)) is not None:
        return Standing(since_s=since_s)
    try:
        said = json.loads(checkpoint or "null")
        missing = {
            str(guid): Missing(int(id_), int(asked), str(name), float(at_s), str(status))
            for guid, (id_, asked, name, at_s, status) in said["missing"].items()
        }
        since_s = None if said["since"] is None else seconds_of(said["since"])
        below, top_s = said.get("below"), said.get("top")
        return Standing(
            since_s=since_s,
            missing=missing,
            below=None if below is None else str(below),
            top_s=None if top_s is None else float(top_s),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Standing()
