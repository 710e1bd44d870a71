"""GitHub's webhooks: whose a request is, what it says, and what becomes of what did not arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from orgloop.errors import ConfigError
from orgloop.event import faults_of
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Event, PollFailed, Received, Request
from orgloop_connectors._github import samples
from orgloop_connectors._github.received import drafts_of
from orgloop_connectors._github.redelivery import MAX_ASKED
from orgloop_connectors._signing import Hmac
from orgloop_connectors.github_webhook import CONNECTOR
from tests.connectors.outside import Heard, Outside, Says, open_outside
from tests.connectors.stage import checked, made, place

REAL = Path(__file__).parents[3] / "shared" / "data" / "github-webhooks"
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
BODIES: dict[str, dict[str, Any]] = {
    "pull_request_review.submitted": {"review": {**samples.COMMENT, "state": "approved"}, "pull_request": samples.PULL},
    "pull_request_review.dismissed": {
        "review": {**samples.COMMENT, "state": "dismissed"},
        "pull_request": samples.PULL,
    },
    "pull_request_review_comment.created": {"comment": samples.COMMENT, "pull_request": samples.PULL},
    "issue_comment.created": {"comment": samples.COMMENT, "issue": samples.ISSUE},
    "issue_comment.edited": {"comment": samples.COMMENT, "issue": samples.ISSUE},
    "pull_request.opened": {"pull_request": samples.PULL},
    "pull_request.closed": {"pull_request": {**samples.PULL, "merged": True, "merged_by": samples.HUBOT}},
    "pull_request.ready_for_review": {"pull_request": samples.PULL},
    "issues.opened": {"issue": samples.ISSUE},
    "issues.labeled": {"issue": samples.ISSUE, "label": {"name": "bug"}},
    "issues.assigned": {"issue": samples.ISSUE, "assignee": samples.MONA},
    "workflow_run.completed": {"workflow_run": samples.RUN},
    "check_suite.completed": {"check_suite": samples.SUITE},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab[]", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "login", "name"]), inner),
    max_leaves=6,
)


def body_of(name: str, **more: Any) -> bytes:
    """The body of ``<event>.<action>``."""
    told = {"action": name.partition(".")[2], "repository": {"full_name": samples.REPO}, "sender": samples.MONA}
    return json.dumps({**told, **BODIES.get(name, {}), **more}).encode()


async def received(body: bytes, event: str = "push", *, method: str = "POST", **config: Any) -> Received:
    """What comes of a request; ``headers`` among the config are added to those of GitHub."""
    headers: Mapping[str, str] = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": GUID,
        **config.pop("headers", {}),
    }
    source = made(CONNECTOR.source, config, place(id="github"))
    answer: Received = await source.receive(Request(method, "/webhook/github", headers, body))
    return answer


async def told(name: str, **more: Any) -> Any:
    """The only event of ``<event>.<action>``."""
    (event,) = (await received(body_of(name, **more), name.partition(".")[0])).events
    return event


# -- events ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BODIES)
async def test_a_delivery_is_the_event_that_a_poll_would_find(name: str) -> None:
    """Of the same names and the same shape as the samples of ``github``."""
    event = await told(name)
    like = {one.provenance["platform_event"]: one for one in CONNECTOR.samples()}
    known = like.get(event.provenance["platform_event"], like["issue_comment"])

    assert set(known.provenance) <= set(event.provenance)
    assert set(event.payload) == set(known.payload)
    assert event.provenance["delivery_id"] == GUID
    assert faults_of(event) == []


async def test_the_answer_names_the_events() -> None:
    """As in the original; and the delivery is known by its id."""
    answer = await received(body_of("issues.opened"), "issues")

    (event,) = answer.events
    assert answer.response.body == {"ok": True, "events_created": 1, "event_ids": [event.id]}
    assert answer.delivery_id == GUID


async def test_a_comment_that_is_changed_says_so() -> None:
    """In its name, and in what identifies it."""
    event = await told("issue_comment.edited")

    assert event.provenance["platform_event"] == event.payload["action"] == "issue_comment.edited"
    assert event.provenance["resource_id"] == "issue-comment-1001-edited"


async def test_a_dismissed_review_can_be_told_from_a_new_one() -> None:
    """The original gives both one name."""
    assert (await told("pull_request_review.dismissed")).provenance["action"] == "dismissed"
    assert "action" not in (await told("pull_request_review.submitted")).provenance


async def test_a_stranger_is_external() -> None:
    """Whoever may not write here; and a bot is one, whatever it may."""
    assert (await told("issues.opened")).provenance["author_type"] == "external"
    assert (await told("pull_request.opened")).provenance["author_type"] == "team_member"
    assert (await told("pull_request.closed")).provenance["author_type"] == "bot"
    assert (await told("check_suite.completed")).provenance["author_type"] == "bot"


@pytest.mark.parametrize("name", ["push", "ping", "star.created", "pull_request.synchronize", "issues.closed"])
async def test_what_has_no_kind_comes_as_it_is(name: str) -> None:
    """Whatever is subscribed to; with who did it, so that bots can be told from people."""
    body = json.loads(body_of(name, pull_request=samples.PULL, issue=samples.ISSUE, sender=samples.HUBOT))
    answer = await received(json.dumps(body).encode(), name.partition(".")[0], events=["issue_comment"])

    (event,) = answer.events
    assert (event.provenance["platform_event"], event.payload) == (name, body)
    assert (event.provenance["author"], event.provenance["author_type"]) == ("hubot[bot]", "bot")


@pytest.mark.parametrize("name", ["workflow_run.requested", "check_suite.requested", "issues.opened"])
async def test_what_is_left_out(name: str) -> None:
    """Beginnings, and pull requests that come as issues."""
    body = body_of(name, issue={**samples.ISSUE, "pull_request": {"url": "x"}})

    assert (await received(body, name.partition(".")[0])).events == []


async def test_a_run_that_did_not_fail_comes_as_it_is() -> None:
    """Only failures have a kind."""
    event = await told("workflow_run.completed", workflow_run={**samples.RUN, "conclusion": "success"})

    assert event.payload["workflow_run"]["conclusion"] == "success"


@pytest.mark.parametrize("name", [name for name in BODIES if name != "issue_comment.edited"])
async def test_what_is_of_another_shape_is_not_lost(name: str) -> None:
    """GitHub has changed it; it comes as it is."""
    body = json.loads(body_of(name))
    changed = {key: {"was": value} if key in BODIES[name] else value for key, value in body.items()}
    (event,) = (await received(json.dumps(changed).encode(), name.partition(".")[0])).events

    assert (event.provenance["platform_event"], event.payload) == (name, changed)


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_no_shape_breaks_it(name: str, data: st.DataObject) -> None:
    """Whatever stands anywhere in a body, there is one event, and it can be written down."""
    body = json.loads(body_of(name))
    inner, value = data.draw(st.sampled_from(sorted(body))), data.draw(JSON)
    if isinstance(body[inner], dict) and body[inner] and data.draw(st.booleans()):
        body[inner][data.draw(st.sampled_from(sorted(body[inner])))] = value
    else:
        body[inner] = value
    for draft in drafts_of(name.partition(".")[0], body, frozenset()):
        assert faults_of(draft.event("github")) == []


@pytest.mark.parametrize(
    ("events", "count"), [([], 1), (["pull_request.merged"], 1), (["pull_request.closed"], 1), (["issue_comment"], 0)]
)
async def test_only_what_is_subscribed_to_comes(events: list[str], count: int) -> None:
    """Closed and merged are one wish."""
    answer = await received(body_of("pull_request.closed"), "pull_request", events=events)

    assert len(answer.events) == count
    assert answer.response.status == 200


@pytest.mark.skipif(not REAL.is_dir(), reason="the real bodies are not here")
@pytest.mark.parametrize(
    ("name", "body"), [(path.name.partition(".")[0], path.read_bytes()) for path in sorted(REAL.glob("*.json"))]
)
async def test_real_bodies_become_events(name: str, body: bytes) -> None:
    """As GitHub sends them, signed over their bytes."""
    signature = Hmac().sign("secret", body)
    answer = await received(body, name, secret="secret", headers={"x-hub-signature-256": signature})

    (event,) = answer.events
    assert event.provenance["platform_event"].startswith(name.removesuffix("_review"))
    assert event.provenance["authenticated"] is True
    assert faults_of(event) == []


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha1=x", "sha256=" + "0" * 64, Hmac().sign("other", b"{}"), "SHA256=é", None]
)
async def test_whatever_is_wrong_with_a_signature_has_one_answer(signature: str | None) -> None:
    """And nothing is parsed before it is right."""
    headers = {} if signature is None else {"x-hub-signature-256": signature}
    answer = await received(b"{", secret="secret", headers=headers)

    assert (answer.response.status, answer.response.body) == (401, {"error": "Invalid signature"})


async def test_two_secrets_fit_while_one_is_changed() -> None:
    """The old one, and the new one."""
    for secret in ("old", "new"):
        headers = {"x-hub-signature-256": Hmac().sign(secret, b"{}")}
        assert (await received(b"{}", secret="new", secrets=["old"], headers=headers)).response.status == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"null", {}, 400),
        (b'{"a":1,"a":2}', {}, 400),
        (b'{"a":NaN}', {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"{}", {"x-github-event": ""}, 400),
        (b"{}", {"x-github-event": "a b"}, 400),
        (b"{}", {"x-github-delivery": "a\nb"}, 400),
        (b"{}", {"x-github-delivery": "x" * 65}, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/json; charset=utf-7"}, 415),
        (b"{}", {"content-type": "application/json; charset=utf-8"}, 200),
        (urlencode({"payload": '{"zen":"x"}'}).encode(), {"content-type": "application/x-www-form-urlencoded"}, 200),
    ],
)
async def test_what_cannot_be_read_is_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    """Never by a 5xx."""
    assert (await received(body, headers=headers)).response.status == status


async def test_a_body_has_a_limit_and_a_method() -> None:
    """25 MB, as GitHub says, or less."""
    assert (await received(b'{"a":""}', max_body="7B")).response.status == 413
    assert (await received(b"{}", max_body="7B")).response.status == 200
    assert (await received(b"{}", method="GET")).response.status == 405


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"secret": ""}, "secret: is empty"),
        ({"secrets": ["a", ""]}, "secrets.1: is empty"),
        ({"events": ["push"]}, "events.0: there is no 'push'"),
        ({"max_body": "26MB"}, "max_body: must be"),
        ({"token": ""}, "token: is empty"),
        ({"repo_owner": "o"}, "one is nothing without the other"),
        ({"repo_owner": "o", "repo_name": "a/b"}, "repo_name: 'o/a/b' is no repository"),
        ({"hook_id": 0}, "hook_id: must be"),
        ({"reconciliation_lookback_ms": -1}, "reconciliation_lookback_ms: must not be negative"),
        ({"base_url": "x"}, "base_url: must begin"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, config)


async def test_a_check_says_which_keys_do_nothing() -> None:
    """And that the door is open, and that nothing is asked for again."""
    found = {one.name: one for one in await checked(CONNECTOR.source, {"path": "/x", "buffer_dir": "/y"})}

    assert set(found) == {"GITHUB_WEBHOOK_SECRET", "reconciliation", "path", "buffer_dir"}
    assert "anyone who reaches /webhook/it" in found["GITHUB_WEBHOOK_SECRET"].detail


# -- what did not arrive -----------------------------------------------------------------------------------------------

ASKING = {"token": "t0ken", "repo_owner": "octo-org", "repo_name": "checkout", "hook_id": 7}
HOOK = f"/repos/{samples.REPO}/hooks/7/deliveries"
DATE = {"date": "Tue, 14 Nov 2023 22:13:20 GMT"}


def attempt(id_: int, guid: str, status: int, *, at: str = "2023-11-14T22:10:00Z") -> dict[str, Any]:
    return {
        "id": id_,
        "guid": guid,
        "delivered_at": at,
        "status_code": status,
        "status": "OK" if status == 200 else "failed to connect",
        "event": "issues",
        "action": "opened",
    }


@attrs.define(eq=False)
class Deliveries:
    """GitHub's side: what it has tried to deliver, and what it is asked to deliver again."""

    tried: list[dict[str, Any]]
    asked: list[int] = attrs.field(factory=list)
    outcome: int | None = 502
    """What comes of another attempt; None: none is made."""
    per_page: int = 100

    def answer(self, heard: Heard) -> Says:
        if heard.method == "POST":
            id_ = int(heard.path.split("/")[-2])
            self.asked.append(id_)
            if self.outcome is not None:
                guid = next(one["guid"] for one in self.tried if one["id"] == id_)
                self.tried.insert(0, attempt(self.tried[0]["id"] + 1, guid, self.outcome))
            return Says(202, {}, DATE)
        at = int(heard.query.get("cursor", "v1_0").removeprefix("v1_"))
        more = at + self.per_page < len(self.tried)
        link = (
            {"link": f'<https://192.0.2.1/x?per_page=100&cursor=v1_{at + self.per_page}>; rel="next"'} if more else {}
        )
        return Says(200, self.tried[at : at + self.per_page], DATE | link)


