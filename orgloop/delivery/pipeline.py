"""
The transforms of a route, one after the other, on one event.

A transform that raises has failed; what then happens, the route says: ``on_error``.

    dead_letter     the event is given up, visibly (the default)
    pass            it goes on as it was before this transform
    drop            it is dropped, as if the transform had dropped it
    halt            it is given up, and the route says so as loudly as it can

One that waits has a deadline, and has failed when that passes. One that computes, or blocks, without ever waiting
cannot be interrupted: it stops the whole loop, which is for the watchdog of the loop to see. What takes long belongs
into a script, a process of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any, Literal

import attrs
import trio

from orgloop.event import Event
from orgloop.sdk import Admitted, Context, Transform, TransformFailed

OnError = Literal["dead_letter", "pass", "drop", "halt"]
Tell = Callable[..., None]


@attrs.frozen(kw_only=True)
class Step:
    """A transform at its place in a route."""

    name: str
    transform: Transform
    context: Callable[[Admitted], Context]
    """What it is told, and may remember, for this event."""
    on_error: OnError = "dead_letter"
    timeout_s: float = 30.0
    """How long it may wait for one event; ``inf``: it keeps a deadline of its own."""
    test: Callable[[Event], bool] | None = None
    """Asked instead, if all that the transform does is to pass or drop, and the event is all it needs to know."""


@attrs.frozen
class Dropped:
    """A transform has dropped the event."""

    by: str


@attrs.frozen
class Broken:
    """A transform has failed, and the event is given up."""

    by: str
    error: str
    halt: bool


async def run(
    steps: Sequence[Step],
    admitted: Admitted,
    *,
    tell: Tell | None,
    before_waiting: Callable[[], object] | None = None,
) -> Event | Dropped | Broken:
    """
    The event as the last transform leaves it, or how it ended before.

    ``tell`` may be None if nobody would hear it. ``before_waiting`` is called when a transform cannot answer at once.
    """
    event = admitted.event
    for step in steps:
        if tell is not None:
            tell("transform.start", event, transform=step.name)
        try:
            if step.test is not None:
                result: Any = event if step.test(event) else None
            else:
                result = step.transform.apply(event, step.context(admitted))
            if result is not event and result is not None:
                if not isinstance(result, Event) and isawaitable(result):
                    if before_waiting is not None:
                        before_waiting()
                    result = await _in_time(step, result)
                result = _checked(step, result)
        # Whatever it is that went wrong in there, SystemExit too, on_error is what the operator has said about it.
        except BaseException as exc:
            crash = crash_in(exc)
            if crash is None:
                raise
            error = words(crash)
            end = _failed(step, error)
            if tell is not None:
                tell(_PHASES[step.on_error], event, transform=step.name, error=error)
            if end is not None:
                return end
            continue
        if result is None:
            if tell is not None:
                tell("transform.drop", event, transform=step.name)
            return Dropped(step.name)
        if tell is not None:
            tell("transform.pass", event, transform=step.name)
        event = result
    return event


async def _in_time(step: Step, result: Awaitable[Any]) -> Any:
    with trio.move_on_after(step.timeout_s):
        return await result
    raise TransformFailed(f"no answer within {step.timeout_s:g} s")


_PHASES = {
    "dead_letter": "transform.error",
    "pass": "transform.error",
    "drop": "transform.error_drop",
    "halt": "transform.error_halt",
}


def _checked(step: Step, result: object) -> Event | None:
    if result is None or isinstance(result, Event):
        return result
    raise TypeError(f"transform {step.name!r} returned {type(result).__name__}, not an event or None")


def _failed(step: Step, error: str) -> Dropped | Broken | None:
    match step.on_error:
        case "pass":
            return None
        case "drop":
            return Dropped(step.name)
    return Broken(step.name, error, halt=step.on_error == "halt")


# -- what a plug-in raises ---------------------------------------------------------------------------------------------


def crash_in(raised: BaseException) -> BaseException | None:
    """What of something raised is the plug-in's own, ``SystemExit`` too; None if it was only cancelled."""
    if isinstance(raised, BaseExceptionGroup):
        return raised.split((trio.Cancelled, GeneratorExit))[1]
    return None if isinstance(raised, trio.Cancelled | GeneratorExit) else raised


def words(error: BaseException) -> str:
    """Type and text of an exception, whatever it makes of being asked for its text."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = "it cannot say what it is"
    return f"{name}: {text}" if text else name
