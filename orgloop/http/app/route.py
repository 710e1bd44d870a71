"""
One line of the table of routes, and what is handed to the one who answers it.

Law: what stands in a line is what is enforced, documented and tested; nothing is said of a route anywhere else.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs

from orgloop.http.app.given import Given, Nothing
from orgloop.http.app.masks import Masks
from orgloop.http.app.meter import Meter
from orgloop.http.app.ring import Ring
from orgloop.http.app.stream import HEARTBEAT_S, Followers
from orgloop.http.front import Behind
from orgloop.http.tellers import Tell
from orgloop.runtime.runtime import Runtime

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PLAIN = "text/plain"

Q = TypeVar("Q", bound=Given)
B = TypeVar("B", bound="Given | None")


@attrs.frozen(kw_only=True)
class Control:
    """What only whoever runs the runtime can do; what is None is answered with 501."""

    shutdown: Callable[[bool], object] | None = None
    """Asks for the end, and returns at once; True: nothing is to be loaded again at the next start."""
    reload: Callable[[], Awaitable[object]] | None = None
    """Reads every project again, as SIGHUP does; :class:`OrgLoopError` if it could not."""
    doctor: Callable[[], Awaitable[Mapping[str, Any]]] | None = None
    """Looks at everything outside that the projects depend on."""


@attrs.define(eq=False)
class Turn:
    """Whether the end was asked for."""

    is_last: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Api:
    """All that an answer may be made of."""

    runtime: Runtime
    behind: Behind
    control: Control
    masks: Masks
    tell: Tell
    ring: Ring = attrs.field(factory=Ring)
    meter: Meter = attrs.field(factory=Meter)
    followers: Followers = attrs.field(factory=Followers)
    turn: Turn = attrs.field(factory=Turn)
    log_file: Path | None = None
    environ: Mapping[str, str] | None = None
    heartbeat_s: float = HEARTBEAT_S
    now_s: Callable[[], float] = time.time
    began_s: float = math.nan

    @property
    def uptime_s(self) -> float:
        """How long this application has been there."""
        return max(0.0, self.now_s() - self.began_s)


@attrs.frozen(kw_only=True)
class Asked(Generic[Q, B]):
    """A request that has been read."""

    query: Q
    body: B
    path: Mapping[str, str] = attrs.field(factory=dict)
    """What stands in the places of the path."""
    headers: Mapping[str, str | None] = attrs.field(factory=dict)
    """Those that the table names."""


Call = Callable[[Api, Asked[Any, Any]], Awaitable[object]]


@attrs.frozen
class Route:
    """A method and a path, and what they mean."""

    method: str
    path: str
    """With its places in braces: ``/api/v1/sources/{id}``."""
    call: Call | None
    """Who answers, whose first line is what the documentation says; None: the door itself does, before us."""
    answer: Any
    """The class of the answer, or a type made of such."""
    query: type[Given] = attrs.field(default=Nothing, kw_only=True)
    body: type[Given] | None = attrs.field(default=None, kw_only=True)
    status: int = attrs.field(default=200, kw_only=True)
    media_type: str = attrs.field(default=JSON, kw_only=True)
    needs_token: bool = attrs.field(default=True, kw_only=True)
    faults: tuple[int, ...] = attrs.field(default=(), kw_only=True)
    """Statuses that it can be refused with, beyond those of every route."""
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), kw_only=True)
    """The headers that it looks at, each with what for."""
    is_long: bool = attrs.field(default=False, kw_only=True)
    """Whether its answer may be megabytes, and is written in a thread, so that events go on meanwhile."""
    text: str = attrs.field(default="", kw_only=True)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the places of the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def about(self) -> str:
        """What it is for, in a sentence."""
        doc = self.text or (self.call.__doc__ if self.call is not None else "") or ""
        return " ".join(doc.strip().split("\n\n", maxsplit=1)[0].split())

    @property
    def name(self) -> str:
        """Its own among all: ``get_api_v1_sources_id``."""
        return "_".join([self.method.lower(), *re.findall(r"\w+", self.path)]).replace("-", "_")
