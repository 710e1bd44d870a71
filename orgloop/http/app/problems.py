"""
What goes wrong, as an answer: whose fault it is decides the status, and every one says what, where, why and what next.

    400  the request        401 403 415 413  the walls, before this      404  what was named is not there
    405  the method         409  it stands in the way of what is          412  another generation than was meant
    422  the configuration  501  not offered by this runtime              503  not now, come back

A fault of ours is 500, told of in full, and says nothing to the client.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from orgloop.config.report import plain_of
from orgloop.errors import ConfigError, EventError, Fault, ModuleError, OrgLoopError, PluginError, StaleContinuation
from orgloop.http.app import shapes

MOST_FAULTS = 500
"""Faults of a configuration that one answer shows; the text of the error counts the rest."""

LONGEST_WHAT = 4000
"""Characters of a sentence about a fault."""


@attrs.frozen(kw_only=True)
class Problem:
    """An answer that says why not."""

    status: int
    code: str
    what: str
    where: str | None = None
    why: str | None = None
    next: str | None = None
    faults: Sequence[Fault] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def detail(self) -> shapes.Detail:
        """The parts of it, as they are sent."""
        return shapes.Detail(
            code=self.code,
            what=_sound(self.what),
            where=self.where,
            why=self.why,
            next=self.next,
            faults=[fault_shape(fault) for fault in self.faults[:MOST_FAULTS]],
        )


class Refused(Exception):
    """A request is not done; ``problem`` is the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def bad(what: str, *, where: str | None = None, why: str | None = None, next_: str | None = None) -> Refused:
    """The request is at fault; ``where`` names the parameter."""
    return Refused(Problem(status=400, code="bad_request", what=what, where=where, why=why, next=next_))


def absent(what: str, *, next_: str | None = None) -> Refused:
    """What was named is not there."""
    return Refused(Problem(status=404, code="not_found", what=what, next=next_))


def conflict(what: str, *, code: str = "conflict", why: str | None = None, next_: str | None = None) -> Refused:
    """It cannot be done as things are."""
    return Refused(Problem(status=409, code=code, what=what, why=why, next=next_))


def not_offered(what: str, *, next_: str | None = None) -> Refused:
    """Whoever runs this runtime has not handed over what that takes."""
    return Refused(Problem(status=501, code="not_offered", what=what, next=next_))


def problem_of(exc: Exception) -> Problem | None:
    """What an error raised on purpose is as an answer; None for what is a fault of ours."""
    match exc:
        case Refused():
            return exc.problem
        case ConfigError():
            return Problem(
                status=422,
                code="config_invalid",
                what=str(exc),
                why="A configuration is applied whole or not at all.",
                next="Correct what `faults` names, then try again; nothing was changed.",
                faults=exc.faults,
            )
        case EventError():
            return Problem(status=400, code="bad_event", what=str(exc), next="Nothing was admitted; correct the event.")
        case ModuleError():
            return Problem(
                status=409, code="module", what=str(exc), next="`GET /control/module/list` shows what is loaded."
            )
        case StaleContinuation():
            return Problem(status=409, code="stale_continuation", what=str(exc), next="Drain again, without it.")
        case PluginError():
            return Problem(status=422, code="plugin", what=str(exc), next="Nothing was changed; see to the plug-in.")
        case OrgLoopError():  # BusFull, Closed, Unavailable, WalError, and what a bus of somebody else's raises
            return Problem(
                status=503,
                code="unavailable",
                what=str(exc) or "The runtime cannot do that right now",
                next="Try again in a moment.",
                headers=(("Retry-After", "1"),),
            )
    return None


BROKEN = Problem(
    status=500,
    code="internal",
    what="Internal error",
    why="A bug of ours.",
    next="`orgloop logs --level error` says more.",
)


def body_of(problem: Problem, path: str) -> shapes.Fault | shapes.OriginalFault:
    """The body of such an answer, by the family that the path belongs to."""
    detail = problem.detail()
    if path.startswith("/control/") or (path.startswith("/api/") and not path.startswith("/api/v1/")):
        return shapes.OriginalFault(error=detail.what, detail=detail)
    return shapes.Fault(error=detail)


def fault_shape(fault: Fault) -> shapes.FaultShape:
    """One fault of a configuration, as it is sent."""
    return shapes.FaultShape(**plain_of(fault))


def _sound(text: str) -> str:
    """A text that can be sent: of what was refused it may quote lone surrogates."""
    return text[:LONGEST_WHAT].encode("utf-8", "backslashreplace").decode()
