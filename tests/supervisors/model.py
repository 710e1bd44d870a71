"""
The specification of a supervisor, executable: ``step(state, event) -> (state, actions)``, pure, with time in the state.

Children start and stop at once here, so that nothing overlaps; what remains is every decision. The real supervisor must
take the same actions, in the same order, at the same time, and answer calls with the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

Event = tuple[Any, ...]
"""("ended", id, clean), ("time", seconds), ("terminate" | "restart" | "delete", id) or ("start", id, Child)."""


@attrs.frozen
class Child:
    """One child: what it is to be, and where it is."""

    restart: str = "permanent"
    significant: bool = False
    initial: float = 0.0
    maximum: float = 60.0
    reset_after: float = 60.0
    watchdog: float = math.inf
    state: str = "stopped"
    row: int = 0  # failures since it was last ready for reset_after
    ready_at: float = math.nan


@attrs.frozen
class Wait:
    """A restart to come, of a whole group."""

    due: float
    members: tuple[str, ...]


@attrs.frozen
class State:
    """A supervisor and its surroundings."""

    strategy: str
    intensity: float
    period: float
    auto_shutdown: str = "never"
    children: Mapping[str, Child] = attrs.field(factory=dict)
    now: float = 0.0
    failures: tuple[float, ...] = ()
    waits: tuple[Wait, ...] = ()
    dead: bool = False
    fails: Mapping[str, int] = attrs.field(factory=dict)  # how many of the coming starts of a child will fail
    actions: tuple[str, ...] = ()
    answer: str = "ok"


def step(state: State, event: Event) -> tuple[State, tuple[str, ...]]:
    """What becomes of a supervisor, and what it does, in order: ``"up a"``, ``"down a"``."""
    state = attrs.evolve(state, actions=(), answer="ok")
    verb, *rest = event
    if verb == "time":
        state = _pass_time(state, state.now + rest[0])
    elif state.dead:
        state = attrs.evolve(state, answer="stopped")
    else:
        state = STEPS[verb](state, *rest)
    return state, state.actions


def _ended(state: State, id: str, clean: bool) -> State:
    child = state.children[id]
    state = _down(state, id)
    if child.restart == "permanent" or (child.restart == "transient" and not clean):
        return _failed(state, id)
    if child.restart == "temporary":
        state = _forget(state, id)
    left = any(other.significant and other.state != "stopped" for other in state.children.values())
    ends = state.auto_shutdown == "any_significant" or (state.auto_shutdown == "all_significant" and not left)
    return _die(state) if child.significant and ends else state


def _failed(state: State, id: str) -> State:
    """A child is to be restarted: charge the budget, take its group down, start the group now or later."""
    failures = (*(at for at in state.failures if at >= state.now - state.period), state.now)
    state = attrs.evolve(state, failures=failures)
    if len(failures) > state.intensity:
        return _die(state)
    child = state.children[id]
    due = state.now + min(child.maximum, child.initial * 2.0 ** min(child.row, 60))
    state = _put(state, id, row=child.row + 1)
    group = _group(state, id)
    due = max([due, *(wait.due for wait in state.waits if set(wait.members) & set(group))])
    state = _stop(state, group)
    members = tuple(member for member in group if member in state.children)
    for member in members:
        state = _put(_leave(state, member), member, state="restarting")
    wait = Wait(due, members)
    return _due(state, wait) if due <= state.now else attrs.evolve(state, waits=(*state.waits, wait))


def _due(state: State, wait: Wait) -> State:
    """Start all that wait, in order; the first that fails costs one more, and the rest waits on with it."""
    for member in wait.members:
        state, started = _up(state, member)
        if not started:
            return _failed(state, member)
    return state


def _group(state: State, id: str) -> list[str]:
    ids = list(state.children)
    return {"one_for_one": [id], "rest_for_one": ids[ids.index(id) :], "one_for_all": ids}[state.strategy]


def _pass_time(state: State, until: float) -> State:
    """Restarts fall due and watchdogs strike, in order of time; nothing else happens by itself."""
    while not state.dead:
        strikes = [(child.ready_at + child.watchdog, id) for id, child in _running(state)]
        strike = min(strikes, default=(math.inf, ""))
        wait = min(state.waits, key=lambda wait: wait.due, default=Wait(math.inf, ()))
        if min(strike[0], wait.due) > until:
            break
        state = attrs.evolve(state, now=min(strike[0], wait.due))
        if strike[0] < wait.due:
            state = _ended(state, strike[1], False)
        else:
            state = _due(attrs.evolve(state, waits=tuple(w for w in state.waits if w is not wait)), wait)
    return attrs.evolve(state, now=until)


def _start(state: State, id: str, child: Child) -> State:
    if id in state.children:
        alive = state.children[id].state == "running"
        return attrs.evolve(state, answer="already_started" if alive else "already_present")
    state, started = _up(attrs.evolve(state, children={**state.children, id: child}), id)
    return state if started else attrs.evolve(_forget(state, id), answer="failed_to_start_child")


def _restart(state: State, id: str) -> State:
    refusal = _not_stopped(state, id)
    if refusal:
        return attrs.evolve(state, answer=refusal)
    state, started = _up(state, id)
    return state if started else attrs.evolve(state, answer="failed_to_start_child")


def _terminate(state: State, id: str) -> State:
    if id not in state.children:
        return attrs.evolve(state, answer="not_found")
    return _put(_leave(_stop(state, [id]), id), id, state="stopped")


def _delete(state: State, id: str) -> State:
    refusal = _not_stopped(state, id)
    return attrs.evolve(state, answer=refusal) if refusal else _forget(state, id)


def _not_stopped(state: State, id: str) -> str | None:
    if id not in state.children:
        return "not_found"
    return {"running": "running", "restarting": "restarting", "stopped": None}[state.children[id].state]


def _up(state: State, id: str) -> tuple[State, bool]:
    state = attrs.evolve(state, actions=(*state.actions, f"up {id}"))
    fails = state.fails.get(id, 0)
    if fails:
        return _put(attrs.evolve(state, fails={**state.fails, id: fails - 1}), id, state="stopped"), False
    return _put(state, id, state="running", ready_at=state.now), True


def _stop(state: State, ids: Iterable[str]) -> State:
    """Take down what runs of these, last first; the temporary ones are forgotten."""
    for id in reversed(list(ids)):
        if state.children[id].state == "running":
            state = attrs.evolve(_down(state, id), actions=(*state.actions, f"down {id}"))
        if state.children[id].restart == "temporary":
            state = _forget(state, id)
    return state


def _down(state: State, id: str) -> State:
    child = state.children[id]
    rested = state.now - child.ready_at >= child.reset_after
    return _put(state, id, state="stopped", row=0 if rested else child.row)


def _die(state: State) -> State:
    return attrs.evolve(_stop(state, state.children), dead=True, waits=())


def _leave(state: State, id: str) -> State:
    """Take a child out of the restart it waits for; the others wait on, also when it was the one that failed."""
    waits = (attrs.evolve(wait, members=tuple(other for other in wait.members if other != id)) for wait in state.waits)
    return attrs.evolve(state, waits=tuple(wait for wait in waits if wait.members))


def _forget(state: State, id: str) -> State:
    return attrs.evolve(state, children={other: child for other, child in state.children.items() if other != id})


def _put(state: State, id: str, /, **changes: Any) -> State:
    if id not in state.children:
        return state
    return attrs.evolve(state, children={**state.children, id: attrs.evolve(state.children[id], **changes)})


def _running(state: State) -> list[tuple[str, Child]]:
    return [(id, child) for id, child in state.children.items() if child.state == "running"]


STEPS: dict[str, Callable[..., State]] = {
    "ended": _ended,
    "start": _start,
    "restart": _restart,
    "terminate": _terminate,
    "delete": _delete,
}
