"""
What a supervisor raises on purpose. ``reason`` is OTP's own word wherever OTP has one.

    SupervisorError                     a call that cannot be served, or the end of a supervisor
    ├── StartError                      a child failed to start; ``__cause__`` says why
    ├── RestartIntensityExceeded        the supervisor gave up; ``failures`` and ``__cause__`` say why
    ├── ChildExited                     a child returned where it was expected to keep running
    ├── StartTimeout                    a child was not ready within ``start_timeout``
    └── WatchdogTimeout                 a running child did not ``beat()`` within ``watchdog``
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import trio


class SupervisorError(Exception):
    """
    A call that the supervisor cannot serve.

    ``reason`` is one of ``not_found``, ``running``, ``restarting``, ``already_started``, ``already_present``
    (as in OTP), ``stopped`` (the supervisor has ended), ``deadlock`` (the call would wait for its own caller),
    ``max_children``; the subclasses have a fixed one.
    """

    reason: str = "supervisor_error"
    ended: object = None
    """With ``stopped``: what has ended; it lets a block be told from what it only follows from."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class StartError(SupervisorError):
    """A child failed before it was ready; the cause is chained."""

    reason = "failed_to_start_child"


class RestartIntensityExceeded(SupervisorError):
    """
    More failures within the period than the intensity forgives.

    ``failures`` holds every failure in the window, oldest first; ``__cause__`` is a group of the same, so that a
    traceback prints the whole story. Deliberately not an ExceptionGroup itself: ``except* OSError`` far away must not
    swallow an escalation.
    """

    reason = "reached_max_restart_intensity"

    def __init__(self, message: str, failures: Sequence[Exception]) -> None:
        super().__init__(message)
        self.failures = tuple(failures)
        self.__cause__ = ExceptionGroup("the failures within the period, oldest first", self.failures)


class ChildExited(SupervisorError):
    """A permanent child returned, or a child returned before it was ready."""

    reason = "child_exited"


class StartTimeout(SupervisorError):
    """A child did not call ``started()`` within its ``start_timeout``."""

    reason = "start_timeout"


class WatchdogTimeout(SupervisorError):
    """A running child did not call ``beat()`` within its ``watchdog``."""

    reason = "watchdog_timeout"


def verdict(
    name: str, *, fatal: Sequence[BaseException], end: Exception | None, crashes: Sequence[Exception]
) -> BaseException | None:
    """
    The one exception that tells how a supervisor ended; None if there is nothing to tell.

    Its own error, or a fatal exception, comes out bare if it is alone: a group around ``SystemExit(3)`` would exit 1.
    What children raised while they were being stopped comes in a group, however many there are.
    """
    ordinary = [*([] if end is None else [end]), *crashes]
    if fatal:
        if not ordinary and _is_one(fatal):
            return fatal[0]
        return BaseExceptionGroup(f"supervisor {name!r} was ended by a fatal exception", [*fatal, *ordinary])
    if crashes:
        return ExceptionGroup(f"supervisor {name!r}: children crashed while they were stopped", ordinary)
    return end


def bare(error: BaseException, *, consequence: Callable[[BaseException], bool] | None = None) -> BaseException:
    """
    Take away the group that a nursery of ours put around a single exception, and what is not news beside others.

    Cancelled is not, nor is what ``consequence`` says only follows from another.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    others = [member for member in error.exceptions if not is_cancellation(member)]
    if consequence is not None:
        others = [member for member in others if not consequence(member)] or others
    if _is_one(others):
        return others[0]
    return error.derive(others) if others else error


def _is_one(errors: Sequence[BaseException]) -> bool:
    """Whether there is but one exception, or one interrupt, however often the keys were pressed."""
    return len(errors) == 1 or (bool(errors) and all(isinstance(error, KeyboardInterrupt) for error in errors))


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is nothing but Trio's Cancelled, alone or in groups."""
    return all(isinstance(leaf, trio.Cancelled) for leaf in _leaves(error))


def split_fatal(error: BaseException | None) -> tuple[list[BaseException], Exception | None]:
    """
    Part an ending into what must end the process and what is an ordinary failure.

    Fatal is every leaf that is not an ``Exception`` (``KeyboardInterrupt``, ``SystemExit``, …), also inside a group,
    where ``except Exception`` would miss it. An ordinary group stays whole.
    """
    if error is None:
        return [], None
    if isinstance(error, Exception):
        return [], error
    if not isinstance(error, BaseExceptionGroup):
        return [error], None
    fatal, ordinary = error.split(lambda exc: not isinstance(exc, (Exception, BaseExceptionGroup)))
    # What is left of a BaseExceptionGroup without those leaves is an ExceptionGroup; only the types do not say so.
    return _leaves(fatal), cast("Exception | None", ordinary)


def _leaves(error: BaseException | None) -> list[BaseException]:
    if error is None:
        return []
    if isinstance(error, BaseExceptionGroup):
        return [leaf for member in error.exceptions for leaf in _leaves(member)]
    return [error]