async def asked_again(
    outside: Outside, deliveries: Deliveries, polls: int = 1, checkpoint: str | None = None
) -> tuple[list[Any], str | None]:
    """The events of so many polls, each of a new source, and the last checkpoint."""
    outside.by(deliveries.answer)
    events = []
    for _ in range(polls):
        async with made(CONNECTOR.source, {**ASKING, "base_url": outside.url}, place(id="github")) as source:
            polled = await source.poll(checkpoint)
        events += polled.events
        checkpoint = polled.checkpoint or checkpoint
    return events, checkpoint


async def test_what_did_not_arrive_is_asked_for() -> None:
    """By the guid: what has arrived by any attempt is not."""
    tried = [attempt(5, "c", 0), attempt(4, "b", 200), attempt(3, "b", 500), attempt(2, "a", 504), attempt(1, "d", 202)]
    async with open_outside() as outside:
        deliveries = Deliveries(tried, outcome=200)
        events, _ = await asked_again(outside, deliveries, polls=3)

    assert sorted(deliveries.asked) == [2, 5]
    assert events == []


async def test_what_never_arrives_is_given_up_and_told_once() -> None:
    """Nothing is dropped in silence."""
    async with open_outside() as outside:
        deliveries = Deliveries([attempt(1, "a", 500)])
        events, _ = await asked_again(outside, deliveries, polls=MAX_ASKED + 4)

    (event,) = events
    assert len(deliveries.asked) == MAX_ASKED
    assert event.provenance["platform_event"] == "webhook.undelivered"
    assert event.provenance["resource_id"] == "delivery-a"
    assert event.payload == {
        "action": "webhook_undelivered",
        "event": "issues.opened",
        "delivered_at": "2023-11-14T22:10:00.000Z",
        "status": "502 failed to connect",
        "asked_again": MAX_ASKED,
    }


