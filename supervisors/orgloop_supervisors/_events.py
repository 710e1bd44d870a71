"""What happens in a tree, told through one hook: a frozen event each, in the order in which the supervisor acted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context, copy_context
from enum import StrEnum

import attrs
import trio

log = logging.getLogger("orgloop_supervisors")


class EventKind(StrEnum):
    """
    What happened to a child, or (``gave_up``) to the supervisor itself.

    A life is ``started`` → ``ready`` → one of ``exited`` (returned), ``crashed`` (raised), or, when it was asked to
    end, ``stopping`` → ``stopped``; ``stuck`` says that it has outlived its grace. ``restarting`` follows the end that
    caused it and precedes the next ``started``.
    """

    STARTED = "started"
    READY = "ready"
    CRASHED = "crashed"
    EXITED = "exited"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STUCK = "stuck"
    GAVE_UP = "gave_up"


@attrs.frozen
class Event:
    """
    One fact about one child.

    ``time`` is ``trio.current_time()`` in seconds; ``path`` the names from the root supervisor down to the child;
    ``incarnation`` counts the lives of that child from 1 (0 for the supervisor itself); ``error`` is what it raised;
    ``delay`` the seconds until a restart; ``stack`` where a stuck child hangs.
    """

    time: float
    path: tuple[str, ...]
    kind: EventKind
    incarnation: int
    error: BaseException | None = None
    delay: float | None = None
    stack: str | None = None


Hook = Callable[[Event], None]

_LEVELS = {
    EventKind.CRASHED: logging.ERROR,
    EventKind.GAVE_UP: logging.CRITICAL,
    EventKind.STUCK: logging.ERROR,
    EventKind.RESTARTING: logging.WARNING,
}


def is_logged(kind: EventKind) -> bool:
    """Whether the default hook would write an event of this kind; asked first, so that nobody pays for silence."""
    return log.isEnabledFor(_LEVELS.get(kind, logging.DEBUG))


def log_event(event: Event) -> None:
    """Write one event to the ``orgloop_supervisors`` logger: the hook of a tree that was given none."""
    parts = [f"{'/'.join(event.path)} {event.kind}", f"incarnation {event.incarnation}"]
    if event.delay is not None:
        parts.append(f"in {event.delay:g} s")
    if event.error is not None:
        parts.append(repr(event.error))
    if event.stack is not None:
        parts.append(f"at\n{event.stack}")
    log.log(_LEVELS.get(event.kind, logging.DEBUG), ", ".join(parts), exc_info=event.error)


@attrs.define(eq=False)
class Teller:
    """What one supervisor tells, and to whom."""

    path: tuple[str, ...]
    hook: Hook | None
    """None: the log."""
    _context: Context = attrs.field(factory=copy_context)
    """What a hook sets must not be seen by the children, which get the context of the loop."""

    def tell(
        self,
        kind: EventKind,
        id: str | None = None,
        incarnation: int = 0,
        *,
        error: BaseException | None = None,
        delay: float | None = None,
        stack: str | None = None,
    ) -> None:
        """Tell of one child, or of the supervisor itself; nothing that the hook does touches the tree."""
        hook = self.hook
        if hook is None:
            if not is_logged(kind):
                return
            hook = log_event
        path = self.path if id is None else (*self.path, id)
        event = Event(trio.current_time(), path, kind, incarnation, error, delay, stack)
        try:
            self._context.run(hook, event)
        except BaseException:  # a hook is synchronous, so Cancelled cannot pass here
            log.exception("the event hook raised at %s; the tree goes on", event)
