"""The live tree as text: who runs, since when, what it last died of, and where it waits."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Iterator
from traceback import StackSummary
from typing import TYPE_CHECKING

import trio

from orgloop_supervisors._spec import ChildState

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from orgloop_supervisors._child import Child
    from orgloop_supervisors._crew import Crew

MAX_TASKS = 8
"""Tasks shown of one child: its own and those of its nurseries."""
MAX_FRAMES = 4
"""Innermost frames shown of one task in a tree."""


def render(crew: Crew) -> str:
    """The whole subtree, one line for each supervisor and child, with the await-stack of every running worker."""
    return "\n".join([_headline(crew), *_below(crew)])


def stack_of(task: Task | None) -> str:
    """Where a task waits, innermost frame last, and where the tasks of its nurseries do."""
    if task is None:
        return "not yet running"
    return "".join(f"{member.name}:\n{''.join(_stack(member).format())}" for member in _with_nested(task)).rstrip()


def _headline(crew: Crew) -> str:
    spec = crew.spec
    budget = "never gives up" if spec.intensity == math.inf else f"{spec.intensity:g} in {spec.period:g} s"
    return f"{spec.name}  {spec.strategy.value}, {budget}"


def _below(crew: Crew) -> Iterator[str]:
    children = list(crew.children.values())
    now_s = trio.current_time() if crew.over_at_s is None else crew.over_at_s
    for child in children:
        last = child is children[-1]
        yield f"{'└── ' if last else '├── '}{_line(child, now_s)}"
        for line in _inside(child):
            yield f"{'    ' if last else '│   '}{line}"


def _inside(child: Child) -> Iterator[str]:
    if child.life is None:
        return
    nested = child.life.nested
    for crew in nested:
        yield f"({_headline(crew)})"
        yield from _below(crew)
    if not nested and child.life.task is not None:
        for task in _with_nested(child.life.task):
            for frame in _stack(task)[-MAX_FRAMES:]:
                yield f"    at {frame.filename}:{frame.lineno} in {frame.name}"


def _line(child: Child, now_s: float) -> str:
    parts = [child.spec.id, child.state.value, f"for {now_s - child.since:.3g} s", f"incarnation {child.incarnation}"]
    if child.state is ChildState.RESTARTING and child.retry is not None:
        parts[2] = f"in {max(0.0, child.retry.due_s - now_s):.3g} s"
    if child.restarts:
        parts.append(f"{child.restarts} restarts")
    if child.last_error is not None:
        parts.append(f"last error {_short(child.last_error)}")
    return "  ".join(parts)


def _short(error: BaseException) -> str:
    line = repr(error).replace("\n", " ")
    return line if len(line) <= 120 else f"{line[:117]}..."


def _with_nested(task: Task) -> Iterable[Task]:
    """The task and, breadth first, those of the nurseries it has open."""
    found = [task]
    for member in found:
        for nursery in member.child_nurseries:
            found.extend(nursery.child_tasks)
        if len(found) > MAX_TASKS:
            break
    return found[:MAX_TASKS]


def _stack(task: Task) -> StackSummary:
    """The frames of the child's own code; all frames, if it has none but Trio's."""
    frames = list(task.iter_await_frames())
    return StackSummary.extract([pair for pair in frames if not _is_machinery(pair[0])] or frames)


def _is_machinery(frame: types.FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] == "trio" or module == f"{__package__}._child"
