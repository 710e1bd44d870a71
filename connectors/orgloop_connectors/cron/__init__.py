"""
The clock as a source: cron expressions and intervals, in any time zone, each occurrence once.

    sources:
      - id: clock
        connector: cron
        config:
          timezone: Europe/Berlin
          schedules:
            - {name: weekly-review, cron: "0 9 * * MON"}
            - {name: sweep, cron: every 30m, missed: skip}

Law: what is due is decided by the wall clock and the checkpoint, in pure functions; when to look again is told to the
scheduler. The first poll fires nothing: a schedule begins when it is first seen.
"""

from __future__ import annotations

from orgloop.sdk import Connector, Event, Offer
from orgloop_connectors.cron.config import CronConfig
from orgloop_connectors.cron.due import Due
from orgloop_connectors.cron.source import CronSource, check_source, event_of


def samples() -> list[Event]:
    """An occurrence in time, and one that stands for two that were missed before it."""
    return [
        event_of("clock", "weekly-review", Due(1_700_470_800.0), payload={"team": "checkout"}),
        event_of("clock", "sweep", Due(1_700_472_600.0, missed=2), every_s=1800.0),
    ]


CONNECTOR = Connector(
    id="cron",
    summary="Fires events at the times of cron expressions and intervals.",
    source=Offer(config=CronConfig, make=CronSource, check=check_source),
    samples=samples,
)
