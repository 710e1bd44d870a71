"""What the actor asks GitHub to do, and what came of it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected
from orgloop_connectors.github import CONNECTOR
from orgloop_connectors.github.actor import marker_of
from tests.connectors.outside import Heard, Outside, Says, open_outside
from tests.connectors.stage import delivery, made

REPO = "octo-org/checkout"
SHA = "5779607b49aab1200488439f02372c57b4f75444"


async def outcome_at(outside: Outside, attempt: Delivery, **config: Any) -> Outcome:
    config = {"repo": REPO, "token": "t0ken", "base_url": outside.url, **config}
    async with made(CONNECTOR.actor, config) as actor:
        outcome: Outcome = await actor.deliver(attempt)
    return outcome


async def done(attempt: Delivery, **config: Any) -> Heard:
    """The one request of a delivery that succeeds."""
    async with open_outside() as outside:
        outside.says(Says(201))
        assert await outcome_at(outside, attempt, **config) == Delivered()
    (heard,) = outside.heard
    return heard


async def answered(says: Says, **config: Any) -> Outcome:
    async with open_outside() as outside:
        outside.says(says)
        return await outcome_at(outside, delivery(number=17, body="Hello", **config))


# -- what is asked -----------------------------------------------------------------------------------------------------


async def test_a_comment_is_written() -> None:
    """Below the issue or the pull request that the route, or the event, names."""
    said = await done(delivery(number="17", body="Thanks, {{ x }}"))
    found = await done(delivery({"pr_number": 18}, body="Thanks"))

    assert (said.method, said.path) == ("POST", f"/repos/{REPO}/issues/17/comments")
    assert said.json()["body"].startswith("Thanks, {{ x }}\n\n<!-- orgloop:")
    assert said.headers["authorization"] == "Bearer t0ken"
    assert found.path == f"/repos/{REPO}/issues/18/comments"


async def test_a_repository_is_told() -> None:
    """With the event, unless the route says with what."""
    heard = await done(delivery({"n": 1}, action="repository_dispatch", event_type="orgloop"))
    own = await done(delivery(action="repository_dispatch", event_type="go", client_payload={"a": 1}))

    assert heard.path == f"/repos/{REPO}/dispatches"
    assert heard.json()["client_payload"]["event"]["payload"] == {"n": 1}
    assert own.json() == {"event_type": "go", "client_payload": {"a": 1}}


async def test_a_workflow_is_started() -> None:
    """Its inputs are texts."""
    config: dict[str, Any] = {
        "workflow": "deploy.yml",
        "ref": "release/1",
        "inputs": {"version": "1.4", "n": 2, "dry": True},
    }
    heard = await done(delivery(**config), action="workflow_dispatch")

    assert heard.path == f"/repos/{REPO}/actions/workflows/deploy.yml/dispatches"
    assert heard.json() == {"ref": "release/1", "inputs": {"version": "1.4", "n": "2", "dry": "true"}}


async def test_a_commit_gets_a_status() -> None:
    """The commit of the event, unless the route names one."""
    config: dict[str, Any] = {"action": "status", "state": "success", "context": "review", "description": "x" * 200}
    heard = await done(delivery({"head_sha": SHA}, **config, target_url="https://example.com/"))

    assert heard.path == f"/repos/{REPO}/statuses/{SHA}"
    body = {"state": "success", "context": "review", "description": "x" * 140, "target_url": "https://example.com/"}
    assert heard.json() == body


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"action": "merge"}, "action is 'merge'"),
        ({"body": "x"}, "number must be"),
        ({"number": "../../17", "body": "x"}, "number must be"),
        ({"number": "17/../../../x", "body": "x"}, "number must be"),
        ({"number": True, "body": "x"}, "number must be"),
        ({"number": 17}, "body is missing"),
        ({"number": 17, "body": "x" * 65_536}, "body has 65536 characters"),
        ({"action": "repository_dispatch"}, "event_type must be"),
        ({"action": "repository_dispatch", "event_type": "x", "client_payload": "y"}, "client_payload must be"),
        ({"action": "workflow_dispatch", "workflow": "../x.yml"}, "workflow must be"),
        ({"action": "workflow_dispatch", "workflow": "x.yml", "ref": "--x"}, "ref must be"),
        ({"action": "workflow_dispatch", "workflow": "x.yml", "inputs": {str(n): n for n in range(26)}}, "inputs must"),
        ({"action": "status", "sha": "main", "state": "success"}, "sha must be"),
        ({"action": "status", "sha": SHA, "state": "fine"}, "state is 'fine'"),
    ],
)
async def test_what_cannot_be_asked_is_not(config: dict[str, Any], reason: str) -> None:
    """No event makes a path of itself; it goes to the dead letters with what is wrong."""
    async with open_outside() as outside:
        outcome = await outcome_at(outside, delivery(**config))

    assert outside.heard == []
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(f"GitHub was not asked: {reason}")


# -- again -------------------------------------------------------------------------------------------------------------


async def test_a_comment_that_was_perhaps_made_is_looked_for() -> None:
    """The answer to the first attempt was lost; the comment is there."""
    attempt = delivery(number=17, body="Hello", attempt=2)
    async with open_outside() as outside:
        more = {"link": '<https://192.0.2.1/?page=2>; rel="next"'}
        mine = {"body": f"Hello\n\n{marker_of(attempt)}"}
        outside.at("GET", f"/repos/{REPO}/issues/17/comments", Says(200, [{"body": None}], more), Says(200, [mine]))
        assert await outcome_at(outside, attempt) == Delivered()

    assert [heard.query["page"] for heard in outside.heard] == ["1", "2"]
    assert outside.heard[0].query["since"] == "2023-11-14T21:13:20.000Z"


async def test_a_comment_that_was_not_made_is_made() -> None:
    """One of another delivery is not ours."""
    attempt = delivery(number=17, body="Hello", attempt=2)
    other = marker_of(attrs.evolve(attempt, idempotency_key="other"))
    async with open_outside() as outside:
        outside.at("GET", f"/repos/{REPO}/issues/17/comments", Says(200, [{"body": other}]))
        outside.at("POST", f"/repos/{REPO}/issues/17/comments", Says(201))
        assert await outcome_at(outside, attempt) == Delivered()

    assert [heard.method for heard in outside.heard] == ["GET", "POST"]


@pytest.mark.parametrize("says", [Says(500), Says(200, "<html>"), Says(hangs_up=True)])
async def test_what_cannot_be_looked_for_is_not_made(says: Says) -> None:
    """Rather later than twice."""
    async with open_outside() as outside:
        outside.says(says)
        outcome = await outcome_at(outside, delivery(number=17, body="Hello", attempt=2))

    assert isinstance(outcome, Failed)
    assert {heard.method for heard in outside.heard} == {"GET"}


# -- what came of it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (Says(404, {"message": "Not Found"}), Rejected('GitHub rejected: 404 Not Found: {"message": "Not Found"}')),
        (Says(401), Rejected("GitHub rejected: 401 Unauthorized")),
        (Says(403), Rejected("GitHub rejected: 403 Forbidden")),
        (Says(403, {"message": "secondary rate limit"}), Failed("GitHub rate limited (403)", 60.0)),
        (Says(403, headers={"retry-after": "9"}), Failed("GitHub rate limited (403)", 9.0)),
        (Says(429), Failed("GitHub rate limited (429)", 60.0)),
        (Says(422, "t0ken"), Rejected),
        (Says(502), Failed),
        (Says(hangs_up=True), Failed),
        (Says(raw=b"220 smtp\r\n"), Failed),
    ],
)
async def test_an_answer_is_an_outcome(says: Says, outcome: Any) -> None:
    """A 403 because we ask too much is no refusal."""
    came = await answered(says)

    assert came == outcome or (isinstance(outcome, type) and isinstance(came, outcome))
    assert "t0ken" not in str(came)


def test_what_cannot_be_is_told() -> None:
    """All of it at once."""
    config = {"repo": "x", "token": "", "base_url": "ftp://x"}
    with pytest.raises(ValueError, match=r"(?s)repo: .*token: .*base_url: "):
        made(CONNECTOR.actor, config)
