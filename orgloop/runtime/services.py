"""
What the runtime hands down: narrow objects, made of the bus, the settler, the notices and the dead letters.

Nobody gets the whole. A lane gets :class:`LaneServices`, bound to its module; a source gets ``publish``, bound to its
module and its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import trio

from orgloop.config.masking import Masker
from orgloop.delivery.ages import Ages
from orgloop.delivery.dead_letters import Damaged, DeadLetter, Which
from orgloop.delivery.room import Room
from orgloop.delivery.runs import Runs
from orgloop.delivery.settler import Settler
from orgloop.event import Event, follow
from orgloop.runtime.audit import Trail
from orgloop.runtime.audit_files import AuditFiles
from orgloop.runtime.holds import Holds
from orgloop.runtime.inbox import Inbox
from orgloop.runtime.marks import MarkBook, MarkStore
from orgloop.runtime.notices import Notices
from orgloop.sdk import Admitted, Emit, EventBus, Note


class Graveyard(Protocol):
    """Where dead letters are kept; every call may block."""

    def add(self, letter: DeadLetter) -> str: ...
    def list(
        self, which: Which | None = None, *, limit: int = 100, after: str | None = None
    ) -> tuple[DeadLetter | Damaged, ...]: ...
    def get(self, id_: str) -> DeadLetter | Damaged | None: ...
    def discard(self, id_: str) -> bool: ...
    def count(self) -> int: ...


@attrs.define
class MemoryGraveyard:
    """Dead letters of a runtime without a home."""

    _letters: dict[str, DeadLetter] = attrs.field(factory=dict)

    def add(self, letter: DeadLetter) -> str:
        """Keep a dead letter."""
        self._letters[letter.id] = letter
        return letter.id

    def list(
        self, which: Which | None = None, *, limit: int = 100, after: str | None = None
    ) -> tuple[DeadLetter | Damaged, ...]:
        """At most ``limit`` of them by sequence number, beginning after the id ``after``."""
        found = (self._letters[id_] for id_ in sorted(self._letters) if after is None or id_ > after)
        return tuple(letter for letter in found if which is None or which.covers(letter))[:limit]

    def get(self, id_: str) -> DeadLetter | None:
        """One of them."""
        return self._letters.get(id_)

    def discard(self, id_: str) -> bool:
        """Forget one of them; whether it was there."""
        return self._letters.pop(id_, None) is not None

    def count(self) -> int:
        """How many there are."""
        return len(self._letters)


async def at_once(work: Callable[..., Any], *args: Any) -> Any:
    """Call what does not block where it is called."""
    await trio.lowlevel.checkpoint()
    return work(*args)


@attrs.define(eq=False)
class Services:
    """All of them, for the runtime alone."""

    bus: EventBus
    settler: Settler
    notices: Notices
    graveyard: Graveyard
    now_s: Callable[[], float]
    """Unix seconds."""
    in_thread: Callable[..., Awaitable[Any]] = trio.to_thread.run_sync
    """How the blocking calls of the graveyard are made."""
    home: Path | None = None
    """Where what is to outlive the process is kept; None: nothing is."""
    room: Room = attrs.field(factory=Room)
    """What all lanes together may hold in memory."""
    runs: Runs = attrs.field(factory=Runs)
    """Those before this one."""
    ages: Ages = attrs.field(factory=Ages)
    """Since when events wait."""
    _marks: dict[str, MarkBook] = attrs.field(factory=dict)
    """By module."""
    masker: Masker = attrs.field(factory=lambda: Masker(()))
    """Takes what is secret out of what plug-ins, and systems outside, have said."""
    _secrets: set[str] = attrs.field(factory=set)
    published: int = 0
    """How many events were admitted in this run."""
    inbox: Inbox = attrs.field(init=False)
    holds: Holds = attrs.field(init=False)
    audit: Trail = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with an empty inbox, nothing held, and the audit trail of the home."""
        files = None if self.home is None else AuditFiles(self.home / "data" / "audit")
        self.audit = Trail(files, self.notices.tell, self.in_thread, self.now_s)
        self.holds = Holds(self.bus, self.settler, self.publish, self.now_s)
        self.inbox = Inbox(self.bus, self.settler, self.publish, self.notices.tell)

    def marks_of(self, module: str, route: str, transform: str) -> MarkStore:
        """What a transform of a route remembers; the same for all generations of the module that are there at once."""
        book = self._marks.get(module)
        if book is None:
            book = self._marks[module] = MarkBook(module, self.bus.note, self.settler.note_later)
        return book.store(route, transform)

    def keep_secret(self, secrets: Collection[str]) -> None:
        """Take these out of all that leaves from now on, beside those that were secret before."""
        if not self._secrets.issuperset(secrets):
            self._secrets |= set(secrets)
            self.masker = Masker(self._secrets)
            self.notices.hide = self.masker.plain

    async def bury(self, letter: DeadLetter) -> None:
        """Make a dead letter durable; OSError if it cannot be."""
        hide = self.masker.text
        letter = attrs.evolve(letter, first_error=hide(letter.first_error), last_error=hide(letter.last_error))
        await self.in_thread(self.graveyard.add, letter)
        self.inbox.look_at(letter)

    async def publish(self, events: Sequence[Event], *, notes: Sequence[Note] = ()) -> list[int]:
        """Admit events; :class:`orgloop.errors.OrgLoopError` if they were not."""
        sequences = await self.bus.publish(events, notes=notes)
        self.published += len(sequences)
        return sequences


@attrs.define(eq=False)
class LaneServices:
    """What a lane of a module may touch: :class:`orgloop.delivery.lane.Surroundings`."""

    module: str
    _services: Services

    settler: Settler = attrs.field(init=False)
    room: Room = attrs.field(init=False)
    runs: Runs = attrs.field(init=False)
    ages: Ages = attrs.field(init=False)
    now_s: Callable[[], float] = attrs.field(init=False)
    tell: Callable[..., None] = attrs.field(init=False)
    _notices: Notices = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Take from there what is used several times on the way of every event."""
        services = self._services
        self.settler, self.room, self.runs, self.ages = services.settler, services.room, services.runs, services.ages
        self.now_s, self._notices, self.tell = services.now_s, services.notices, services.notices.tell

    @property
    def silent(self) -> bool:
        """Whether nobody hears what is told."""
        return self._notices.silent

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """Unsettled events from the bus."""
        return await self._services.bus.read(sequences)

    def note(self, kind: str, key: str) -> Any:
        """A value that was noted on the bus."""
        return self._services.bus.note(kind, key)

    async def bury(self, letter: DeadLetter) -> None:
        """Make a dead letter durable."""
        await self._services.bury(letter)

    def emit_for(self, parent: Event) -> Emit:
        """Publish what follows from an event: of its module and trace, one hop further."""

        async def emit(events: Sequence[Event]) -> None:
            following = [attrs.evolve(follow(event, parent), module=self.module) for event in events]
            await self._services.publish(following)

        return emit
