"""
Slack: a message for each event, by an incoming webhook or as a bot.

    actors:
      - id: team                                   - id: bot
        connector: slack                             connector: slack
        config:                                      config:
          webhook_url: ${SLACK_WEBHOOK_URL}            token: ${SLACK_BOT_TOKEN}
          text: "*{{ event.payload.title }}*"          channel: "#engineering"

Law: what an event says is data. Its ``&``, ``<`` and ``>`` are escaped, so that it mentions nobody, hides no link, and
adds no block; it is cut where Slack would refuse the message for its length.
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Offer
from orgloop_connectors.slack.actor import SlackActor, check_actor
from orgloop_connectors.slack.config import SlackConfig

CONNECTOR = Connector(
    id="slack",
    summary="Posts a message to Slack for each event.",
    actor=Offer(config=SlackConfig, make=SlackActor, check=check_actor),
    env=(
        EnvVar(
            name="SLACK_WEBHOOK_URL",
            description="The address of one channel, which is all that it can post to",
            url="https://api.slack.com/messaging/webhooks",
            required=False,
        ),
        EnvVar(
            name="SLACK_BOT_TOKEN",
            description="A bot's token (xoxb-…) with the scope chat:write",
            url="https://api.slack.com/apps",
            required=False,
        ),
    ),
)
