"""
What a request may bring: bodies and queries as classes, from which they are read, refused and documented.

Law: a key that no class has is refused, and so is a value beyond its bound; both by name. Bounds are here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

LONGEST_TEXT = 4096
"""Characters of a path, or of a reason."""

LONGEST_PAGE = 1000
"""Entries that one answer may hold."""

LONGEST_DRAIN_S = 3600.0
"""How long what is under way may be waited for by one request."""

MOST_DOCUMENTS = 200
"""Files that may stand in one body; together they are no larger than a body may be."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Limit = Annotated[int, Meta(ge=1, le=LONGEST_PAGE, description="Entries at most.")]
Cursor = Annotated[str, Meta(min_length=1, max_length=200, description="`next` of the page before.")]
At = Annotated[str, Meta(min_length=4, max_length=40, description="A time, ISO 8601; without an offset it is UTC.")]
Level = Literal["debug", "info", "warn", "warning", "error"]
Drain = Annotated[float, Meta(ge=0, le=LONGEST_DRAIN_S, description="Seconds that what is under way has to end.")]
Force = Annotated[bool, Meta(description="Wait for nothing.")]
Phase = Annotated[
    str, Meta(min_length=1, max_length=64, description="A phase, or with a dot at its end a family: `deliver.`")
]
EventId = Annotated[str, Meta(min_length=1, max_length=200, description="The id of an event, or of a trace.")]
Place = Annotated[Text, Meta(description="An absolute path, of a folder or of a file.")]
Folder = Annotated[Text, Meta(description="Its folder, which `configPath` may be relative to.")]
SessionKey = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Continuation = Annotated[str, Meta(min_length=1, max_length=200, description="`continuation` of an answer.")]
Workspace = Annotated[str, Meta(min_length=1, max_length=64)]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends."""

    @classmethod
    def spelled_out(cls, value: Any) -> Any:
        """A body in its one form, where there are several."""
        return value


class Nothing(Given, frozen=True, kw_only=True):
    """Nothing at all."""


# -- queries -----------------------------------------------------------------------------------------------------------


class InModule(Given, frozen=True, kw_only=True):
    """Which module is meant, where several have one of that name."""

    module: Name | None = None


class Parts(Given, frozen=True, kw_only=True):
    """A page of sources, actors or routes."""

    module: Name | None = None
    limit: Limit = LONGEST_PAGE
    after: Cursor | None = None


class Events(Given, frozen=True, kw_only=True):
    """Which events; newest first."""

    module: Name | None = None
    source: Name | None = None
    route: Name | None = None
    since: At | None = None
    until: At | None = None
    limit: Limit = 100
    after: Cursor | None = None


class OriginalEvents(Given, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """Which events, by the names of the original."""

    since: At | None = None
    until: At | None = None
    source: Name | None = None
    route: Name | None = None
    limit: Limit = 100


class Letters(Given, frozen=True, kw_only=True):
    """Which dead letters; oldest first."""

    module: Name | None = None
    route: Name | None = None
    actor: Name | None = None
    reason: Name | None = None
    limit: Limit = 100
    after: Cursor | None = None


class InboxSession(Given, frozen=True, kw_only=True):
    """Which session; without a module, all of that name."""

    session_key: SessionKey
    module: Name | None = None


class InboxLook(InboxSession, frozen=True, kw_only=True):
    """Which session, and how many of its events."""

    limit: Limit = 100


class InboxSessions(Given, frozen=True, kw_only=True):
    """Which sessions."""

    module: Name | None = None
    limit: Limit = LONGEST_PAGE


class Holds(Given, frozen=True, kw_only=True):
    """What is held; oldest first."""

    module: Name | None = None
    route: Name | None = None
    limit: Limit = 100
    after: Cursor | None = None


class Audit(Given, frozen=True, kw_only=True):
    """What is on record; newest first."""

    trace_id: EventId | None = None
    event_id: EventId | None = None
    module: Name | None = None
    route: Name | None = None
    actor: Name | None = None
    held_only: bool = False
    flagged_only: Annotated[bool, Meta(description="Only what has a flag, or has emitted what has one.")] = False
    limit: Limit = 100
    after: Cursor | None = None


class Wanted(Given, frozen=True, kw_only=True):
    """Which notices."""

    module: Name | None = None
    source: Name | None = None
    route: Name | None = None
    phase: Phase | None = None
    level: Annotated[Level, Meta(description="The least severity.")] = "debug"
    event: EventId | None = None


class Follow(Wanted, frozen=True, kw_only=True):
    """Which notices, from now on."""

    recent: Annotated[
        int, Meta(ge=0, le=LONGEST_PAGE, description="How many of those that were told already come first.")
    ] = 0


class Logs(Wanted, frozen=True, kw_only=True):
    """Which notices of the past; newest first."""

    since: At | None = None
    until: At | None = None
    limit: Limit = 100
    after: Cursor | None = None


# -- bodies ------------------------------------------------------------------------------------------------------------


class LoadProject(Given, frozen=True, kw_only=True, rename="camel"):
    """A project on the disk of the daemon, by absolute paths."""

    config_path: Text
    project_dir: Folder | None = None
    workspace: Workspace = "default"


class Load(Given, frozen=True, kw_only=True):
    """A module as plain data; what it brings in has to be named by its connectors."""

    config: dict[str, Any]
    name: Name | None = None

    @classmethod
    def spelled_out(cls, value: Any) -> Any:
        """The original's clients send the configuration itself."""
        return {"config": value} if isinstance(value, dict) and not value.keys() & {"config", "name"} else value


