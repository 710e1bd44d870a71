"""
The members of a module: its actors, sources, loggers and whatever its transforms hold open, a child each.

    Group ──▶ Member ──▶ ChildSpec       one group is one supervisor, whose children change when the module is reloaded

What a member keeps over its lives (a mailbox, a standing) is made before it, and outlives every crash. Two members that
are made of the same are the same: that is how a reload knows whom to leave alone.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from orgloop.config.supervision import SupervisionConfig
from orgloop.delivery.mailbox import Mailbox
from orgloop.runtime.checkpoints import Place
from orgloop.runtime.containment import contained
from orgloop.runtime.pulse import Asked, asked, watched
from orgloop.runtime.pushed import Desk
from orgloop.runtime.sources import SourceSpec, Standing, Surroundings, serve_source
from orgloop.sdk import Actor
from orgloop_supervisors import Backoff, ChildSpec, Restart, Shutdown, Supervisor, SupervisorSpec

Make = Callable[[], Any]
"""Makes a plug-in, anew for each life, or gives the one that was brought."""


@attrs.frozen(eq=False, kw_only=True)
class Member:
    """One child of a group."""

    id: str
    made_of: object
    """Equal for two members that do the same."""
    child: ChildSpec[Any]


@attrs.frozen(eq=False, kw_only=True)
class ActorMember(Member):
    """An actor, and what waits for it."""

    mailbox: Mailbox


@attrs.frozen(eq=False, kw_only=True)
class SourceMember(Member):
    """A source; ``desk`` is where it is told, if it can be."""

    connector: str
    polls: bool
    interval_s: float
    standing: Standing
    desk: Desk | None
    place: Place
    """Where its checkpoint is kept."""


@attrs.define(eq=False)
class Group:
    """The members of one kind, under a supervisor of their own; a supervisor that begins again begins with these."""

    name: str
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)
    members: dict[str, Member] = attrs.field(factory=dict)
    """By the id of the child, which is the member's own unless two of one id are there during a reload."""
    child: ChildSpec[Supervisor] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with nobody."""
        self.child = ChildSpec(
            id=self.name, run=self._host, notify=True, start_timeout=math.inf, shutdown=Shutdown(grace=math.inf)
        )

    def spec(self) -> SupervisorSpec:
        """The recipe as of now; ValueError for one that could never work."""
        own = self.supervision
        children = [member.child for member in self.members.values()]
        return SupervisorSpec(name=self.name, children=children, intensity=own.intensity, period=own.period_s)

    async def _host(self, *, task_status: trio.TaskStatus[Supervisor]) -> None:
        await self.spec().run(task_status=task_status)

    def add(self, member: Member) -> Member:
        """Take a member in, under an id that nobody has; as it is then."""
        id_, number = member.id, 1
        while id_ in self.members:
            number += 1
            id_ = f"{member.id}@{number}"
        member = attrs.evolve(member, child=attrs.evolve(member.child, id=id_))
        self.members[id_] = member
        return member

    def remove(self, member: Member) -> None:
        """Let a member go."""
        del self.members[member.child.id]


def child_of(
    id_: str, run: Callable[..., Any], own: SupervisionConfig, *, grace_s: float | None = None
) -> ChildSpec[Any]:
    """A child that is kept alive as its configuration says; ValueError for one that could never work."""
    waits, ends = own.backoff, own.shutdown
    return ChildSpec(
        id=id_,
        run=run,
        notify=True,
        restart=Restart(own.restart),
        start_timeout=own.start_timeout_s,
        watchdog=math.inf if own.watchdog_s is None else own.watchdog_s,
        shutdown=Shutdown(grace=ends.grace_s if grace_s is None else grace_s),
        backoff=Backoff(
            initial=waits.initial_s,
            maximum=waits.maximum_s,
            factor=waits.factor,
            jitter=waits.jitter,
            reset_after=waits.reset_after_s,
        ),
    )


# -- one life of each --------------------------------------------------------------------------------------------------


async def serve_actor(
    id_: str,
    make: Make,
    mailbox: Mailbox,
    *,
    watchdog_s: float | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """One life of an actor: entered, if it holds something open, then at work until cancelled."""
    what = f"actor {id_!r}"
    with contained(what):
        actor: Actor = make()
        async with entered(actor), watched(watchdog_s, task_status) as pulse:
            task_status.started()
            await mailbox.serve(Asked(what, actor, pulse))


async def serve_transform(
    id_: str, transform: Any, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keep open what a transform holds, until cancelled."""
    with contained(f"transform {id_!r}"):
        async with entered(transform):
            task_status.started()
            await trio.sleep_forever()


async def serve_polled(
    spec: SourceSpec,
    standing: Standing,
    around: Surroundings,
    *,
    watchdog_s: float | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """One life of a source that looks for itself."""
    what = f"source {spec.id!r}"
    with contained(what):
        if watchdog_s is None:
            await serve_source(spec, standing, around, task_status=task_status)
            return
        async with watched(watchdog_s, task_status) as pulse:
            seen = attrs.evolve(spec, make=lambda: asked(what, spec.make(), pulse))
            await serve_source(seen, standing, around, task_status=task_status)


async def serve_pushed(
    id_: str,
    make: Make,
    desk: Desk,
    *,
    watchdog_s: float | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """One life of a source that is told."""
    what = f"source {id_!r}"
    with contained(what):
        source = make()
        async with entered(source), watched(watchdog_s, task_status) as pulse:
            await desk.serve(Asked(what, source, pulse), task_status=task_status)


async def serve_both(
    spec: SourceSpec,
    desk: Desk,
    around: Surroundings,
    *,
    watchdog_s: float | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """One life of a source that is told, and looks for itself too: one object, entered once."""
    what = f"source {spec.id!r}"
    with contained(what):
        source = spec.make()
        async with entered(source), watched(watchdog_s, task_status) as pulse, trio.open_nursery() as nursery:
            seen = Asked(what, source, pulse)
            only_polls = attrs.evolve(spec, make=lambda: seen)
            await nursery.start(desk.serve, seen)
            await nursery.start(serve_source, only_polls, desk.standing, around)
            task_status.started()


@asynccontextmanager
async def entered(plugin: Any) -> AsyncGenerator[None]:
    """Enter what holds something open, around a block."""
    if hasattr(plugin, "__aenter__"):
        async with plugin:
            yield
    else:
        yield
