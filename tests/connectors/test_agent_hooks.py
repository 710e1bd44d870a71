"""Sources of coding agents: whose a request is, what a hook says, and what its event looks like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orgloop.event import Event, faults_of
from orgloop.sdk import Connector, Received, Request
from orgloop_connectors import claude_code, codex, coding_agent, opencode, pi, pi_rust
from orgloop_connectors._signing import Hmac
from tests.connectors.stage import checked, made, place

# As Claude Code 2.1 posts them; only ids and texts are made up.
HOOK = {
    "session_id": "7f3c9e5a-2a0f-4f5e-9d1c-3d1f0b6f2c11",
    "transcript_path": "/home/ann/.claude/projects/-srv/7f3c9e5a.jsonl",
    "cwd": "/srv/engineering",
    "permission_mode": "default",
}
STOP = {**HOOK, "hook_event_name": "Stop", "stop_hook_active": False, "last_assistant_message": "Mended."}
NOTIFY = {
    "type": "agent-turn-complete",
    "thread-id": "0199a213-81c0",
    "turn-id": "12",
    "cwd": "/srv/engineering",
    "client": "codex-tui",
    "input-messages": ["Mend it."],
    "last-assistant-message": "Mended.",
}
ENDED = {"session_id": "s1", "working_directory": "/w", "duration_seconds": 5, "exit_status": 0, "summary": "Done."}


CLAUDE = claude_code.CONNECTOR


async def received(
    body: object, config: Mapping[str, Any] | None = None, connector: Connector = CLAUDE, **headers: str
) -> Received:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-type", "application/json")
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    source = made(connector.source, config or {}, place(id="agents"))
    answer: Received = await source.receive(Request("POST", "/webhook/agents", named, written))
    return answer


async def event_of(body: object, connector: Connector = CLAUDE, **config: Any) -> Event:
    answer = await received(body, config, connector)
    assert answer.response.status == 200, answer.response.body
    (event,) = answer.events
    assert faults_of(event) == []
    return event


# -- hooks of Claude Code ----------------------------------------------------------------------------------------------


async def test_a_stop_hook_is_a_conforming_end() -> None:
    """As it is posted: the session has done what it was asked."""
    event = await event_of(STOP)

    assert (event.source, event.type) == ("agents", "actor.stopped")
    assert event.payload["lifecycle"] == {
        "phase": "completed",
        "terminal": True,
        "outcome": "success",
        "reason": "stop",
        "dedupe_key": f"claude-code:{HOOK['session_id']}:completed",
    }
    assert event.provenance == {
        "platform": "claude-code",
        "platform_event": "session.completed",
        "author": "claude-code",
        "author_type": "bot",
        "session_id": HOOK["session_id"],
        "working_directory": "/srv/engineering",
        "authenticated": False,
    }


async def test_what_a_hook_says_is_in_the_payload() -> None:
    """The original's flat fields, the session, and all else under ``hook``."""
    payload = (await event_of(STOP)).payload

    assert payload["session"].pop("ended_at")
    assert payload["session"] == {
        "id": HOOK["session_id"],
        "adapter": "claude-code",
        "harness": "claude-code",
        "cwd": "/srv/engineering",
        "exit_status": 0,
    }
    flat = ("session_id", "working_directory", "duration_seconds", "exit_status", "summary", "transcript_path")
    assert [payload[key] for key in flat] == [
        HOOK["session_id"],
        "/srv/engineering",
        0,
        0,
        "Mended.",
        HOOK["transcript_path"],
    ]
    assert payload["hook"]["stop_hook_active"] is False
    assert payload["hook"]["hook_event_name"] == "Stop"


