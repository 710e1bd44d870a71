"""
The event: one fact, frozen. Plain values: nothing here waits, and nothing is read but the clock and chance for ids.

An event is what a source saw (``resource.changed``), what ended (``actor.stopped``) or what somebody said
(``message.received``). ``provenance`` says where it came from, ``payload`` is the sender's and is never interpreted as
anything but data.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError

TYPES = ("resource.changed", "actor.stopped", "message.received")
"""What can have happened."""

AUTHOR_TYPES = ("team_member", "external", "bot", "system", "unknown")
"""Who can have done it."""

MAX_DEPTH = 64
"""How deeply provenance and payload may be nested."""

MAX_HOPS = 16
"""How many events an event may descend from before its chain is taken for a loop."""

MAX_INT_BITS = 14_000
"""How large a whole number may be: Python refuses to write, or to read, one of more than 4,300 digits."""

_SMALL = 2**63
_ID = re.compile(r"evt_[A-Za-z0-9-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Run:
    """What this process numbers its ids by."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.chance = secrets.token_hex(5)
        self.numbers = itertools.count(secrets.randbits(20))


_run = _Run()
os.register_at_fork(after_in_child=_run.begin)  # or the child would go on to count where its parent does


def new_id(prefix: str = "evt") -> str:
    """
    Make an id that no other process makes: ten hex digits of chance for the process, then a count.

    A count, because drawing chance for each event costs more than all the rest of making one.
    """
    return f"{prefix}_{_run.chance}{next(_run.numbers):06x}"


def id_of(*named: str) -> str:
    """
    Make the id of what somebody else has named: the same for the same names.

    >>> id_of("engineering", "github", "72d3162e")
    'evt_73151c3964dc93f1784d62e0'
    """
    return f"evt_{hashlib.blake2b(chr(0).join(named).encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _new_trace_id() -> str:
    return new_id("trc")


def timestamp_of(at_s: float) -> str:
    """
    Write Unix seconds as ISO 8601 in UTC, to the millisecond.

    >>> timestamp_of(1_700_000_000.25)
    '2023-11-14T22:13:20.250Z'
    """
    return _thousandth(round(at_s * 1000))


@lru_cache(maxsize=8)
def _thousandth(number: int) -> str:
    whole_s, thousandths = divmod(number, 1000)
    return f"{_second(whole_s)}.{thousandths:03d}Z"


@lru_cache(maxsize=8)
def _second(whole_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s))


def _now() -> str:
    return timestamp_of(time.time())


