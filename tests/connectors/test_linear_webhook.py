"""Linear by being told: whose a request is, how old it is, and then what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.sdk import Event, Received, Request
from orgloop_connectors._signing import Hmac
from orgloop_connectors.linear_webhook import CONNECTOR
from orgloop_connectors.linear_webhook.config import LinearWebhookConfig
from orgloop_connectors.linear_webhook.source import LinearWebhookSource
from tests.connectors.stage import checked, made, place

NOW_S = 1_772_000_000.0
SECRET = "lin_wh_secret"
ISSUE = {
    "id": "uuid-1",
    "identifier": "ENG-1",
    "title": "Checkout is slow",
    "url": "https://linear.app/acme/issue/ENG-1",
    "description": "p99 is 4 s",
    "priority": 2,
    "updatedAt": "2026-02-25T06:13:20.000Z",
    "state": {"id": "s-2", "name": "Doing"},
    "assignee": {"id": "u-3", "name": "Cid"},
    "labels": [{"id": "l-1", "name": "bug"}, {"id": "l-2", "name": "urgent"}],
    "labelIds": ["l-1", "l-2"],
    "team": {"id": "t-1", "key": "ENG", "name": "Engineering"},
}


def body(**said: Any) -> dict[str, Any]:
    return {
        "action": "update",
        "type": "Issue",
        "data": ISSUE,
        "url": ISSUE["url"],
        "createdAt": "2026-02-25T06:13:20.000Z",
        "actor": {"id": "u-2", "name": "Ben", "type": "user"},
        "webhookTimestamp": round(NOW_S * 1000),
        "webhookId": "w-1",
        **said,
    }


def signed(sent: bytes, secret: str = SECRET) -> str:
    return Hmac(prefix="").sign(secret, sent)


async def received(
    said: Any, config: Mapping[str, Any] | None = None, *, now_s: float = NOW_S, **headers: str
) -> Received:
    """What the source makes of it, signed unless that is said otherwise."""
    sent = said if isinstance(said, bytes) else json.dumps(said).encode()
    named = {name.replace("_", "-"): value for name, value in {"linear_signature": signed(sent), **headers}.items()}
    value = structure(LinearWebhookConfig, {"secret": SECRET, **(config or {})}, where="config")
    source = LinearWebhookSource(value, place(id="linear"), now_s=lambda: now_s)
    return await source.receive(Request("POST", "/webhook/linear", named, sent))


async def told(said: Any, **config: Any) -> list[Event]:
    answer = await received(said, config)
    assert answer.response.status == 200
    assert answer.response.body["event_ids"] == [event.id for event in answer.events]
    return list(answer.events)


# -- events ------------------------------------------------------------------------------------------------------------


async def test_a_new_issue_is_an_event() -> None:
    """Of the same shape as the one that is found by asking."""
    (event,) = await told(body(action="create"))

    assert event.provenance == {
        "platform": "linear",
        "platform_event": "issue.created",
        "resource_id": "issue-uuid-1-created",
        "author": "Ben",
        "author_type": "team_member",
        "issue_id": "ENG-1",
        "url": ISSUE["url"],
        "state": "Doing",
        "authenticated": True,
    }
    assert event.payload == {
        "action": "issue_created",
        "issue_id": "ENG-1",
        "issue_title": "Checkout is slow",
        "issue_description": "p99 is 4 s",
        "state": "Doing",
    }


@pytest.mark.parametrize(
    ("before", "name", "said"),
    [
        ({"stateId": "s-1"}, "state", {"previous_state": "Unknown", "new_state": "Doing"}),
        ({"state": {"name": "Todo"}}, "state", {"previous_state": "Todo", "new_state": "Doing"}),
        (
            {"assigneeId": None},
            "assignee",
            {"previous_assignee": None, "new_assignee": "Cid", "previous_assignee_id": None},
        ),
        ({"priority": 0}, "priority", {"previous_priority": 0, "new_priority": 2}),
        (
            {"labelIds": ["l-1", "l-0"]},
            "labels",
            {
                "previous_labels": ["bug", "l-0"],
                "new_labels": ["bug", "urgent"],
                "added_labels": ["urgent"],
                "removed_labels": ["l-0"],
            },
        ),
        ({"delegateId": "u-9"}, "delegate", {"old_delegate_id": "u-9", "new_delegate": None, "new_delegate_id": None}),
    ],
)
async def test_a_change_is_an_event(before: dict[str, Any], name: str, said: dict[str, Any]) -> None:
    """Whoever made it is its author."""
    (event,) = await told(body(updatedFrom={"updatedAt": "2026-02-25T06:00:00.000Z", **before}))

    assert event.provenance["platform_event"] == f"issue.{name}_changed"
    assert (event.provenance["author"], event.provenance["author_type"]) == ("Ben", "team_member")
    assert {key: event.payload[key] for key in said} == said
    assert event.payload["issue_id"] == "ENG-1"


async def test_one_request_may_be_several_events() -> None:
    """Each with an identity of its own, which is the same when it is sent again."""
    said = body(updatedFrom={"stateId": "s-1", "priority": 0, "labelIds": []})
    first, again = await told(said), await told(said)

    identities = [event.provenance["resource_id"] for event in first]
    assert len(set(identities)) == 3
    assert identities == [event.provenance["resource_id"] for event in again]


async def test_a_comment_is_an_event() -> None:
    """With the issue that it is on."""
    issue = {"id": "uuid-1", "identifier": "ENG-1", "title": "Checkout is slow"}
    data = {"id": "c-1", "body": "On it.", "user": {"id": "u-2", "name": "Ben"}, "issue": issue}
    (event,) = await told(body(type="Comment", action="create", data=data, url="https://linear.app/c-1"))

    assert event.provenance["platform_event"] == "comment.created"
    assert (event.provenance["resource_id"], event.provenance["url"]) == ("comment-c-1", "https://linear.app/c-1")
    assert (event.payload["issue_id"], event.payload["comment_body"]) == ("ENG-1", "On it.")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"action": "remove"}, "issue.remove"),
        ({"updatedFrom": {"title": "old"}}, "issue.update"),
        ({"type": "Comment", "action": "update", "data": {"id": "c-1"}}, "comment.update"),
        ({"type": "Comment", "action": "create", "data": {"id": "c-1", "documentContentId": "d"}}, "comment.create"),
        ({"type": "ProjectUpdate", "action": "create", "data": {"id": "p-1"}}, "projectupdate.create"),
        ({"type": "OAuthApp", "action": "revoked", "data": None, "actor": None}, "oauthapp.revoked"),
        ({"action": "create", "data": {"id": "x", "title": 7}}, "issue.create"),  # a shape that is not known
        ({"updatedFrom": {"labelIds": "l-1"}}, "issue.update"),
    ],
)
async def test_what_is_not_known_is_passed_on(said: dict[str, Any], name: str) -> None:
    """As it was sent; a 400 would lose it."""
    (event,) = await told(body(**said))

    assert event.provenance["platform_event"] == name
    assert event.payload["data"] == body(**said)["data"]


@pytest.mark.parametrize(
    ("actor", "author"),
    [
        ({"name": "Ann", "type": "user"}, ("Ann", "team_member")),
        ({"name": "GitHub", "type": "integration"}, ("GitHub", "bot")),
        ({"name": "Codex", "type": "OauthClient"}, ("Codex", "bot")),
        ({"name": 7}, ("unknown", "unknown")),
        (None, ("unknown", "unknown")),
    ],
)
async def test_who_is_no_member_is_called_none(actor: Any, author: tuple[str, str]) -> None:
    """A filter on author_type can rely on it."""
    (event,) = await told(body(updatedFrom={"priority": 0}, actor=actor))

    assert (event.provenance["author"], event.provenance["author_type"]) == author


# -- what is not for this source ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said", "reason"),
    [
        ({"team": "OPS"}, {}, "team_mismatch"),
        ({"team": "OPS"}, {"type": "Comment", "data": {"issue": {"team": {"key": "ENG"}}}}, "team_mismatch"),
        ({"events": ["Comment"]}, {}, "event_type"),
        ({"events": ["Issue"]}, {"type": "Project"}, "event_type"),
        ({"team": "ENG", "events": ["Issue"]}, {}, None),
        ({"team": "OPS"}, {"type": "Project", "data": {"id": "p"}}, None),
    ],
)
async def test_what_is_not_wanted_is_answered_and_not_admitted(
    config: dict[str, Any], said: dict[str, Any], reason: str | None
) -> None:
    """What belongs to no team is of every team."""
    answer = await received(body(**said), config)

    assert answer.response.status == 200
    assert answer.response.body.get("reason") == reason
    assert bool(answer.events) == (reason is None)


# -- whose it is -------------------------------------------------------------------------------------------------------


SENT = json.dumps(body()).encode()


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=" + signed(SENT),
        signed(SENT).upper(),
        signed(SENT)[:-1],
        signed(SENT) + "0",
        f" {signed(SENT)}",
        signed(SENT, "other"),
        signed(SENT, ""),
        signed(b"{}"),
        "é" * 64,
        "0" * 100_000,
    ],
)
async def test_what_is_not_exactly_a_signature_is_refused(signature: str) -> None:
    """With one answer, whatever is wrong."""
    answer = await received(SENT, linear_signature=signature)

    assert (answer.response.status, answer.response.body) == (401, {"error": "Invalid signature"})
    assert answer.events == ()


@pytest.mark.parametrize(
    ("sent_ms", "status"),
    [
        (NOW_S * 1000 - 60_000, 200),
        (NOW_S * 1000 + 60_000, 200),
        (NOW_S * 1000 - 60_001, 401),
        (NOW_S * 1000 + 60_001, 401),
        (NOW_S, 401),  # seconds
        (0, 401),
    ],
)
async def test_what_is_old_is_refused(sent_ms: float, status: int) -> None:
    """By the time that Linear has signed; the original took it for ever."""
    answer = await received(body(webhookTimestamp=round(sent_ms)))

    assert answer.response.status == status


@pytest.mark.parametrize("written", [None, "1772000000000", 1.772e12, True, [], float("1e300")])
async def test_a_time_that_is_none_is_refused(written: Any) -> None:
    """So is a body that has none."""
    without = body()
    del without["webhookTimestamp"]

    for said in (body(webhookTimestamp=written), without, [1]):
        assert (await received(said)).response.status == 401


async def test_a_longer_tolerance_may_be_chosen() -> None:
    """For a clock that is wrong."""
    answer = await received(body(), {"tolerance": "5m"}, now_s=NOW_S + 299)

    assert answer.response.status == 200


async def test_a_secret_can_be_changed() -> None:
    """Both fit meanwhile."""
    answer = await received(body(), {"secret": "new", "secrets": [SECRET]})

    assert answer.response.status == 200


async def test_without_a_secret_an_event_says_so() -> None:
    """Anybody may have sent it, at any time."""
    value = structure(LinearWebhookConfig, {}, where="config")
    source = LinearWebhookSource(value, place(id="linear"))
    answer = await source.receive(Request("POST", "/webhook/linear", {}, SENT))

    assert [event.provenance["authenticated"] for event in answer.events] == [False]


# -- what a request may be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (b"", 400, "Invalid JSON payload"),
        (b"{", 400, "Invalid JSON payload"),
        (b'{"a":1,"a":2}', 400, "Invalid JSON payload"),
        (b'{"a":NaN}', 400, "Invalid JSON payload"),
        (b"[" * 100_000, 400, "Invalid JSON payload"),
        (b" " * (1024 * 1024 + 1), 413, "Body longer than 1048576 bytes"),
        (body(type=None), 400, "Missing type or action field"),
        (body(action=""), 400, "Missing type or action field"),
        (body(type="Issue\nx"), 400, "Missing type or action field"),
        (body(data=[1]), 400, "Unknown shape"),
    ],
)
async def test_what_cannot_be_read_is_refused(said: Any, status: int, error: str) -> None:
    """Signed or not."""
    answer = await received(said)

    assert (answer.response.status, answer.response.body["error"]) == (status, error)
    assert answer.events == ()


async def test_other_methods_are_refused() -> None:
    """A GET changes nothing."""
    answer = await made(CONNECTOR.source, {}).receive(Request("GET", "/webhook/linear", {}, b""))

    assert (answer.response.status, answer.response.headers) == (405, {"allow": "POST"})


@pytest.mark.parametrize(
    ("delivery_id", "status"),
    [("234d1a4e-b617-4388-90fe-adc3633d6b72", 200), ("x" * 256, 200), ("x" * 257, 400), ("a b", 400), ("é", 400)],
)
async def test_a_delivery_is_known_by_linear_s_id(delivery_id: str, status: int) -> None:
    """So that one that is sent again is admitted once."""
    answer = await received(body(), linear_delivery=delivery_id)

    assert answer.response.status == status
    assert answer.delivery_id == (delivery_id if status == 200 else None)


# -- configuration and check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"secret": ""}, "secret: is empty"),
        ({"secrets": ["a", ""]}, r"secrets\.1: is empty"),
        ({"team": ""}, "team: is empty"),
        ({"events": ["issue.created"]}, r"events\.0: 'issue\.created' is no kind of thing"),
        ({"tolerance": "2d"}, "tolerance: must be more than nothing"),
        ({"max_body": "0B"}, "max_body: must be more than nothing"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str) -> None:
    """One that says where, and what to write."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, config)


async def test_a_check_says_that_the_door_is_open_and_which_keys_are_idle() -> None:
    """It asks nobody."""
    (open_, path) = await checked(CONNECTOR.source, {"path": "/linear"})
    (closed,) = await checked(CONNECTOR.source, {"secret": SECRET})

    assert "anyone who reaches /webhook/it" in open_.detail
    assert (path.name, path.ok) == ("path", True)
    assert closed.detail == "requests are checked against it"
