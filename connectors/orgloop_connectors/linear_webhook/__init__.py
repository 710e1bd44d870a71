"""
Linear, by being told: new issues, what changed about them, new comments, and whatever else a webhook is set to send.

    sources:
      - id: linear
        connector: linear-webhook
        config: {secret: "${LINEAR_WEBHOOK_SECRET}", team: ENG}

Law: the signature is checked over the bytes as they came, before anything is parsed; then the time at which Linear says
it was sent. Whatever is wrong with either has the same answer.
"""

from __future__ import annotations

from typing import Any

from orgloop.sdk import Connector, EnvVar, Event, Offer
from orgloop_connectors.linear_webhook.config import LinearWebhookConfig
from orgloop_connectors.linear_webhook.said import events_of
from orgloop_connectors.linear_webhook.source import LinearWebhookSource, check_source, stamped


def samples() -> list[Event]:
    """A change, a comment, and what is passed on as it came."""
    actor = {"id": "u-1", "name": "Ann", "type": "user"}
    issue = {"id": "9cfb482a", "identifier": "ENG-12", "title": "Checkout is slow", "team": {"key": "ENG"}}
    about = {"actor": actor, "url": "https://linear.app/acme/issue/ENG-12", "createdAt": "2026-03-01T09:00:00.000Z"}
    update = {
        "type": "Issue",
        "action": "update",
        "data": {**issue, "state": {"name": "Done"}},
        "updatedFrom": {"stateId": "s-1"},
    }
    comment = {"type": "Comment", "action": "create", "data": {"id": "c-1", "body": "Deployed.", "issue": issue}}
    project = {"type": "Project", "action": "update", "data": {"id": "p-1", "name": "Checkout"}}
    bodies: list[dict[str, Any]] = [{**one, **about} for one in (update, comment, project)]
    return [stamped(event, authenticated=True) for body in bodies for event in events_of("linear", body)]


CONNECTOR = Connector(
    id="linear-webhook",
    summary="Takes issues, their changes and comments as Linear sends them.",
    source=Offer(config=LinearWebhookConfig, make=LinearWebhookSource, check=check_source),
    env=(
        EnvVar(
            name="LINEAR_WEBHOOK_SECRET",
            description="The signing secret that Linear shows beside the webhook",
            url="https://linear.app/settings/api",
            required=False,
        ),
    ),
    samples=samples,
)
