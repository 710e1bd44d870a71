"""
What a run of an agent has come to, and what is told of it: an outcome to the route, an event to everybody. Pure.

    =============================================================  =====================  ==================
    end                                                            the event says         the delivery is
    =============================================================  =====================  ==================
    it says that it has done it                                    completed, success     delivered
    a limit of turns or of cost; it waits for a permission         failed, failure        rejected, for good
    a limit of time or of steps                                    stopped, cancelled     rejected, for good
    it says that it has failed; it ends without a word             failed, failure        failed: again later
    a signal that is not ours                                      stopped, cancelled     failed: again later
    it cannot be started                                           nothing                failed: again later
    =============================================================  =====================  ==================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from orgloop.sdk import Delivered, Delivery, Event, Failed, Outcome, Place, Rejected, end_of_exit, timestamp_of
from orgloop_connectors._agent_words import Report
from orgloop_connectors._command import Ended, Output
from orgloop_connectors._lifecycle import Step, session_event

MAX_EXCERPT_CHARS = 300
"""How much of what an agent said is told in a reason."""

ENDED_BY_US = 143
"""The exit status of what was told to end, as a shell has it."""

FOR_GOOD = frozenset({"max_turns", "max_cost", "max_time", "max_steps", "permission_required"})
"""Ends that another attempt would come to as well."""


@attrs.frozen(kw_only=True)
class Run:
    """One run of an agent that has ended."""

    report: Report
    ended: Ended | None
    """None if we have ended it."""
    started_at_s: float
    ended_at_s: float
    max_steps: bool = False
    """Whether it was ended because it took too many steps."""

    @property
    def exit_status(self) -> int:
        return ENDED_BY_US if self.ended is None else self.ended.status


@attrs.frozen
class End:
    """What a run has come to."""

    phase: str
    outcome: str
    reason: str
    words: str
    """What the agent said of it."""


def end_of(run: Run) -> End:
    """What a run has come to: what it said counts, then how its process ended."""
    report, ended = run.report, run.ended
    if report.final is not None:
        outcome = ("completed", "success") if report.final.ok else ("failed", "failure")
        return End(*outcome, report.final.kind, report.final.text)
    if report.asked is not None:
        return End("failed", "failure", "permission_required", f"it waits for leave to use {report.asked}")
    if ended is None:
        return End("stopped", "cancelled", "max_steps" if run.max_steps else "max_time", "")
    if ended.status == 0:
        return End("failed", "failure", "no_result", "it ended without a result")
    return End(*end_of_exit(ended.status), "")


@attrs.frozen(kw_only=True)
class Teller:
    """Tells of the runs of one actor, without its secrets."""

    place: Place
    program: str
    harness: str
    cwd: str
    secrets: Sequence[str]
    max_words: int
    """How many characters of its last words the event has."""

    def outcome(self, run: Run, end: End) -> Outcome:
        """What came of the delivery."""
        if end.outcome == "success":
            return Delivered()
        words = " ".join(self._last_words(run, end).split())[-MAX_EXCERPT_CHARS:]
        reason = f"{self.program} ended with {end.reason}: {words or 'it said nothing'}"
        return Rejected(reason) if end.reason in FOR_GOOD else Failed(reason)

    def event(self, run: Run, end: End, *, key: str | None, delivery: Delivery) -> Event:
        """``actor.stopped``, by the lifecycle contract; its source is the actor."""
        report = run.report
        attempt = f"{delivery.idempotency_key}-{delivery.attempt}"
        step = Step(
            session_id=report.session_id or attempt,
            phase=end.phase,
            outcome=end.outcome,
            reason=end.reason,
            # A session that is resumed ends more than once.
            turn=None if key is None else attempt,
        )
        where = {"session_id": step.session_id, "working_directory": self.cwd}
        flat = {
            **where,
            "duration_seconds": round(run.ended_at_s - run.started_at_s, 3),
            "exit_status": run.exit_status,
            "summary": self._last_words(run, end)[-self.max_words :],
            "transcript_path": "",
            "model": self._plain(report.model),
            "turns": report.turns,
            "cost_usd": report.cost_usd,
            "usage": report.usage,
            "permission_denials": [self._plain(name) for name in report.denied],
            "unread_lines": report.garbage,
        }
        return session_event(
            self.place.id,
            step,
            platform=self.harness,
            harness=self.harness,
            session=self._session(run, key, delivery),
            flat=flat,
            provenance={"author": self.place.id, **where},
        )

    def _session(self, run: Run, key: str | None, delivery: Delivery) -> dict[str, Any]:
        meta: dict[str, Any] = {"event_id": delivery.event.id, "attempt": delivery.attempt}
        if key is not None:
            meta["session_key"] = key
        if run.report.unkept is not None:
            meta["session_lost"] = run.report.unkept
        return {
            "cwd": self.cwd,
            "started_at": timestamp_of(run.started_at_s),
            "ended_at": timestamp_of(run.ended_at_s),
            "exit_status": run.exit_status,
            "meta": meta,
        }

    def _last_words(self, run: Run, end: End) -> str:
        said = run.ended.stderr.text(self.secrets) if run.ended and not end.words else ""
        return said or self._plain(end.words or run.report.text)

    def _plain(self, text: str) -> str:
        """Without secrets, and without what a terminal obeys."""
        return Output(text.encode("utf-8", "replace"), True).text(self.secrets)
