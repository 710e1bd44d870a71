"""
``/api/inbox``: what waits for a session of an agent, by the names of the original.

To look changes nothing. What was looked at is taken by acknowledging it, with the ``continuation`` of the answer:
``POST /api/inbox/ack``, or with the next ``POST /api/inbox/drain``.
"""

from __future__ import annotations

from orgloop.http.app import given, shapes
from orgloop.http.app.looking import event_shape
from orgloop.http.app.modules import action
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.inbox import Drained


async def look(api: Api, asked: Asked[given.InboxLook, None]) -> shapes.InboxPage:
    """Show the first events that wait for a session; they stay until they are acknowledged."""
    query = asked.query
    return _page(await api.runtime.inbox_drain(query.session_key, module=query.module, limit=query.limit))


async def drain(api: Api, asked: Asked[given.Nothing, given.InboxDrain]) -> shapes.InboxPage:
    """Acknowledge the events of an answer, if its `continuation` is given, and give the next."""
    body = asked.body
    async with action(api, "inbox.drain", body.module) as told:
        drained = await api.runtime.inbox_drain(
            body.session_key, module=body.module, limit=body.limit, continuation=body.continuation
        )
        told.metadata |= {"session_key": body.session_key, "given": len(drained.events)}
    return _page(drained)


async def acknowledge(api: Api, asked: Asked[given.Nothing, given.InboxAck]) -> shapes.Acknowledged:
    """Acknowledge the events of an answer: they are delivered, and do not come again."""
    body = asked.body
    async with action(api, "inbox.ack", body.module) as told:
        count = await api.runtime.inbox_ack(body.session_key, body.continuation, module=body.module)
        told.metadata |= {"session_key": body.session_key, "acknowledged": count}
    return shapes.Acknowledged(acknowledged=count)


async def status(api: Api, asked: Asked[given.InboxSession, None]) -> shapes.Pending:
    """Tell how many events wait for a session."""
    return shapes.Pending(pending=api.runtime.inbox_status(asked.query.session_key, module=asked.query.module))


async def sessions(api: Api, asked: Asked[given.InboxSessions, None]) -> shapes.Sessions:
    """List the sessions for which something waits, in the order in which it began to; `count` is of all."""
    found = api.runtime.inbox_list(module=asked.query.module)
    return shapes.Sessions(
        sessions=[
            shapes.SessionShape(session_key=one.session_key, pending=one.pending, module=one.module, actor=one.actor)
            for one in found[: asked.query.limit]
        ],
        count=len(found),
    )


def _page(drained: Drained) -> shapes.InboxPage:
    return shapes.InboxPage(
        events=[event_shape(event) for event in drained.events],
        remaining=drained.remaining,
        continuation=drained.continuation,
    )


ROUTES = (
    Route("GET", "/api/inbox/list", sessions, shapes.Sessions, query=given.InboxSessions),
    Route("GET", "/api/inbox/status", status, shapes.Pending, query=given.InboxSession),
    Route(
        *("GET", "/api/inbox/drain", look, shapes.InboxPage),
        query=given.InboxLook,
        faults=(503,),
        is_long=True,
    ),
    Route(
        *("POST", "/api/inbox/drain", drain, shapes.InboxPage),
        body=given.InboxDrain,
        faults=(409, 503),
        is_long=True,
    ),
    Route("POST", "/api/inbox/ack", acknowledge, shapes.Acknowledged, body=given.InboxAck, faults=(409, 503)),
)
