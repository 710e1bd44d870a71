"""
The rate limit of a route: a bucket of tokens that fills at the rate, and holds what comes in one second.

Law: in ``t`` seconds at most ``rate_per_s * t + burst`` tokens are given, where the burst is one second's worth, and
at least one token, so that one event an hour can pass. What has to wait takes nothing: it asks again. Pure: time is an
argument, of a clock that does not go backwards; one that does is waited for.
"""

from __future__ import annotations

import math

import attrs

MIN_WAIT_S = 0.001
"""No wait is shorter: a timer would not keep it, and a float of seconds may not show it."""


def _positive(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be more than none and finite: {value}")


@attrs.frozen
class Bucket:
    """Tokens, as they were at a time; :func:`full` makes the first."""

    rate_per_s: float = attrs.field(validator=_positive)
    tokens: float
    at_s: float

    @property
    def burst(self) -> float:
        """The most that the bucket holds."""
        return max(1.0, self.rate_per_s)


def full(rate_per_s: float, now_s: float) -> Bucket:
    """A bucket that holds all it can."""
    return Bucket(rate_per_s, max(1.0, rate_per_s), now_s)


def take(bucket: Bucket, now_s: float, n: int = 1) -> tuple[Bucket, float]:
    """
    Take ``n`` tokens: the bucket after, and 0 seconds; or nothing: the same bucket, and how long to wait.

    ValueError for more than the bucket ever holds.

    >>> take(full(0.5, now_s=10.0), 10.0)
    (Bucket(rate_per_s=0.5, tokens=0.0, at_s=10.0), 0.0)
    """
    if not 0 <= n <= bucket.burst:
        raise ValueError(f"a bucket of {bucket.burst} tokens never gives {n} at once")
    at_s = max(now_s, bucket.at_s)
    tokens = min(bucket.burst, bucket.tokens + (at_s - bucket.at_s) * bucket.rate_per_s)
    if tokens >= n:
        return Bucket(bucket.rate_per_s, tokens - n, at_s), 0.0
    return bucket, max(MIN_WAIT_S, (n - tokens) / bucket.rate_per_s + at_s - now_s)
