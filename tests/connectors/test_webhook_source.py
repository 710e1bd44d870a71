"""The webhook source: whose a request is, and then what it says."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from orgloop.errors import ConfigError
from orgloop.event import faults_of
from orgloop.sdk import Received, Request
from orgloop_connectors._signing import Hmac, sign_standard, standard_key
from orgloop_connectors.webhook import CONNECTOR
from tests.connectors.stage import checked, made, place

BODY = b'{"type":"deploy.finished","n":1}'
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def received(config: Mapping[str, Any], body: bytes = BODY, *, method: str = "POST", **headers: str) -> Received:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-type", "application/json")
    source = made(CONNECTOR.source, config, place(id="partner"))
    answer: Received = await source.receive(Request(method, "/webhook/partner", named, body))
    return answer


def signed(secret: str = "secret", body: bytes = BODY) -> str:
    return Hmac().sign(secret, body)


# -- events ------------------------------------------------------------------------------------------------------------


async def test_a_request_becomes_an_event() -> None:
    """Of the original's shape; the answer names it."""
    answer = await received({})

    (event,) = answer.events
    assert (event.source, event.type, event.payload) == ("partner", "resource.changed", json.loads(BODY))
    assert event.provenance == {
        "platform": "webhook",
        "platform_event": "deploy.finished",
        "authenticated": False,
    }
    assert (answer.response.status, answer.response.body) == (200, {"ok": True, "event_id": event.id})


@pytest.mark.parametrize(
    ("field", "body", "platform_event"),
    [
        ("action.name", b'{"action":{"name":"opened"}}', "opened"),
        ("items.0", b'{"items":["first"]}', "first"),
        ("type", b'{"type":7}', "unknown"),
        ("type", b'{"type":""}', "unknown"),
        ("type", json.dumps({"type": "x" * 201}).encode(), "unknown"),
        ("type", b"[1]", "unknown"),
    ],
)
async def test_the_sender_says_what_happened(field: str, body: bytes, platform_event: str) -> None:
    """At a path of the operator's choice; what is no short text there is unknown."""
    answer = await received({"event_type_field": field}, body)

    assert answer.events[0].provenance["platform_event"] == platform_event


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1", b"{}"])
async def test_any_json_is_a_payload(body: bytes) -> None:
    """As in the original."""
    answer = await received({}, body)

    assert answer.events[0].payload == json.loads(body)


async def test_what_a_sender_calls_as_we_do_stays_in_the_payload() -> None:
    """It chooses no id, no trace, no source."""
    said = {"id": "evt_x", "trace_id": "t", "source": "github", "module": "m", "ancestors": [], "type": "actor.stopped"}
    answer = await received({}, json.dumps(said).encode())

    (event,) = answer.events
    assert event.payload == said
    assert (event.source, event.type, event.module) == ("partner", "resource.changed", None)
    assert event.id != "evt_x"


async def test_a_lone_surrogate_is_replaced() -> None:
    """The event can be written down, and the rest of it is as it was."""
    answer = await received({}, b'{"type":"a\\ud800b","n":1}')

    assert answer.events[0].payload == {"type": "a\ufffdb", "n": 1}
    assert faults_of(answer.events[0]) == []


async def test_a_message_may_be_one() -> None:
    """For what people say, rather than what changed."""
    answer = await received({"event_type": "message.received"})

    assert answer.events[0].type == "message.received"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"a":"1"}'),
        ("Application/JSON; charset=UTF-8", b'{"a":"1"}'),
        ("application/cloudevents+json", b'{"a":"1"}'),
        ("", b'{"a":"1"}'),
        ("application/x-www-form-urlencoded", b"a=1"),
        ("application/x-www-form-urlencoded", b"payload=%7B%22a%22%3A%221%22%7D"),
        ("application/x-www-form-urlencoded", b'{"a":"1"}'),  # curl -d
    ],
)
async def test_json_and_forms_are_read(content_type: str, body: bytes) -> None:
    """And what curl calls a form."""
    answer = await received({}, body, content_type=content_type)

    assert answer.events[0].payload == {"a": "1"}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-7", "image/png"]
)
async def test_no_other_type_is_read(content_type: str) -> None:
    """415, before anything is made of it."""
    answer = await received({}, content_type=content_type)

    assert (answer.response.status, answer.events) == (415, ())


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"[NaN]", b"\xff", b"[" * 100_000, b"1e999"])
async def test_a_body_that_cannot_be_read_is_the_senders_fault(body: bytes) -> None:
    """400 with the original's words, and what is wrong."""
    answer = await received({"secret": "secret"}, body, x_signature=signed(body=body))

    assert answer.response.status == 400
    assert answer.response.body["error"] == "Invalid JSON payload"
    assert answer.response.body["detail"]