@pytest.mark.parametrize(
    ("said", "phase", "outcome", "reason"),
    [
        ({"hook_event_name": "Stop", "stop_hook_active": True}, "completed", "success", "stop"),
        ({"hook_event_name": "StopFailure", "error": "rate_limit"}, "failed", "failure", "rate_limit"),
        ({"hook_event_name": "SessionEnd", "reason": "logout"}, "stopped", "unknown", "logout"),
        ({"hook_event_name": "SessionEnd"}, "stopped", "unknown", "session_end"),
        ({"hook_event_name": "SessionStart", "source": "startup"}, "started", None, "startup"),
        ({"hook_event_name": "SessionStart", "source": "clear"}, "started", None, "clear"),
        ({"hook_event_name": "SessionStart", "source": "resume"}, "active", None, "resume"),
        ({"hook_event_name": "SessionStart", "source": "compact"}, "active", None, "compact"),
        ({"hook_event_name": "SubagentStop", "agent_id": "a1"}, "active", None, "subagent_stop"),
        ({"hook_event_name": "Notification", "message": "?"}, "active", None, "notification"),
        (
            {"hook_event_name": "Notification", "notification_type": "permission_prompt"},
            "active",
            None,
            "permission_prompt",
        ),
        ({"hook_event_name": "UserPromptSubmit", "prompt": "Go."}, "active", None, "user_prompt_submit"),
        ({"hook_event_name": "SomethingNew", "x": [1]}, "active", None, "something_new"),
    ],
)
async def test_each_hook_is_a_step(said: dict[str, Any], phase: str, outcome: str | None, reason: str) -> None:
    """Only an end is one: a subagent's leaves its session alive, and so does what nobody here knows."""
    lifecycle = (await event_of({**HOOK, **said})).payload["lifecycle"]

    assert (lifecycle["phase"], lifecycle.get("outcome"), lifecycle["reason"]) == (phase, outcome, reason)


async def test_a_beginning_says_when() -> None:
    """And nothing of an end."""
    session = (await event_of({**HOOK, "hook_event_name": "SessionStart", "source": "startup"})).payload["session"]

    assert session["started_at"]
    assert not {"ended_at", "exit_status"} & set(session)


async def test_a_hook_chooses_no_envelope() -> None:
    """It is data: source, platform, harness and ids are not its to say."""
    event = await event_of({**STOP, "source": "github", "id": "evt_x", "harness": "codex", "platform": "x"})

    assert (event.source, event.provenance["platform"]) == ("agents", "claude-code")
    assert event.payload["session"]["harness"] == "claude-code"
    assert event.id != "evt_x"


# -- Codex -------------------------------------------------------------------------------------------------------------


async def test_what_notify_says_is_the_end_of_a_turn() -> None:
    """A session has many: each has its own key."""
    event = await event_of(NOTIFY, codex.CONNECTOR)
    next_one = await event_of({**NOTIFY, "turn-id": "13"}, codex.CONNECTOR)

    assert event.type == "actor.stopped"
    assert event.payload["lifecycle"]["dedupe_key"] == "codex:0199a213-81c0:completed:12"
    assert next_one.payload["lifecycle"]["dedupe_key"] == "codex:0199a213-81c0:completed:13"
    assert (event.payload["session_id"], event.payload["summary"], event.payload["cwd"]) == (
        "0199a213-81c0",
        "Mended.",
        "/srv/engineering",
    )
    assert event.payload["hook"]["input-messages"] == ["Mend it."]


async def test_an_older_notify_is_known_by_its_turn() -> None:
    """It did not tell its thread."""
    event = await event_of({"type": "agent-turn-complete", "turn-id": "12345"}, codex.CONNECTOR)

    assert event.payload["session"]["id"] == "12345"


async def test_another_notice_is_no_end() -> None:
    """Such as one that asks for approval."""
    event = await event_of({**NOTIFY, "type": "approval-requested"}, codex.CONNECTOR)

    assert event.payload["lifecycle"]["phase"] == "active"


async def test_codex_has_the_same_hooks() -> None:
    """With the turn they belong to."""
    event = await event_of({**STOP, "turn_id": "t9", "model": "gpt-5.2-codex"}, codex.CONNECTOR)

    assert event.payload["lifecycle"]["dedupe_key"].endswith(":completed:t9")
    assert event.payload["model"] == "gpt-5.2-codex"


# -- the original's body -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "phase", "outcome", "reason"),
    [
        (None, "completed", "success", "exit_code_0"),
        (0, "completed", "success", "exit_code_0"),
        (1, "failed", "failure", "exit_code_1"),
        (128, "failed", "failure", "exit_code_128"),
        (130, "stopped", "cancelled", "sigint"),
        (137, "stopped", "cancelled", "sigkill"),
        (143, "stopped", "cancelled", "sigterm"),
        (129, "stopped", "cancelled", "signal_1"),
        (-15, "stopped", "cancelled", "sigterm"),
    ],
)
async def test_an_exit_status_is_an_outcome(status: int | None, phase: str, outcome: str, reason: str) -> None:
    """By the original's table; without one it went well."""
    lifecycle = (await event_of({**ENDED, "exit_status": status}, coding_agent.CONNECTOR)).payload["lifecycle"]

    assert (lifecycle["phase"], lifecycle["outcome"], lifecycle["reason"]) == (phase, outcome, reason)


