"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs

from orgloop_connectors._agent_config import HeadlessConfig, headless_faults

MAX_STEPS = 200
"""How many commands, changes and calls it may make for one delivery, unless ``max_steps`` says otherwise."""

OURS = (
    "exec",
    "resume",
    "--json",
    "--experimental-json",
    "-s",
    "--sandbox",
    "-a",
    "--ask-for-approval",
    "--full-auto",
    "--yolo",
    "--dangerously-bypass-approvals-and-sandbox",
    "-C",
    "--cd",
    "-m",
    "--model",
    "--last",
    "--ephemeral",
)
"""Options that the connector sets, or that would take a decision from the keys."""


@attrs.frozen(kw_only=True)
class CodexConfig(HeadlessConfig):
    """How Codex runs for each event, and how far it may go."""

    program: str = "codex"
    """A name with a slash is looked for from the module's directory, any other in PATH."""
    sandbox: Literal["read-only", "workspace-write", "danger-full-access"] = "read-only"
    """What its commands may touch; nobody is there to be asked for more."""
    skip_git_repo_check: bool = False
    """Whether it may work where there is no repository."""
    max_steps: int = MAX_STEPS
    session_dir: str = ".orgloop/sessions"
    """Where it is kept which session a session key has, from the module's directory."""


def faults_in(config: CodexConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    yield from headless_faults(config, program=config.program, ours=OURS)
    if not 1 <= config.max_steps <= 10_000:
        yield "max_steps: must be from 1 to 10000"
    if not config.session_dir or "\0" in config.session_dir:
        yield "session_dir: is empty, or holds NUL; leave the key out, or name a directory"
