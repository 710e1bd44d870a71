"""
What has changed between two looks at the sessions. Pure.

    =============================  ==========  =========  =================  ===============
    change                         phase       outcome    reason             action
    =============================  ==========  =========  =================  ===============
    new, and not ended             started                                   session.started
    to or new: stopped             stopped     unknown    session_stopped    session.stopped
    to or new: error, failed       failed      failure    session_error      session.error
    to or new: completed           completed   success    session_completed  session.stopped
    to idle                        active                 idle               session.idle
    to running, or any other       active                 the status         session.active
    not listed any more            stopped     unknown    session_stopped    session.stopped
    =============================  ==========  =========  =================  ===============

Law: one that has ended ends once: that it is not listed any more is no news then. A list that is not whole tells
nothing of those that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from orgloop_connectors._lifecycle import MAX_SESSION_ID_CHARS, Step

ENDS = {
    "stopped": ("stopped", "unknown", "session_stopped", "session.stopped"),
    "error": ("failed", "failure", "session_error", "session.error"),
    "failed": ("failed", "failure", "session_failed", "session.error"),
    "completed": ("completed", "success", "session_completed", "session.stopped"),
}
"""Phase, outcome, reason and action of the statuses that are ends."""

MAX_STATUS_CHARS = 40

FIELDS = ("adapter", "cwd", "startedAt", "model", "meta")
"""What is remembered of a session, so that it can be told when it is not listed any more."""

MAX_FIELD_CHARS = 500
"""How long a field may be that is remembered."""


@attrs.frozen(kw_only=True)
class Listed:
    """One session, as it was listed."""

    id: str
    status: str
    said: Mapping[str, Any]

    @staticmethod
    def of(said: object) -> Listed:
        """ValueError if it is none."""
        if not isinstance(said, Mapping):
            raise ValueError("a session is no object")
        id_, status = said.get("id"), said.get("status")
        if not isinstance(id_, str) or not 0 < len(id_) <= MAX_SESSION_ID_CHARS:
            raise ValueError(f"the id of a session is no text of 1 to {MAX_SESSION_ID_CHARS} characters")
        if not isinstance(status, str) or not 0 < len(status) <= MAX_STATUS_CHARS:
            raise ValueError(f"the status of session {id_[:40]!r} is no short text")
        return Listed(id=id_, status=status, said=said)


@attrs.frozen(kw_only=True)
class Remembered:
    """One session, as it was when last looked at."""

    status: str
    steps: int = 1
    """How many changes of it have been told."""
    ends: int = 0
    """How many of them were ends."""
    said: Mapping[str, Any] = attrs.field(factory=dict)


Known = Mapping[str, Remembered]


@attrs.frozen(kw_only=True)
class Change:
    """One change, and the session as it is now, or was last."""

    step: Step
    action: str
    status: str
    said: Mapping[str, Any]


def changes(before: Known, listed: Sequence[Listed], *, whole: bool) -> tuple[list[Change], Known]:
    """What to tell, and what to remember; ``whole``: whether what is not listed is not there."""
    after: dict[str, Remembered] = {}
    told: list[Change] = []
    for session in listed:
        change, after[session.id] = _seen(before.get(session.id), session)
        told += [] if change is None else [change]
    for id_, remembered in before.items():
        if id_ in after:
            continue
        if not whole:
            after[id_] = remembered
        elif remembered.status not in ENDS:
            told.append(_told(id_, "stopped", remembered, remembered.said))
    return told, after


def _seen(remembered: Remembered | None, session: Listed) -> tuple[Change | None, Remembered]:
    said = {field: session.said[field] for field in FIELDS if _is_short(session.said.get(field))}
    if remembered is not None and remembered.status == session.status:
        return None, attrs.evolve(remembered, said=said)
    change = _told(session.id, session.status, remembered, session.said)
    steps, ends = (0, 0) if remembered is None else (remembered.steps, remembered.ends)
    after = Remembered(status=session.status, steps=steps + 1, ends=ends + (session.status in ENDS), said=said)
    return change, after


def _told(id_: str, status: str, before: Remembered | None, said: Mapping[str, Any]) -> Change:
    if status in ENDS:
        phase, outcome, reason, action = ENDS[status]
        turn = str(before.ends + 1) if before is not None and before.ends else None
        step = Step(session_id=id_, phase=phase, outcome=outcome, reason=reason, turn=turn)
    elif before is None:
        step, action = Step(session_id=id_, phase="started"), "session.started"
    else:
        # Or to go idle twice would look like the same news.
        step = Step(session_id=id_, phase="active", reason=status, turn=str(before.steps))
        action = "session.idle" if status == "idle" else "session.active"
    return Change(step=step, action=action, status=status, said=said)


def _is_short(value: object) -> bool:
    return value is not None and len(str(value)) <= MAX_FIELD_CHARS


# -- a checkpoint ------------------------------------------------------------------------------------------------------


def written(known: Known) -> dict[str, Any]:
    """As plain data."""
    return {"sessions": {id_: attrs.asdict(remembered) for id_, remembered in known.items()}}


def read(plain: object) -> Known:
    """What was written; ValueError if it was not."""
    return dict(_read(plain))


def _read(plain: object) -> Iterator[tuple[str, Remembered]]:
    sessions = plain.get("sessions") if isinstance(plain, Mapping) else None
    if not isinstance(sessions, Mapping):
        raise ValueError("no object with sessions")
    for id_, fields in sessions.items():
        try:
            yield id_, Remembered(**fields)
        except TypeError as exc:
            raise ValueError(f"session {id_!r}: {exc}") from exc