@pytest.mark.parametrize(
    ("hook_type", "phase"),
    [("start", "started"), ("stop", "completed"), ("session.stopped", "completed"), ("session.idle", "active")],
)
async def test_a_hook_type_says_which_step(hook_type: str, phase: str) -> None:
    """Those of the original, and of agentctl."""
    event = await event_of({"session_id": "s1", "hook_type": hook_type}, coding_agent.CONNECTOR)

    assert event.payload["lifecycle"]["phase"] == phase


async def test_an_error_without_a_status_is_no_success() -> None:
    """Though a missing status is one, elsewhere."""
    event = await event_of({"session_id": "s1", "hook_type": "session.error"}, coding_agent.CONNECTOR)

    assert event.payload["lifecycle"]["outcome"] == "failure"


async def test_what_agentctl_posts_keeps_its_meta() -> None:
    """In both places, where actors look for a callback."""
    meta = {"openclaw_callback_session_key": "k"}
    payload = (await event_of({**ENDED, "meta": meta, "adapter": "codex"}, coding_agent.CONNECTOR)).payload

    assert payload["meta"] == payload["session"]["meta"] == meta


@pytest.mark.parametrize(
    ("connector", "config", "platform", "harness", "flat"),
    [
        (coding_agent.CONNECTOR, {}, "agents", "agents", "transcript_path"),
        (coding_agent.CONNECTOR, {"platform": "claude-code"}, "claude-code", "claude-code", "transcript_path"),
        (coding_agent.CONNECTOR, {"harness": "codex"}, "agents", "codex", "transcript_path"),
        (claude_code.CONNECTOR, {}, "claude-code", "claude-code", "transcript_path"),
        (claude_code.CONNECTOR, {"platform": "cc"}, "cc", "cc", "transcript_path"),
        (codex.CONNECTOR, {}, "codex", "codex", "model"),
        (opencode.CONNECTOR, {}, "opencode", "opencode", "model"),
        (pi.CONNECTOR, {}, "pi", "pi", "model"),
        (pi_rust.CONNECTOR, {}, "pi-rust", "pi-rust", "model"),
    ],
)
async def test_each_has_its_name_and_its_fields(
    connector: Connector, config: dict[str, Any], platform: str, harness: str, flat: str
) -> None:
    """As in the original."""
    event = await event_of(ENDED, connector, **config)

    assert event.provenance["platform"] == event.payload["session"]["adapter"] == platform
    assert event.payload["session"]["harness"] == harness
    assert flat in event.payload
    assert ("working_directory" in event.payload) == (flat == "transcript_path")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "a JSON object is expected"),
        (None, "a JSON object is expected, not null"),
        ({}, "session_id: a text of 1 to 256"),
        ({"session_id": ""}, "session_id: a text of 1 to 256"),
        ({"session_id": "x" * 257}, "session_id: a text of 1 to 256"),
        ({"session_id": 7}, "session_id: a text is expected, not int"),
        ({"session_id": "s", "hook_type": "strat"}, "hook_type: 'strat' is none of"),
        ({"session_id": "s", "exit_status": "0"}, "exit_status: a whole number"),
        ({"session_id": "s", "exit_status": True}, "exit_status: a whole number"),
        ({"session_id": "s", "exit_status": 256}, "exit_status: a whole number"),
        ({"session_id": "s", "duration_seconds": -1}, "duration_seconds: a number"),
        ({"session_id": "s", "meta": []}, "meta: an object"),
        ({"session_id": "s", "summary": {}}, "summary: a text"),
        ({"session_id": "s", "hook_event_name": ""}, "hook_event_name: is empty"),
        ({"hook_event_name": "Stop"}, "session_id: a text"),
        ({"type": "agent-turn-complete", "thread-id": 5}, "thread-id: a text"),
    ],
)
async def test_what_can_be_no_event_is_told(body: object, why: str) -> None:
    """Field and fault: the original made an event of it, of session ``undefined``."""
    answer = await received(body)

    assert answer.response.status == 400
    assert answer.events == ()
    assert why in answer.response.body["detail"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"session_id":"a","session_id":"b"}', b'{"session_id":NaN}'])
async def test_what_is_no_json_is_told(body: bytes) -> None:
    """By the same strict reader as everywhere."""
    answer = await received(body)

    assert (answer.response.status, answer.response.body["error"]) == (400, "Invalid JSON payload")


