"""
What a coding agent says of itself when it calls a hook: three bodies, one step. Pure.

    hook_event_name      a hook of Claude Code, or of Codex, which has the same: Stop, SessionStart, Notification, …
    type and thread-id   the argument of Codex's ``notify`` program
    anything else        the original's: session_id, exit_status, hook_type, …

Law: only what says that a session, or its turn, has ended is an end. A hook that nobody here knows is a sign of life
(``active``), never an end, and what it says is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.sdk import end_of_exit
from orgloop_connectors._lifecycle import MAX_SESSION_ID_CHARS, Step

MAX_REASON_CHARS = 100
"""A longer text is no reason, but a story."""

STATUS_OF_SIGNALS = 128
"""What a shell adds to the number of a signal."""

HOOK_TYPES = {
    "start": "started",
    "session.started": "started",
    "active": "active",
    "session.active": "active",
    "session.idle": "active",
    "stop": "ended",
    "post-exit": "ended",
    "session.stopped": "ended",
    "session.completed": "ended",
    "session.failed": "failed",
    "session.error": "failed",
}
"""What the original's ``hook_type`` may be, and what has happened then."""

_STARTS = {"startup": "started", "clear": "started"}
_ENDS = {"Stop": ("completed", "success"), "StopFailure": ("failed", "failure"), "SessionEnd": ("stopped", "unknown")}
_WHY = {
    "SessionStart": ("source",),
    "SessionEnd": ("reason",),
    "StopFailure": ("error", "error_type"),
    "Notification": ("notification_type",),
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@attrs.frozen(kw_only=True)
class Said:
    """What a body says."""

    step: Step
    cwd: str = ""
    duration_s: float = 0
    exit_status: int = 0
    summary: str = ""
    transcript_path: str = ""
    model: str = ""
    meta: Mapping[str, Any] | None = None
    hook: Mapping[str, Any] | None = None
    """All else that a hook has said: ``hook_event_name``, ``stop_hook_active``, ``message``, …"""


def said_by(body: Any) -> Said:
    """
    What a body says; ValueError, ``field: what is wrong``, if it says nothing that can be an event.

    >>> said_by({"session_id": "s1", "hook_event_name": "Stop"}).step.outcome
    'success'
    """
    if not isinstance(body, Mapping):
        raise ValueError(f"a JSON object is expected, not {'null' if body is None else type(body).__name__}")
    if "hook_event_name" in body:
        return _of_hook(body)
    if isinstance(body.get("type"), str) and ("thread-id" in body or "turn-id" in body):
        return _of_notify(body)
    return _of_original(body)


# -- hooks -------------------------------------------------------------------------------------------------------------

_TAKEN = ("session_id", "transcript_path", "cwd", "model", "meta")


def _of_hook(body: Mapping[str, Any]) -> Said:
    name = _text(body, "hook_event_name")
    if not name:
        raise ValueError("hook_event_name: is empty")
    phase, outcome = _ENDS.get(name, ("active", None))
    why = next((said for field in _WHY.get(name, ()) if (said := _short(body, field))), None)
    if name == "SessionStart":
        phase = _STARTS.get(why or "startup", "active")
    return Said(
        step=Step(
            session_id=_session_id(body, "session_id"),
            phase=phase,
            outcome=outcome,
            reason=why or _CAMEL.sub("_", name).lower()[:MAX_REASON_CHARS],
            turn=_short(body, "turn_id"),
        ),
        cwd=_text(body, "cwd"),
        exit_status=1 if phase == "failed" else 0,
        summary=_text(body, "last_assistant_message"),
        transcript_path=_text(body, "transcript_path"),
        model=_text(body, "model"),
        meta=_mapping(body, "meta"),
        hook={key: value for key, value in body.items() if key not in _TAKEN},
    )


def _of_notify(body: Mapping[str, Any]) -> Said:
    name = _text(body, "type")
    ended = name == "agent-turn-complete"
    # Before it told the thread, the turn was all that Codex told.
    field = "thread-id" if body.get("thread-id") is not None else "turn-id"
    return Said(
        step=Step(
            session_id=_session_id(body, field),
            phase="completed" if ended else "active",
            outcome="success" if ended else None,
            reason=name.replace("-", "_")[:MAX_REASON_CHARS],
            turn=_short(body, "turn-id") if field == "thread-id" else None,
        ),
        cwd=_text(body, "cwd"),
        summary=_text(body, "last-assistant-message"),
        hook={key: value for key, value in body.items() if key not in ("cwd", "last-assistant-message")},
    )


# -- the original's ----------------------------------------------------------------------------------------------------


def _of_original(body: Mapping[str, Any]) -> Said:
    kind = _text(body, "hook_type") or "stop"
    if kind not in HOOK_TYPES:
        raise ValueError(f"hook_type: {kind[:60]!r} is none of: {', '.join(HOOK_TYPES)}")
    phase = HOOK_TYPES[kind]
    outcome = reason = None
    status = _status(body, missing=1 if phase == "failed" else 0)
    if phase in ("ended", "failed"):
        phase, outcome, reason = end_of_exit(status)
    return Said(
        step=Step(session_id=_session_id(body, "session_id"), phase=phase, outcome=outcome, reason=reason),
        cwd=_text(body, "working_directory") or _text(body, "cwd"),
        duration_s=_number(body, "duration_seconds"),
        exit_status=status,
        summary=_text(body, "summary"),
        transcript_path=_text(body, "transcript_path"),
        model=_text(body, "model"),
        meta=_mapping(body, "meta"),
    )


def _status(body: Mapping[str, Any], *, missing: int) -> int:
    status = body.get("exit_status")
    if status is None:
        return missing
    if isinstance(status, bool) or not isinstance(status, int) or not -64 <= status <= 255:
        raise ValueError("exit_status: a whole number from 0 to 255 is expected, or minus the number of a signal")
    # Python and its like say -15 where a shell says 143.
    return status if status >= 0 else STATUS_OF_SIGNALS - status


# -- fields ------------------------------------------------------------------------------------------------------------


def _session_id(body: Mapping[str, Any], field: str) -> str:
    said = _text(body, field)
    if not 0 < len(said) <= MAX_SESSION_ID_CHARS:
        raise ValueError(f"{field}: a text of 1 to {MAX_SESSION_ID_CHARS} characters is required")
    return said


def _text(body: Mapping[str, Any], field: str) -> str:
    said = body.get(field)
    if said is None:
        return ""
    if not isinstance(said, str):
        raise ValueError(f"{field}: a text is expected, not {type(said).__name__}")
    return said


def _short(body: Mapping[str, Any], field: str) -> str | None:
    """A text that can be a reason or a name; None for anything else, which stays where it was said."""
    said = body.get(field)
    return said if isinstance(said, str) and 0 < len(said) <= MAX_REASON_CHARS else None


def _number(body: Mapping[str, Any], field: str) -> float:
    said = body.get(field)
    if said is None:
        return 0
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < math.inf:
        raise ValueError(f"{field}: a number that is not negative is expected")
    return said


def _mapping(body: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    said = body.get(field)
    if said is not None and not isinstance(said, Mapping):
        raise ValueError(f"{field}: an object is expected, not {type(said).__name__}")
    return said
