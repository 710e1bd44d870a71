"""
What is answered: one class for each shape, from which it is written and documented.

Names are those of the original where it has the thing, camel case and all; what it has not, stands beside it.
"""

from __future__ import annotations

from typing import Any

import msgspec

Counts = dict[str, int]
"""Obligations by their ends: `admitted` is the sum of all the others."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is answered."""


class Done(Shape, frozen=True, kw_only=True):
    """It was done."""

    ok: bool = True


# -- how it stands -----------------------------------------------------------------------------------------------------


class SourceHealth(Shape, frozen=True, kw_only=True):
    """How a source is; of one that is only told, the polls are those requests that it took."""

    source_id: str = msgspec.field(name="sourceId")
    status: str
    last_successful_poll: str | None = msgspec.field(name="lastSuccessfulPoll")
    last_poll_attempt: str | None = msgspec.field(name="lastPollAttempt")
    consecutive_errors: int = msgspec.field(name="consecutiveErrors")
    last_error: str | None = msgspec.field(name="lastError")
    total_events_emitted: int = msgspec.field(name="totalEventsEmitted")
    circuit_open: bool = msgspec.field(name="circuitOpen")


class ModuleStatus(Shape, frozen=True, kw_only=True):
    """A loaded module; `state` is `loading`, `active`, `unloading` or `failed`, of which `cause` says why."""

    name: str
    state: str
    sources: int
    routes: int
    actors: int
    uptime_ms: int
    health: list[SourceHealth]
    generation: int
    digest: str
    directory: str
    cause: str | None
    counts: Counts


class ControlStatus(Shape, frozen=True, kw_only=True):
    """The runtime; `generation` is the sum of its modules', so that it changes when any of theirs does."""

    running: bool
    pid: int
    uptime_ms: int
    http_port: int | None = msgspec.field(name="httpPort")
    modules: list[ModuleStatus]
    generation: int
    version: str
    bus: dict[str, Any]
    notices: dict[str, Any]
    parked: dict[str, int]
    no_route: dict[str, int]
    loops: dict[str, int]


class Alive(Shape, frozen=True, kw_only=True):
    """It stands."""

    status: str = "ok"


class Ready(Shape, frozen=True, kw_only=True):
    """Whether events can be admitted: 200, or else 503."""

    ready: bool


class Tree(Shape, frozen=True, kw_only=True):
    """The supervision tree, as text of several lines."""

    text: str


# -- modules -----------------------------------------------------------------------------------------------------------


class Unloaded(Shape, frozen=True, kw_only=True):
    """`parked` obligations have not ended, and wait in the log for the next module of that name."""

    ok: bool = True
    parked: int


class Reloaded(Shape, frozen=True, kw_only=True):
    """What the reload has changed; `plan` is null for a module that was not read from files."""

    ok: bool = True
    generation: int
    changed: bool
    plan: dict[str, Any] | None


class ReloadedAll(Shape, frozen=True, kw_only=True):
    """The generation of each module, now that every project was read again."""

    ok: bool = True
    generations: dict[str, int]


# -- /api/v1 -----------------------------------------------------------------------------------------------------------


class When(Shape, frozen=True, kw_only=True):
    """Which events a route wants."""

    source: str
    events: list[str]
    filter: dict[str, Any]


class Source(Shape, frozen=True, kw_only=True):
    """A source; `kind` is `polling` or `webhook`."""

    id: str
    module: str
    connector: str
    kind: str
    interval_s: float | None
    description: str | None
    health: SourceHealth


class SourceDetail(Source, frozen=True, kw_only=True):
    """A source, where it goes on from, and which routes want what it emits."""

    checkpoint: str | None
    routes: list[str]


class Actor(Shape, frozen=True, kw_only=True):
    """An actor, with the counts of all routes that end at it."""

    id: str
    module: str
    connector: str
    description: str | None
    counts: Counts


class ActorDetail(Actor, frozen=True, kw_only=True):
    """An actor, and the counts of each of its routes."""

    routes: dict[str, Counts]


class RouteShape(Shape, frozen=True, kw_only=True):
    """A route; `breaker` is `closed`, `open` or `half-open`."""

    name: str
    module: str
    description: str | None
    when: When
    transforms: list[str]
    actor: str
    prompt_file: str | None
    breaker: str
    last_matched: str | None
    counts: Counts


