"""
Patterns of a filter, compiled into tests of a value: pure, and linear in the length of what they look at.

Regular expressions are RE2's: no pattern, however it was written, takes more than linear time, so an event cannot stop
the daemon by what it says. What RE2 cannot do (look-around, backreferences) is refused when the filter is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from orgloop.transforms._fields import MISSING, text_of

Test = Callable[[Any], bool]
"""Whether a value of an event, or MISSING, is what the pattern means."""

MAX_PATTERN = 4096
"""How many characters a regular expression may have."""

_REGEX = re.compile(r"/(.+)/([dgimsuvy]*)", re.DOTALL)
_ONE_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[])+/[dgimsuvy]*", re.DOTALL)
_UNICODE_ESCAPE = re.compile(r"(\\\\)|\\u(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{4}))")
_BEYOND_RE2 = {
    "(?=": "lookahead",
    "(?!": "lookahead",
    "(?<": "lookbehind",
    **{f"\\{reference}": "a backreference" for reference in (*"123456789", "k")},
}


def criterion(pattern: object, *, at: str) -> Test:
    """
    The test of a whole criterion: a scalar, ``/a regex/``, ``text, with, commas`` (any of them), or a list (any of it).

    Raises ValueError, beginning with ``at``, for what can never be met.
    """
    if isinstance(pattern, str) and "," in pattern and not _ONE_REGEX.fullmatch(pattern):
        pattern = [part for part in map(str.strip, pattern.split(",")) if part]
    if isinstance(pattern, list | tuple):
        tests = [_one(each, at=f"{at}.{place}") for place, each in enumerate(pattern)]
        return lambda value: any(test(value) for test in tests)
    return _one(pattern, at=at)


def _one(pattern: object, *, at: str) -> Test:
    if pattern is None:
        return lambda value: value is None or value is MISSING
    if isinstance(pattern, str):
        regex = _REGEX.fullmatch(pattern)
        return _member(_regex(regex[1], regex[2], at=at)) if regex else _text(pattern)
    if isinstance(pattern, bool):
        return _member(lambda value: value is pattern)
    if isinstance(pattern, int | float):
        return _member(lambda value: value == pattern and not isinstance(value, bool))
    raise ValueError(
        f"{at}: {pattern!r} is {type(pattern).__name__}, which never matches;"
        " write text, a number, true, false, null, /a regex/ or one list of these"
    )


def _text(wanted: str) -> Test:
    """As :func:`_member`, in one step: most patterns are plain text."""
    return lambda value: value == wanted or (isinstance(value, list | tuple) and wanted in value)


def _member(test: Test) -> Test:
    """A list meets a pattern if a member of it does."""
    return lambda value: any(map(test, value)) if isinstance(value, list | tuple) else test(value)


def _regex(body: str, flags: str, *, at: str) -> Test:
    """
    The test of a JavaScript regular expression against the text of a value; a missing one reads ``undefined``.

    Of the flags, i, m and s mean what they mean there, y ties the expression to the beginning, d, g, u and v change
    nothing. ``\\d``, ``\\s``, ``\\w`` and ``\\b`` know ASCII only.
    """
    import re2  # type: ignore[import-untyped]

    if len(body) > MAX_PATTERN or len(set(flags)) < len(flags):
        raise ValueError(
            f"{at}: '/{body[:80]}/{flags}' is no regular expression here: write at most {MAX_PATTERN} characters,"
            " and each flag once"
        )
    inline = "".join(flag for flag in "ims" if flag in flags)
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile((f"(?{inline})" if inline else "").encode() + _for_re2(body).encode(), options)
    except (re2.error, UnicodeEncodeError) as exc:
        raise ValueError(f"{at}: '/{body}/{flags}' {_why(exc)}") from exc
    matches: Callable[[bytes], object] = compiled.match if "y" in flags else compiled.search
    return lambda value: matches(text_of(value).encode("utf-8", "replace")) is not None


def _for_re2(body: str) -> str:
    return _UNICODE_ESCAPE.sub(lambda found: found[1] or f"\\x{{{found[2] or found[3]}}}", body)


def _why(exc: Exception) -> str:
    said = exc.args[0].decode("utf-8", "replace") if isinstance(exc.args[0], bytes) else str(exc)
    construct = said.rpartition(": ")[2]
    for start, name in _BEYOND_RE2.items():
        if construct.startswith(start):
            return (
                f"uses {name}, which no engine can answer in linear time (ours is RE2); say it with several patterns"
                " in match, match_any and exclude, or in jq"
            )
    return f"is not a regular expression ({said}); if you mean the text itself, write it without the slashes"
