"""What a route may say under ``then.delivery``."""

from __future__ import annotations

import math
from typing import Literal

import attrs
from attrs.validators import ge, gt, in_, lt

from orgloop.delivery.breaker import BreakerConfig
from orgloop.delivery.retry import RetryConfig

OVERFLOWS = ("drop_oldest", "block", "dead_letter")


@attrs.frozen(kw_only=True)
class DeliveryConfig:
    """How a route hands its events to its actor, and what becomes of those that do not get through."""

    max_rate_per_s: float = attrs.field(
        default=math.inf, validator=gt(0), metadata={"yaml": "max_rate", "unit": "rate"}
    )
    """Events per second; what exceeds it waits."""
    queue_depth: int = attrs.field(default=1000, validator=ge(1))
    """How many may wait before ``overflow`` decides."""
    overflow: Literal["drop_oldest", "block", "dead_letter"] = attrs.field(
        default="drop_oldest", validator=in_(OVERFLOWS)
    )
    """The oldest goes to the dead letters; all wait in the log; the newest goes to the dead letters."""
    concurrency: int = attrs.field(default=1, validator=ge(1))
    """How many deliveries at once; one keeps the order of all."""
    order_by: str | None = None
    """A dot path: with more than one at once, the order is kept among the events that are equal there."""
    timeout_s: float = attrs.field(
        default=30.0, validator=[gt(0), lt(math.inf)], metadata={"yaml": "timeout", "unit": "duration"}
    )
    """How long one attempt may take."""
    retry: RetryConfig = attrs.field(factory=RetryConfig)
    circuit_breaker: BreakerConfig = attrs.field(factory=BreakerConfig)
