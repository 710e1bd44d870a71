"""What an answer means."""

from __future__ import annotations

import pytest

from orgloop.sdk import Delivered, Failed, PollFailed, Rejected
from orgloop_connectors._http import Answer, NoAnswer, json_of, outcome_of, poll_failure, retry_after_s

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body, excerpt=body.decode("utf-8", "replace"), at_s=NOW_S)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    """Whatever the body says."""
    assert outcome_of(answer(status, b"error"), who="Webhook") == Delivered()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_has_failed(status: int) -> None:
    """And is tried again."""
    assert isinstance(outcome_of(answer(status), who="Webhook"), Failed)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 422])
def test_what_will_not_pass_is_rejected(status: int) -> None:
    """Redirects too: they are not followed."""
    assert isinstance(outcome_of(answer(status), who="Webhook"), Rejected)


def test_no_answer_has_failed() -> None:
    """It may be there the next time."""
    assert outcome_of(NoAnswer("connection refused"), who="Webhook") == Failed("Webhook error: connection refused")


def test_a_refused_destination_is_rejected() -> None:
    """It would be refused the next time too."""
    refused = outcome_of(NoAnswer("evil.com is not allowed", final=True), who="Webhook")

    assert refused == Rejected("Webhook refused: evil.com is not allowed")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (429, "Webhook rate limited (429): no"),
        (404, "Webhook rejected: 404 Not Found: no"),
        (503, "Webhook error: 503 Service Unavailable: no"),
        (599, "Webhook error: 599: no"),
    ],
)
def test_the_reason_is_what_the_original_says_and_what_the_far_side_said(status: int, text: str) -> None:
    """The body of a refusal is usually the only thing that says what to change."""
    said = outcome_of(answer(status, b"no"), who="Webhook")

    assert isinstance(said, Failed | Rejected)
    assert said.reason == text


def test_a_redirect_says_what_to_do() -> None:
    """The operator is to write the new address."""
    said = outcome_of(answer(301), who="Webhook")

    assert said == Rejected(
        "Webhook rejected: 301 Moved Permanently, and redirects are not followed; write the address it is at now"
    )


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("1000000000", 3600.0),
        ("9" * 5000, 3600.0),
        ("-1", None),
        ("1.5", None),
        ("abc", None),
        ("", None),
        ("٣", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Fri, 31 Dec 999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(asked: str, wait_s: float | None) -> None:
    """At most an hour, and never what makes no sense."""
    assert retry_after_s(answer(503, retry_after=asked)) == wait_s


def test_a_date_is_of_the_far_sides_clock() -> None:
    """Ours may be wrong by a year, and it is their date."""
    said = answer(503, date="Fri, 01 Mar 2024 00:00:00 GMT", retry_after="Fri, 01 Mar 2024 00:00:30 GMT")

    assert retry_after_s(said) == 30.0


def test_a_failed_delivery_is_tried_when_the_far_side_asks() -> None:
    """Not by our own back-off."""
    assert outcome_of(answer(429, retry_after="7"), who="Slack") == Failed("Slack rate limited (429)", 7.0)


@pytest.mark.parametrize("status", [403, 429])
def test_a_poll_that_met_a_rate_limit_waits_for_its_end(status: int) -> None:
    """GitHub says so with a 403 as often as with a 429."""
    met = answer(status, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(NOW_S) + 90))

    assert poll_failure(met, who="GitHub").retry_after_s == 90.0


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ratelimit_remaining": "4999", "x_ratelimit_reset": "1700000090"},
        {"x_ratelimit_remaining": "0"},
        {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "soon"},
    ],
)
def test_a_403_that_is_no_rate_limit_has_no_time(headers: dict[str, str]) -> None:
    """The ordinary back-off goes on."""
    assert poll_failure(answer(403, b"", **headers), who="GitHub").retry_after_s is None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (answer(401, b"Bad credentials"), r"GitHub rejected: 401 Unauthorized: Bad credentials"),
        (answer(304), "304 Not Modified"),
        (NoAnswer("connect error"), "GitHub error: connect error"),
        (answer(200, b"<html>"), "not JSON"),
        (answer(200, b'{"a":'), "not JSON"),
        (answer(200, b"\xff"), "not JSON"),
        (answer(200, b"[" * 100_000), "nested too deeply"),
        (Answer(status=200, body=b"[]", fault="the body is longer than 2 bytes"), "longer than 2 bytes"),
    ],
)
def test_a_poll_fails_on_all_that_is_not_the_json_it_asked_for(reply: Answer | NoAnswer, why: str) -> None:
    """So the checkpoint stays where it is: an error page is not an empty list."""
    with pytest.raises(PollFailed, match=why):
        json_of(reply, who="GitHub")


def test_a_poll_gets_the_json_of_an_answer() -> None:
    """Of any 2xx."""
    assert json_of(answer(200, b'[{"id": 1}]'), who="GitHub") == [{"id": 1}]
