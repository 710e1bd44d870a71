"""The webhook actor: what is posted, and what its answer means."""

from __future__ import annotations

import json
import time
from typing import Any

import attrs
import pytest

from orgloop.event import encode
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected, Request
from orgloop_connectors._signing import Hmac, standard_key, verify_standard
from orgloop_connectors.webhook import CONNECTOR
from tests.connectors.outside import Heard, Outside, Says, open_outside, unused_port
from tests.connectors.stage import KEY, checked, delivery, event, made

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def deliver(outside: Outside, to_do: Delivery | None = None, **config: Any) -> Outcome:
    async with made(CONNECTOR.actor, {"url": outside.url + "/hook", **config}) as actor:
        outcome: Outcome = await actor.deliver(to_do or delivery())
        return outcome


async def posted(to_do: Delivery | None = None, **config: Any) -> Heard:
    async with open_outside() as outside:
        outside.says(Says(204))
        assert await deliver(outside, to_do, **config) == Delivered()
    (heard,) = outside.heard
    return heard


async def answered(says: Says, **config: Any) -> Outcome:
    async with open_outside() as outside:
        outside.says(says)
        return await deliver(outside, **config)


# -- what is posted ----------------------------------------------------------------------------------------------------


async def test_the_event_is_posted_as_the_original_does() -> None:
    """An object of the event, with its prompt only if the route has one."""
    heard = await posted(delivery({"n": 1}))
    prompted = await posted(delivery({"n": 1}, prompt="Review it."))

    assert (heard.method, heard.path, heard.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert heard.json() == {"event": json.loads(encode(event({"n": 1})))}
    assert prompted.json() == heard.json() | {"launch_prompt": "Review it."}


async def test_a_delivery_says_which_it_is() -> None:
    """The key is the same for each attempt, so that the far side can tell that it has seen it."""
    heard = await posted(delivery(attempt=3))

    told = {name: value for name, value in heard.headers.items() if name.startswith(("x-orgloop", "idem"))}
    assert told == {
        "idempotency-key": KEY,
        "x-orgloop-event-id": "evt_1",
        "x-orgloop-trace-id": "trc_1",
        "x-orgloop-attempt": "3",
    }


@pytest.mark.parametrize(
    ("key", "sent"), [("a/b-1", "a/b-1"), ("a b\r\né", "a%20b%0D%0A%C3%A9"), ("x" * 256, "x" * 256)]
)
async def test_a_key_is_sent_as_a_header_can_carry_it(key: str, sent: str) -> None:
    """A route may be called anything."""
    assert (await posted(attrs.evolve(delivery(), idempotency_key=key))).headers["idempotency-key"] == sent


async def test_long_keys_stay_different() -> None:
    """Cut short, two deliveries would be one to the far side."""
    sent = {
        (await posted(attrs.evolve(delivery(), idempotency_key="é" * 200 + end))).headers["idempotency-key"]
        for end in ("1", "2")
    }

    assert {len(key) for key in sent} == {64}
    assert len(sent) == 2


async def test_a_template_makes_the_body() -> None:
    """As Slack wants it; from the event, the prompt and the route's own config."""
    template = {"text": "*{{ event.payload.title }}* {{ launch_prompt }}", "n": "{{ event.payload.n }}"}
    template |= {"channel": "{{ config.channel }}"}
    heard = await posted(delivery({"title": "é <b>", "n": 7}, prompt="Go", channel="#dev"), body_template=template)

    assert heard.json() == {"text": "*é <b>* Go", "n": 7, "channel": "#dev"}


@pytest.mark.parametrize(
    ("auth", "authorization"),
    [
        ({"type": "bearer", "token": "t0ken"}, "Bearer t0ken"),
        ({"type": "basic", "username": "ann", "password": "pä:ss"}, "Basic YW5uOnDDpDpzcw=="),
    ],
)
async def test_who_we_are_is_told(auth: dict[str, str], authorization: str) -> None:
    """In place of what the headers say of it."""
    heard = await posted(auth=auth, headers={"Authorization": "other", "X-Team": "a", "content-type": "text/x"})

    assert heard.headers["authorization"] == authorization
    assert heard.headers["x-team"] == "a"
    assert heard.headers["content-type"] == "text/x"


async def test_the_body_is_signed_as_sources_expect_it() -> None:
    """GitHub's header by default, any other if asked."""
    heard = await posted(secret="secret")
    bare = await posted(secret="secret", signature_header="X-Sig", signature_prefix="")

    assert Hmac().verify(["secret"], heard.body, heard.headers["x-hub-signature-256"])
    assert Hmac(prefix="").verify(["secret"], bare.body, bare.headers["x-sig"])


async def test_the_body_is_signed_by_the_standard() -> None:
    """Its id is the idempotency key."""
    heard = await posted(secret=STANDARD, signature="standard")

    assert heard.headers["webhook-id"] == KEY
    assert verify_standard([standard_key(STANDARD)], heard.body, heard.headers, now_s=time.time())


@pytest.mark.parametrize("scheme", [{"secret": "secret"}, {"secret": STANDARD, "signature": "standard"}])
async def test_our_source_takes_what_our_actor_posts(scheme: dict[str, str]) -> None:
    """Two that run OrgLoop need agree on nothing but a secret; a second attempt has the same delivery id."""
    source = made(CONNECTOR.source, scheme)
    ids = set()
    for attempt in (1, 2):
        heard = await posted(delivery({"n": 1}, attempt=attempt), **scheme)
        received = await source.receive(Request("POST", "/webhook/it", heard.headers, heard.body))
        assert received.events[0].payload["event"]["payload"] == {"n": 1}
        ids.add(received.delivery_id)

    assert ids == {KEY}


async def test_a_connection_serves_many_deliveries() -> None:
    """It is opened with the actor, and closed with it."""
    async with open_outside() as outside, made(CONNECTOR.actor, {"url": outside.url}) as actor:
        outside.says(Says(200))
        for _ in range(3):
            await actor.deliver(delivery())

    assert outside.connections == 1


async def test_a_placeholder_leads_nowhere_else() -> None:
    """What an event says of a URL is text in a body."""
    heard = await posted(delivery({"url": "http://169.254.169.254/"}, url="http://169.254.169.254/"))

    assert heard.path == "/hook"


# -- what came of it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (Says(200, "error"), Delivered()),
        (Says(400, "no_text"), Rejected("Webhook rejected: 400 Bad Request: no_text")),
        (Says(302, headers={"location": "/x"}), Rejected),
        (Says(429, headers={"retry-after": "30"}), Failed("Webhook rate limited (429)", 30.0)),
        (Says(503), Failed("Webhook error: 503 Service Unavailable")),
        (Says(hangs_up=True), Failed),
        (Says(raw=b"220 smtp ready\r\n"), Failed),
    ],
)
async def test_an_answer_is_an_outcome(says: Says, outcome: Any) -> None:
    """Nothing that the far side does raises."""
    came = await answered(says)

    assert came == outcome or (isinstance(outcome, type) and isinstance(came, outcome))


