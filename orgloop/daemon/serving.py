"""
What the daemon asks of the runtime that it runs: one function, and one value that it reports when it is ready.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import attrs

from orgloop.daemon.home import Home

if TYPE_CHECKING:
    import trio


def _always() -> bool:
    return True


async def _nothing_to_reload() -> None:
    pass


@attrs.frozen
class Serving:
    """What ``serve`` reports once it is ready; all of it may be left out."""

    port: int | None = None
    """Where its front door listens."""
    stop: Callable[[], None] | None = None
    """Asks it to return by itself; without this it is cancelled at once."""
    reload: Callable[[], Awaitable[object]] = _nothing_to_reload
    """Applies what has changed in its configuration; an :class:`OrgLoopError` means that nothing was changed."""
    is_progressing: Callable[[], bool] = _always
    """Whether it gets on, or has nothing to do; asked every few seconds."""
    about: Callable[[], Mapping[str, object]] = dict
    """What else the heartbeat file shall say, such as the number of modules."""


class Serve(Protocol):
    """Runs until it is asked to stop, or cancelled; reports :class:`Serving` after the last step that can fail."""

    def __call__(self, home: Home, *, task_status: trio.TaskStatus[Serving]) -> Awaitable[object]: ...


@attrs.frozen
class Limits:
    """How long a stop may take, and how often there is a sign of life."""

    stop_s: float = 10.0
    """For ``serve`` to return by itself: sources stop, what is under way drains."""
    close_s: float = 2.0
    """For its clean-up, once it was cancelled."""
    beat_s: float = 5.0
    """How often whoever supervises hears of it; it waits for 30 s."""
