"""What ``init`` can set up: sources and actors, as they stand in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen(kw_only=True)
class Choice:
    """Something that ``init`` can set up: one source or one actor."""

    id: str
    kind: str
    """``source`` or ``actor``."""
    lines: str
    """What follows its id."""
    variables: Mapping[str, str] = attrs.field(factory=dict)
    """Those that it needs, and what each is."""
    events: Sequence[str] = ("resource.changed",)
    """What a route from it listens for."""
    takes_prompt: bool = False
    has_authors: bool = False
    """Whether its events say who did it, so that what bots do can be left out."""


_GITHUB = """\
    description: Reviews, comments, merges and failed builds of one repository
    connector: github
    config:
      repo: "${GITHUB_REPO}"
      token: "${GITHUB_TOKEN}"
      events:
        - pull_request.review_submitted
        - pull_request_review_comment
        - issue_comment
        - pull_request.closed
        - pull_request.merged
        - workflow_run.completed
    poll: {interval: 5m}
    emits: [resource.changed]
"""

_LINEAR = """\
    description: Issues and comments of one team
    connector: linear
    config:
      team: "${LINEAR_TEAM_KEY}"
      api_key: "${LINEAR_API_KEY}"
    poll: {interval: 5m}
    emits: [resource.changed]
"""

WEBHOOK_LINES = """\
    description: Takes any JSON that is posted to /webhook/@id@
    connector: webhook
    # Without a secret, whatever is posted from this host is taken, and marked as coming from nobody in particular.
    # config: {secret: "${WEBHOOK_SECRET}"}
    emits: [resource.changed]
"""

_AGENT = """\
    description: Sessions of @connector@, which it tells of at /webhook/@id@
    connector: @connector@
    emits: [resource.changed, actor.stopped]
"""

_OPENCLAW = """\
    description: Wakes an agent of OpenClaw
    connector: openclaw
    config:
      base_url: http://127.0.0.1:18789
      auth_token_env: "${OPENCLAW_WEBHOOK_TOKEN}"
      agent_id: "${OPENCLAW_AGENT_ID}"
"""

_SLACK = """\
    description: Posts into a channel of Slack
    connector: webhook
    config:
      url: "${SLACK_WEBHOOK_URL}"
      body_template: {text: "{{ event.source }}: {{ event.type }}"}
"""

_PAGERDUTY = """\
    description: Posts to PagerDuty
    connector: webhook
    config:
      url: "${PAGERDUTY_WEBHOOK_URL}"
"""

_NOTIFY = """\
    description: Writes each event into received.jsonl
    connector: exec
    config:
      command: [./actors/notify.sh]
"""


def _agent(name: str, *, config: str = "") -> Choice:
    lines = _AGENT.replace("@connector@", name).replace("@id@", name)
    return Choice(
        id=name,
        kind="source",
        lines=lines.replace("    emits", f"{config}    emits"),
        events=("actor.stopped",),
    )


CHOICES: Mapping[str, Choice] = {
    "github": Choice(
        id="github",
        kind="source",
        lines=_GITHUB,
        has_authors=True,
        variables={
            "GITHUB_REPO": "the repository, as owner/repo",
            "GITHUB_TOKEN": "https://github.com/settings/tokens/new?scopes=repo",
        },
    ),
    "linear": Choice(
        id="linear",
        kind="source",
        lines=_LINEAR,
        variables={
            "LINEAR_TEAM_KEY": "the key of the team, as in ENG",
            "LINEAR_API_KEY": "https://linear.app/settings/api",
        },
    ),
    "openclaw": Choice(
        id="openclaw-engineering-agent",
        kind="actor",
        lines=_OPENCLAW,
        takes_prompt=True,
        variables={
            "OPENCLAW_WEBHOOK_TOKEN": "the token of its webhook",
            "OPENCLAW_AGENT_ID": "which agent",
        },
    ),
    "coding-agent": _agent("coding-agent", config='    config: {platform: "claude-code"}\n'),
    "claude-code": _agent("claude-code"),
    "codex": _agent("codex"),
    "opencode": _agent("opencode"),
    "pi": _agent("pi"),
    "pi-rust": _agent("pi-rust"),
    "webhook": Choice(id="webhook", kind="source", lines=WEBHOOK_LINES.replace("@id@", "webhook")),
    "slack": Choice(
        id="slack-notify",
        kind="actor",
        lines=_SLACK,
        variables={"SLACK_WEBHOOK_URL": "https://api.slack.com/messaging/webhooks"},
    ),
    "pagerduty": Choice(
        id="pagerduty",
        kind="actor",
        lines=_PAGERDUTY,
        variables={"PAGERDUTY_WEBHOOK_URL": "the address of a service's integration"},
    ),
}
"""What ``init --connectors`` takes."""

NOTIFY = Choice(id="notify", kind="actor", lines=_NOTIFY)
"""The actor of a project for which none was chosen: it needs nothing, and shows that events arrive."""
