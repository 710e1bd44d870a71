"""What the actor can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import attrs

from orgloop_connectors._command import GRACE_S, KEEP_BYTES
from orgloop_connectors._template import has_placeholder, template_faults

ROOTS = ("event", "launch_prompt", "config")
"""What a placeholder may begin with: the event, the route's prompt, the route's ``then.config``."""

MAX_ARGUMENTS = 256

TEMPFAIL = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""

SKIPS = 78
"""What a script transform drops an event with."""


@attrs.frozen(kw_only=True)
class ExecConfig:
    """
    Which command, and what its end means.

    Of the daemon's environment it sees PATH, HOME and LANG; ``env`` gives it more.
    """

    command: Sequence[str]
    """The program and its arguments; a program with a slash in it is looked for from the module's directory."""
    stdin: Literal["event", "delivery", "none"] = "event"
    """One line of JSON: the event, or an object of ``event``, ``launch_prompt`` and ``config``, or nothing."""
    cwd: str | None = None
    """Where it runs, from the module's directory, which it is itself unless given."""
    env: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    reject_on: Sequence[int] = ()
    """Exit statuses that another attempt would not change."""
    skip_on: Sequence[int] = (SKIPS,)
    """Exit statuses that mean that this event is none of its business."""
    grace_s: float = attrs.field(default=GRACE_S, metadata={"yaml": "grace", "unit": "duration"})
    """How long it may take to end after SIGTERM, before SIGKILL."""
    emits: bool = False
    """Whether its end becomes an event, ``actor.stopped``."""
    harness: str = "other"
    """What runs in there, for that event: ``claude-code``, ``codex``, …"""
    max_output_bytes: int = attrs.field(default=KEEP_BYTES, metadata={"yaml": "max_output", "unit": "size"})
    """How much of the end of each of its outputs that event has."""


def faults_in(config: ExecConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    yield from _command_faults(config.command)
    for name, value in config.env.items():
        if not name or "=" in name or "\0" in name + value:
            yield f"env.{name}: cannot be set; write a name without '=' and a text without NUL"
        elif name.startswith("ORGLOOP_"):
            yield f"env.{name}: names that begin with ORGLOOP_ are set for each event"
    for key, statuses in (("reject_on", config.reject_on), ("skip_on", config.skip_on)):
        for status in statuses:
            if not 0 < status < 256:
                yield f"{key}: {status} is no exit status of a failure; they go from 1 to 255"
            elif status == TEMPFAIL:
                yield f"{key}: {TEMPFAIL} always means try again later"
    if both := sorted(set(config.reject_on) & set(config.skip_on)):
        yield f"reject_on: {', '.join(map(str, both))} stands in skip_on too; keep it in one of them"
    if not config.harness:
        yield "harness: is empty; leave the key out, or name what runs"
    if not 0 < config.max_output_bytes <= 16 * KEEP_BYTES:
        yield f"max_output: must be more than nothing, and at most {16 * KEEP_BYTES // 1024}KB"
    if not 0 <= config.grace_s <= 300:
        yield "grace: must be at most 5m"


def _command_faults(command: Sequence[str]) -> Iterator[str]:
    if not command or not command[0]:
        yield "command: is empty; write the program and its arguments, as in [./review.py, --verbose]"
        return
    if len(command) > MAX_ARGUMENTS:
        yield f"command: has {len(command)} arguments; at most {MAX_ARGUMENTS} are allowed"
    if has_placeholder(command[0]):
        yield "command.0: has a placeholder; which program runs is never taken from an event"
    elif len(command) == 1 and " " in command[0]:
        yield f"command.0: no shell splits it; write {command[0].split()!r}"
    if any("\0" in argument for argument in command):
        yield "command: an argument cannot hold NUL"
    yield from template_faults(list(command), roots=ROOTS, where="command")
