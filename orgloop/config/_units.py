"""
Durations, sizes and rates: text with a unit becomes a number of seconds, bytes, or times per second.

Law: one number and one unit, nothing else, so that no two people read it differently. Each function raises
:class:`ValueError`, and the message says what to write instead where that can be guessed. A number without a unit is
always refused.
"""

from __future__ import annotations

import json
import re

from orgloop.config._refused import Refused, Substituted

MAX_DURATION_S = 36_500 * 86_400.0
"""A hundred years: longer is a slip, and far longer is no number of seconds any more."""

MAX_BYTES = 2**60
MAX_PER_S = 1e9

_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
_PERIODS_S = {"s": 1, "m": 60, "h": 3600}

_DURATION = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) *(B|KB|MB|GB)", re.IGNORECASE)
_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)/(s|m|h)")

# What people write; only ever used to say what to write instead.
_LOOSE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([a-z]*)")
_DURATION_WORDS = {
    **dict.fromkeys(["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1),
    **dict.fromkeys(["", "s", "sec", "secs", "second", "seconds"], 1_000),
    **dict.fromkeys(["m", "min", "mins", "minute", "minutes"], 60_000),
    **dict.fromkeys(["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    **dict.fromkeys(["d", "day", "days"], 86_400_000),
    **dict.fromkeys(["w", "week", "weeks"], 604_800_000),
}


def duration_s(value: object) -> float:
    """
    Seconds.

    >>> duration_s("250ms")
    0.25
    """
    written = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        form = "<number><unit> (e.g., 5m, 30s, 1h, 7d)"
        raise Refused("OL1205", _refusal("duration", value, form, _likely_duration(value)))
    seconds = int(written[1]) * _MS[written[2]] / 1000
    if seconds > MAX_DURATION_S:
        raise Refused("OL1205", f"Invalid duration: {shown(value)} is more than a hundred years")
    return seconds


def size_bytes(value: object) -> int:
    """
    Bytes; units are of 1024, in either case.

    >>> size_bytes("1.5 KB")
    1536
    """
    written = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        form = "<number><unit> (e.g., 512KB, 100MB, 1GB)"
        raise Refused("OL1206", _refusal("size", value, form, _likely_size(value)))
    size = float(written[1]) * _BYTES[written[2].upper()]
    if size > MAX_BYTES:
        raise Refused("OL1206", f"Invalid size: {shown(value)} is more than an exabyte")
    return int(size)


def rate_per_s(value: object) -> float:
    """
    Times per second.

    >>> rate_per_s("90/m")
    1.5
    """
    written = _RATE.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        form = "<number>/<s, m or h> (e.g., 100/s, 5/m, 1/h)"
        raise Refused("OL1207", _refusal("rate", value, form, _likely_rate(value)))
    rate = float(written[1]) / _PERIODS_S[written[2]]
    if not 0 < rate <= MAX_PER_S:
        text = f"Invalid rate: {shown(value)} must be more than none, and at most {MAX_PER_S:.0f}/s"
        raise Refused("OL1207", text)
    return rate


def shown(value: object) -> str:
    """A value as the operator may have written it, on one line and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, Substituted):
        value = value.written
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool | str):
        return json.dumps(value if isinstance(value, bool) or len(value) <= 60 else f"{value[:60]}…", ensure_ascii=True)
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    return str(value) if isinstance(value, int | float) else f"{value} ({type(value).__name__})"


def _refusal(what: str, value: object, form: str, likely: str | None) -> str:
    advice = f'; write "{likely}"' if likely else ""
    return f"Invalid {what} format: {shown(value)}. Expected format: {form}{advice}"


def _likely_duration(value: object) -> str | None:
    text = _as_text(value)
    parts = _LOOSE.findall(text)
    if not parts or _LOOSE.sub("", text).strip(" ,") or any(word not in _DURATION_WORDS for _, word in parts):
        return None
    total_ms = round(sum(float(number) * _DURATION_WORDS[word] for number, word in parts))
    if total_ms > MAX_DURATION_S * 1000:
        return None
    unit = next((unit for unit in reversed(_MS) if total_ms and total_ms % _MS[unit] == 0), "s")
    return f"{total_ms // _MS[unit]}{unit}"


def _likely_size(value: object) -> str | None:
    written = _LOOSE.fullmatch(_as_text(value))
    units = {"": "B", "b": "B", "byte": "B", "bytes": "B"}
    units |= {f"{letter}{end}": f"{letter.upper()}B" for letter in "kmg" for end in ("", "ib")}
    return f"{written[1]}{units[written[2]]}" if written and written[2] in units else None


def _likely_rate(value: object) -> str | None:
    number, _, period = _as_text(value).replace(" per ", "/").partition("/")
    unit = period.strip()[:1] or "s"
    good = re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", number.strip()) and unit in _PERIODS_S
    return f"{number.strip()}/{unit}" if good else None


def _as_text(value: object) -> str:
    """What a guess may be made from: text, or a number that lacks its unit."""
    if isinstance(value, bool | Substituted) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, str):
        return value.strip().lower()[:60]
    return str(value) if abs(value) < 10**15 else ""
