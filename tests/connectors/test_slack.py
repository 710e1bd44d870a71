"""The Slack actor: what is posted, what an event cannot do in it, and what Slack's answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orgloop.errors import ConfigError
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected
from orgloop_connectors.slack import CONNECTOR
from tests.connectors.outside import Heard, Outside, Says, open_outside, unused_port
from tests.connectors.stage import KEY, checked, delivery, made

TOKEN = "xoxb-17-secret"
EVIL = "<!channel> & <https://evil.example|click>"
HARMLESS = "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"


async def deliver(outside: Outside, to_do: Delivery | None = None, **config: Any) -> Outcome:
    own = {"webhook_url": f"{outside.url}/services/T00/B00/hook-s3cret"} if "token" not in config else {}
    async with made(CONNECTOR.actor, {**own, "api_url": f"{outside.url}/api", **config}) as actor:
        outcome: Outcome = await actor.deliver(to_do or delivery())
        return outcome


async def posted(to_do: Delivery | None = None, **config: Any) -> Heard:
    async with open_outside() as outside:
        outside.says(Says(200, {"ok": True, "ts": "1700000000.000100"}))
        assert await deliver(outside, to_do, **config) == Delivered()
    (heard,) = outside.heard
    return heard


async def answered(says: Says, **config: Any) -> Outcome:
    async with open_outside() as outside:
        outside.says(says)
        return await deliver(outside, **config)


async def as_bot(body: Any, *, status: int = 200, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await answered(Says(status, body, named), token=TOKEN, channel="C1")


# -- what is posted ----------------------------------------------------------------------------------------------------


async def test_a_webhook_is_posted_a_line_about_the_event() -> None:
    """It needs nothing but its address."""
    heard = await posted()

    assert (heard.method, heard.path) == ("POST", "/services/T00/B00/hook-s3cret")
    assert heard.json() == {
        "text": "*github*: resource.changed by ann",
        "unfurl_links": False,
        "unfurl_media": False,
    }
    assert "authorization" not in heard.headers


async def test_a_bot_says_which_delivery_it_was() -> None:
    """In the metadata of the message, which people do not see."""
    heard = await posted(token=TOKEN, channel="#engineering", username="OrgLoop", icon_emoji=":robot_face:")

    assert (heard.path, heard.headers["authorization"]) == ("/api/chat.postMessage", f"Bearer {TOKEN}")
    said = heard.json()
    assert (said["channel"], said["username"], said["icon_emoji"]) == ("#engineering", "OrgLoop", ":robot_face:")
    assert said["metadata"] == {
        "event_type": "orgloop_delivery",
        "event_payload": {"idempotency_key": KEY, "event_id": "evt_1"},
    }


async def test_a_route_may_choose_channel_and_thread() -> None:
    """Before what the actor says; an empty text, as of a field that is missing, chooses nothing."""
    chosen = await posted(delivery(channel="C2", thread_ts="17.1"), token=TOKEN, channel="C1")
    empty = await posted(delivery(channel="", thread_ts=""), token=TOKEN, channel="C1", thread_ts="1.1")

    assert (chosen.json()["channel"], chosen.json()["thread_ts"]) == ("C2", "17.1")
    assert (empty.json()["channel"], empty.json()["thread_ts"]) == ("C1", "1.1")


async def test_without_a_channel_nothing_is_sent() -> None:
    """It is told where to write one."""
    async with open_outside() as outside:
        outcome = await deliver(outside, token=TOKEN)

    assert isinstance(outcome, Rejected)
    assert "no channel" in outcome.reason
    assert outside.heard == []


async def test_templates_are_filled_in() -> None:
    """With the event, the prompt, and what the route says."""
    heard = await posted(
        delivery({"title": "Fix it", "n": 7}, prompt="*Review* it.", tone="kind"),
        text="PR {{ event.payload.n }}: {{event.payload.title}} ({{ config.tone }}) {{ launch_prompt }}",
        blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "{{ event.payload.n }}", "verbatim": True}}],
    )

    assert heard.json()["text"] == "PR 7: Fix it (kind) *Review* it."
    assert heard.json()["blocks"] == [
        {"type": "section", "text": {"type": "mrkdwn", "text": "7", "verbatim": True}},
    ]


# -- what an event cannot do -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["text", "blocks", "config", "default", "key"])
async def test_an_event_mentions_nobody_and_hides_no_link(where: str) -> None:
    """Wherever its text stands; what the operator wrote is as it was."""
    payload = {"title": {EVIL: 1} if where == "key" else EVIL}
    template = "<!here> {{ config.title }}" if where == "config" else "<!here> {{ event.payload.title }}"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": template}}
    config: dict[str, Any] = {"blocks": [block]} if where == "blocks" else {"text": template}

    said = (await posted(delivery(payload, title=EVIL), **({} if where == "default" else config))).json()

    text = said["blocks"][0]["text"]["text"] if where == "blocks" else said["text"]
    assert "<!channel>" not in json.dumps(said)
    if where != "default":
        assert text.startswith("<!here> ")
        assert HARMLESS in text


async def test_an_event_adds_no_block() -> None:
    """An object in the place of a text is the text of that object."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "{{ event.payload.x }}"}}

    heard = await posted(delivery({"x": {"type": "button", "url": "https://evil.example"}}), blocks=[block])

    assert heard.json()["blocks"][0]["text"]["text"] == '{"type":"button","url":"https://evil.example"}'


