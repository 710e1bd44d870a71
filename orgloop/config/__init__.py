"""From what the operator wrote to frozen values: every fault, all at once, each with its place."""

from orgloop.config._codec import structure
from orgloop.config._units import duration_s, rate_per_s, size_bytes

__all__ = ["duration_s", "rate_per_s", "size_bytes", "structure"]
