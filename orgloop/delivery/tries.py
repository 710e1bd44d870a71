"""
What was tried of the obligations of a lane that have not ended, in memory and, over a restart, in notes on the bus.

Law: an attempt that may have reached the actor is counted, whatever became of it: it failed, the actor crashed, it was
cancelled, or the process ended (see runs.py). What was given up is never tried again, but only waits for its dead
letter.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any, Protocol

import attrs
import trio

from orgloop.delivery.dead_letters import sound
from orgloop.delivery.retry import MAX_RETRY_AFTER_S, RetryConfig, next_attempt
from orgloop.delivery.runs import Runs
from orgloop.delivery.settler import Settler
from orgloop.sdk import Admitted, Failed

ATTEMPTS = "attempts"
"""Kind of the notes: failed, lost, first error, last error, due (Unix seconds), why it was given up, crashes so far."""


@attrs.define
class Tries:
    """What was tried of one obligation."""

    failed: int = 0
    lost: int = 0
    """Attempts of which nobody knows what came: cancelled, or of a run that crashed."""
    first_error: str = ""
    last_error: str = ""
    due_s: float = -math.inf
    """When it may be tried again, by Trio's clock."""
    given_up: str = ""
    """Why it is given up, once it is."""

    def blame(self, error: str) -> None:
        """Remember what went wrong; plug-ins say it, so it may be anything."""
        self.last_error = sound(f"{error}")
        self.first_error = self.first_error or self.last_error


class Bus(Protocol):
    """Where notes are kept, and the time of the wall."""

    @property
    def settler(self) -> Settler: ...
    @property
    def runs(self) -> Runs: ...
    def now_s(self) -> float: ...
    def note(self, kind: str, key: str) -> Any: ...


@attrs.define(eq=False)
class AllTries:
    """The tries of one lane; only what was tried without success is kept."""

    _bus: Bus
    _config: RetryConfig
    _prefix: str
    """Of the keys of its notes."""
    _kept: dict[int, Tries] = attrs.field(factory=dict)

    def of(self, admitted: Admitted) -> Tries:
        """What was tried of an obligation, by an earlier run too."""
        tries = self._kept.get(admitted.sequence)
        if tries is None:
            tries = self._recall(admitted.sequence) if admitted.recovered else Tries()
        return tries

    def noted(self, sequence: int) -> Tries | None:
        """What was tried of an obligation, if that is known yet; for whoever only looks."""
        tries = self._kept.get(sequence)
        if tries is None and (noted := self._bus.note(ATTEMPTS, self._key(sequence))):
            failed, lost, first_error, last_error = noted[:4]
            tries = Tries(failed, lost, first_error, last_error, given_up=noted[5])
        return tries

    def fail(self, sequence: int, tries: Tries, failed: Failed) -> float | None:
        """Count a failed attempt; how long to wait for the next, None if it was the last."""
        tries.failed += 1
        tries.blame(failed.reason)
        at_s = next_attempt(self._config, tries.failed, failed, now_s=0.0, chance=random.random())
        if at_s is None:
            tries.given_up = "retries_exhausted"
        self._keep(sequence, tries, wait_s=at_s or 0.0)
        return at_s

    def lose(self, sequence: int, tries: Tries) -> None:
        """Count an attempt that was cancelled."""
        tries.lost += 1
        self._keep(sequence, tries, wait_s=0.0)

    def give_up(self, sequence: int, tries: Tries, reason: str, error: str) -> None:
        """Try it no more, now and after a restart."""
        tries.given_up = reason
        tries.blame(error)
        self._keep(sequence, tries, wait_s=0.0)

    def forget(self, sequence: int) -> None:
        """The obligation has ended."""
        if self._kept.pop(sequence, None) is not None:
            self._bus.settler.note(ATTEMPTS, self._key(sequence), None)

    def hand_on(self, heir: AllTries, sequences: Iterable[int]) -> None:
        """Leave what was tried of these to another lane of the same route."""
        for sequence in sequences:
            if (tries := self._kept.pop(sequence, None)) is not None:
                heir._kept[sequence] = tries

    def _recall(self, sequence: int) -> Tries:
        """What an earlier run has noted, and what it may have had no time to note."""
        noted = self._bus.note(ATTEMPTS, self._key(sequence))
        failed, lost, first_error, last_error, due_s, given_up, *at = noted or (0, 0, "", "", 0.0, "")
        lost += self._bus.runs.unnoted(sequence, noted_at=at[0] if at else None)
        tries = Tries(failed, lost, first_error, last_error, given_up=given_up)
        if not noted and not lost:
            return tries
        # The wall clock may have been set meanwhile: never wait longer than any schedule would have.
        longest_s = max(MAX_RETRY_AFTER_S, self._config.max_delay_s)
        self._keep(sequence, tries, wait_s=min(max(0.0, due_s - self._bus.now_s()), longest_s))
        return tries

    def _keep(self, sequence: int, tries: Tries, *, wait_s: float) -> None:
        self._kept[sequence] = tries
        tries.due_s = trio.current_time() + wait_s
        due_s = self._bus.now_s() + wait_s
        noted = [tries.failed, tries.lost, tries.first_error, tries.last_error, due_s, tries.given_up]
        self._bus.settler.note(ATTEMPTS, self._key(sequence), [*noted, self._bus.runs.crashes])

    def _key(self, sequence: int) -> str:
        return f"{self._prefix}-{sequence}"
