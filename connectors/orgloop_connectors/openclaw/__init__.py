"""
OpenClaw: wakes an agent with what happened, in a session that the route names.

    actors:
      - id: engineering-agent
        connector: openclaw
        config:
          base_url: http://127.0.0.1:18789
          auth_token_env: ${OPENCLAW_WEBHOOK_TOKEN}
          agent_id: engineering

Law: the instructions are the operator's; what an event says comes before them, labelled and indented, so that no line
of it can stand where a heading does. An event may name the session that waits for it, never a host.
"""

from __future__ import annotations

from orgloop.sdk import Connector, EnvVar, Offer
from orgloop_connectors.openclaw.actor import OpenClawActor, check_actor
from orgloop_connectors.openclaw.config import OpenClawConfig

CONNECTOR = Connector(
    id="openclaw",
    summary="Wakes an agent of OpenClaw with an event, in a session that the route names.",
    actor=Offer(config=OpenClawConfig, make=OpenClawActor, check=check_actor),
    env=(
        EnvVar(
            name="OPENCLAW_WEBHOOK_TOKEN",
            description="The token of its hooks: hooks.token in ~/.openclaw/openclaw.json, not that of the gateway",
            url="https://docs.openclaw.ai/automation/webhook",
            command="openssl rand -hex 32",
        ),
        EnvVar(
            name="OPENCLAW_AGENT_ID",
            description="Which of its agents to wake",
            url="https://docs.openclaw.ai/gateway/configuration",
            command="openclaw agents list",
            required=False,
        ),
        EnvVar(
            name="OPENCLAW_DEFAULT_TO",
            description="Whom its answers go to, as the id of a channel or a person",
            url="https://docs.openclaw.ai/automation/webhook",
            required=False,
        ),
    ),
)
