"""What a supervisor is to be, and the two ways to run it: as a task, or around a block."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from orgloop_supervisors._checks import above_zero, as_tuple, count, function, non_empty, refuse, sequence, wrong_type
from orgloop_supervisors._child import Life, current_life
from orgloop_supervisors._crew import Crew
from orgloop_supervisors._errors import bare, is_cancellation, split_fatal, verdict
from orgloop_supervisors._events import Event, Teller
from orgloop_supervisors._loop import Loop
from orgloop_supervisors._policy import misfits
from orgloop_supervisors._spec import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    Restart,
    Shutdown,
    Strategy,
    Tree,
)
from orgloop_supervisors._supervisor import Supervisor


@attrs.frozen(kw_only=True)
class SupervisorSpec(Tree):
    """
    Immutable recipe of a supervisor; every ``run()`` starts afresh from it, so a restart brings back the children
    listed here and not those added later.

    ``intensity`` restarts within ``period`` seconds are forgiven, the next one makes it give up (``inf``: never).
    ``ordered=False`` stops all children at once instead of one by one, last first. ``on_event`` is called with every
    :class:`Event`; None means the hook of the supervisor it runs in, or the log.
    """

    name: str
    children: Sequence[ChildSpec[Any]] = attrs.field(default=(), converter=as_tuple)
    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: float = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    ordered: bool = True
    max_children: float = math.inf
    on_event: Callable[[Event], None] | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what could never work, every fault at once."""
        faults = [fault for fault in _wrong_fields(self) if fault is not None]
        refuse(f"supervisor {self.name!r}", [*faults, *_wrong_ids(self), *([] if faults else _wrong_together(self))])

    async def run(self, *, task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED) -> None:
        """
        Supervise until cancelled, stopped, shut down by a significant child, or given up.

        ``task_status`` gets the :class:`Supervisor` when all children are ready, so that
        ``await nursery.start(spec.run)`` and anyio's ``await tg.start(spec.run)`` give it to you. Raises, never in a
        group of its own nursery, :class:`StartError`, :class:`RestartIntensityExceeded`, or a fatal exception of a
        child; and in a group whatever children that are not temporary raised while they were stopped.
        """
        await _supervise(self, task_status)

    def as_child(
        self,
        *,
        restart: Restart = Restart.PERMANENT,
        significant: bool = False,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    ) -> ChildSpec[Supervisor]:
        """Make this the child of another supervisor: ready when its children are, and never hurried when it stops."""
        return ChildSpec(
            id=self.name,
            run=self.run,
            restart=restart,
            significant=significant,
            backoff=backoff,
            notify=True,
            start_timeout=math.inf,
            shutdown=Shutdown(grace=math.inf),
        )


@asynccontextmanager
async def open_supervisor(spec: SupervisorSpec) -> AsyncGenerator[Supervisor]:
    """
    Run a supervisor around a block; leaving the block is the ordered stop.

    If the supervisor fails, the block is cancelled and the failure raised. Errors come out as from :meth:`run`.
    """
    error: BaseException | None = None
    supervisor: Supervisor | None = None
    try:
        async with trio.open_nursery() as nursery:
            supervisor = await nursery.start(spec.run)
            assert supervisor is not None
            yield supervisor
            await supervisor.stop()
    except BaseExceptionGroup as group:
        error = bare(group, consequence=None if supervisor is None else supervisor.refused)
    if error is not None:
        raise error


async def _supervise(spec: SupervisorSpec, task_status: trio.TaskStatus[Supervisor]) -> None:
    loop = Loop.of(spec, *_surroundings(spec))
    handle = Supervisor(loop)
    error: BaseException | None = None
    _join(loop.crew)
    try:
        async with trio.open_nursery() as nursery:
            # A task of its own: Ctrl-C, which Trio throws into the main task, then finds that one waiting here, where
            # it cancels the loop, however often it is pressed, and cannot break into the ordered stop.
            nursery.start_soon(lambda: loop.run(nursery, ready=lambda: task_status.started(handle)), name=spec.name)
    except BaseException as exc:  # raised again below, with what the children left
        error = exc
    finally:
        _leave(loop.crew)
        loop.conclude()
    interrupts, bug = split_fatal(None if error is None or is_cancellation(error) else bare(error))
    crashes = loop.crashes if bug is None else [*loop.crashes, bug]
    outcome = verdict(spec.name, fatal=[*loop.crew.fatal, *interrupts], end=loop.end, crashes=crashes) or error
    if outcome is not None:
        raise outcome


def _surroundings(spec: SupervisorSpec) -> tuple[Life | None, Teller]:
    """The supervised life that this code runs in, if any, and the path and the hook that follow from it."""
    enclosing = current_life.get()
    if enclosing is None or enclosing.ended:
        return None, Teller((spec.name,), spec.on_event)
    outer = enclosing.crew.teller
    path = (*outer.path, enclosing.child.spec.id)
    return enclosing, Teller(path if path[-1] == spec.name else (*path, spec.name), spec.on_event or outer.hook)


def _join(crew: Crew) -> None:
    if crew.enclosing is not None:
        crew.enclosing.nested = (*crew.enclosing.nested, crew)


def _leave(crew: Crew) -> None:
    if crew.enclosing is not None:
        crew.enclosing.nested = tuple(other for other in crew.enclosing.nested if other is not crew)


def _wrong_fields(spec: SupervisorSpec) -> list[str | None]:
    return [
        non_empty("name", spec.name),
        sequence("children", spec.children)
        or "; ".join(filter(None, map(_wrong_child, itertools.count(), spec.children)))
        or None,
        wrong_type("strategy", spec.strategy, Strategy),
        count("intensity", spec.intensity, "inf: never give up"),
        above_zero("period", spec.period),
        wrong_type("auto_shutdown", spec.auto_shutdown, AutoShutdown),
        wrong_type("ordered", spec.ordered, bool),
        count("max_children", spec.max_children, "inf: no limit"),
        None if spec.on_event is None else function("on_event", spec.on_event, "a function that takes an Event"),
    ]


def _wrong_child(index: int, child: object) -> str | None:
    if isinstance(child, SupervisorSpec):
        return f"children[{index}] is a SupervisorSpec; add {child.name!r} with .as_child()"
    return wrong_type(f"children[{index}]", child, ChildSpec)


def _wrong_ids(spec: SupervisorSpec) -> Iterator[str]:
    children = spec.children if isinstance(spec.children, tuple) else ()
    ids = Counter(child.id for child in children if isinstance(child, ChildSpec))
    for id, number in ids.items():
        if number > 1:
            yield f"{number} children have the id {id!r}; ids name children, so give each its own"


def _wrong_together(spec: SupervisorSpec) -> Iterator[str]:
    if len(spec.children) > spec.max_children:
        yield f"{len(spec.children)} children are more than max_children={spec.max_children:g}"
    if spec.strategy is Strategy.REST_FOR_ONE and not spec.ordered:
        yield "rest_for_one restarts those after the failed child, so it needs ordered=True"
    yield from misfits(spec.children, intensity=spec.intensity, period_s=spec.period, auto_shutdown=spec.auto_shutdown)