class Unload(Given, frozen=True, kw_only=True):
    """Which module, and how long it has."""

    name: Name
    drain_s: Drain = 10.0
    force: Force = False


class ShutDown(Given, frozen=True, kw_only=True):
    """How to stop."""

    forget: Annotated[bool, Meta(description="Load nothing again at the next start.")] = False


Documents = Annotated[
    dict[Text, Annotated[str, Meta(max_length=1024 * 1024)]],
    Meta(max_length=MOST_DOCUMENTS, description="The files of a project, by their relative paths."),
]


class Config(Given, frozen=True, kw_only=True):
    """A project: where it lies on the disk of the daemon, or its files themselves."""

    path: Place | None = None
    documents: Documents | None = None
    main: Annotated[Text, Meta(description="Which of the documents is the project file.")] = "orgloop.yaml"
    workspace: Workspace = "default"


class Start(Given, frozen=True, kw_only=True):
    """A project on the disk of the daemon, by an absolute path."""

    path: Place
    workspace: Workspace = "default"


class Explain(Given, frozen=True, kw_only=True):
    """An event as for `POST /api/v1/events`, or the id of one that was admitted."""

    event: dict[str, Any] | None = None
    id: Name | None = None
    module: Name | None = None
    limit: Limit = LONGEST_PAGE


class OneEvent(Given, frozen=True, kw_only=True):
    """An event; what is left out is made up. A list of them, an object with `events`, and lines are taken too."""

    source: Name
    type: Literal["resource.changed", "actor.stopped", "message.received"]
    payload: Any = {}
    provenance: dict[str, Any] | None = None
    id: str | None = None
    timestamp: str | None = None
    trace_id: str | None = None


class InboxDrain(Given, frozen=True, kw_only=True):
    """Which session, how many of its events, and what is done of those that were given before."""

    session_key: SessionKey
    module: Name | None = None
    limit: Limit = 100
    continuation: Continuation | None = None


class InboxAck(Given, frozen=True, kw_only=True):
    """Which session and module was drained, and the continuation that came with it."""

    session_key: SessionKey
    continuation: Continuation
    module: Name | None = None


class Edit(Given, frozen=True, kw_only=True):
    """What is to be different in the event; what is left out is as it was."""

    payload: Any | msgspec.UnsetType = msgspec.UNSET
    provenance: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    type: Literal["resource.changed", "actor.stopped", "message.received"] | msgspec.UnsetType = msgspec.UNSET

    def fields(self) -> dict[str, Any]:
        """What is given, by its name."""
        given = {"payload": self.payload, "provenance": self.provenance, "type": self.type}
        return {name: value for name, value in given.items() if value is not msgspec.UNSET}


class Reject(Given, frozen=True, kw_only=True):
    """Why it is rejected."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class ReplayMany(Given, frozen=True, kw_only=True):
    """Which dead letters; an empty object means all."""

    module: Name | None = None
    route: Name | None = None
    actor: Name | None = None
    reason: Name | None = None