async def test_nobody_there_is_tried_again() -> None:
    """It may be restarting."""
    async with made(CONNECTOR.actor, {"url": f"http://127.0.0.1:{unused_port()}/"}) as actor:
        assert isinstance(await actor.deliver(delivery()), Failed)


async def test_an_event_that_cannot_be_written_is_rejected() -> None:
    """Some transform has put it there; no attempt would change it."""
    async with open_outside() as outside:
        assert isinstance(await deliver(outside, delivery({"x": object()})), Rejected)


async def test_no_secret_comes_back_in_a_reason() -> None:
    """Not the token, not the password, not the header, not the path of a URL that is one."""
    path = "/services/T000/B000/abcdefghijklmnop"
    auth = {"type": "basic", "username": "ann", "password": "passw0rd"}
    said = f"{path} passw0rd YW5uOnBhc3N3MHJk header-value hmac-key"
    async with open_outside() as outside:
        outside.says(Says(403, said))
        config = {"url": outside.url + path, "auth": auth, "headers": {"x": "header-value"}, "secret": "hmac-key"}
        async with made(CONNECTOR.actor, config) as actor:
            outcome = await actor.deliver(delivery())

    assert outcome == Rejected("Webhook rejected: 403 Forbidden: /services/T000/B000/*** *** *** *** ***")


# -- configs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"url": "example.com"}, "url: must begin with http"),
        ({"url": "https://{{ event.payload.host }}/"}, "url: has a placeholder in its host|url: holds a space"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A: must be printable"),
        ({"headers": {"a b": "c"}}, "headers: 'a b' is no name"),
        ({"headers": {"Host": "c"}}, "headers.Host: is set by the client"),
        ({"headers": {"X-A": "a" * 8193}}, "headers.X-A: must be"),
        ({"auth": {"type": "bearer"}}, "auth.token: required"),
        ({"auth": {"type": "basic", "username": "a"}}, "auth.password: required"),
        ({"auth": {"type": "basic", "username": "a:b", "password": "c"}}, "auth.username: must not"),
        ({"auth": {"type": "bearer", "token": "a\nb"}}, "auth.token: must be printable"),
        ({"body_template": {"text": "{{ payload.x }}"}}, "body_template.text: {{ payload.x }} begins with none of"),
        ({"secret": ""}, "secret: is empty"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read, not with the first delivery."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.actor, {"url": "https://example.com/", **config})


async def test_a_check_connects_and_sends_nothing() -> None:
    """Whoever runs `orgloop doctor` wakes no agent."""
    async with open_outside() as outside:
        (there,) = await checked(CONNECTOR.actor, {"url": outside.url})
    (gone,) = await checked(CONNECTOR.actor, {"url": f"http://127.0.0.1:{unused_port()}/secret-path"})

    assert (there.ok, outside.heard) == (True, [])
    assert not gone.ok
    assert "cannot be reached" in gone.detail
    assert "secret" not in gone.detail
