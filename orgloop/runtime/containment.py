"""The wall around a plug-in: whatever it raises is a crash of its child, and no plug-in ends the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from orgloop.errors import PluginError


@contextmanager
def contained(what: str) -> Iterator[None]:
    """
    Turn ``SystemExit``, ``KeyboardInterrupt`` and their like, bare or in a group, into a :class:`PluginError`.

    Ordinary exceptions and cancellations pass as they are. Only the runtime's own signal handling ends the process.
    """
    try:
        yield
    except BaseException as exc:
        fatal = [leaf for leaf in _leaves(exc) if not isinstance(leaf, Exception | trio.Cancelled)]
        if not fatal:
            raise
        raise PluginError(f"{what} raised {fatal[0]!r}, which is not its to raise") from exc


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
