"""
What a worker lends to the lanes that it works on, one after the other: a deadline for attempts, and a limit for how
long it may go on without letting others run.

One cancel scope serves many attempts, until it has expired: a scope for each costs as much as all the rest of an
attempt at an actor that never waits. Moving its deadline costs half as much as a scope, so it is moved only when it
would be early by more than anybody could notice.

Law: the scope expires during an attempt, or not at all. Whoever waits for anything else clears the deadline before.
"""

from __future__ import annotations

import math

import attrs
import trio

YIELD_AFTER = 64
"""How many obligations are carried in one go to actors that never wait."""

EARLY_S = 0.001
"""By how much an attempt may be cut short, but never by more than a hundredth of its time."""


@attrs.define(eq=False)
class Turn:
    """One scope, entered and left by the worker; when it is over, the worker takes another."""

    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _until_s: float = math.inf
    _carried: int = 0
    _ended: bool = False

    def move(self, timeout_s: float) -> None:
        """Let the scope expire so much later than now."""
        until_s = trio.current_time() + timeout_s
        early_s = until_s - self._until_s
        if early_s < 0 or early_s > EARLY_S or early_s > timeout_s / 100:
            self._until_s = self.scope.deadline = until_s

    def clear(self) -> None:
        """Let it not expire."""
        if self._until_s < math.inf:
            self._until_s = self.scope.deadline = math.inf

    def end(self, reason: str) -> None:
        """Cancel the scope for another reason than that its time is over."""
        self._ended = True
        self.scope.cancel(reason)

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be begun under this scope."""
        return self._ended or trio.current_time() >= self._until_s

    @property
    def has_expired(self) -> bool:
        """Whether the deadline has passed, also if whoever should have noticed has not."""
        return trio.current_time() >= self._until_s

    def count(self) -> bool:
        """Count an obligation that was carried; whether it is time to let others run."""
        self._carried += 1
        return self._carried % YIELD_AFTER == 0
