"""
For those who write plug-ins, and for those who write projects. No mocks: each fake works as the real thing does.

    fakes       sources, actors and marks that play a part
    contracts   what sources, actors, transforms and loggers promise, as checks
    bus         what every bus promises, as checks
    story       what a whole project makes of what happens
"""

from orgloop.testing.bus import OpenBus, bus_contract
from orgloop.testing.contracts import (
    Check,
    actor_contract,
    logger_contract,
    polled_contract,
    pushed_contract,
    transform_contract,
)
from orgloop.testing.fakes import FakeActor, FakeMarks, FakePolledSource, event
from orgloop.testing.story import Story, tell

__all__ = [
    "Check",
    "FakeActor",
    "FakeMarks",
    "FakePolledSource",
    "OpenBus",
    "Story",
    "actor_contract",
    "bus_contract",
    "event",
    "logger_contract",
    "polled_contract",
    "pushed_contract",
    "tell",
    "transform_contract",
]
