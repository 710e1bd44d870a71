"""``/api/v1``: events that were admitted, the trace of one, and why a route does or does not want it."""

from __future__ import annotations

from typing import Any, TypedDict

from orgloop.event import Event
from orgloop.http.app import given, looking, shapes
from orgloop.http.app.past import instant
from orgloop.http.app.problems import absent, bad
from orgloop.http.app.route import Api, Asked, Route
from orgloop.sdk import new_id


class Times(TypedDict):
    """Between which times."""

    since: str | None
    until: str | None


def instants(query: given.Events | given.OriginalEvents) -> Times:
    """The times of a query, as the log has them."""
    shown = ("since", "until") if isinstance(query, given.Events) else ("from", "to")
    since, until = (
        None if text is None else instant(text, name)
        for text, name in zip((query.since, query.until), shown, strict=True)
    )
    return Times(since=since, until=until)


async def events(api: Api, asked: Asked[given.Events, None]) -> shapes.EventPage:
    """List events that were admitted, newest first, with what has become of each."""
    query = asked.query
    before = None if query.after is None else sequence_of(query.after)
    found = await api.runtime.history(
        module=query.module,
        source=query.source,
        route=query.route,
        limit=query.limit,
        before=before,
        **instants(query),
    )
    cursor = str(found[-1].sequence) if found else None  # a page may end early, so that it fits into memory
    return shapes.EventPage(items=[looking.recorded_shape(one) for one in found], next=cursor)


def sequence_of(cursor: str) -> int:
    """The sequence number that a cursor is."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise bad("This is not a cursor", where="after", next_="Give what `next` of the page before says.")
    return int(cursor)


async def trace(api: Api, asked: Asked[given.Nothing, None]) -> shapes.TraceShape:
    """Show all that followed from an event, by its id or by that of its trace."""
    id_ = asked.path["id"]
    found = await api.runtime.trace(id_)
    if found is None:
        raise absent(
            f"There is no event, and no trace, {id_!r}", next_="The log keeps events until they are compacted."
        )
    return shapes.TraceShape(
        trace_id=found.id, events=[looking.traced_shape(one) for one in found.events], complete=found.is_complete
    )


async def explain(api: Api, asked: Asked[given.Nothing, given.Explain]) -> shapes.Explanation:
    """Say why each route does, or does not, want an event; nothing is delivered."""
    body = asked.body
    if (body.event is None) == (body.id is None):
        raise bad("Give an event, or the id of one", where="event")
    event = await _admitted(api, body.id) if body.event is None and body.id is not None else body.event
    assert event is not None
    if isinstance(event, dict):
        event = {"id": new_id(), **event}
    found = api.runtime.explain(event, module=body.module)
    routes = [
        shapes.ExplainedRoute(
            module=one.module,
            route=one.route,
            actor=one.actor,
            matched=one.matched,
            conditions=[
                shapes.ConditionShape(path=each.path, text=each.text, matched=each.matched) for each in one.conditions
            ],
        )
        for one in sorted(found, key=lambda one: not one.matched)
    ]
    return shapes.Explanation(
        event=_shown(event, body.module),
        matched=sum(one.matched for one in found),
        routes=routes,
        left_out=len(found) - len(routes),
    )


async def _admitted(api: Api, id_: str) -> Event:
    found = await api.runtime.trace(id_)
    for one in () if found is None else found.events:
        if one.event.id == id_:
            return one.event
    raise absent(f"There is no event {id_!r}", next_="The log keeps events until they are compacted.")


def _shown(event: Event | dict[str, Any], module: str | None) -> shapes.EventShape:
    """The event that was explained; what its sender has left out is made up."""
    if isinstance(event, dict):
        event = Event(**{"provenance": {"platform": "api"}, "module": module, **event})
    return looking.event_shape(event)


ROUTES = (
    Route(
        *("POST", "/api/v1/events", None, shapes.Accepted),
        status=202,
        query=given.InModule,
        body=given.OneEvent,
        faults=(404, 413, 503),
        text="Admit one event, a list, an object with `events`, or one per line; answered once they are durable.",
    ),
    Route(
        *("POST", "/api/v1/webhooks/{source}", None, dict[str, Any]),
        needs_token=False,
        faults=(404, 413, 503),
        text="Hand a request to a source that is told; the source itself decides who may, and what it answers.",
    ),
    Route("GET", "/api/v1/events", events, shapes.EventPage, query=given.Events, faults=(503,), is_long=True),
    Route("GET", "/api/v1/events/{id}", trace, shapes.TraceShape, faults=(404, 503), is_long=True),
    Route("POST", "/api/v1/explain", explain, shapes.Explanation, body=given.Explain, faults=(404, 409), is_long=True),
)
