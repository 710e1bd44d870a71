"""Retry: how the waits grow, where they end, and what a far side may ask for."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config import structure
from orgloop.delivery.retry import MAX_RETRY_AFTER_S, RetryConfig, delay_s, next_attempt, parse_retry_after
from orgloop.sdk import Delivered, Failed, Outcome, Rejected, Skipped

FAILED = Failed("503")
EVENING_S = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT, as in RFC 9110

CONFIGS = st.builds(
    RetryConfig,
    max_attempts=st.integers(1, 100),
    backoff=st.sampled_from(["exponential", "linear", "fixed"]),
    initial_delay_s=st.floats(0, 1e6),
    max_delay_s=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
CHANCES = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("exponential", [1, 2, 4, 8, 10, 10]),
        ("linear", [1, 2, 3, 4, 5, 6]),
        ("fixed", [1, 1, 1, 1, 1, 1]),
    ],
)
def test_the_waits_grow_as_configured(backoff: object, delays: list[float]) -> None:
    """Up to the cap."""
    config = structure(RetryConfig, {"backoff": backoff, "max_delay": "10s", "jitter": 0}, where="")

    assert [delay_s(config, attempt, chance=0.9) for attempt in range(1, 7)] == delays


def test_chance_takes_away_at_most_the_jitter() -> None:
    """From the whole wait down to its unshakable part."""
    assert [delay_s(RetryConfig(), 3, chance=chance) for chance in (0, 0.5, 1)] == pytest.approx([4, 3.6, 3.2])


def test_the_next_attempt_is_now_and_the_wait() -> None:
    """On whatever clock now was read from."""
    assert next_attempt(RetryConfig(), 1, FAILED, now_s=100, chance=0) == 101


def test_the_last_attempt_is_the_last() -> None:
    """Three attempts are the first and two more."""
    ends = [next_attempt(RetryConfig(jitter=0), attempt, FAILED, now_s=0, chance=0) for attempt in (1, 2, 3, 4)]

    assert ends == [1, 2, None, None]


@pytest.mark.parametrize("outcome", [Delivered(), Rejected("404"), Skipped("not mine")])
def test_only_what_may_pass_is_tried_again(outcome: Outcome) -> None:
    """What is done, refused or not ours is over."""
    assert next_attempt(RetryConfig(), 1, outcome, now_s=0, chance=0) is None


@pytest.mark.parametrize(
    ("asked_s", "at_s"),
    [(None, 1), (5, 5), (0.5, 1), (7200, 3600), (math.inf, 3600), (-5, 1), (math.nan, 1), (0, 1)],
)
def test_the_far_side_may_ask_for_a_wait(asked_s: float | None, at_s: float) -> None:
    """Of at most an hour; never for less than our own, and what is no number was not said."""
    assert next_attempt(RetryConfig(), 1, Failed("429", asked_s), now_s=0, chance=0) == at_s


@given(CONFIGS, st.integers(1, 10_000), CHANCES)
def test_a_wait_is_never_over_the_cap(config: RetryConfig, attempt: int, chance: float) -> None:
    """Nor below nothing."""
    assert 0 <= delay_s(config, attempt, chance=chance) <= config.max_delay_s


@given(CONFIGS, st.integers(1, 10_000), CHANCES)
def test_the_waits_never_shrink(config: RetryConfig, attempt: int, chance: float) -> None:
    """With the same chance, each is at least as long as the one before."""
    assert delay_s(config, attempt, chance=chance) <= delay_s(config, attempt + 1, chance=chance)


@given(CONFIGS, st.integers(1, 200), st.none() | st.floats(), CHANCES, st.floats(0, 1e9))
def test_an_attempt_is_neither_in_the_past_nor_far_away(
    config: RetryConfig, attempt: int, asked_s: float | None, chance: float, now_s: float
) -> None:
    """Whatever a plug-in answers."""
    at_s = next_attempt(config, attempt, Failed("", asked_s), now_s=now_s, chance=chance)

    assert (at_s is None) == (attempt >= config.max_attempts)
    assert at_s is None or now_s <= at_s <= now_s + max(config.max_delay_s, MAX_RETRY_AFTER_S)


# -- Retry-After -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("5", 5),
        (" 120\t", 120),
        ("0", 0),
        ("1000000000", 3600),
        ("9" * 5000, 3600),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 07:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
)
def test_a_wait_is_seconds_or_a_date(text: str, wait_s: float) -> None:
    """In all three forms of a date that HTTP knows; past ones are now, far ones an hour."""
    assert parse_retry_after(text, now_s=EVENING_S) == wait_s


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "abc", "-1", "+5", "1.5", "1e3", "5s", "5, 6", "\u0665", "0x10", "inf", "nan", "5\n6", "Sun"],
        *["06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +999999"],
        *["Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:00:00 GMT"],
        "Sun, 06 Nov 1994 08:49:37 GMT" + " " * 50 + "x",
    ],
)
def test_what_is_neither_was_not_said(text: str) -> None:
    """A bad header is as good as none."""
    assert parse_retry_after(text, now_s=EVENING_S) is None


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d ?[A-Z+-]*\d*"))
def test_no_header_is_too_bad_to_read(text: str) -> None:
    """None, or a wait of at most an hour."""
    wait_s = parse_retry_after(text, now_s=EVENING_S)

    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


@given(st.integers(0, 3600), st.integers(0, 4_000_000_000))
def test_a_date_is_understood_as_it_was_meant(wait_s: int, now_s: int) -> None:
    """Any date that a server writes, as the seconds from now until then."""
    assert parse_retry_after(formatdate(now_s + wait_s, usegmt=True), now_s=now_s) == wait_s
