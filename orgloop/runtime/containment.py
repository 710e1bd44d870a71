"""The wall around a plug-in: whatever it raises is a crash of its child, and no plug-in ends the process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from orgloop.errors import PluginError


@contextmanager
def contained(what: str) -> Iterator[None]:
    """
    Turn what a plug-in must not raise, bare or in a group, into a :class:`PluginError`, which any supervisor survives.

    That is ``SystemExit``, ``KeyboardInterrupt`` and their like; a cancellation that nobody has asked for, kept from
    some scope of its own; and what raises when it is asked what it is, because Trio asks. Ordinary exceptions and
    cancellations pass as they are. Only the runtime's own signal handling ends the process.
    """
    try:
        yield
    except BaseException as exc:
        raise_contained(what, exc)
        raise


def raise_contained(what: str, raised: BaseException) -> None:
    """Raise what stands for something that must not pass; what may pass is left to whoever has caught it."""
    fatal = [leaf for leaf in _leaves(raised) if not _may_pass(leaf)]
    if fatal:
        raise PluginError(
            f"{what} raised {repr_of(fatal[0]) or type(fatal[0]).__name__}, which is not its to raise"
        ) from raised


def _may_pass(raised: BaseException) -> bool:
    if isinstance(raised, trio.Cancelled):
        return _is_being_cancelled()
    return isinstance(raised, Exception) and repr_of(raised) is not None


def _is_being_cancelled() -> bool:
    """Whether a scope around us is cancelled: only then may a cancellation go up, for somebody is there to take it."""
    return trio.current_effective_deadline() == -math.inf


def repr_of(raised: BaseException) -> str | None:
    """What it says it is; None if it raises instead, and that may be anything too."""
    try:
        return repr(raised)
    except BaseException:
        return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
