"""Timestamps: another clock, and never another instant."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.sdk import Event, TransformFailed
from orgloop_connectors.transforms.timestamp import OFFER
from tests.connectors.stage import event, made
from tests.transforms.stage import applied, context


def stamped(before: Event, **config: Any) -> Event:
    after = applied(made(OFFER, config), before, context(now_s=1_700_000_100.0))
    assert after is not None
    return after


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-01-31T10:00:00+01:00", "UTC", "2026-01-31T09:00:00Z"),
        ("2026-01-31 10:00:00.123456789+01:00", "UTC", "2026-01-31T09:00:00.123456789Z"),
        ("2026-07-01T00:30:00Z", "Europe/Berlin", "2026-07-01T02:30:00+02:00"),
        ("2026-01-01T00:30:00z", "America/New_York", "2025-12-31T19:30:00-05:00"),
        ("2026-01-31T09:00:00Z", "utc", "2026-01-31T09:00:00Z"),
        ("2026-02-30T09:00:00Z", "Europe/Berlin", "2026-02-30T09:00:00Z"),
        ("2026-01-31T09:00:00", "Europe/Berlin", "2026-01-31T09:00:00"),
        ("on 2026-01-31T09:00:00Z", "Europe/Berlin", "on 2026-01-31T09:00:00Z"),
        ("0001-01-01T00:00:00+01:00", "UTC", "0001-01-01T00:00:00+01:00"),
        ("1880-01-01T00:00:00Z", "Europe/Berlin", "1880-01-01T00:00:00Z"),
        ("2026-01-31T09:00:60Z", "Europe/Berlin", "2026-01-31T09:00:60Z"),
    ],
)
def test_a_time_moves_to_the_zone(text: str, zone: str, expected: str) -> None:
    """To its last digit; and what is no time, or would not be one, stays."""
    before = event({"at": text, "more": [{"at": text}], "n": 5})

    after = stamped(before, normalize_to=zone)

    assert after.payload == {"at": expected, "more": [{"at": expected}], "n": 5}
    assert (after is before) is (text == expected)
    assert after.timestamp == before.timestamp


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham"])
TIMES = st.datetimes(
    datetime(1950, 1, 1),  # noqa: DTZ001 - hypothesis wants it without a zone, and gives it one
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@settings(max_examples=150, deadline=None)
@given(TIMES, ZONES, ZONES)
def test_the_instant_stays(at: datetime, zone: str, other: str) -> None:
    """Whatever the zone, and by whatever way."""
    once = stamped(event([at.isoformat()]), normalize_to=zone)
    there_and_back = stamped(stamped(once, normalize_to=other), normalize_to=zone)

    assert datetime.fromisoformat(once.payload[0]) == at
    assert there_and_back == once


def test_what_a_filter_may_want_to_know() -> None:
    """Of the event's own timestamp (14 November 2023, 22:13:20 UTC), in the zone; and now."""
    fields = ["date", "hour", "weekday", "unix", "unix_ms", "processed_at"]

    assert stamped(event(), normalize_to="Asia/Tokyo", add_fields=fields).provenance["time"] == {
        "date": "2023-11-15",
        "hour": 7,
        "weekday": "wednesday",
        "unix": 1_700_000_000,
        "unix_ms": 1_700_000_000_000,
        "processed_at": "2023-11-14T22:15:00.000Z",
    }
    assert stamped(event(), add_fields=["hour"]).provenance["time"] == {"hour": 22}


def test_a_timestamp_that_is_none_is_a_failure() -> None:
    """on_error decides."""
    with pytest.raises(TransformFailed, match="'yesterday' is no time"):
        stamped(attrs.evolve(event(), timestamp="yesterday"), add_fields=["hour"])


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "^normalize_to: nothing is to be done"),
        ({"normalize_to": "Europe/Berlln"}, "^normalize_to: there is no time zone 'Europe/Berlln'"),
        ({"normalize_to": "../../etc/passwd"}, "^normalize_to: there is no time zone"),
        ({"add_fields": ["hours"]}, r"^add_fields\.0: there is no 'hours'; write one of date, hour"),
    ],
)
def test_what_cannot_be_is_refused(config: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        made(OFFER, config)
