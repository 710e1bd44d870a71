"""What waits for a supervisor: messages in the order in which they came, and what is due at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import trio

from orgloop_supervisors._caller import Caller
from orgloop_supervisors._child import Life, Retry
from orgloop_supervisors._errors import SupervisorError
from orgloop_supervisors._timers import Action, Timers


@attrs.define(eq=False)
class Call:
    """One request from outside, and where its answer goes."""

    action: Callable[[], Awaitable[Any]]
    caller: Caller | None
    answered: trio.Event = attrs.field(factory=trio.Event)
    result: Any = None
    error: SupervisorError | None = None
    withdrawn: bool = False

    def refuse(self, error: SupervisorError) -> None:
        """Answer with an error, unless there is an answer already."""
        if not self.answered.is_set():
            self.error = error
            self.answered.set()


@attrs.frozen(eq=False)
class TryAgain:
    """A restart attempt has failed; OTP leaves control to its inbox before it tries again, and so do we."""

    retry: Retry
    failure: Exception


Message = Life | Call | TryAgain | Action
"""The end of a life, a request, a restart to try again, or something that is due."""


@attrs.define(eq=False)
class Inbox:
    """Messages first, then timers; ``timers`` is shared with whoever sets them."""

    timers: Timers
    _messages: deque[Message] = attrs.field(factory=deque)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def post(self, message: Message) -> None:
        """Put a message at the end."""
        self._messages.append(message)
        self._doorbell.unpark()

    def calls(self) -> Iterator[Call]:
        """The requests that wait."""
        return (message for message in self._messages if isinstance(message, Call))

    async def take(self) -> Message:
        """Wait for, and take out, the oldest message, or if there is none the first timer that is due."""
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._messages:
                return self._messages.popleft()
            due_s = self.timers.next_due_s
            if due_s == math.inf:
                await self._doorbell.park()
            elif due_s <= trio.current_time():
                return self.timers.pop()
            else:
                with trio.move_on_at(due_s):
                    await self._doorbell.park()
