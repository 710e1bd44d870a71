"""``/api/v1/dead-letters``: what was given up, to be looked at, delivered again, or forgotten."""

from __future__ import annotations

import trio

from orgloop.http.app import given, shapes
from orgloop.http.app.looking import letter_shape
from orgloop.http.app.modules import action
from orgloop.http.app.problems import absent, bad, conflict
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.asking import REASONS, Damaged, DeadLetter, Which
from orgloop.runtime.runtime import Runtime
from orgloop.sdk import encode

PAGE_BYTES = 16 * 1024 * 1024
"""How long the events of one page may be together, but for the last that were read."""

READ_AT_ONCE = 100
"""How many files are read before it is asked how long they are."""

Plain = Asked[given.Nothing, None]


def which(asked: given.Letters | given.ReplayMany) -> Which:
    """Which dead letters are meant."""
    return Which(reason=_reason(asked.reason), module=asked.module, route=asked.route, actor=asked.actor)


def _reason(reason: str | None) -> str | None:
    if reason is not None and reason not in REASONS:
        raise bad(f"reason: {reason!r} is none", where="reason", next_=f"Reasons are: {', '.join(REASONS)}.")
    return reason


async def letters(api: Api, asked: Asked[given.Letters, None]) -> shapes.LetterPage:
    """List dead letters, oldest first."""
    found, is_all = await trio.to_thread.run_sync(_page, api.runtime, asked.query, which(asked.query))
    return shapes.LetterPage(
        items=[letter_shape(one) for one in found],
        next=None if is_all or not found else found[-1].id,
        count=await api.runtime.count_dead_letters(),
    )


def _page(runtime: Runtime, query: given.Letters, wanted: Which) -> tuple[list[DeadLetter | Damaged], bool]:
    """As many as are asked for, and fit into memory; and whether those are all."""
    after = query.after
    found: list[DeadLetter | Damaged] = []
    left_bytes = PAGE_BYTES
    while len(found) < query.limit and left_bytes > 0:
        limit = min(READ_AT_ONCE, query.limit - len(found))
        # None, and not "any": nobody can tell what a damaged one is, so they are among all, and only there.
        some = runtime.dead_letters(None if wanted == Which() else wanted, limit=limit, after=after)
        found += some
        if len(some) < limit:
            return found, True
        after = some[-1].id
        left_bytes -= sum(len(encode(one.event)) for one in some if isinstance(one, DeadLetter))
    return found, False


async def letter(api: Api, asked: Plain) -> shapes.Letter:
    """Show a dead letter, with its event."""
    return letter_shape(await _found(api, asked.path["id"]))


async def _found(api: Api, id_: str) -> DeadLetter | Damaged:
    found = await trio.to_thread.run_sync(api.runtime.dead_letter, id_)
    if found is None:
        raise absent(f"There is no dead letter {id_!r}", next_="`GET /api/v1/dead-letters` shows those that there are.")
    return found


async def discard(api: Api, asked: Plain) -> shapes.Done:
    """Forget a dead letter for good."""
    id_ = asked.path["id"]
    async with action(api, "dead_letter.discard") as told:
        told.metadata["id"] = id_
        found = await _found(api, id_)
        told.module = getattr(found, "module", None)
        await api.runtime.discard(id_)
    return shapes.Done()


async def replay(api: Api, asked: Asked[given.Nothing, given.Nothing]) -> shapes.Replayed:
    """Have a dead letter delivered again by the route that gave it up, with all its attempts."""
    id_ = asked.path["id"]
    async with action(api, "dead_letter.replay") as told:
        told.metadata["id"] = id_
        found = await _found(api, id_)
        if isinstance(found, Damaged):
            raise conflict(f"The dead letter {id_!r} is damaged: {found.why}", next_="It can only be discarded.")
        told.module = found.module
        return shapes.Replayed(replayed=await api.runtime.replay(id_))


async def replay_many(api: Api, asked: Asked[given.Nothing, given.ReplayMany]) -> shapes.Replayed:
    """Have all dead letters delivered again that are meant; those whose route is not there stay."""
    async with action(api, "dead_letter.replay", asked.body.module) as told:
        replayed = await api.runtime.replay(which(asked.body))
        told.metadata["replayed"] = replayed
        return shapes.Replayed(replayed=replayed)


ROUTES = (
    Route("GET", "/api/v1/dead-letters", letters, shapes.LetterPage, query=given.Letters, is_long=True),
    Route("GET", "/api/v1/dead-letters/{id}", letter, shapes.Letter, faults=(404,), is_long=True),
    Route("DELETE", "/api/v1/dead-letters/{id}", discard, shapes.Done, faults=(404, 409)),
    Route(
        *("POST", "/api/v1/dead-letters/{id}/replay", replay, shapes.Replayed),
        body=given.Nothing,
        faults=(404, 409),
    ),
    Route("POST", "/api/v1/dead-letters/replay", replay_many, shapes.Replayed, body=given.ReplayMany, faults=(409,)),
)
