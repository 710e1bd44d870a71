"""
The hot path: a request with its body becomes events, and is answered once they are durable.

    404   unknown source or module          503   no room, the source is down, the log has failed, the door is closing:
    400   not an event, not JSON                  with Retry-After

A fault of ours, or of a plug-in, is 500, told of in full, and says nothing to the sender.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl

import attrs

from orgloop.errors import BusFull, Closed, EventError, ModuleError, Unavailable, WalError
from orgloop.event import new_id
from orgloop.http.answers import BROKEN, Answer, answer_of, busy, json_answer, refusal
from orgloop.http.limits import Limits
from orgloop.http.places import Batch, Webhook
from orgloop.http.strict_json import read_json
from orgloop.http.tellers import Tell
from orgloop.http.walls import JSON, LINES, Terms, TermsOf, usual_terms
from orgloop.sdk import Request, Response

BATCH_TERMS = Terms(media_types=JSON | {LINES})
"""A batch may be one JSON value, or one per line."""


class Intake(Protocol):
    """What the front door needs of the runtime."""

    async def receive(self, source: str, request: Request, *, module: str | None = None) -> Response:
        """
        What a pushed source answers, once its events are durable.

        Raises :class:`ModuleError` if there is no such source, :class:`Unavailable` if it is not at work,
        :class:`BusFull` if there is no room, :class:`Closed` while stopping, :class:`EventError` for what is no event.
        """
        ...

    async def inject(self, events: Sequence[Mapping[str, Any]], *, module: str | None = None) -> list[int]:
        """The sequences of these events, once they are durable: all or none. Raises as ``receive`` does."""
        ...


class Full(Exception):
    """There is no room for this request."""


@attrs.define
class Room:
    """Counts the requests that have a body to read or a commit to wait for, and the bytes of their bodies."""

    limits: Limits
    requests: int = 0
    bodies_bytes: int = 0

    def take(self, body_bytes: int) -> None:
        """One more request; raises :class:`Full`."""
        if self.requests >= self.limits.requests_waiting or self.bodies_bytes + body_bytes > self.limits.bytes_waiting:
            raise Full
        self.requests += 1
        self.bodies_bytes += body_bytes

    def leave(self, body_bytes: int) -> None:
        """One request less."""
        self.requests -= 1
        self.bodies_bytes -= body_bytes


@attrs.frozen(kw_only=True)
class Ingest:
    """Serves the places of events, whichever way a request has come."""

    intake: Intake
    tell: Tell
    limits: Limits = attrs.field(factory=Limits)
    terms_of: TermsOf = usual_terms
    room: Room = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """One room for both ways in."""
        object.__setattr__(self, "room", Room(self.limits))

    def terms(self, place: Webhook | Batch) -> Terms:
        """What is taken at a place."""
        return BATCH_TERMS if isinstance(place, Batch) else self.terms_of(place.source, place.module)

    def full(self) -> Answer:
        """What is said when there is no room."""
        return busy("Too many requests are waiting to become durable", retry_after_s=self.limits.retry_after_s)

    async def answer(self, place: Webhook | Batch, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a request that has come past the walls; raises nothing that is an Exception."""
        try:
            if isinstance(place, Batch):
                return await self._admit(place, headers, body)
            query = dict(parse_qsl(place.query, keep_blank_values=True)) if place.query else {}
            request = Request(method, place.path, headers, body, query)
            return answer_of(await self.intake.receive(place.source, request, module=place.module))
        except EventError as exc:
            return refusal(400, str(exc))
        except ModuleError as exc:
            return refusal(404, str(exc) if isinstance(place, Batch) else f"Unknown source: {place.source}")
        except BusFull:
            return self.full()
        except Unavailable as exc:
            retry_after_s = max(self.limits.retry_after_s, math.ceil(exc.retry_after_s))
            return busy("The source is not at work just now", retry_after_s=retry_after_s)
        except (Closed, WalError, MemoryError) as exc:
            self.tell("system.error", error=f"front door: {place.path}: not admitted: {exc!r}")
            return busy("Events cannot be admitted right now", retry_after_s=self.limits.retry_after_s)
        except Exception as exc:
            self.tell("system.error", error=f"front door: {place.path}: {exc!r}")
            return BROKEN

    async def _admit(self, place: Batch, headers: Mapping[str, str], body: bytes) -> Answer:
        is_lines = headers.get("content-type", "").lower().startswith(LINES)
        given = _lines_of(body, self.limits) if is_lines else read_json(body, self.limits)
        module = dict(parse_qsl(place.query)).get("module") if place.query else None
        events = [_with_id(one, number) for number, one in enumerate(_events_of(given))]
        sequences = await self.intake.inject(events, module=module)
        ids = [event["id"] for event in events]
        return json_answer(202, {"accepted": len(events), "ids": ids, "sequences": sequences})


def _lines_of(body: bytes, limits: Limits) -> list[Any]:
    """One value per line; empty lines are none."""
    return [read_json(line, limits) for line in body.split(b"\n") if line.strip()]


def _events_of(given: Any) -> list[Any]:
    """What stands for events in a body: an event, a list of them, or an object with a list of them."""
    if isinstance(given, dict) and "source" not in given and "events" in given:
        if given.keys() != {"events"}:
            unknown = ", ".join(sorted(given.keys() - {"events"}))
            raise EventError(f"beside events, nothing may stand in the body; found {unknown}")
        given = given["events"]
        if not isinstance(given, list):
            raise EventError("events: must be a list")
    events = given if isinstance(given, list) else [given]
    if not events:
        raise EventError("the body holds no event")
    return events


def _with_id(given: Any, number: int) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise EventError(f"event {number}: must be an object with source, type and payload")
    return given if "id" in given else {**given, "id": new_id()}
