"""
Who asks: the child of a supervisor that a request comes from, and whether the answer could ever reach it.

A serial loop that waits for a child cannot at the same time serve it. Such a call is refused where it is made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs

from orgloop_supervisors._child import Life, current_life
from orgloop_supervisors._errors import SupervisorError

if TYPE_CHECKING:
    from orgloop_supervisors._crew import Crew


@attrs.frozen(eq=False)
class Caller:
    """The child of the asked supervisor in whose life the asking code runs, perhaps some supervisors below."""

    life: Life
    drain_s: float
    """How long the asking code may take to finish up before it is cancelled."""

    @property
    def will_be_cancelled(self) -> bool:
        """Whether a stop ends it without asking first: then it may as well wait for that in its call."""
        return self.drain_s == 0


def find_caller(crew: Crew) -> Caller | None:
    """The child of this crew that the running code belongs to."""
    life, drain_s = current_life.get(), 0.0
    while life is not None and not life.ended:
        drain_s = max(drain_s, life.child.spec.shutdown.drain)
        if life.crew is crew:
            return Caller(life, drain_s)
        life = life.crew.enclosing
    return None


def refuse_deadlock(caller: Caller | None, call: str, *, began: bool = False) -> None:
    """Raise if the answer could only come after the start, or the end, of the very child that asks."""
    if caller is None:
        return
    if not caller.life.ready:
        raise _deadlock(caller.life, call, "it has not called started() yet", "call started() first")
    if is_hopeless(caller, began=began):
        raise being_stopped(caller.life, call)


def is_hopeless(caller: Caller, *, began: bool) -> bool:
    """Whether a call, or one that ``began`` before, has to be refused because its caller is being stopped."""
    life = caller.life
    if life.stopping is None or not began:
        return life.stopping is not None
    return life.scope.cancel_called or not caller.will_be_cancelled


def refuse_endless_drain(caller: Caller | None, call: str) -> None:
    """Raise if a child asks for its own end and may take for ever over it, while it waits for this call."""
    if caller is not None and caller.drain_s == math.inf:
        raise _deadlock(caller.life, call, "its drain is infinite", "return instead, or give it a finite drain")


def being_stopped(life: Life, call: str) -> SupervisorError:
    """What a child gets that asks something of the supervisor that is stopping it."""
    return _deadlock(life, call, "it is being stopped", "finish up without it")


def _deadlock(life: Life, call: str, why: str, advice: str) -> SupervisorError:
    return SupervisorError(
        f"{call} by child {life.child.spec.id!r} of supervisor {life.crew.spec.name!r} would deadlock: "
        f"the supervisor waits for that child, because {why}; {advice}",
        reason="deadlock",
    )