@attrs.frozen
class Event:
    """
    One fact, and where it came from.

    ``source`` is the id of the source that emitted it, ``provenance`` needs a ``platform`` and takes any other key,
    ``payload`` is any JSON value. ``id``, ``timestamp`` (when it was made into an event, ISO 8601, UTC) and
    ``trace_id`` (shared by all that follows from one event) are made here unless given. ``module`` is the module whose
    source emitted it, ``ancestors`` are the ids of the events it follows from, oldest first, and ``only_for`` is the
    one route (module, name) that a dead letter is replayed to; these three are the runtime's.

    Raises :class:`EventError` for what cannot be an event.

    >>> Event("github", "resource.changed", {"platform": "github"}).payload
    {}
    """

    source: str
    type: str
    provenance: dict[str, Any]
    payload: Any = attrs.field(factory=dict)
    id: str = attrs.field(factory=new_id)
    timestamp: str = attrs.field(factory=_now)
    trace_id: str = attrs.field(factory=_new_trace_id)
    module: str | None = None
    ancestors: tuple[str, ...] = ()
    only_for: tuple[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be an event; the values inside payload are looked at by :func:`faults_of` only."""
        sound = (
            self.type in TYPES
            and self.source.__class__ is str is self.timestamp.__class__ is self.trace_id.__class__ is self.id.__class__
            and self.source
            and self.timestamp
            and self.trace_id
            and _ID.fullmatch(self.id)
            and self.provenance.__class__ is dict
            and self.provenance.get("platform").__class__ is str
        )
        # One expression on the way of every event; the sentences only for those that need them.
        if not sound and (faults := list(_envelope_faults(self))):
            raise EventError(f"not an event: {'; '.join(faults)}")


_new, _set = object.__new__, object.__setattr__  # as a class of attrs that is frozen does it


def follow(event: Event, parent: Event) -> Event:
    """Make an event the consequence of another: of its trace, and one hop further from its beginning."""
    return attrs.evolve(event, trace_id=parent.trace_id, ancestors=(*parent.ancestors, parent.id))


def in_module(event: Event, module: str) -> Event:
    """
    The event as one of this module; itself, if it is one.

    On the way of every event, so what its constructor has looked at is not looked at again.
    """
    if event.module == module:
        return event
    made = _new(Event)
    _set(made, "source", event.source)
    _set(made, "type", event.type)
    _set(made, "provenance", event.provenance)
    _set(made, "payload", event.payload)
    _set(made, "id", event.id)
    _set(made, "timestamp", event.timestamp)
    _set(made, "trace_id", event.trace_id)
    _set(made, "module", module)
    _set(made, "ancestors", event.ancestors)
    _set(made, "only_for", event.only_for)
    return made


def faults_of(event: Event) -> list[str]:
    """
    Everything that is wrong with an event, as ``field: text``; empty if nothing is.

    Beyond what the constructor checks: values that JSON does not know (NaN, sets, lone surrogates, …), nesting deeper
    than :data:`MAX_DEPTH`, and the lifecycle contract if the payload is that of a coding agent.
    """
    provenance, payload = event.provenance, event.payload
    if (
        _is_plain(payload, MAX_DEPTH)
        and (payload.__class__ is not dict or "lifecycle" not in payload)
        and _is_plain(provenance, MAX_DEPTH)
        and provenance.get("platform").__class__ is str  # may have changed since the constructor looked at it
    ):
        return []
    faults = [*_envelope_faults(event)]
    for field in ("provenance", "payload"):
        value = getattr(event, field)
        if not _is_plain(value, MAX_DEPTH):
            faults.extend(_json_faults(value, field))
    if not faults and _is_of_an_agent(event.payload):
        faults.extend(lifecycle_faults(event))
    return faults


def _is_of_an_agent(payload: object) -> bool:
    """Whether this claims to be a step of a session: strangers may have a key ``lifecycle`` too, and mean theirs."""
    if not isinstance(payload, Mapping):
        return False
    lifecycle = payload.get("lifecycle")
    return isinstance(lifecycle, Mapping) and "phase" in lifecycle and isinstance(payload.get("session"), Mapping)


def _envelope_faults(event: Event) -> Iterator[str]:
    id_: object = event.id
    provenance: object = event.provenance
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        yield 'id: id must be a string starting with "evt_", then letters, digits and dashes, at most 64'
    for field in ("source", "timestamp", "trace_id"):
        value = getattr(event, field)
        if not isinstance(value, str) or not value:
            yield f"{field}: {field} must be a non-empty string"
    if event.type not in TYPES:
        yield f"type: type must be one of: {', '.join(TYPES)}; got {event.type!r}"
    if not isinstance(provenance, dict):
        yield "provenance: provenance must be an object"
    elif not isinstance(provenance.get("platform"), str):
        yield "provenance.platform: provenance.platform must be a string"


def _is_plain(value: Any, depth: int) -> bool:
    """Whether a value is JSON beyond doubt, found out as fast as may be; the sentences are for those that are not."""
    kind = value.__class__
    if kind is str:
        plain: bool = value.isascii()
        return plain
    if value is None or kind is bool:
        return True
    if kind is float:
        return math.isfinite(value)
    if kind is int:
        return bool(-_SMALL < value < _SMALL)
    if not depth:
        return False
    if kind is dict:
        for key, member in value.items():
            if key.__class__ is not str or not key.isascii():
                return False
            # Most members are text: asked here, without a call for each.
            if not (member.isascii() if member.__class__ is str else _is_plain(member, depth - 1)):
                return False
        return True
    return kind is list and all(_is_plain(member, depth - 1) for member in value)


def _json_faults(value: object, path: str, depth: int = 1) -> Iterator[str]:
    if depth > MAX_DEPTH and isinstance(value, dict | list | tuple):
        yield f"{path}: nested deeper than {MAX_DEPTH}"
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                yield f"{path}: keys must be strings, got {key!r}"
            else:
                yield from _text_faults(key, path)
                yield from _json_faults(member, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from _json_faults(member, f"{path}.{index}", depth + 1)
    elif isinstance(value, str):
        yield from _text_faults(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {value} is not a JSON number"
    elif isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
        yield f"{path}: a number of more than {MAX_INT_BITS} bits"
    elif value is not None and not isinstance(value, bool | int | float):
        yield f"{path}: {type(value).__name__} is not a JSON value"


def _text_faults(text: str, path: str) -> Iterator[str]:
    if _SURROGATE.search(text):
        yield f"{path}: lone surrogates cannot be written as UTF-8"


# -- the lifecycle of a session ----------------------------------------------------------------------------------------

PHASES = {"started": False, "active": False, "completed": True, "failed": True, "stopped": True}
"""Phases of a coding agent's session, and whether each is terminal."""

OUTCOMES = ("success", "failure", "cancelled", "unknown")
"""How a session can have ended."""

_SIGNALS = {2: "sigint", 9: "sigkill", 15: "sigterm"}


def type_of_phase(phase: str) -> str:
    """The event type of a phase: the end of a session is ``actor.stopped``, all before it ``resource.changed``."""
    return "actor.stopped" if PHASES[phase] else "resource.changed"


def end_of_exit(exit_status: int) -> tuple[str, str, str]:
    """
    Phase, outcome and reason of a session that ended with a shell's exit status.

    >>> end_of_exit(0)
    ('completed', 'success', 'exit_code_0')
    >>> end_of_exit(143)
    ('stopped', 'cancelled', 'sigterm')
    """
    if exit_status == 0:
        return "completed", "success", "exit_code_0"
    if exit_status > 128:
        number = exit_status - 128
        return "stopped", "cancelled", _SIGNALS.get(number, f"signal_{number}")
    return "failed", "failure", f"exit_code_{exit_status}"


def dedupe_key(harness: str, session_id: str, phase: str) -> str:
    """What identifies a step of a session."""
    return f"{harness}:{session_id}:{phase}"


def lifecycle_faults(event: Event) -> list[str]:
    """What breaks the lifecycle contract in an event of a coding agent, as ``field: text``; empty if nothing does."""
    payload = event.payload if isinstance(event.payload, Mapping) else {}
    lifecycle, session = payload.get("lifecycle"), payload.get("session")
    faults: list[str] = []
    if isinstance(lifecycle, Mapping):
        faults.extend(_phase_faults(event.type, lifecycle))
    else:
        faults.append("payload.lifecycle: payload.lifecycle must be an object")
    if not isinstance(session, Mapping):
        faults.append("payload.session: payload.session must be an object")
        return faults
    return faults + [
        f"payload.session.{field}: must be a non-empty string"
        for field in ("id", "adapter", "harness")
        if not isinstance(session.get(field), str) or not session[field]
    ]


def _phase_faults(type_: str, lifecycle: Mapping[str, Any]) -> Iterator[str]:
    phase, at = lifecycle.get("phase"), "payload.lifecycle"
    if not isinstance(phase, str) or phase not in PHASES:
        yield f"{at}.phase: must be one of: {', '.join(PHASES)}"
        return
    terminal = PHASES[phase]
    if lifecycle.get("terminal") is not terminal:
        yield (
            f'{at}.terminal: must be {str(terminal).lower()} for {"" if terminal else "non-"}terminal phase "{phase}"'
        )
    if terminal and lifecycle.get("outcome") not in OUTCOMES:
        yield f"{at}.outcome: required for terminal events; must be one of: {', '.join(OUTCOMES)}"
    if not terminal and lifecycle.get("outcome") is not None:
        yield f'{at}.outcome: must be absent for non-terminal phase "{phase}"'
    if not isinstance(lifecycle.get("dedupe_key"), str) or not lifecycle["dedupe_key"]:
        yield f"{at}.dedupe_key: must be a non-empty string"
    if type_ != type_of_phase(phase):
        yield f'type: event type "{type_}" does not match phase "{phase}" (expected "{type_of_phase(phase)}")'


# -- bytes -----------------------------------------------------------------------------------------------------------

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)
_FOR_ALL = b'"only_for":null,'


def encode(event: Event) -> bytes:
    """
    The event as one line of JSON, without the newline; :class:`EventError` if it cannot be written.

    What has no faults by :func:`faults_of` can. Of the rest, some is written as something else: NaN as null, a set as
    a list. ``only_for`` is there if the event is for one route only.
    """
    try:
        line = _encoder.encode(event)
        # Members are in order of their names, so that this one comes before the payload; in a text, quotes are escaped.
        return line.replace(_FOR_ALL, b"", 1) if event.only_for is None else line
    except (TypeError, ValueError, RecursionError) as exc:
        raise EventError(f"event {event.id} cannot be written as JSON: {exc}") from exc


def decode(line: bytes) -> Event:
    """The event of a line; :class:`EventError` if it holds none."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise EventError(f"not an event: {str(exc).removeprefix('not an event: ')}") from exc
