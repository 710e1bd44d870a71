"""What can be asked of a running supervisor, as its loop carries it out: OTP's four verbs, and OTP's words for a no."""

from __future__ import annotations

from typing import Any

import trio

from orgloop_supervisors._child import Child
from orgloop_supervisors._crew import Crew
from orgloop_supervisors._errors import SupervisorError
from orgloop_supervisors._loop import Loop, start_error
from orgloop_supervisors._spec import ChildSpec, ChildState, Restart


async def start_child(loop: Loop, spec: ChildSpec[Any]) -> Any:
    """Add a child at the end of the list and start it; forget it if it fails."""
    crew = loop.crew
    if spec.id in crew.children:
        raise _taken(crew, crew.children[spec.id])
    if len(crew.children) >= crew.spec.max_children:
        raise SupervisorError(
            f"supervisor {crew.spec.name!r} has {len(crew.children)} children, its max_children; "
            f"delete one before you start {spec.id!r}",
            reason="max_children",
        )
    child = crew.add(spec)
    failure = await crew.start(child)
    if failure is not None:
        crew.forget(child)
    return _value(loop, child, failure)


async def restart_child(loop: Loop, child_id: str) -> Any:
    """Start a stopped child again, at its place in the list; keep it if it fails."""
    child = _stopped(loop.crew, child_id, "restart")
    return _value(loop, child, await loop.crew.start(child))


async def terminate_child(loop: Loop, child_id: str) -> None:
    """Stop a child, and any restart to come of it; keep it, unless it is temporary."""
    child = find(loop.crew, child_id)
    with trio.CancelScope(shield=True):
        await loop.crew.stop(child, "terminate_child() was called")
    loop.leave_retry(child)
    if child.spec.restart is Restart.TEMPORARY:
        loop.crew.forget(child)


async def delete_child(loop: Loop, child_id: str) -> None:
    """Forget a stopped child."""
    loop.crew.forget(_stopped(loop.crew, child_id, "delete"))


def find(crew: Crew, child_id: str) -> Child:
    """The child of that id; :class:`SupervisorError` ``not_found`` if there is none."""
    child = crew.children.get(child_id)
    if child is None:
        known = ", ".join(repr(id) for id in list(crew.children)[:8]) or "none"
        raise SupervisorError(
            f"supervisor {crew.spec.name!r} has no child {child_id!r}; it has: {known}", reason="not_found"
        )
    return child


def _stopped(crew: Crew, child_id: str, verb: str) -> Child:
    child = find(crew, child_id)
    if child.state is not ChildState.STOPPED:
        restarting = child.state is ChildState.RESTARTING
        raise SupervisorError(
            f"cannot {verb} child {child_id!r} of supervisor {crew.spec.name!r} while it is {child.state.value}; "
            "terminate_child() it first",
            reason="restarting" if restarting else "running",
        )
    return child


def _taken(crew: Crew, child: Child) -> SupervisorError:
    down = child.life is None
    return SupervisorError(
        f"supervisor {crew.spec.name!r} already has a child {child.spec.id!r}, which is {child.state.value}; "
        + ("restart_child() or delete_child() it" if down else "choose another id"),
        reason="already_present" if down else "already_started",
    )


def _value(loop: Loop, child: Child, failure: Exception | None) -> Any:
    if failure is not None:
        raise loop.stopped_error() if loop.crew.fatal else start_error(loop.crew, child, failure)
    return None if child.life is None else child.life.value