async def test_what_is_nested_too_deeply_for_an_event_is_told() -> None:
    """It was read, and would stand deeper in the payload."""
    body = b'{"session_id":"s","hook_event_name":"X","deep":' + b"[" * 63 + b"]" * 63 + b"}"
    answer = await received(body)

    assert answer.response.status == 400
    assert "nested deeper" in answer.response.body["detail"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("application/json; charset=latin1", 415),
    ],
)
async def test_only_json_is_read(content_type: str, status: int) -> None:
    """Under the name that curl gives it, too; a page in a browser can send text/plain to anybody."""
    assert (await received(STOP, content_type=content_type)).response.status == status


async def test_another_method_and_a_long_body_are_refused() -> None:
    """Before anything is read."""
    source = made(claude_code.CONNECTOR.source, {"max_body": "10B"}, place(id="agents"))

    assert (await source.receive(Request("GET", "/webhook/agents", {}, b""))).response.status == 405
    assert (await source.receive(Request("POST", "/webhook/agents", {}, b"x" * 11))).response.status == 413


async def test_a_delivery_id_is_passed_on() -> None:
    """A bridge that tries again sends it again."""
    assert (await received(STOP, idempotency_key="k-1")).delivery_id == "k-1"
    assert (await received(STOP, idempotency_key="a b")).response.status == 400


# -- whose it is -------------------------------------------------------------------------------------------------------

BODY = json.dumps(STOP).encode()
SIGNED = Hmac().sign("s3cret", BODY)


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({"secret": "s3cret"}, {"x_hub_signature_256": SIGNED}),
        ({"hmac_secret": "s3cret"}, {"x_signature": SIGNED}),
        ({"secret": "new", "secrets": ["s3cret"]}, {"x_signature": SIGNED}),
        ({"token": "t0ken"}, {"authorization": "Bearer t0ken"}),
        ({"secret": "s3cret", "token": "t0ken"}, {"authorization": "Bearer t0ken"}),
        ({"secret": "s3cret", "token": "t0ken"}, {"x_signature": SIGNED}),
    ],
)
async def test_what_is_authentic_is_accepted(config: dict[str, Any], headers: dict[str, str]) -> None:
    """Signed, or with the token: hooks over HTTP cannot sign."""
    answer = await received(BODY, config, CLAUDE, **headers)

    assert answer.response.status == 200
    assert answer.events[0].provenance["authenticated"] is True


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({"secret": "s3cret"}, {}),
        ({"secret": "s3cret"}, {"x_signature": Hmac().sign("other", BODY)}),
        ({"secret": "s3cret"}, {"authorization": "Bearer s3cret"}),
        ({"token": "t0ken"}, {}),
        ({"token": "t0ken"}, {"authorization": "Bearer t0ken2"}),
        ({"token": "t0ken"}, {"authorization": "t0ken"}),
        ({"token": "t0ken"}, {"authorization": "Bearer \udcff"}),
        ({"token": "t0ken"}, {"x_signature": Hmac().sign("t0ken", BODY)}),
    ],
)
async def test_any_other_gets_the_same_answer(config: dict[str, Any], headers: dict[str, str]) -> None:
    """Whatever is wrong; and the body is not looked at."""
    answer = await received(b"{not json", config, CLAUDE, **headers)

    assert (answer.response.status, answer.response.body) == (401, {"error": "Invalid signature"})


# -- configs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"secret": ""}, "secret: is empty"),
        ({"secrets": [""]}, "secrets.0: is empty"),
        ({"token": ""}, "token: must be graphic"),
        ({"max_body": "0B"}, "max_body: must be"),
        ({"platform": ""}, "platform: is empty"),
        ({"harness": ""}, "harness: is empty"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """An empty secret most of all: it would have been an open door."""
    with pytest.raises(ValueError, match=fault):
        made(coding_agent.CONNECTOR.source, config)


async def test_the_originals_config_is_taken_and_its_idle_keys_are_named() -> None:
    """Those of the scaffold as well."""
    idle = {"path": "/x", "buffer_dir": "b", "max_buffer_size": "50MB", "hook_type": "post-exit"}

    told = await checked(claude_code.CONNECTOR.source, idle)

    assert {one.name for one in told} == {"secret", *idle}
    assert "anyone who reaches" in told[0].detail


async def test_a_check_says_that_the_door_is_closed() -> None:
    """By a token as well as by a secret."""
    (told,) = await checked(codex.CONNECTOR.source, {"token": "t0ken"})

    assert "checked against" in told.detail
