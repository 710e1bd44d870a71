"""What headless agents can be told, whichever they are, and what can be wrong with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence

import attrs
import trio

from orgloop.sdk import Checked, Place
from orgloop_connectors._command import GRACE_S, KEEP_BYTES, environment

MAX_TIME_S = 30 * 60.0
"""How long an agent may work on a delivery, unless ``max_time`` says otherwise."""

MAX_EVENT_BYTES = 256 * 1024
"""How long what an agent is told may be, unless ``max_event`` says otherwise."""


@attrs.frozen(kw_only=True)
class HeadlessConfig:
    """Which agent runs, where, and how far it may go."""

    cwd: str | None = None
    """Where it works, from the module's directory, which it is itself unless given."""
    env: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    """What it sees beyond PATH, HOME and LANG: keys, most of all."""
    model: str | None = None
    args: Sequence[str] = ()
    """More options for it."""
    max_time_s: float = attrs.field(default=MAX_TIME_S, metadata={"yaml": "max_time", "unit": "duration"})
    """How long it may work on one delivery; the route's ``timeout`` must leave it that."""
    grace_s: float = attrs.field(default=GRACE_S, metadata={"yaml": "grace", "unit": "duration"})
    """How long it may take to end after SIGTERM, before SIGKILL."""
    max_event_bytes: int = attrs.field(default=MAX_EVENT_BYTES, metadata={"yaml": "max_event", "unit": "size"})
    """How long the text it is given may be, event and prompt together."""
    max_output_bytes: int = attrs.field(default=KEEP_BYTES, metadata={"yaml": "max_output", "unit": "size"})
    """How much of its last words the event of its end has."""
    hooks: bool = False
    """Whether its own hooks run; one that posts here would make a loop in which nobody counts the hops."""
    emits: bool = True
    """Whether its end becomes an event, ``actor.stopped``."""


def program_of(name: str, place: Place) -> str:
    """The program: a name with a slash is looked for from the module's directory, any other in PATH."""
    return str(place.directory / os.path.expanduser(name)) if "/" in name else name


def headless_faults(config: HeadlessConfig, *, program: str, ours: Sequence[str]) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault; ``ours`` are the options that are set here."""
    if not program or "\0" in program:
        yield "program: is empty, or holds NUL; name the agent's command"
    for name, value in config.env.items():
        if not name or "=" in name or "\0" in name + value:
            yield f"env.{name}: cannot be set; write a name without '=' and a text without NUL"
        elif name.startswith("ORGLOOP_"):
            yield f"env.{name}: names that begin with ORGLOOP_ are set for each event"
    for number, text in enumerate(config.args):
        if "\0" in text:
            yield f"args.{number}: holds NUL"
        elif text.partition("=")[0] in ours:
            yield f"args.{number}: {text.partition('=')[0]} is set by the connector; leave it out"
    if config.model is not None and (not config.model or config.model.startswith("-")):
        yield "model: is empty, or looks like an option; name a model, or leave the key out"
    if not 1 <= config.max_time_s <= 24 * 3600:
        yield "max_time: must be from 1s to 24h"
    if not 0 <= config.grace_s <= 60:
        yield "grace: must be at most 60s"
    if not 0 < config.max_event_bytes <= 8 * 1024 * 1024:
        yield "max_event: must be more than nothing, and at most 8MB"
    if not 0 < config.max_output_bytes <= 16 * KEEP_BYTES:
        yield f"max_output: must be more than nothing, and at most {16 * KEEP_BYTES // 1024}KB"


async def check_headless(config: HeadlessConfig, place: Place, *, program: str) -> list[Checked]:
    """Whether the program and its directory are there; nothing is run."""
    return await trio.to_thread.run_sync(_look, config, place, program)


def _look(config: HeadlessConfig, place: Place, name: str) -> list[Checked]:
    program = program_of(name, place)
    found = shutil.which(program, path=environment(config.env)["PATH"])
    advice = "it must exist, and be executable (chmod +x)" if "/" in program else "install it, or write its whole path"
    checked = [Checked(name="program", ok=found is not None, detail=found or f"{program} is not found; {advice}")]
    cwd = place.directory / (config.cwd or ".")
    if not os.path.isdir(cwd):
        checked.append(Checked(name="cwd", ok=False, detail=f"{cwd} is no directory; make it, or correct cwd"))
    return checked