class SourcePage(Shape, frozen=True, kw_only=True):
    """Sources, by module and id."""

    items: list[Source]
    next: str | None


class ActorPage(Shape, frozen=True, kw_only=True):
    """Actors, by module and id."""

    items: list[Actor]
    next: str | None


class RoutePage(Shape, frozen=True, kw_only=True):
    """Routes, by module and name."""

    items: list[RouteShape]
    next: str | None


class Polling(Shape, frozen=True, kw_only=True):
    """The source will look for itself at once, or again as soon as it has finished."""

    ok: bool = True


class EventShape(Shape, frozen=True, kw_only=True):
    """An event as it was admitted."""

    id: str
    source: str
    type: str
    timestamp: str
    trace_id: str
    module: str | None
    provenance: dict[str, Any]
    payload: Any
    ancestors: list[str]


class EndShape(Shape, frozen=True, kw_only=True):
    """The end of an obligation: `delivered`, `dropped(…)`, `no_route`, `dead_letter(…)`, `expired` or `carried`."""

    module: str | None
    route: str | None
    outcome: str


class RecordedEvent(Shape, frozen=True, kw_only=True):
    """An event, its number in the log, and what has become of it; `open` if something has not ended yet."""

    sequence: int
    event: EventShape
    ends: list[EndShape]
    open: bool


class EventPage(Shape, frozen=True, kw_only=True):
    """Events, newest first."""

    items: list[RecordedEvent]
    next: str | None


class TriedShape(Shape, frozen=True, kw_only=True):
    """What a route has tried of an event that it still owes; of those `lost`, nobody knows what came."""

    module: str
    route: str
    failed: int
    lost: int
    last_error: str | None


class TracedEvent(RecordedEvent, frozen=True, kw_only=True):
    """An event of a trace, and the id of the one that it followed from."""

    parent: str | None
    tried: list[TriedShape]


class TraceShape(Shape, frozen=True, kw_only=True):
    """The events of a trace, oldest first; not `complete` if there were more."""

    trace_id: str
    events: list[TracedEvent]
    complete: bool


class Accepted(Shape, frozen=True, kw_only=True):
    """Events that are durable now."""

    accepted: int
    ids: list[str]
    sequences: list[int]


# -- configurations ----------------------------------------------------------------------------------------------------


class FaultShape(Shape, frozen=True, kw_only=True):
    """One thing that is wrong with a configuration; `orgloop help <code>` says more."""

    code: str
    text: str
    path: list[str | int]
    file: str | None
    line: int | None
    column: int | None
    source: str | None
    why: str | None
    fix: str | None


class CheckedRow(Shape, frozen=True, kw_only=True):
    """One file, or one definition in it."""

    file: str
    valid: bool
    description: str


class VariableShape(Shape, frozen=True, kw_only=True):
    """A variable that is referred to; never its value."""

    name: str
    set: bool


class Validated(Shape, frozen=True, kw_only=True):
    """Everything there is to say of a project; `left_out` faults are not shown."""

    valid: bool
    results: list[CheckedRow]
    faults: list[FaultShape]
    warnings: list[FaultShape]
    environment: list[VariableShape]
    left_out: int


class Planned(Shape, frozen=True, kw_only=True):
    """What loading, or reloading, would change: as for programs, and as text."""

    plan: dict[str, Any]
    text: str
    changes: bool


# -- dead letters ------------------------------------------------------------------------------------------------------


class Letter(Shape, frozen=True, kw_only=True):
    """An obligation that was given up; of a damaged file `damaged` says what is wrong, and the rest is null."""

    id: str
    damaged: str | None = None
    reason: str | None = None
    module: str | None = None
    route: str | None = None
    actor: str | None = None
    sequence: int | None = None
    attempts: int | None = None
    first_error: str | None = None
    last_error: str | None = None
    at: str | None = None
    event: EventShape | None = None


class LetterPage(Shape, frozen=True, kw_only=True):
    """Dead letters, oldest first; `count` is of all that there are."""

    items: list[Letter]
    next: str | None
    count: int


