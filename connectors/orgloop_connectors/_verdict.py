"""
What an answer means: for a delivery, for a poll, and for how long to wait. Pure; time is in the answer.

    =====================================  =====================  ==================
    heard                                  a delivery is          a poll is
    =====================================  =====================  ==================
    2xx                                    delivered              what it says
    408, 425, 429, 5xx, nothing            failed: again later    failed
    3xx, other 4xx                         rejected, for good     failed
    a destination that is refused          rejected, for good     failed
    =====================================  =====================  ==================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import attrs

from orgloop.sdk import Delivered, Failed, Outcome, PollFailed, Rejected

MAX_EXCERPT_CHARS = 300
"""How much of what a far side said is told on."""

MAX_RETRY_AFTER_S = 3600.0
"""How long a far side may make us wait at a time."""

_PASSING = frozenset({408, 425, 429})


@attrs.frozen(kw_only=True)
class Answer:
    """What the far side said."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """By name, in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)
    """As far as it was read."""
    fault: str | None = None
    """Why ``body`` is not all of it, if it is not."""
    excerpt: str = ""
    """The beginning of the body: one line, safe to show, without secrets."""
    at_s: float = 0.0
    """When it was heard, in Unix seconds."""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; ValueError if it is none, or not whole."""
        if self.fault is not None:
            raise ValueError(self.fault)
        try:
            return json.loads(self.body)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


@attrs.frozen
class NoAnswer:
    """Nothing was heard, and why."""

    reason: str
    final: bool = False
    """It was never sent, and would not be sent another time."""


Reply = Answer | NoAnswer


def outcome_of(reply: Reply, *, who: str) -> Outcome:
    """
    What came of a delivery that is one request; ``who`` is the far side, for people: ``Webhook``, ``Slack``.

    >>> outcome_of(Answer(status=404), who="Webhook")
    Rejected(reason='Webhook rejected: 404 Not Found')
    """
    if isinstance(reply, NoAnswer):
        return Rejected(f"{who} refused: {reply.reason}") if reply.final else Failed(f"{who} error: {reply.reason}")
    if reply.ok:
        return Delivered()
    if reply.status in _PASSING or reply.status >= 500:
        return Failed(_sentence(reply, who), retry_after_s(reply))
    return Rejected(_sentence(reply, who))


def poll_failure(reply: Reply, *, who: str) -> PollFailed:
    """
    What a poll raises for a reply that is not what it asked for.

    When to come back is taken from ``Retry-After``, and from the ``X-RateLimit-…`` headers of GitHub and its like.
    """
    if isinstance(reply, NoAnswer):
        return PollFailed(f"{who} error: {reply.reason}")
    return PollFailed(_sentence(reply, who), retry_after_s=retry_after_s(reply, limits=True))


def json_of(reply: Reply, *, who: str) -> Any:
    """The JSON of a 2xx answer; :class:`PollFailed` for anything else."""
    if isinstance(reply, NoAnswer) or not reply.ok:
        raise poll_failure(reply, who=who)
    try:
        return reply.json()
    except ValueError as exc:
        raise PollFailed(f"{who} error: {reply.status}, but what it says is not JSON: {exc}") from exc


def _sentence(answer: Answer, who: str) -> str:
    code = answer.status
    try:
        name = f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        name = str(code)
    if code == 429:
        verdict = f"{who} rate limited (429)"
    elif code in _PASSING or code >= 500 or answer.ok:
        verdict = f"{who} error: {name}"
    elif 300 <= code < 400:
        verdict = f"{who} rejected: {name}, and redirects are not followed; write the address it is at now"
    else:
        verdict = f"{who} rejected: {name}"
    return f"{verdict}: {answer.excerpt}" if answer.excerpt else verdict


def retry_after_s(answer: Answer, *, limits: bool = False) -> float | None:
    """
    How many seconds the far side asks us to wait, at most an hour; None if it does not say, or makes no sense.

    ``limits``: what ``X-RateLimit-Remaining: 0`` and ``X-RateLimit-Reset`` (Unix seconds) say counts too.

    >>> retry_after_s(Answer(status=429, headers={"retry-after": "5"}))
    5.0
    """
    asked = [_asked_s(answer)]
    if limits and answer.status in (403, 429) and answer.headers.get("x-ratelimit-remaining", "").strip() == "0":
        reset = _digits(answer.headers.get("x-ratelimit-reset", ""))
        asked.append(None if reset is None else reset - _now_s(answer))
    known = [max(0.0, seconds) for seconds in asked if seconds is not None]
    return min(max(known), MAX_RETRY_AFTER_S) if known else None


def _asked_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    seconds = _digits(text)
    if seconds is not None:
        return seconds
    until_s = _date_s(text)
    return None if until_s is None else until_s - _now_s(answer)


def _now_s(answer: Answer) -> float:
    """The time by the far side's clock, which is the one that its dates are of."""
    theirs_s = _date_s(answer.headers.get("date", ""))
    return answer.at_s if theirs_s is None else theirs_s


def _digits(text: str) -> float | None:
    text = text.strip()
    return float(text[:18]) if text.isascii() and text.isdigit() else None


def _date_s(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text[:60])
    except (ValueError, TypeError, OverflowError):
        return None
    # RFC 9110: without a zone it is GMT all the same, which is what 'replace' would say; nobody sends that.
    return date.timestamp() if date.tzinfo is not None else None
