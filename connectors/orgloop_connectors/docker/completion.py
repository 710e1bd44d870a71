"""The event that a container's end is."""

from __future__ import annotations

from orgloop.sdk import Event, end_of_exit
from orgloop_connectors._lifecycle import Step, session_event


def completion(
    *,
    actor: str,
    harness: str,
    image: str,
    session_id: str,
    started_at: str,
    ended_at: str,
    status: int,
    stdout: str,
    stderr: str,
) -> Event:
    """``actor.stopped``, by the lifecycle contract; its source is the actor. Each run is a session of its own."""
    phase, outcome, reason = end_of_exit(status)
    return session_event(
        actor,
        Step(session_id=session_id, phase=phase, outcome=outcome, reason=reason),
        platform="docker",
        harness=harness,
        session={"started_at": started_at, "ended_at": ended_at, "exit_status": status, "meta": {"image": image}},
        flat={"stdout": stdout, "stderr": stderr},
        provenance={"author": actor},
    )
