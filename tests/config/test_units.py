"""Durations, sizes and rates: what is taken, what is not, and what the refusal advises."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config import duration_s, rate_per_s, size_bytes
from orgloop.config._units import shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("5m", 300), ("2h", 7200), ("7d", 604_800), ("0s", 0), ("36500d", 36_500 * 86_400)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Seconds come out of every unit there is."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *["5", "5 m", "5M", "1.5h", "1h30m", "-5m", "+5m", "", "m", "5m\n", " 5m", "1_000ms", "5µs", "1e3s", "5m5"],
        *["1:30:00", ".inf", "\u0665m", 7, 0.5, True, None, [], {}, float("nan"), "9" * 5000 + "s"],
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_nothing_else_is_a_duration(value: object) -> None:
    """No spaces, fractions, compounds, signs, foreign digits or bare numbers."""
    with pytest.raises(ValueError, match=r"^Invalid duration format: .*Expected format: <number><unit> \(e\.g\., 5m"):
        duration_s(value)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("5 m", "5m"),
        ("5M", "5m"),
        ("1.5h", "90m"),
        ("1h30m", "90m"),
        ("1 hour, 30 minutes", "90m"),
        ("2 weeks", "14d"),
        ("90 sec", "90s"),
        ("0.25", "250ms"),
        ("0", "0s"),
        (7, "7s"),
        (0.5, "500ms"),
        (3600, "1h"),
    ],
)
def test_a_refused_duration_says_what_to_write(value: object, advice: str) -> None:
    """Where the meaning can be guessed, the message has it in the right form."""
    with pytest.raises(ValueError, match=f'; write "{advice}"$'):
        duration_s(value)


@pytest.mark.parametrize("value", ["soon", "5 fortnights", "-5m", True, None, [], float("inf"), 10**300, "99999999w"])
def test_what_cannot_be_guessed_is_not(value: object) -> None:
    """No advice is better than a wrong one."""
    with pytest.raises(ValueError, match="Invalid duration") as caught:
        duration_s(value)

    assert "write" not in str(caught.value)


def test_a_duration_of_centuries_is_a_slip() -> None:
    """More than a hundred years is refused before it overflows a clock."""
    with pytest.raises(ValueError, match="more than a hundred years"):
        duration_s("36501d")


@given(st.text(max_size=30) | st.integers() | st.floats() | st.none() | st.binary() | st.lists(st.integers()))
def test_a_unit_is_read_or_refused(value: object) -> None:
    """No input raises anything but ValueError, in any of the three."""
    for read in (duration_s, size_bytes, rate_per_s):
        with contextlib.suppress(ValueError):
            assert read(value) >= 0


@given(st.integers(0, 36_500), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_advice_is_taken(number: int, unit: str) -> None:
    """What the refusal of a loosely written duration advises is accepted, and means the same."""
    with pytest.raises(ValueError, match="write") as caught:
        duration_s(f"{number} {unit.upper()}")

    assert duration_s(str(caught.value).rsplit('"', 2)[1]) == duration_s(f"{number}{unit}")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("100MB", 100 * 2**20), ("1gb", 2**30), ("1.5 KB", 1536), ("0.3B", 0), ("7Kb", 7168)],
)
def test_a_size_is_of_units_of_1024_in_either_case(text: str, size: int) -> None:
    """Fractions and one space are allowed."""
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("value", "advice"),
    [("10 MiB", "10MB"), ("10M", "10MB"), ("64k", "64KB"), (1048576, "1048576B"), ("5 bytes", "5B"), ("1 TB", None)],
)
def test_a_refused_size_says_what_to_write(value: object, advice: str | None) -> None:
    """The near forms are known, and only those."""
    with pytest.raises(ValueError, match=r"^Invalid size format: ") as caught:
        size_bytes(value)

    assert str(caught.value).endswith(f'; write "{advice}"' if advice else "1GB)")


def test_a_size_beyond_any_disk_is_a_slip() -> None:
    """More than an exabyte is refused."""
    with pytest.raises(ValueError, match="more than an exabyte"):
        size_bytes("99999999999GB")


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100), ("5/m", 5 / 60), ("1/h", 1 / 3600), ("0.5/s", 0.5)])
def test_a_rate_is_a_number_per_period(text: str, rate: float) -> None:
    """Times per second come out of every period."""
    assert rate_per_s(text) == rate


@pytest.mark.parametrize(
    ("value", "advice"),
    [("100", "100/s"), (200, "200/s"), ("100 / sec", "100/s"), ("5 per minute", "5/m"), ("1/hour", "1/h"), ("1/d", "")],
)
def test_a_refused_rate_says_what_to_write(value: object, advice: str) -> None:
    """The near forms are known, and only those."""
    with pytest.raises(ValueError, match=r"^Invalid rate format: ") as caught:
        rate_per_s(value)

    assert str(caught.value).endswith(f'; write "{advice}"' if advice else "1/h)")


@pytest.mark.parametrize("text", ["0/s", "0.0/h", "99999999999/s"])
def test_a_rate_lets_something_through(text: str) -> None:
    """None at all would be a route that never delivers."""
    with pytest.raises(ValueError, match="more than none"):
        rate_per_s(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        ("a\n\x1b", '"a\\n\\u001b"'),
        ("x" * 100, '"' + "x" * 60 + '\\u2026"'),
        (1.5, "1.5"),
        (10**30, "a number of more than 20 digits"),
        (b"x", "b'x' (bytes)"),
    ],
)
def test_a_value_is_shown_on_one_line(value: object, text: str) -> None:
    """As it may have been written, and never at length."""
    assert shown(value) == text