async def test_what_is_open_outlives_the_window() -> None:
    """GitHub shows no attempt after the first, and that one is older than what is looked at; it is still asked for."""
    old = attempt(1, "a", 500, at="2023-11-14T22:05:00Z")
    async with open_outside() as outside:
        deliveries = Deliveries([old], outcome=None)
        _, checkpoint = await asked_again(outside, deliveries)
        deliveries.tried.clear()
        events, _ = await asked_again(outside, deliveries, polls=MAX_ASKED, checkpoint=checkpoint)

    assert (deliveries.asked, len(events)) == ([1] * MAX_ASKED, 1)


async def test_deliveries_are_looked_through_over_pages_and_polls() -> None:
    """And asked for when all have been seen: what has arrived stands before what has not."""
    tried = [attempt(id_, f"g{id_}", 200 if id_ % 40 else 500) for id_ in range(100, 0, -1)]
    async with open_outside() as outside:
        deliveries = Deliveries(tried, outcome=200, per_page=2)
        await asked_again(outside, deliveries, polls=3)

    assert sorted(deliveries.asked) == [40, 80]


async def test_what_is_older_than_the_window_is_not_looked_at() -> None:
    """The first time it begins a quarter of an hour ago."""
    old = attempt(1, "a", 500, at="2023-11-14T21:58:19Z")
    async with open_outside() as outside:
        deliveries = Deliveries([old])
        await asked_again(outside, deliveries)

    assert deliveries.asked == []


