"""
What a child is to be: frozen values, refused at construction when they cannot work.

Names are OTP's for OTP's things (permanent, rest_for_one, significant), systemd's for what OTP lacks (notify, watchdog,
start_timeout), Trio's for Trio's (task_status). Times are seconds; ``inf`` switches a limit off.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Generic, TypeVar

import attrs

from orgloop_supervisors._checks import (
    above_zero,
    as_tuple,
    at_least_zero,
    function,
    non_empty,
    refuse,
    sequence,
    within,
    wrong_type,
)

T = TypeVar("T")


class Restart(Enum):
    """When an ended child is started again: always; after a failure only; never (and its spec is forgotten)."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(Enum):
    """Who is restarted with a failed child: nobody; everybody; those that stand after it in the list."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class AutoShutdown(Enum):
    """When ends of significant children end the supervisor: never; at the first; at the last."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class ChildState(Enum):
    """Where a child is in its life; RESTARTING is down and about to be tried again."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class Tree:
    """Marks an object whose ``run`` is a supervisor, so that children can be told from subtrees."""

    __slots__ = ()


@attrs.frozen(kw_only=True)
class Shutdown:
    """
    How a child is stopped: asked for ``drain`` seconds, cancelled, reported as stuck ``grace`` seconds later.

    ``grace`` is also what its ``cleanup()`` scopes have. OTP's ``brutal_kill`` is ``grace=0``, its ``infinity`` is
    ``grace=inf``.
    """

    drain: float = 0.0
    grace: float = 5.0

    def __attrs_post_init__(self) -> None:
        """Refuse times that are not."""
        refuse("Shutdown", [at_least_zero("drain", self.drain), at_least_zero("grace", self.grace)])


@attrs.frozen(kw_only=True)
class Backoff:
    """
    Seconds to wait before a restart: ``min(maximum, initial * factor**n)`` after n failures in a row before this one.

    ``jitter`` (0 to 1) is the share of the wait that chance may take away; it never lengthens it. The row is broken,
    and n is 0 again, by a life that was ready for ``reset_after`` seconds. The default never waits.
    """

    initial: float = 0.0
    maximum: float = 60.0
    factor: float = 2.0
    jitter: float = 0.0
    reset_after: float = 60.0

    def __attrs_post_init__(self) -> None:
        """Refuse a curve that cannot be followed."""
        refuse(
            "Backoff",
            [
                within("initial", self.initial, 0, math.inf, "finite and 0 s or more"),
                within("maximum", self.maximum, 0, math.inf, "finite and 0 s or more"),
                within("factor", self.factor, 1, math.inf, "finite and at least 1, or waits would shrink"),
                within("jitter", self.jitter, 0, 1, "a share between 0 and 1"),
                at_least_zero("reset_after", self.reset_after),
            ],
        )
        if self.initial > self.maximum:
            refuse("Backoff", [f"initial ({self.initial:g} s) is above maximum ({self.maximum:g} s); raise maximum"])


@attrs.frozen(kw_only=True)
class ChildSpec(Generic[T]):
    """
    Recipe of one child: an async function and how it is kept alive. ``T`` is what it passes to ``started()``.

    With ``notify`` the function gets a keyword ``task_status`` (a :class:`ChildStatus`, which is a ``trio.TaskStatus``)
    and is ready when it calls ``started()``, at the latest ``start_timeout`` seconds after its start. Without, it is
    ready just before its first step. ``watchdog`` is how long a running child may go without ``beat()``; for a child
    without ``notify``, which cannot beat, it bounds the whole run.
    """

    id: str
    run: Callable[..., Awaitable[object]]
    args: tuple[Any, ...] = attrs.field(default=(), converter=as_tuple)
    restart: Restart = Restart.PERMANENT
    shutdown: Shutdown = Shutdown()
    significant: bool = False
    notify: bool = False
    start_timeout: float = 60.0
    watchdog: float = math.inf
    backoff: Backoff = Backoff()

    def __attrs_post_init__(self) -> None:
        """Refuse what could never work, every fault at once."""
        refuse(
            f"child {self.id!r}",
            [
                non_empty("id", self.id),
                function("run", self.run, "an async function"),
                sequence("args", self.args),
                wrong_type("restart", self.restart, Restart),
                wrong_type("shutdown", self.shutdown, Shutdown),
                wrong_type("backoff", self.backoff, Backoff),
                wrong_type("significant", self.significant, bool),
                wrong_type("notify", self.notify, bool),
                above_zero("start_timeout", self.start_timeout),
                above_zero("watchdog", self.watchdog),
                "significant and permanent exclude each other: a permanent child never ends by itself; "
                "make it transient or temporary"
                if self.significant and self.restart is Restart.PERMANENT
                else None,
            ],
        )


def is_supervisor(spec: ChildSpec[Any]) -> bool:
    """Whether a child is a supervisor itself."""
    return isinstance(getattr(spec.run, "__self__", None), Tree)
