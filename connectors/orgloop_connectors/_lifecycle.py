"""
Events of a coding agent's session, by the lifecycle contract. Pure, but for the clock that an event reads.

Law: whatever a connector has heard of a session leaves it through :func:`session_event`, so that all of them say it in
the same words: the phase decides the type, ``terminal`` and ``platform_event``, and only an end has an outcome.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.sdk import Event, dedupe_key, timestamp_of, type_of_phase

HARNESSES = ("claude-code", "codex", "opencode", "pi", "pi-rust")
"""Those that have a name of their own; any other is ``other``, or what the operator calls it."""

MAX_SESSION_ID_CHARS = 256
"""How long the id of a session may be."""


@attrs.frozen(kw_only=True)
class Step:
    """What has become of a session."""

    session_id: str
    phase: str
    outcome: str | None = None
    """Of an end, and only of an end."""
    reason: str | None = None
    turn: str | None = None
    """What tells this step from others of the same session and phase, if anything does."""

    @property
    def terminal(self) -> bool:
        """Whether it is an end."""
        return type_of_phase(self.phase) == "actor.stopped"

    def key(self, harness: str) -> str:
        """
        What identifies this step, for ``dedupe_key``.

        >>> Step(session_id="s1", phase="started").key("codex")
        'codex:s1:started'
        """
        key = dedupe_key(harness, self.session_id, self.phase)
        return key if self.turn is None else f"{key}:{self.turn}"


def session_event(
    source: str,
    step: Step,
    *,
    platform: str,
    harness: str,
    session: Mapping[str, Any],
    flat: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Event:
    """
    The event of a step.

    ``session`` and ``provenance`` are what is known beyond that which every such event has, ``flat`` what stands beside
    ``lifecycle`` and ``session`` in the payload.
    """
    lifecycle: dict[str, Any] = {"phase": step.phase, "terminal": step.terminal}
    if step.outcome is not None:
        lifecycle["outcome"] = step.outcome
    if step.reason is not None:
        lifecycle["reason"] = step.reason
    lifecycle["dedupe_key"] = step.key(harness)
    return Event(
        source,
        type_of_phase(step.phase),
        {"platform": platform, "platform_event": f"session.{step.phase}", "author_type": "bot", **provenance},
        {
            "lifecycle": lifecycle,
            "session": {"id": step.session_id, "adapter": platform, "harness": harness, **session},
            **flat,
        },
    )


def now() -> str:
    """The time, as an event has it."""
    return timestamp_of(time.time())
