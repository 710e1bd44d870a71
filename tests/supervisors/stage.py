"""Children that act as told, and a record of who was up when: the fixtures of the supervision stories."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from orgloop_supervisors import (
    ChildSpec,
    ChildStatus,
    Event,
    EventKind,
    RestartIntensityExceeded,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)

Act = Callable[[ChildStatus[Any] | None], Awaitable[None]]
"""What one life of a child does; ``None`` for a child without ``notify``."""


async def idle(status: ChildStatus[Any] | None) -> None:
    """Run until cancelled."""
    await ready(status)
    await trio.sleep(math.inf)


async def ready(status: ChildStatus[Any] | None, value: object = None) -> None:
    """Say ``started()`` if there is somebody to say it to."""
    if status is not None:
        status.started(value)


def ready_after(delay_s: float, value: object = None) -> Act:
    """Be ready after a while, then run until cancelled."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await trio.sleep(delay_s)
        await ready(status, value)
        await trio.sleep(math.inf)

    return act


def crash_after(delay_s: float, error: BaseException | None = None) -> Act:
    """Be ready at once, and raise after a while."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await ready(status)
        await trio.sleep(delay_s)
        raise error or OSError("crash")

    return act


def return_after(delay_s: float) -> Act:
    """Be ready at once, and return after a while."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await ready(status)
        await trio.sleep(delay_s)

    return act


def fail_to_start(error: BaseException | None = None) -> Act:
    """Raise before being ready; only for a child with ``notify``."""

    async def act(status: ChildStatus[Any] | None) -> None:
        raise error or KeyError("no start")

    return act


async def hang_in_start(status: ChildStatus[Any] | None) -> None:
    """Never become ready; only for a child with ``notify``."""
    await trio.sleep(math.inf)


def slow_cleanup(cleanup_s: float, error: BaseException | None = None) -> Act:
    """Run until cancelled, then take a while to clean up, and perhaps raise."""

    async def act(status: ChildStatus[Any] | None) -> None:
        await ready(status)
        try:
            await trio.sleep(math.inf)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(cleanup_s)
            if error is not None:
                raise error

    return act


def finish_in(delay_s: float) -> Act:
    """Run until asked to finish up, take a while over that, and return; only for a child with ``notify``."""

    async def act(status: ChildStatus[Any] | None) -> None:
        assert status is not None
        status.started()
        await status.draining.wait()
        await trio.sleep(delay_s)

    return act


@attrs.define
class Stage:
    """Records every life of its children: when each went up and down, and every event of the supervisor."""

    log: list[tuple[float, str, str]] = attrs.field(factory=list)
    """(virtual seconds, child, "up" or "down"); up is the first step of its function, down the last."""
    events: list[Event] = attrs.field(factory=list)

    def child(self, id: str, *acts: Act, **spec: Any) -> ChildSpec[Any]:
        """Make a child whose n-th life plays the n-th act; later lives play the last one. No act: idle."""
        lives = iter(acts)
        last = acts[-1] if acts else idle

        async def play(*, task_status: ChildStatus[Any] | None = None) -> None:
            act = next(lives, last)
            self.log.append((trio.current_time(), id, "up"))
            try:
                await act(task_status)
            finally:
                self.log.append((trio.current_time(), id, "down"))

        return ChildSpec(id=id, run=play, **spec)

    def spec(self, *children: ChildSpec[Any], **spec: Any) -> SupervisorSpec:
        """Make a supervisor named ``top`` over these children; its events are recorded."""
        return SupervisorSpec(**{"name": "top", "children": children, "on_event": self.events.append, **spec})

    @asynccontextmanager
    async def open(self, *children: ChildSpec[Any], **spec: Any) -> AsyncGenerator[Supervisor]:
        """Run a supervisor over these children around a block."""
        async with open_supervisor(self.spec(*children, **spec)) as supervisor:
            yield supervisor

    def ups(self, *ids: str) -> list[tuple[float, str]]:
        """When which child went up, in order; only of these ids, if any are given."""
        return [(at_s, id) for at_s, id, what in self.log if what == "up" and (not ids or id in ids)]

    def downs(self, *ids: str) -> list[tuple[float, str]]:
        """When which child went down, in order; only of these ids, if any are given."""
        return [(at_s, id) for at_s, id, what in self.log if what == "down" and (not ids or id in ids)]

    def order(self) -> list[str]:
        """Every up and down as ``"a up"``, in order, without times."""
        return [f"{id} {what}" for _, id, what in self.log]

    def kinds(self, id: str) -> list[EventKind]:
        """The kinds of the events of one child, in order."""
        return [event.kind for event in self.events if event.path[-1] == id]

    def told(self, kind: EventKind) -> list[Event]:
        """The events of one kind, in order, whoever they are about."""
        return [event for event in self.events if event.kind is kind]


def states(supervisor: Supervisor) -> dict[str, str]:
    """The state of each child, by id."""
    return {info.id: info.state.value for info in supervisor.which_children()}


async def give_up(spec: SupervisorSpec) -> RestartIntensityExceeded:
    """Run a supervisor that is going to give up; what it raises."""
    with pytest.raises(RestartIntensityExceeded) as caught:
        await spec.run()
    return caught.value


def refused(reason: str) -> pytest.RaisesExc[SupervisorError]:
    """Expect a call to be refused, for this reason."""
    return pytest.raises(SupervisorError, check=lambda error: error.reason == reason)
