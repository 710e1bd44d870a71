"""What is answered under the original's ``/api``, by its names; what has no place there, stands beside it."""

from __future__ import annotations

from orgloop.http.app.shapes import Shape, When


class ShortModule(Shape, frozen=True, kw_only=True):
    """A loaded module."""

    name: str
    state: str
    sources: int
    routes: int
    actors: int
    uptime_ms: int


class ShortSource(Shape, frozen=True, kw_only=True):
    """A source; `last_event` is when it was last heard from."""

    id: str
    connector: str
    status: str
    event_count: int
    last_event: str | None


class OriginalStatus(Shape, frozen=True, kw_only=True):
    """`health` is `ok`, `degraded` if a source or the log is not well, `error` if a module or the log has failed."""

    health: str
    running: bool
    pid: int
    uptime_ms: int
    http_port: int | None
    modules: list[ShortModule]
    sources: list[ShortSource]


class OriginalRoute(Shape, frozen=True, kw_only=True):
    """A route; `fire_count` counts what it was given since its module was loaded."""

    name: str
    module: str
    when: When
    actor: str
    sop_file: str | None
    fire_count: int
    last_fired: str | None


class OriginalSource(Shape, frozen=True, kw_only=True):
    """A source; `type` is `polling` or `webhook`."""

    id: str
    module: str
    connector: str
    type: str
    status: str
    last_event: str | None
    event_count: int
    poll_interval: str | None


class OriginalEvent(Shape, frozen=True, kw_only=True):
    """An event; `processing_ms` is null: obligations end one by one, as `outcomes` says."""

    event_id: str
    timestamp: str
    source: str
    type: str
    matched_routes: list[str]
    sop_files: list[str]
    actors: list[str]
    processing_ms: float | None
    module: str | None
    trace_id: str
    outcomes: dict[str, str]