class Replayed(Shape, frozen=True, kw_only=True):
    """So many are obligations again; what is meant, but whose route is not there, stays."""

    ok: bool = True
    replayed: int


# -- why ---------------------------------------------------------------------------------------------------------------


class ConditionShape(Shape, frozen=True, kw_only=True):
    """One condition of a route, as a sentence."""

    path: str
    text: str
    matched: bool


class ExplainedRoute(Shape, frozen=True, kw_only=True):
    """How a route stands to the event: it wants it if all conditions are met."""

    module: str
    route: str
    actor: str
    matched: bool
    conditions: list[ConditionShape]


class Explanation(Shape, frozen=True, kw_only=True):
    """Every route that may hear of the event, those that want it first; `left_out` of them are not shown."""

    event: EventShape
    matched: int
    routes: list[ExplainedRoute]
    left_out: int


# -- notices -----------------------------------------------------------------------------------------------------------


class LogPage(Shape, frozen=True, kw_only=True):
    """Notices, newest first; not `complete` if older ones could not be looked at in one go: ask on with `next`."""

    items: list[dict[str, Any]]
    next: str | None
    complete: bool


# -- faults ------------------------------------------------------------------------------------------------------------


class Detail(Shape, frozen=True, kw_only=True):
    """What went wrong, in four parts."""

    code: str
    what: str
    where: str | None = None
    why: str | None = None
    next: str | None = None
    faults: list[FaultShape] = []


class Fault(Shape, frozen=True, kw_only=True):
    """What went wrong."""

    error: Detail


class OriginalFault(Shape, frozen=True, kw_only=True):
    """What went wrong, as clients of the original read it: a text; beside it the four parts."""

    error: str
    detail: Detail


# -- inbox -------------------------------------------------------------------------------------------------------------


class InboxPage(Shape, frozen=True, kw_only=True):
    """Events that wait for a session, oldest first, as their routes have transformed them; `remaining` more do."""

    events: list[EventShape]
    remaining: int
    continuation: str | None


class Acknowledged(Shape, frozen=True, kw_only=True):
    """How many events that has settled; 0 if it was done before."""

    acknowledged: int


class Pending(Shape, frozen=True, kw_only=True):
    """How many events wait."""

    pending: int


class SessionShape(Shape, frozen=True, kw_only=True):
    """A session for which something waits."""

    session_key: str = msgspec.field(name="sessionKey")
    pending: int
    module: str
    actor: str


class Sessions(Shape, frozen=True, kw_only=True):
    """Sessions; `count` is of all that there are."""

    sessions: list[SessionShape]
    count: int


# -- audit -------------------------------------------------------------------------------------------------------------


class FlagShape(Shape, frozen=True, kw_only=True):
    """Something to look at; `severity` is `info`, `warning` or `critical`."""

    type: str
    severity: str
    message: str


class AuditOutput(Shape, frozen=True, kw_only=True):
    """What went out: the delivery, or an event that the actor emitted."""

    type: str
    target: str
    content_hash: str
    timestamp: str
    flags: list[FlagShape]


class Audited(Shape, frozen=True, kw_only=True):
    """An attempt to deliver an event, or that it was held; hashes are SHA-256."""

    id: str
    timestamp: str
    trace_id: str
    input_event_id: str
    input_source: str
    input_type: str
    input_content_hash: str
    module: str
    route: str
    actor: str
    sop_file: str | None
    delivery_status: str
    attempt: int
    duration_ms: float
    outputs: list[AuditOutput]
    chain_depth: int
    parent_event_id: str | None
    held_for_review: bool
    flags: list[FlagShape]


class AuditPage(Shape, frozen=True, kw_only=True):
    """Records, newest first."""

    items: list[Audited]
    next: str | None


class Hold(Shape, frozen=True, kw_only=True):
    """A delivery that waits for a person; the event is as it was admitted."""

    id: str
    module: str
    route: str
    actor: str
    at: str
    flags: list[FlagShape]
    event: EventShape


class HoldPage(Shape, frozen=True, kw_only=True):
    """What is held, oldest first; `count` is of all."""

    items: list[Hold]
    next: str | None
    count: int


class Edited(Shape, frozen=True, kw_only=True):
    """Under which number the event was admitted that takes the place of the one that was held."""

    sequence: int
