"""
How a source or an actor is kept alive, as values in plain units; the runtime makes child specs of them.

Law: a value here can work. The supervision library is not imported: it brings Trio, and reading a file needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, le, optional


def duration(key: str) -> dict[str, Any]:
    """The metadata of a field in seconds that the file has with a unit."""
    return {"yaml": key, "unit": "duration"}


@attrs.frozen(kw_only=True)
class BackoffConfig:
    """Waits before restarts: ``min(maximum, initial * factor**n)``, of which chance may take away its share."""

    initial_s: float = attrs.field(default=0.1, validator=ge(0), metadata=duration("initial"))
    maximum_s: float = attrs.field(default=30.0, validator=ge(0), metadata=duration("maximum"))
    factor: float = attrs.field(default=2.0, validator=ge(1))
    jitter: float = attrs.field(default=0.2, validator=[ge(0), le(1)])
    reset_after_s: float = attrs.field(default=60.0, validator=ge(0), metadata=duration("reset_after"))

    def __attrs_post_init__(self) -> None:
        """Refuse a curve that begins above its end."""
        if self.initial_s > self.maximum_s:
            raise ValueError(f"initial ({self.initial_s:g} s) must not be above maximum ({self.maximum_s:g} s)")


@attrs.frozen(kw_only=True)
class ShutdownConfig:
    """How long a child may go on when it is asked to finish up, and then for its clean-up when it is cancelled."""

    drain_s: float = attrs.field(default=10.0, validator=ge(0), metadata=duration("drain"))
    grace_s: float = attrs.field(default=5.0, validator=ge(0), metadata=duration("grace"))


@attrs.frozen(kw_only=True)
class SupervisionConfig:
    """How a source or an actor is kept alive, in the words of the supervision library."""

    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    intensity: int = attrs.field(default=3, validator=ge(0))
    """So many restarts within ``period`` are forgiven."""
    period_s: float = attrs.field(default=5.0, validator=gt(0), metadata=duration("period"))
    backoff: BackoffConfig = attrs.field(factory=BackoffConfig)
    start_timeout_s: float = attrs.field(default=4.0, validator=gt(0), metadata=duration("start_timeout"))
    """How long it may take to open what it holds; a reload in which somebody takes longer is rolled back."""
    watchdog_s: float | None = attrs.field(default=None, validator=optional(gt(0)), metadata=duration("watchdog"))
    """How long it may be busy without a sign of life, which is the end of anything it was asked; None: for ever."""
    shutdown: ShutdownConfig = attrs.field(factory=ShutdownConfig)


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """What is said above, and below it where nothing is; plain data."""
    nested = {key: over(below[key], above[key]) for key in ("backoff", "shutdown") if key in below and key in above}
    return {**below, **above, **nested}
