"""
Webhooks, both ways: a source that takes what anybody posts, an actor that posts what happened.

    sources:                                       actors:
      - id: partner                                  - id: slack
        connector: webhook                             connector: webhook
        config:                                        config:
          secret: ${PARTNER_SECRET}                      url: ${SLACK_WEBHOOK_URL}
          signature: standard                            body_template: {text: "{{ event.payload.title }}"}

Law of the source: the signature is checked over the bytes as they came, before anything is parsed, and whatever is
wrong with it has the same answer. Law of the actor: where it posts to is the operator's word alone; what an event says
goes into the body, and nowhere else.
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Event, Offer
from orgloop_connectors.webhook.actor import WebhookActor, check_actor
from orgloop_connectors.webhook.config import ActorConfig, SourceConfig
from orgloop_connectors.webhook.source import WebhookSource, check_source


def samples() -> list[Event]:
    """What the source makes of a signed request, and of one that nobody has signed."""
    said = {"type": "deploy.finished", "service": "checkout", "version": "1.4.2", "ok": True}
    signed = {"platform": "webhook", "platform_event": "deploy.finished", "authenticated": True}
    unsigned = {"platform": "webhook", "platform_event": "unknown", "authenticated": False}
    return [
        Event("webhook", "resource.changed", signed, said),
        Event("webhook", "resource.changed", unsigned, ["anything", {"that": "is JSON"}]),
    ]


CONNECTOR = Connector(
    id="webhook",
    summary="Takes events from any system that can post JSON, and posts events to any that can take it.",
    source=Offer(config=SourceConfig, make=WebhookSource, check=check_source),
    actor=Offer(config=ActorConfig, make=WebhookActor, check=check_actor),
    env=(
        EnvVar(
            name="WEBHOOK_SECRET",
            description="The secret that the sender signs its requests with",
            url="https://www.standardwebhooks.com/",
            command="openssl rand -hex 32",
            required=False,
        ),
        EnvVar(
            name="SLACK_WEBHOOK_URL",
            description="The address of a Slack channel, for an actor that posts there",
            url="https://api.slack.com/messaging/webhooks",
            required=False,
        ),
        EnvVar(
            name="PAGERDUTY_WEBHOOK_URL",
            description="The address of a PagerDuty service, for an actor that posts there",
            url="https://support.pagerduty.com/main/docs/services-and-integrations",
            required=False,
        ),
    ),
    samples=samples,
)