async def test_braces_in_an_event_stay_braces() -> None:
    """One pass."""
    heard = await posted(delivery({"t": "{{ launch_prompt }}"}, prompt="secret"), text="{{ event.payload.t }}")

    assert heard.json()["text"] == "{{ launch_prompt }}"


@pytest.mark.parametrize(
    ("block", "at", "chars"),
    [
        ({"type": "section", "text": {"type": "mrkdwn", "text": "{{ event.payload.t }}"}}, ("text", "text"), 3000),
        ({"type": "header", "text": {"type": "plain_text", "text": "{{ event.payload.t }}"}}, ("text", "text"), 150),
        (
            {"type": "section", "fields": [{"type": "mrkdwn", "text": "{{ event.payload.t }}"}]},
            ("fields", 0, "text"),
            2000,
        ),
    ],
)
async def test_long_texts_are_cut_where_slack_would_refuse_them(block: Any, at: Any, chars: int) -> None:
    """And not in the middle of an escape."""
    said: Any = (await posted(delivery({"t": "<" * 9000}), blocks=[block], text="{{ event.payload.t }}")).json()

    text = said["blocks"][0]
    for step in at:
        text = text[step]
    assert chars - 5 < len(text) <= chars
    assert text.removesuffix("…").replace("&lt;", "") == ""
    assert len(said["text"]) <= 4000


