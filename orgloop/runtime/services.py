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

    def __attrs_post_init__(self) -> None:
        """Begin with an empty inbox."""
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


@attrs.frozen(eq=False)
class LaneServices:
    """What a lane of a module may touch: :class:`orgloop.delivery.lane.Surroundings`."""

    module: str
    _services: Services

    @property
    def settler(self) -> Settler:
        """Where ends are noted."""
        return self._services.settler

    @property
    def room(self) -> Room:
        """What all lanes together may hold in memory."""
        return self._services.room

    @property
    def runs(self) -> Runs:
        """The runs before this one."""
        return self._services.runs

    @property
    def ages(self) -> Ages:
        """Since when events wait."""
        return self._services.ages

    @property
    def silent(self) -> bool:
        """Whether nobody hears what is told."""
        return self._services.notices.silent

    def now_s(self) -> float:
        """Unix seconds."""
        return self._services.now_s()

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

    def tell(self, phase: str, event: Event | None, **fields: Any) -> None:
        """Notice something, about an event if one is given."""
        notices = self._services.notices
        if not notices.silent:
            notices.tell(phase, event, **fields)
