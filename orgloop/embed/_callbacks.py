"""
Who is called back: with each admitted event, with what came of each obligation, with what went wrong.

Law: a callback cannot harm. What it raises is counted, and told to those who listen for errors, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from orgloop.delivery.pipeline import words
from orgloop.event import Event

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Settled:
    """What came of one obligation: an event that was owed to a route."""

    event: Event
    """As it was admitted, before any transform."""
    module: str
    route: str
    actor: str
    outcome: str
    """``delivered``, ``dropped(<transform>)``, ``dropped(skipped)``, ``dead_letter(<reason>)`` or ``expired``."""
    attempts: int
    """How often the actor was asked, in earlier runs too."""
    error: str | None
    """What went wrong last, if that is why it was given up."""


@attrs.define(eq=False)
class _Listener(Generic[T]):
    call: Callable[[T], object]
    has_failed: bool = False


@attrs.define(eq=False)
class Listeners(Generic[T]):
    """The callbacks of one kind, in the order in which they came."""

    _failed: Callable[[str, bool], None]
    """Told what a callback has raised, and whether it is the first time for that one."""
    _listeners: tuple[_Listener[T], ...] = ()

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Call it from now on; gives what ends that."""
        listener = _Listener(callback)
        self._listeners += (listener,)

        def end() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return end

    def tell(self, value: T) -> None:
        """Call all of them."""
        for listener in self._listeners:
            try:
                listener.call(value)
            except KeyboardInterrupt:
                raise
            # Even SystemExit: who listens must not be able to end who tells.
            except BaseException as exc:
                is_first, listener.has_failed = not listener.has_failed, True
                self._failed(words(exc), is_first)