async def test_what_is_missing_is_a_dash_in_a_block() -> None:
    """Slack refuses a message with an empty text in a block, and one with no text at all."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "{{ event.payload.none }}"}}

    said = (await posted(blocks=[block], text="{{ event.payload.none }}")).json()

    assert said["blocks"][0]["text"]["text"] == "-"
    assert said["text"].startswith("*github*")


# -- what the answers mean ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (Says(200, "ok"), Delivered()),
        (Says(400, "invalid_payload"), Rejected("Slack rejected: 400 Bad Request: invalid_payload")),
        (Says(403, "action_prohibited"), Rejected("Slack rejected: 403 Forbidden: action_prohibited")),
        (Says(404, "no_service"), Rejected("Slack rejected: 404 Not Found: no_service")),
        (Says(410, "channel_is_archived"), Rejected("Slack rejected: 410 Gone: channel_is_archived")),
        (Says(429, "", {"retry-after": "30"}), Failed("Slack rate limited (429)", 30.0)),
        (Says(500, "rollup_error"), Failed("Slack error: 500 Internal Server Error: rollup_error")),
    ],
)
async def test_a_webhook_answers_by_status(says: Says, outcome: Outcome) -> None:
    """As the table of all connectors has it."""
    assert await answered(says) == outcome


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ({"ok": False, "error": "channel_not_found"}, Rejected, "channel_not_found; write the channel's id"),
        ({"ok": False, "error": "is_archived"}, Rejected, "Slack refused: is_archived"),
        ({"ok": False, "error": "invalid_auth"}, Rejected, "set SLACK_BOT_TOKEN anew"),
        ({"ok": False, "error": "missing_scope", "needed": "chat:write"}, Rejected, "needs chat:write; add the scope"),
        (
            {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] no\n text"]}},
            Rejected,
            "invalid_blocks; [ERROR] no text",
        ),
        ({"ok": False, "error": "internal_error"}, Failed, "internal_error"),
        ({"ok": False, "error": "ratelimited"}, Failed, "ratelimited"),
        ({"ok": False}, Rejected, "unknown_error"),
        ({"ok": "yes", "error": ["x"]}, Rejected, "['x']"),
        ("<html>maintenance</html>", Failed, "is not an answer: <html>maintenance"),
        ([1], Failed, "is not an answer"),
    ],
)
async def test_a_bot_is_answered_in_the_body(body: Any, kind: type, reason: str) -> None:
    """Slack says 200 to what it refuses; what to do stands beside what it says."""
    outcome = await as_bot(body)

    assert isinstance(outcome, Rejected | Failed)
    assert type(outcome) is kind
    assert reason in outcome.reason


async def test_a_bot_that_is_limited_waits_as_long_as_slack_says() -> None:
    """By the header, with either status."""
    assert await as_bot({"ok": False, "error": "ratelimited"}, status=429, retry_after="7") == Failed(
        'Slack rate limited (429): {"ok": false, "error": "ratelimited"}', 7.0
    )
    limited = await as_bot({"ok": False, "error": "ratelimited"}, retry_after="9")
    assert isinstance(limited, Failed)
    assert limited.retry_after_s == 9.0


async def test_no_secret_is_told() -> None:
    """Neither the token nor the address of a webhook, which is one."""
    bot = await as_bot("the token xoxb-17-secret is odd", status=400)
    hook = await answered(Says(400, "hook-s3cret is gone"))

    assert isinstance(bot, Rejected)
    assert isinstance(hook, Rejected)
    assert "17-secret" not in bot.reason
    assert "s3cret" not in hook.reason


# -- configuration and check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({}, "webhook_url: required, or token and channel"),
        ({"webhook_url": "https://h.example/x", "token": "t"}, "token: beside webhook_url"),
        ({"webhook_url": "hooks.slack.com/x"}, "webhook_url: must begin with http"),
        ({"url": "ftp://h.example"}, "webhook_url: must begin with http"),
        ({"token": ""}, "token: is empty"),
        ({"token": "a b"}, "token: is none"),
        ({"token": "t", "channel": ""}, "channel: is empty"),
        ({"webhook_url": "https://h.example/x", "channel": "C1"}, "channel: a webhook posts where"),
        ({"token": "t", "text": "{{ payload.x }}"}, "text: .* begins with none of"),
        ({"token": "t", "blocks": [{"text": "x"}]}, r"blocks\.0\.type: required"),
        ({"token": "t", "blocks": []}, "blocks: has 0"),
        ({"token": "t", "blocks": [{"type": "divider"}] * 51}, "blocks: has 51"),
        ({"token": "t", "api_url": "https://u:p@slack.com"}, "api_url: has a user name"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str) -> None:
    """One that says where, and what to write."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.actor, config)


@pytest.mark.parametrize(
    ("says", "ok", "detail"),
    [
        (
            Says(200, {"ok": True, "user": "bot", "team": "Acme"}, {"x-oauth-scopes": "chat:write, users:read"}),
            True,
            "knows",
        ),
        (Says(200, {"ok": True, "user": "bot", "team": "Acme"}, {"x-oauth-scopes": "users:read"}), False, "chat:write"),
        (Says(200, {"ok": False, "error": "invalid_auth"}), False, "set SLACK_BOT_TOKEN anew"),
        (Says(503), False, "503"),
    ],
)
async def test_a_token_is_checked_by_asking_whose_it_is(says: Says, ok: bool, detail: str) -> None:
    """Nothing is posted."""
    async with open_outside() as outside:
        outside.at("GET", "/api/auth.test", says)
        (told,) = await checked(CONNECTOR.actor, {"token": TOKEN, "channel": "C1", "api_url": f"{outside.url}/api"})

    assert told.ok is ok
    assert detail in told.detail
    assert told.identity == ("@bot in Acme" if says.headers else None)


async def test_a_webhook_is_checked_without_a_word() -> None:
    """Whoever asks it anything posts to it."""
    async with open_outside() as outside:
        (there,) = await checked(CONNECTOR.actor, {"webhook_url": f"{outside.url}/x"})
    (gone,) = await checked(CONNECTOR.actor, {"webhook_url": f"http://127.0.0.1:{unused_port()}/x"})

    assert (there.ok, gone.ok, outside.heard) == (True, False, [])
