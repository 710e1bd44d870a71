"""The event that a command's end is."""

from __future__ import annotations

from typing import Any

from orgloop.sdk import Event, dedupe_key, end_of_exit, timestamp_of, type_of_phase


def completion(
    *,
    actor: str,
    harness: str,
    cwd: str,
    session_id: str,
    started_at_s: float,
    ended_at_s: float,
    status: int,
    stdout: str,
    stderr: str,
) -> Event:
    """
    ``actor.stopped``, by the lifecycle contract; its source is the actor.

    Each run is a session of its own: another attempt is another session. ``status`` is as a shell has it.
    """
    phase, outcome, reason = end_of_exit(status)
    lifecycle: dict[str, Any] = {
        "phase": phase,
        "terminal": True,
        "outcome": outcome,
        "reason": reason,
        "dedupe_key": dedupe_key(harness, session_id, phase),
    }
    session = {
        "id": session_id,
        "adapter": "exec",
        "harness": harness,
        "cwd": cwd,
        "started_at": timestamp_of(started_at_s),
        "ended_at": timestamp_of(ended_at_s),
        "exit_status": status,
    }
    provenance = {"platform": "exec", "platform_event": f"session.{phase}", "author": actor, "author_type": "bot"}
    payload = {"lifecycle": lifecycle, "session": session, "stdout": stdout, "stderr": stderr}
    return Event(actor, type_of_phase(phase), provenance, payload)