@pytest.mark.parametrize(
    "says", [Says(500), Says(401), Says(403), Says(429), Says(200, [{"id": 1}]), Says(hangs_up=True)]
)
async def test_a_refusal_fails_the_poll(says: Says) -> None:
    """The checkpoint stays."""
    async with open_outside() as outside:
        outside.says(says)
        async with made(CONNECTOR.source, {**ASKING, "base_url": outside.url}) as source:
            with pytest.raises(PollFailed):
                await source.poll(None)


async def test_what_github_has_forgotten_is_given_up_in_the_end() -> None:
    """After three days it answers 404; that fails nothing else."""
    async with open_outside() as outside:
        outside.at("GET", HOOK, Says(200, [attempt(1, "a", 500)], DATE))
        outside.at("POST", f"{HOOK}/1/attempts", Says(404))
        checkpoint, told = None, list[Event]()
        async with made(CONNECTOR.source, {**ASKING, "base_url": outside.url}) as source:
            for _ in range(MAX_ASKED + 2):
                polled = await source.poll(checkpoint)
                checkpoint, told = polled.checkpoint or checkpoint, [*told, *polled.events]

    assert len(told) == 1


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        (["https://x.example/webhook/github"], True),
        (["https://x.example/webhook/engineering/github?a=b", "https://y.example/other"], True),
        ([], False),
        (["https://x.example/webhook/github", "https://y.example/webhook/github"], False),
    ],
)
async def test_the_webhook_is_found_by_where_it_posts(urls: list[str], found: bool) -> None:
    """Or it has to be said which it is."""
    config = {key: value for key, value in ASKING.items() if key != "hook_id"}
    async with open_outside() as outside:
        hooks = [{"id": 7 + at, "config": {"url": url}} for at, url in enumerate(urls)]
        outside.at("GET", f"/repos/{samples.REPO}/hooks", Says(200, hooks))
        outside.at("GET", HOOK, Says(200, [], DATE))
        async with made(CONNECTOR.source, {**config, "base_url": outside.url}, place(id="github")) as source:
            if found:
                await source.poll(None)
            else:
                with pytest.raises(PollFailed, match="hook_id: <"):
                    await source.poll(None)


