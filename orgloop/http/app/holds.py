"""``/api/v1/holds``: deliveries that wait for a person, who looks at them and decides."""

from __future__ import annotations

from orgloop.http.app import given, shapes
from orgloop.http.app.looking import event_shape, flag_shapes
from orgloop.http.app.modules import action
from orgloop.http.app.problems import absent
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.holds import Held

Plain = Asked[given.Nothing, None]


async def holds(api: Api, asked: Asked[given.Holds, None]) -> shapes.HoldPage:
    """List what is held, oldest first."""
    query = asked.query
    found = await api.runtime.holds(module=query.module, route=query.route, limit=query.limit, after=query.after)
    return shapes.HoldPage(
        items=[_shape(one) for one in found],
        next=found[-1].id if found else None,
        count=api.runtime.count_holds(),
    )


async def hold(api: Api, asked: Plain) -> shapes.Hold:
    """Show what is held, with its flags and its event."""
    return _shape(await _found(api, asked.path["id"]))


async def approve(api: Api, asked: Asked[given.Nothing, given.Nothing]) -> shapes.Done:
    """Have it delivered as it is."""
    id_ = asked.path["id"]
    async with action(api, "hold.approve") as told:
        told.metadata["id"] = id_
        told.module = (await _found(api, id_)).module
        if not await api.runtime.approve(id_):
            raise _absent(id_)
    return shapes.Done()


async def edit(api: Api, asked: Asked[given.Nothing, given.Edit]) -> shapes.Edited:
    """Have another event delivered in its place, which is looked at like any other; what is left out is as it was."""
    id_ = asked.path["id"]
    async with action(api, "hold.edit") as told:
        told.metadata["id"] = id_
        told.module = (await _found(api, id_)).module
        sequence = await api.runtime.edit(id_, asked.body.fields())
        if sequence is None:
            raise _absent(id_)
        told.metadata["sequence"] = sequence
    return shapes.Edited(sequence=sequence)


async def reject(api: Api, asked: Asked[given.Nothing, given.Reject]) -> shapes.Done:
    """Give it up: it becomes a dead letter, with the reason."""
    id_ = asked.path["id"]
    async with action(api, "hold.reject") as told:
        told.metadata |= {"id": id_, "reason": asked.body.reason}
        told.module = (await _found(api, id_)).module
        if not await api.runtime.reject(id_, asked.body.reason):
            raise _absent(id_)
    return shapes.Done()


async def _found(api: Api, id_: str) -> Held:
    found = await api.runtime.hold(id_)
    if found is None:
        raise _absent(id_)
    return found


def _absent(id_: str) -> Exception:
    return absent(f"Nothing is held under {id_!r}", next_="`GET /api/v1/holds` shows what is; others may have decided.")


def _shape(held: Held) -> shapes.Hold:
    return shapes.Hold(
        id=held.id,
        module=held.module,
        route=held.route,
        actor=held.actor,
        at=held.at,
        flags=flag_shapes(held.flags),
        event=event_shape(held.event),
    )


ROUTES = (
    Route("GET", "/api/v1/holds", holds, shapes.HoldPage, query=given.Holds, faults=(503,), is_long=True),
    Route("GET", "/api/v1/holds/{id}", hold, shapes.Hold, faults=(404, 503), is_long=True),
    Route("POST", "/api/v1/holds/{id}/approve", approve, shapes.Done, body=given.Nothing, faults=(404, 409, 503)),
    Route("POST", "/api/v1/holds/{id}/edit", edit, shapes.Edited, body=given.Edit, faults=(404, 409, 503)),
    Route("POST", "/api/v1/holds/{id}/reject", reject, shapes.Done, body=given.Reject, faults=(404, 409, 503)),
)
