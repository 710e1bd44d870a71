"""
What was delivered to whom, on record: routes with ``audit:`` (or a module with ``defaults: {audit: …}``).

    attempt ──▶ auditor (auditor.py) ──▶ record ──▶ trail ──▶ data/audit/*.jsonl, or the last few in memory

There is a record for every attempt, and for every delivery that is held. Of what was delivered it keeps hashes, of what
was flagged the few words that it was flagged for, and never a prompt or a configuration.

Law: a delivery waits for nothing here. So the records of the last moment before a crash may be missing; what they tell
of is either delivered again, and recorded then, or stands in the history of the log.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import attrs
import msgspec
import trio

from orgloop.runtime.audit_files import AuditFiles
from orgloop.runtime.checks import Flag

MAX_IN_MEMORY = 5000
"""How many records a runtime without a home remembers."""

MAX_WAITING = 10_000
"""How many records may wait to be written; what comes beyond that is counted, and lost."""

WRITTEN_AT_ONCE = 1000
MAX_FOUND = 1000
MAX_LOOKED_AT = 200_000
"""How many records one question goes through."""

WRITE_AGAIN_S = 5.0
CLOSE_S = 5.0
"""How long what waits may take to be written at the end."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@attrs.frozen(kw_only=True)
class Output:
    """What went out: the delivery to the actor, or an event that the actor emitted meanwhile."""

    type: str
    """``deliver.<status>``, or ``emit.<type of the event>``."""
    target: str
    """The actor; of what it emitted, the id of the event."""
    content_hash: str
    timestamp: str
    flags: tuple[Flag, ...] = ()


@attrs.frozen(kw_only=True)
class AuditRecord:
    """An attempt to deliver an event, or that it was held."""

    id: str
    timestamp: str
    trace_id: str
    input_event_id: str
    input_source: str
    input_type: str
    input_content_hash: str
    """SHA-256 of the payload as it was admitted, in JSON."""
    module: str
    route: str
    actor: str
    sop_file: str | None
    delivery_status: str
    """``delivered``, ``rejected``, ``error``, ``skipped``, ``held``; ``emitted`` for what came after the attempt."""
    attempt: int
    """0, if none was made."""
    duration_ms: float
    outputs: tuple[Output, ...]
    chain_depth: int
    parent_event_id: str | None
    held_for_review: bool
    flags: tuple[Flag, ...]


@attrs.frozen(kw_only=True)
class AuditQuery:
    """Which records are meant: those for which all that is said here is true."""

    trace_id: str | None = None
    event_id: str | None = None
    module: str | None = None
    route: str | None = None
    actor: str | None = None
    held_only: bool = False
    flagged_only: bool = False

    def wants(self, record: AuditRecord) -> bool:
        """Whether a record is meant."""
        return (
            self.trace_id in (None, record.trace_id)
            and self.event_id in (None, record.input_event_id)
            and self.module in (None, record.module)
            and self.route in (None, record.route)
            and self.actor in (None, record.actor)
            and (record.held_for_review or not self.held_only)
            and (not self.flagged_only or bool(record.flags or any(output.flags for output in record.outputs)))
        )


@attrs.frozen
class AuditPage:
    """Records, newest first; ``next`` is to be asked for again as ``before``, None if those were all."""

    records: tuple[AuditRecord, ...]
    next: str | None


@attrs.define(eq=False)
class Trail:
    """All records of a runtime."""

    _files: AuditFiles | None
    """None: they are in memory."""
    _tell: Callable[..., None]
    _in_thread: Callable[..., Awaitable[Any]]
    _now_s: Callable[[], float]
    lost: int = 0
    """How many could not be kept."""
    _remembered: deque[AuditRecord] = attrs.field(factory=lambda: deque(maxlen=MAX_IN_MEMORY))
    _waiting: deque[AuditRecord] = attrs.field(factory=deque)
    _doorbell: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count)

    def new_id(self) -> str:
        """An id that no other record has: ``aud_<time>_<number>``."""
        return f"aud_{_base36(int(self._now_s() * 1000))}_{_base36(next(self._numbers))}"

    def put(self, record: AuditRecord) -> None:
        """Keep a record; waits for nothing."""
        if self._files is None:
            self._remembered.append(record)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(record)
            self._doorbell.unpark()
        else:
            self.lost += 1
            if self.lost == 1:
                self._tell("system.error", error=f"more than {MAX_WAITING} audit records wait; what comes now is lost")

    async def run(self) -> None:
        """Write what comes until cancelled, and then what waits."""
        try:
            while True:
                while not self._waiting:
                    await self._doorbell.park()
                try:
                    await self._write()
                except OSError as exc:
                    self._tell("system.error", error=f"audit records cannot be written, and wait: {exc}")
                    await trio.sleep(WRITE_AGAIN_S)
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._write_all()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write()
        except OSError as exc:
            self._tell("system.error", error=f"{len(self._waiting)} audit records are lost: {exc}")

    async def _write(self) -> None:
        if self._files is not None:
            some = list(itertools.islice(self._waiting, WRITTEN_AT_ONCE))
            await self._in_thread(self._files.append, [msgspec.json.encode(record) for record in some])
            for _ in some:
                self._waiting.popleft()

    async def find(self, query: AuditQuery, *, limit: int = 100, before: str | None = None) -> AuditPage:
        """
        Records, newest first, beginning behind the one whose id is ``before``; ``OSError`` if they cannot be read.

        There may be fewer than ``limit`` although there are more: so many are looked at, and no more, at a time.
        """
        if not 1 <= limit <= MAX_FOUND:
            raise ValueError(f"limit must be 1 to {MAX_FOUND}, not {limit}")
        if self._files is None:
            return _page(reversed(self._remembered), query, limit, before)
        page: AuditPage = await self._in_thread(self._found, list(self._waiting), query, limit, before)
        return page

    def _found(self, waiting: list[AuditRecord], query: AuditQuery, limit: int, before: str | None) -> AuditPage:
        written = () if self._files is None else map(_record_of, self._files.newest_first())
        unwritten = {record.id for record in waiting}
        on_disk = (record for record in written if record is not None and record.id not in unwritten)
        return _page(itertools.chain(reversed(waiting), on_disk), query, limit, before)


def _page(records: Iterable[AuditRecord], query: AuditQuery, limit: int, before: str | None) -> AuditPage:
    if before is not None:
        records = itertools.islice(itertools.dropwhile(lambda record: record.id != before, records), 1, None)
    found: list[AuditRecord] = []
    for looked_at, record in enumerate(records, start=1):
        if query.wants(record):
            found.append(record)
        if len(found) >= limit or looked_at >= MAX_LOOKED_AT:
            return AuditPage(tuple(found), record.id)
    return AuditPage(tuple(found), None)


def _record_of(line: bytes) -> AuditRecord | None:
    """The record in a line; None if it holds none, such as what a crash has left of one."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


_decoder = msgspec.json.Decoder(AuditRecord)
