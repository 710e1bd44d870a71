"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs

from orgloop_connectors._agent_config import HeadlessConfig, headless_faults

MAX_TURNS = 50
"""How many turns it may take for one delivery, unless ``max_turns`` says otherwise."""

OURS = (
    "-p",
    "--print",
    "--output-format",
    "--input-format",
    "--verbose",
    "--permission-mode",
    "--dangerously-skip-permissions",
    "--allow-dangerously-skip-permissions",
    "--allowedTools",
    "--allowed-tools",
    "--disallowedTools",
    "--disallowed-tools",
    "--max-turns",
    "--max-budget-usd",
    "--model",
    "-c",
    "--continue",
    "-r",
    "--resume",
    "--session-id",
    "--fork-session",
)
"""Options that the connector sets, or that would take a decision from the keys."""


@attrs.frozen(kw_only=True)
class ClaudeCodeConfig(HeadlessConfig):
    """How Claude Code runs for each event, and how far it may go."""

    program: str = "claude"
    """A name with a slash is looked for from the module's directory, any other in PATH."""
    permission_mode: Literal["default", "acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions"] = "default"
    """Nobody is there to be asked: what is not allowed is refused."""
    allowed_tools: Sequence[str] = ()
    """What it may use without asking: ``Read``, ``Bash(git log:*)``."""
    disallowed_tools: Sequence[str] = ()
    max_turns: int = MAX_TURNS
    max_cost_usd: float | None = None
    """In dollars, for one delivery, as Claude Code itself reckons it."""


def faults_in(config: ClaudeCodeConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    yield from headless_faults(config, program=config.program, ours=OURS)
    for key in ("allowed_tools", "disallowed_tools"):
        for number, rule in enumerate(getattr(config, key)):
            if not rule or rule.startswith("-") or "\0" in rule:
                yield f"{key}.{number}: {rule[:60]!r} is no rule; write one as in Read, or Bash(git log:*)"
    if not config.hooks and any(text.partition("=")[0] == "--settings" for text in config.args):
        yield "args: --settings switches the hooks off; to write your own, set hooks: true, and disableAllHooks in them"
    if not 1 <= config.max_turns <= 1000:
        yield "max_turns: must be from 1 to 1000"
    if config.max_cost_usd is not None and not 0 < config.max_cost_usd <= 10_000:
        yield "max_cost_usd: must be more than nothing, and at most 10000"