async def test_what_no_event_can_hold_is_the_senders_fault() -> None:
    """It is nested too deeply, by one."""
    answer = await received({}, ("[" * 65 + '"é"' + "]" * 65).encode())

    assert answer.response.status == 400
    assert "nested deeper" in answer.response.body["detail"]


async def test_a_body_has_a_limit() -> None:
    """The limit passes; one more does not."""
    body = b'"' + b"x" * 1022 + b'"'

    assert (await received({"max_body": "1KB"}, body)).response.status == 200
    assert (await received({"max_body": "1KB"}, body + b" ")).response.status == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "post"])
async def test_only_post_is_taken(method: str) -> None:
    """405, and what would be."""
    answer = await received({}, method=method)

    assert answer.response.status == 405
    assert answer.response.headers["allow"] == "POST"


# -- the id of a delivery ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["webhook-id", "x-github-delivery", "idempotency-key"])
async def test_the_senders_id_of_a_delivery_is_passed_on(header: str) -> None:
    """So that one that comes twice is admitted once."""
    answer = await received({}, BODY, **{header: "72d3162e-cc78-11e3-81ab-4c9367dc0958"})

    assert answer.delivery_id == "72d3162e-cc78-11e3-81ab-4c9367dc0958"


async def test_without_an_id_every_request_is_its_own() -> None:
    """Two alike may both be meant."""
    assert (await received({})).delivery_id is None


@pytest.mark.parametrize("id_", ["", "a b", "a\nb", "é", "x" * 257])
async def test_an_id_is_short_and_plain(id_: str) -> None:
    """It becomes part of a key that is kept."""
    assert (await received({}, idempotency_key=id_)).response.status == 400


# -- signatures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({"secret": "secret"}, {"x_hub_signature_256": signed()}),
        ({"secret": "secret"}, {"x_signature": signed()}),
        ({"hmac_secret": "secret"}, {"x_signature": signed()}),
        ({"secret": "new", "secrets": ["secret"]}, {"x_signature": signed()}),
        ({"secrets": ["secret", "new"]}, {"x_signature": signed("new")}),
        ({"secret": "secret", "signature": "github"}, {"x_hub_signature_256": signed()}),
        (
            {"secret": "secret", "signature_header": "X-Acme", "signature_prefix": "", "signature_algorithm": "sha512"},
            {"x_acme": Hmac(algorithm="sha512", prefix="").sign("secret", BODY)},
        ),
        (
            {"secret": "secret", "signature_encoding": "base64", "signature_prefix": ""},
            {"x_signature": Hmac(prefix="", encoding="base64").sign("secret", BODY)},
        ),
    ],
)
async def test_a_signed_request_is_accepted(config: dict[str, Any], headers: dict[str, str]) -> None:
    """The original's two headers, GitHub's, and whatever a sender has made up."""
    answer = await received(config, BODY, **headers)

    assert answer.response.status == 200
    assert answer.events[0].provenance["authenticated"] is True


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        ({"secret": "secret"}, {}),
        ({"secret": "secret"}, {"x_signature": ""}),
        ({"secret": "secret"}, {"x_signature": signed("other")}),
        ({"secret": "secret"}, {"x_signature": signed(body=BODY + b" ")}),
        ({"secret": "secret"}, {"x_signature": f"{signed()}, {signed('other')}"}),
        ({"secret": "secret"}, {"x_hub_signature_256": "sha256=0", "x_signature": signed()}),
        ({"secret": "secret", "signature": "github"}, {"x_signature": signed()}),
        ({"secret": "secret", "signature_header": "X-Acme"}, {"x_signature": signed()}),
        ({"secret": STANDARD, "signature": "standard"}, {"x_signature": signed(STANDARD)}),
    ],
)
async def test_any_other_gets_the_same_answer(config: dict[str, Any], headers: dict[str, str]) -> None:
    """It says nothing of what was wrong, and the body is not looked at."""
    answer = await received(config, b"{not json", **headers)

    assert (answer.response.status, answer.response.body) == (401, {"error": "Invalid signature"})
    assert answer.events == ()


