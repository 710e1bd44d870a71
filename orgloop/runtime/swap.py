"""
One reload of a module, as a transaction: everything that can fail comes first, and each step of it can be undone.

    start what is new   transforms, actors, sources that are told     beside what is there
    hold                events of the module wait
    exchange            loggers, sources that poll                    one out, one in: two of them would do it twice
    ─────────────────── from here on nothing fails
    switch              routes, lanes, configuration                  in one step, without waiting
    release             events go on, by the new routes
    drain               what was under way ends where it began; the rest goes on in the new lanes
    stop what is gone

An event is handled by exactly one generation: the one whose routes it found. What waits in a lane whose route has
changed is carried by the lane of the new generation; what waits in one whose route is gone becomes dead letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import attrs
import trio

from orgloop.delivery.dead_letters import DeadLetter
from orgloop.delivery.lane import Lane
from orgloop.errors import ModuleError, OrgLoopError
from orgloop.event import timestamp_of
from orgloop.runtime.members import Group, Member, SourceMember
from orgloop.runtime.module import Module, Wire
from orgloop.runtime.router import Router
from orgloop.runtime.services import Services
from orgloop.sdk import Admitted
from orgloop.sdk.bus import looked_for
from orgloop_supervisors import Supervisor, SupervisorError

READ_AT_ONCE = 256
"""How many events of a route that is gone are read, and buried, at a time."""


@attrs.define(eq=False)
class Swap:
    """A module that runs, and what it is to be."""

    live: Module
    target: Module
    router: Router
    services: Services
    supervisor: Supervisor
    """That of the module."""
    _ended: list[tuple[Wire, Wire | None]] = attrs.field(factory=list)
    """Wires that are over, and what takes their place."""

    async def run(self, *, drain_s: float) -> None:
        """Make the one the other; :class:`ModuleError` if that cannot be, and then nothing has changed."""
        live, target, name = self.live, self.target, self.live.name
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.router.release, name)
            for group, wanted in ((live.transforms, target.transforms), (live.actors, target.actors)):
                await self._start_all(group, _fresh(group, wanted), undo)
            await self._start_all(live.sources, _told(_fresh(live.sources, target.sources)), undo)
            self.router.hold(name)
            await self._exchange(live.loggers, target.loggers, undo)
            await self._exchange(live.sources, target.sources, undo)
            undo.pop_all()
        gone = [(group, member) for group, wanted in self._pairs() for member in _fresh(wanted, group)]
        self._switch()
        await self.router.release(name)
        await self.drain(drain_s)
        for group, member in gone:
            await self._stop(group, member)
        for group, wanted in self._pairs():
            group.members = dict(wanted.members)  # in the order of their configuration

    def _pairs(self) -> Iterator[tuple[Group, Group]]:
        return zip(self.live.groups, self.target.groups, strict=True)

    # -- steps that can be undone --------------------------------------------------------------------------------------

    async def _start_all(self, group: Group, members: Iterable[Member], undo: AsyncExitStack) -> None:
        for member in members:
            undo.push_async_callback(self._stop, group, member)
            await self._start(group, member)

    async def _exchange(self, group: Group, wanted: Group, undo: AsyncExitStack) -> None:
        """Stop those that are gone, then start those that are new; sources that are only told stay for now."""
        for member in [member for member in _fresh(wanted, group) if not _is_told(member)]:
            undo.push_async_callback(self._start, group, member)
            await self._stop(group, member)
        await self._start_all(group, _fresh(group, wanted), undo)

    async def _start(self, group: Group, member: Member) -> None:
        supervisor = await self.supervisor.wait_running(group.child)
        group.members[member.child.id] = member
        try:
            await supervisor.start_child(member.child)
        except SupervisorError as exc:
            del group.members[member.child.id]
            kind = group.name.removesuffix("s")
            raise ModuleError(f"{kind} {member.id!r} did not start: {exc.__cause__ or exc}") from exc

    async def _stop(self, group: Group, member: Member) -> None:
        if member.child.id not in group.members:
            return  # it has not started
        supervisor = await self.supervisor.wait_running(group.child)
        if any(info.id == member.child.id for info in supervisor.which_children()):
            await supervisor.terminate_child(member.child.id)
            await supervisor.delete_child(member.child.id)
        del group.members[member.child.id]  # until then, whoever asks for it hears that it is not at work

    # -- the step that cannot fail -------------------------------------------------------------------------------------

    def _switch(self) -> None:
        """Have the new generation; waits for nothing."""
        live, target = self.live, self.target
        for name, before in live.wires.items():
            after = target.wires.get(name)
            if after is before:
                continue
            self._ended.append((before, after))
            live.draining.add(before.lane)
            if after is not None:
                before.lane.hand_on(after.lane)
        for name, wire in target.wires.items():
            if name not in live.wires:
                wire.actor.mailbox.add(wire.lane)
        exports = target.config.exports
        self.router.table = self.router.table.with_module(live.name, target.routes, exports=exports)
        live.config, live.wires = target.config, target.wires

    # -- what was under way --------------------------------------------------------------------------------------------

    async def drain(self, drain_s: float) -> None:
        """Wait for what is under way in lanes that are over, no longer than ``drain_s``; the rest goes on elsewhere."""
        async with trio.open_nursery() as nursery:
            for before, after in self._ended:
                nursery.start_soon(self._drain_lane, before, after, drain_s)

    async def _drain_lane(self, before: Wire, after: Wire | None, drain_s: float) -> None:
        lane = before.lane
        with trio.move_on_after(drain_s):
            while lane.in_motion:
                await self.services.settler.wait_for_ends()
        await before.actor.mailbox.remove(lane.spec.route)
        if after is None:
            await self._bury(lane)
        else:
            lane.hand_on(after.lane)
            after.actor.mailbox.add(after.lane)
        self.live.draining.discard(lane)

    async def _bury(self, lane: Lane) -> None:
        """Give up what a route that is gone has left; each for a person to look at."""
        left = lane.leave()
        while left:
            some = left[:READ_AT_ONCE]
            try:
                found = await self.services.bus.read(some)
                some = list(looked_for(some, found))
                for admitted in found:
                    await self.services.bury(self._letter(lane, admitted))
            except (OSError, OrgLoopError) as exc:
                self.services.notices.tell(
                    "system.error",
                    module=self.live.name,
                    route=lane.spec.route,
                    error=f"{len(some)} events of a route that is gone stay in the log, until the next start: {exc}",
                )
                for sequence in some:
                    self.services.settler.set_aside(sequence, 1)
            else:
                for sequence in some:
                    self.services.settler.end(
                        sequence, "dead_letter(route_removed)", module=self.live.name, route=lane.spec.route
                    )
            left = left[len(some) :]

    def _letter(self, lane: Lane, admitted: Admitted) -> DeadLetter:
        spec = lane.spec
        return DeadLetter(
            reason="route_removed",
            module=spec.module,
            route=spec.route,
            actor=spec.actor,
            sequence=admitted.sequence,
            attempts=0,
            last_error=f"route {spec.route!r} was removed before the event could be delivered",
            at=timestamp_of(self.services.now_s()),
            event=admitted.event,
        )

    async def take_over(self) -> None:
        """Have the new generation where nobody works on the old one any more."""
        self._switch()
        await self.drain(0.0)


def _fresh(there: Group, wanted: Group) -> list[Member]:
    """Members of the second group that the first one does not have."""
    return [member for id_, member in wanted.members.items() if there.members.get(id_) is not member]


def _is_told(member: Member) -> bool:
    """Whether it is a source of which two may be at work at a time: each has a desk of its own, and neither polls."""
    return isinstance(member, SourceMember) and not member.polls


_told = partial(filter, _is_told)
