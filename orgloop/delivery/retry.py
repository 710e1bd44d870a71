"""
When a failed delivery is tried again. Pure: time and chance are arguments.

Law: no wait is longer than ``max_delay_s``, except where the far side asks for one, and then it is at most an hour.
With the same chance, a later attempt never waits less than an earlier one. Jitter only ever takes away, by at most its
share, so the cap is a cap and those that failed together do not come back together.
"""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

import attrs
from attrs.validators import ge, in_, le, lt

from orgloop.sdk import Failed, Outcome

MAX_RETRY_AFTER_S = 3600.0
"""What a far side asks for beyond this is not waited for."""

_NUMBER = re.compile(r"[0-9]+")
_DATE = re.compile(r"[A-Za-z]{3,9},? .{4,20}[0-9]{2}:[0-9]{2}:[0-9]{2}.{0,10}", re.ASCII)
_MAX_TEXT = 64


@attrs.frozen(kw_only=True)
class RetryConfig:
    """How often an obligation is tried, and how the waits between grow."""

    max_attempts: int = attrs.field(default=3, validator=ge(1))
    """The first one counts."""
    backoff: Literal["exponential", "linear", "fixed"] = attrs.field(
        default="exponential", validator=in_(("exponential", "linear", "fixed"))
    )
    """From one attempt to the next the wait doubles, grows by the initial one, or stays."""
    initial_delay_s: float = attrs.field(
        default=1.0,
        validator=[ge(0), lt(math.inf)],
        metadata={"yaml": "initial_delay", "unit": "duration"},
    )
    max_delay_s: float = attrs.field(
        default=60.0,
        validator=[ge(0), lt(math.inf)],
        metadata={"yaml": "max_delay", "unit": "duration"},
    )
    jitter: float = attrs.field(default=0.2, validator=[ge(0), le(1)])
    """The share of a wait that chance may take away, from 0 to 1."""


def next_attempt(config: RetryConfig, attempt: int, outcome: Outcome, *, now_s: float, chance: float) -> float | None:
    """
    When to try again after this outcome of this attempt, counted from 1; None if no more.

    ``now_s`` is of any clock, and so is the answer; of the wall clock, if it is to hold over a restart. ``chance`` is
    from 0 up to 1. A wait that the far side asked for is the least there is.

    >>> next_attempt(RetryConfig(jitter=0), 2, Failed("503"), now_s=100.0, chance=0.5)
    102.0
    """
    if not isinstance(outcome, Failed) or attempt >= config.max_attempts:
        return None
    return now_s + max(delay_s(config, attempt, chance=chance), _sound_retry_after_s(outcome))


def delay_s(config: RetryConfig, attempt: int, *, chance: float) -> float:
    """How long to wait after this attempt by the configuration alone."""
    steps: dict[str, float] = {
        "exponential": 2.0 ** min(attempt - 1, 1000),
        "linear": attempt,
        "fixed": 1,
    }
    return min(config.initial_delay_s * steps[config.backoff], config.max_delay_s) * (1 - config.jitter * chance)


def parse_retry_after(text: str, *, now_s: float) -> float | None:
    """
    Seconds to wait by a ``Retry-After`` header (RFC 9110, 10.2.3): seconds, or a date; None if it is neither.

    At most an hour, never negative; ``now_s`` is Unix seconds.

    >>> parse_retry_after("120", now_s=0)
    120.0
    """
    text = text.strip(" \t")
    if _NUMBER.fullmatch(text):
        return MAX_RETRY_AFTER_S if len(text) > _MAX_TEXT else min(float(text), MAX_RETRY_AFTER_S)
    if len(text) > _MAX_TEXT or not _DATE.fullmatch(text):
        return None
    try:
        date = parsedate_to_datetime(text)
        # The two obsolete forms name no zone, or one that is not believed: HTTP knows only GMT.
        wait_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _sound_retry_after_s(outcome: Failed) -> float:
    asked_s = outcome.retry_after_s
    # A plug-in may say anything: what is no number, or below zero, was not said.
    return min(asked_s, MAX_RETRY_AFTER_S) if isinstance(asked_s, int | float) and asked_s > 0 else 0.0
