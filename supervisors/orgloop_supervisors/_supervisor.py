"""The handle of a running supervisor: what others may ask of it, and what they may look at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar, cast

import attrs
import trio

from orgloop_supervisors import _requests
from orgloop_supervisors._caller import find_caller, refuse_deadlock, refuse_endless_drain
from orgloop_supervisors._checks import refuse
from orgloop_supervisors._child import Child
from orgloop_supervisors._errors import SupervisorError
from orgloop_supervisors._loop import Loop
from orgloop_supervisors._policy import misfits
from orgloop_supervisors._spec import ChildSpec, ChildState, is_supervisor
from orgloop_supervisors._tree import render

T = TypeVar("T")


@attrs.frozen
class ChildInfo:
    """
    One child at one instant.

    ``incarnation`` counts its lives from 1 (0: never started), ``restarts`` those that the supervisor began after a
    failure; ``since`` is when it entered its ``state``, in seconds of ``trio.current_time()``; ``last_error`` what it
    last raised; ``value`` what the running life passed to ``started()``.
    """

    id: str
    state: ChildState
    incarnation: int
    restarts: int
    since: float
    last_error: BaseException | None
    value: object


class Supervisor:
    """
    Handle of one running incarnation of a supervisor; a restarted one has another.

    Calls are served one at a time, in order. Every call raises :class:`SupervisorError` with ``reason``: ``stopped``
    once the supervisor is ending, ``deadlock`` where it would wait for its own caller. Looking never waits and goes on
    after the end, then at the last state.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def __repr__(self) -> str:
        state = "over" if self._loop.over.is_set() else "running"
        return (
            f"<Supervisor {'/'.join(self._loop.crew.teller.path)!r} {state}, {len(self._loop.crew.children)} children>"
        )

    async def start_child(self, spec: ChildSpec[T]) -> T:
        """
        Add a child at the end of the list, start it, and return what it passes to ``started()``.

        Raises ``ValueError`` for a spec that cannot work here, :class:`StartError` from its cause if the child fails to
        start (its spec is then discarded), :class:`SupervisorError` with ``reason`` ``already_started``,
        ``already_present`` (stopped, or waiting for a restart) or ``max_children``.
        """
        own = self._loop.crew.spec
        refuse(
            f"supervisor {own.name!r}",
            misfits([spec], intensity=own.intensity, period_s=own.period, auto_shutdown=own.auto_shutdown),
        )
        return cast("T", await self._call("start_child", _requests.start_child, spec))

    async def terminate_child(self, id: str) -> None:
        """
        Stop a child and keep its spec (a temporary one goes); return when it is gone. A wait for a restart ends.

        No error if it is stopped already; :class:`SupervisorError` ``not_found`` if there is none of that id.
        """
        caller = find_caller(self._loop.crew)
        if caller is not None and caller.life.child.spec.id == id:
            refuse_endless_drain(caller, "terminate_child()")
        await self._call("terminate_child", _requests.terminate_child, id)

    async def restart_child(self, id: str) -> Any:
        """
        Start a stopped child again and return what it passes to ``started()``; no restart budget is used.

        Raises :class:`StartError` if it fails (its spec is kept), :class:`SupervisorError` ``not_found``, ``running``
        or ``restarting``.
        """
        return await self._call("restart_child", _requests.restart_child, id)

    async def delete_child(self, id: str) -> None:
        """Forget a stopped child; :class:`SupervisorError` ``not_found``, ``running`` or ``restarting``."""
        await self._call("delete_child", _requests.delete_child, id)

    async def wait_running(self, spec: ChildSpec[T]) -> T:
        """
        Wait until a child runs, and return what its live incarnation passed to ``started()``.

        Raises :class:`SupervisorError` ``not_found`` if it is not, or no longer, a child of this supervisor,
        ``stopped`` once the supervisor is over.
        """
        crew, began = self._loop.crew, False
        while True:
            if self._loop.over.is_set():
                raise self._loop.stopped_error()
            child = _requests.find(crew, spec.id)
            if child.spec != spec:
                raise SupervisorError(
                    f"supervisor {crew.spec.name!r} has a child {spec.id!r}, but of another spec", reason="not_found"
                )
            if child.state is ChildState.RUNNING and child.life is not None:
                value = cast("T", child.life.value)
                await trio.lowlevel.checkpoint()
                return value
            refuse_deadlock(find_caller(crew), "wait_running()", began=began)
            await crew.wait_for_change()
            began = True

    async def stop(self) -> None:
        """Stop all children in reverse order and return when the supervisor is over; ``run()`` then returns."""
        refuse_endless_drain(find_caller(self._loop.crew), "stop()")
        self._loop.stop("stop() was called")
        await self._loop.over.wait()

    def refused(self, error: BaseException) -> bool:
        """Whether an error says only that this supervisor had ended when it was asked something."""
        return isinstance(error, SupervisorError) and error.ended is self._loop

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children, in start order."""
        return tuple(_info(child) for child in self._loop.crew.children.values())

    def count_children(self) -> Mapping[str, int]:
        """How many ``specs``, how many of them ``active`` (with a live task), ``supervisors`` and ``workers``."""
        children = self._loop.crew.children.values()
        supervisors = sum(is_supervisor(child.spec) for child in children)
        return {
            "specs": len(children),
            "active": sum(child.life is not None for child in children),
            "supervisors": supervisors,
            "workers": len(children) - supervisors,
        }

    def tree(self) -> str:
        """The whole subtree as text: states, incarnations, last errors, and where each running child waits."""
        return render(self._loop.crew)

    async def _call(self, name: str, action: Any, argument: object) -> Any:
        return await self._loop.call(name, partial(action, self._loop, argument))


def _info(child: Child) -> ChildInfo:
    return ChildInfo(
        id=child.spec.id,
        state=child.state,
        incarnation=child.incarnation,
        restarts=child.restarts,
        since=child.since,
        last_error=child.last_error,
        value=child.life.value if child.life is not None else None,
    )