@pytest.mark.parametrize(("age_s", "status"), [(0, 200), (290, 200), (310, 401), (-310, 401)])
async def test_a_standard_webhook_is_fresh(age_s: int, status: int) -> None:
    """What was recorded an hour ago is not accepted again."""
    headers = sign_standard(standard_key(STANDARD), BODY, id="msg_1", at_s=time.time() - age_s)
    answer = await received({"secret": STANDARD, "signature": "standard"}, BODY, **headers)

    assert answer.response.status == status
    assert answer.delivery_id == ("msg_1" if status == 200 else None)


async def test_the_tolerance_is_the_operators() -> None:
    """For a sender whose clock is bad."""
    headers = sign_standard(standard_key(STANDARD), BODY, id="msg_1", at_s=time.time() - 3000)

    answer = await received({"secret": STANDARD, "signature": "standard", "tolerance": "1h"}, BODY, **headers)

    assert answer.response.status == 200


# -- configs -----------------------------------------------------------------------------------------------------------


def test_the_originals_config_is_taken_as_it_is() -> None:
    """What has no effect any more as well."""
    made(
        CONNECTOR.source,
        {"path": "/webhook", "buffer_dir": ".orgloop/buffer", "max_buffer_size": "50MB", "event_type_field": "event"},
    )


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"secret": ""}, "secret: is empty"),
        ({"secrets": ["a", ""]}, "secrets.1: is empty"),
        ({"secret": "plain", "signature": "standard"}, "secret: must be whsec_"),
        ({"signature_header": "X Acme"}, "signature_header: 'X Acme' is no name"),
        ({"signature": "github", "signature_prefix": ""}, "signature_prefix: only for signature: hmac"),
        ({"signature": "standard", "signature_algorithm": "sha1"}, "signature_algorithm: only for signature: hmac"),
        ({"signature_prefix": "é"}, "signature_prefix: must be printable"),
        ({"event_type_field": ""}, "event_type_field: is empty"),
        ({"max_body": "0B"}, "max_body: must be more"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """An empty secret most of all: it would have been an open door."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.source, config)


def test_all_faults_come_at_once() -> None:
    """A line for each."""
    with pytest.raises(ValueError, match=r"secret: .*\n.*signature_header: .*\n.*event_type_field") as caught:
        made(CONNECTOR.source, {"secret": "", "signature_header": "", "event_type_field": ""})

    assert not isinstance(caught.value, ConfigError)


@pytest.mark.parametrize(
    ("config", "says"), [({}, "anyone who reaches /webhook/partner"), ({"secret": "s"}, "checked")]
)
async def test_a_check_says_whether_the_door_is_open(config: dict[str, Any], says: str) -> None:
    """And what to do."""
    (one,) = await checked(CONNECTOR.source, config, place(id="partner"))

    assert says in one.detail


async def test_a_check_names_the_keys_that_do_nothing() -> None:
    """The original's that are not needed any more: nothing is passed over in silence."""
    idle = {"path": "/webhook", "buffer_dir": "b", "max_buffer_size": "50MB"}

    told = await checked(CONNECTOR.source, {"secret": "s", **idle})

    assert {one.name for one in told if "has no effect" in one.detail} == set(idle)
