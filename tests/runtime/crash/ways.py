"""All the ways in which a plug-in can crash, in one place: each is a function that does not come back as it should."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import trio

Way = Callable[[], Awaitable[None]]


class Speechless(Exception):
    """Raises when it is asked what it is."""

    def __str__(self) -> str:
        raise ValueError("not saying")

    __repr__ = __str__


def raising(make: Callable[[], BaseException]) -> Way:
    """A way that raises this."""

    async def way() -> None:
        await trio.lowlevel.checkpoint()
        raise make()

    return way


def group(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    """A group of these, of the narrowest kind that there is."""
    return BaseExceptionGroup("several", errors)


async def nursery() -> None:
    """Two of its tasks crash, one of them as if it were asked to end the process."""
    async with trio.open_nursery() as own:
        own.start_soon(raising(lambda: OSError("one")))
        own.start_soon(raising(lambda: SystemExit(2)))


async def stray_cancellation() -> None:
    """The cancellation of a scope of its own, kept, and raised where nothing is cancelled."""
    kept: BaseException | None = None
    with trio.CancelScope() as own:
        own.cancel("its own")
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as exc:
            kept = exc
    assert kept is not None
    raise kept


async def stray_in_a_group() -> None:
    """The same, among others."""
    try:
        await stray_cancellation()
    except trio.Cancelled as exc:
        raise group(exc, OSError("and this")) from None


async def recursion() -> None:
    """Without end."""
    await recursion()


WAYS: dict[str, Way] = {
    "plain": raising(lambda: OSError("plain")),
    "group": raising(lambda: group(OSError("a"), ValueError("b"))),
    "nested": raising(lambda: group(OSError("a"), group(group(ValueError("b"))))),
    "ctrl-c": raising(KeyboardInterrupt),
    "exit": raising(lambda: SystemExit(3)),
    "generator-exit": raising(GeneratorExit),
    "nested-exit": raising(lambda: group(OSError("a"), group(SystemExit(3), KeyboardInterrupt()))),
    "nested-generator-exit": raising(lambda: group(OSError("a"), group(GeneratorExit()))),
    "base": raising(lambda: BaseException("its own root")),
    "asyncio": raising(asyncio.CancelledError),
    "memory": raising(MemoryError),
    "stop": raising(StopAsyncIteration),
    "speechless": raising(Speechless),
    "recursion": recursion,
    "nursery": nursery,
    "stray": stray_cancellation,
    "stray-group": stray_in_a_group,
}
"""By a name that tells them apart."""