@pytest.mark.parametrize("config", [{}, {**ASKING, "reconciliation_interval_ms": 0}])
async def test_nothing_is_asked_for_unless_it_is_said_where(config: dict[str, Any]) -> None:
    """Projects of the original poll without a token."""
    async with made(CONNECTOR.source, config) as source:
        polled = await source.poll(None)

    assert (polled.events, polled.checkpoint, polled.next_in_s) == ((), None, 3600)


async def test_what_is_delivered_again_is_admitted_once() -> None:
    """Asked for by the poll, it comes by the door; and again, because only our answer was lost."""
    module = {
        "metadata": {"name": "engineering"},
        "sources": [{"id": "github", "connector": "github-webhook", "poll": {"interval": "1h"}}],
    }
    headers = {"x-github-event": "issues", "x-github-delivery": GUID}
    request = Request("POST", "/webhook/github", headers, body_of("issues.opened"))
    done = trio.Event()
    async with open_outside() as outside, open_runtime() as runtime, trio.open_nursery() as nursery:

        async def deliver() -> None:
            for _ in range(3):
                assert (await runtime.receive("github", request)).status == 200
            done.set()

        def answer(heard: Heard) -> Says:
            if heard.method == "POST":
                nursery.start_soon(deliver)
                return Says(202, {}, DATE)
            return Says(200, [attempt(1, GUID, 502)], DATE)

        outside.by(answer)
        source = made(CONNECTOR.source, {**ASKING, "base_url": outside.url}, place(id="github"))
        await runtime.load_module(module, sources={"github": source})
        runtime.poll_now("github", module="engineering")
        with trio.fail_after(5):
            await done.wait()
        assert await runtime.drain(timeout_s=5)
        admitted = dict(runtime.statistics().no_route)

    assert admitted == {"engineering": 1}
