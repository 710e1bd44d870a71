"""The rate limit: so many events of a kind within a window; what is more is dropped, or waits."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Sequence
from typing import Literal

import attrs
import msgspec
import trio

from orgloop.sdk import Context, Event, Offer, Place
from orgloop_connectors.transforms._values import MISSING, get, readable, refuse

MOST = 1000
"""How many may be let through in a window: each is looked for, one after the other."""

MAX_DELAY_S = 30.0
"""The longest window that may be waited for: a transform has about as long for an event."""

MAX_KEYS = 10_000
"""How many kinds are told apart where events wait; the one that was quiet longest is forgotten."""


@attrs.frozen(kw_only=True)
class RateLimitConfig:
    """
    How many in how long; of each kind, if ``key`` says what makes one: paths, as in ``[provenance.author]``.

    ``drop`` remembers durably, per route. ``delay`` holds an event, and those of its route behind it, until there is
    room; it remembers in this process only, and begins anew with each. For windows that are longer, or a rate of the
    route as a whole, there is ``then.delivery.max_rate``.
    """

    max: int
    window_s: float = attrs.field(metadata={"yaml": "window", "unit": "duration"})
    key: Sequence[str] = ()
    action: Literal["drop", "delay"] = "drop"


class RateLimit:
    """
    Lets at most ``max`` events with the same values at ``key`` through in any stretch of time as long as the window.

    What is missing counts as a value, so events without any of them share one limit. An event that is delivered again
    takes the place it had. ``counts["dropped"]`` and ``counts["delayed"]`` say how often there was no room.
    """

    def __init__(self, config: RateLimitConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        faults = []
        if not 1 <= config.max <= MOST:
            faults.append(f"max: {config.max} is not from 1 to {MOST}; a shorter window makes a smaller number")
        if not config.window_s > 0:
            faults.append(f"window: {config.window_s:g} s is no time; write one above 0, as in 1m")
        if config.action == "delay" and config.window_s > MAX_DELAY_S:
            faults.append(
                f"window: {config.window_s:g} s are too long to wait in a transform, {MAX_DELAY_S:g}s at most;"
                " write max_rate under then.delivery of the route"
            )
        self._paths = []
        for number, path in enumerate(config.key):
            try:
                self._paths.append(readable(path, at=f"key.{number}"))
            except ValueError as exc:
                faults.append(str(exc))
        refuse(faults)
        self._config = config
        self._passed: OrderedDict[str, deque[float]] = OrderedDict()
        """When those of each kind have passed within the window, or will pass."""
        self.counts: Counter[str] = Counter()

    def apply(self, event: Event, context: Context) -> Event | Awaitable[Event] | None:
        """The event, at once or when there is room; or None if there is none."""
        if self._config.action == "delay":
            return self._delayed(event)
        key, window_s = self._kind(event), self._config.window_s
        # Each place is one event's for as long as the window: so there are never more of them in one.
        for place in range(self._config.max):
            if context.marks.is_first(f"{key}-{place}", window_s=window_s):
                return event
        self.counts["dropped"] += 1
        return None

    async def _delayed(self, event: Event) -> Event:
        passed = self._passed_of(self._kind(event))
        now_s = trio.current_time()
        while passed and passed[0] + self._config.window_s <= now_s:
            passed.popleft()
        most = self._config.max
        turn_s = now_s if len(passed) < most else passed[-most] + self._config.window_s
        passed.append(turn_s)
        if turn_s > now_s:
            self.counts["delayed"] += 1
            try:
                await trio.sleep_until(turn_s)
            except trio.Cancelled:
                passed.remove(turn_s)
                raise
        return event

    def _passed_of(self, kind: str) -> deque[float]:
        passed = self._passed.setdefault(kind, deque())
        self._passed.move_to_end(kind)
        if len(self._passed) > MAX_KEYS:
            self._passed.popitem(last=False)
        return passed

    def _kind(self, event: Event) -> str:
        values = [None if (value := get(event, path)) is MISSING else value for path in self._paths]
        return hashlib.blake2b(msgspec.json.encode(values, order="deterministic"), digest_size=16).hexdigest()


OFFER = Offer(config=RateLimitConfig, make=RateLimit)
