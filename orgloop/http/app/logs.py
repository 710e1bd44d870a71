"""``/api/v1/logs``: notices as they are told, and those of the past."""

from __future__ import annotations

from functools import partial

import trio

from orgloop.http.app import given, shapes
from orgloop.http.app.past import Kept, look_back
from orgloop.http.app.problems import Problem, Refused, bad
from orgloop.http.app.route import EVENT_STREAM, Api, Asked, Route
from orgloop.http.app.stream import Stream


async def follow(api: Api, asked: Asked[given.Follow, None]) -> Stream:
    """Follow the notices as server-sent events; a `Last-Event-ID` takes up where the client had come to."""
    if api.followers.is_full:
        raise Refused(
            Problem(
                status=503,
                code="busy",
                what=f"{api.followers.most} clients follow already",
                next="Try again later, or ask `GET /api/v1/logs/query`.",
                headers=(("Retry-After", "5"),),
            )
        )
    return Stream(
        ring=api.ring,
        wanted=asked.query,
        masks=api.masks,
        stopping=api.behind.stopping,
        followers=api.followers,
        last=_begin(api, asked),
        heartbeat_s=api.heartbeat_s,
    )


def _begin(api: Api, asked: Asked[given.Follow, None]) -> int:
    last = asked.headers[LAST_EVENT_ID]
    if last is None:
        return api.ring.before_newest(asked.query, asked.query.recent)
    number = api.ring.number_of(last)
    if number is None:
        raise bad(f"{LAST_EVENT_ID}: this is no id of an event of this stream", where=LAST_EVENT_ID)
    return number


async def look(api: Api, asked: Asked[given.Logs, None]) -> shapes.LogPage:
    """Ask for notices of the past, newest first: the latest from memory, those before from the log file."""
    kept = Kept(api.ring.newest(), api.ring.is_whole)
    found = await trio.to_thread.run_sync(partial(look_back, kept, api.log_file, asked.query))
    return shapes.LogPage(items=found.items, next=found.next, complete=found.is_complete)


LAST_EVENT_ID = "Last-Event-ID"

ROUTES = (
    Route(
        *("GET", "/api/v1/logs", follow, str),
        query=given.Follow,
        headers=((LAST_EVENT_ID, "The id of the last notice that the client has."),),
        media_type=EVENT_STREAM,
        faults=(503,),
    ),
    Route("GET", "/api/v1/logs/query", look, shapes.LogPage, query=given.Logs, is_long=True),
)
