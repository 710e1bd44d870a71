"""
What a poll may give, and what it may raise: the contract of ``PolledSource``, as far as it can be checked.

Every event is looked at in full, at about 9 µs each: one that a log could not read again must not get into it.
"""

from __future__ import annotations

import math

import trio

from orgloop.event import Event, faults_of
from orgloop.sdk import Polled, PollFailed

MAX_CHECKPOINT_CHARS = 1024 * 1024
YIELD_AFTER = 128
"""How many events are looked at before others may run."""


async def faults_of_poll(polled: Polled) -> list[str]:
    """Everything that is wrong with what a poll gave, each by the number and the id of its event; empty if nothing."""
    faults = _checkpoint_faults(polled.checkpoint) + _next_faults(polled.next_in_s)
    for number, event in enumerate(polled.events):
        faults.extend(_event_faults(number, event))
        if number % YIELD_AFTER == YIELD_AFTER - 1:
            await trio.lowlevel.checkpoint()
    return faults


def failure_in(raised: Exception) -> PollFailed | None:
    """
    The expected failure that a source has raised, if that is all it is.

    One that polls in a nursery of its own raises it in a group.
    """
    if isinstance(raised, ExceptionGroup):
        return None if raised.split(PollFailed)[1] is not None else failure_in(raised.exceptions[0])
    return raised if isinstance(raised, PollFailed) else None


def _event_faults(number: int, event: object) -> list[str]:
    if not isinstance(event, Event):
        return [f"event {number} is {type(event).__name__}, not an Event"]
    return [f"event {number} ({event.id}): {fault}" for fault in faults_of(event)]


def _next_faults(next_in_s: object) -> list[str]:
    if next_in_s is None or (isinstance(next_in_s, int | float) and 0 <= next_in_s < math.inf):
        return []
    return [f"next_in_s is {next_in_s!r}, not a number of seconds"]


def _checkpoint_faults(checkpoint: object) -> list[str]:
    if checkpoint is None:
        return []
    if not isinstance(checkpoint, str):
        return [f"the checkpoint is {type(checkpoint).__name__}, not a string"]
    if len(checkpoint) > MAX_CHECKPOINT_CHARS:
        return [f"the checkpoint has {len(checkpoint):,} characters, more than {MAX_CHECKPOINT_CHARS:,}"]
    try:
        checkpoint.encode()
    except UnicodeEncodeError:
        return ["the checkpoint has lone surrogates, which cannot be written as UTF-8"]
    return []
