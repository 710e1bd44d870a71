"""A lane and all that surrounds it, in memory; any JSON; and a process that may not have more."""

from __future__ import annotations

import contextlib
import errno
import resource
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

import attrs
import trio
import trio.testing
from hypothesis import strategies as st

from orgloop.bus import MemoryBus
from orgloop.delivery.ages import Ages
from orgloop.delivery.breaker import BreakerConfig
from orgloop.delivery.config import DeliveryConfig
from orgloop.delivery.dead_letters import DeadLetter
from orgloop.delivery.lane import Lane, LaneSpec
from orgloop.delivery.pipeline import OnError, Step
from orgloop.delivery.retry import RetryConfig
from orgloop.delivery.room import Room
from orgloop.delivery.runs import Runs
from orgloop.delivery.settler import Settler
from orgloop.errors import WalFailed
from orgloop.event import Event
from orgloop.sdk import Actor, Admitted, Context, Emit, Note, Settlement, Transform
from orgloop.testing import FakeMarks, event

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(), members, max_size=4),
    max_leaves=10,
)


@contextlib.contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@attrs.define(eq=False)
class Around:
    """What a lane may touch, on a bus in memory; ``history`` is what was made durable, in order."""

    bus: MemoryBus = attrs.field(factory=MemoryBus)
    settler: Settler = attrs.field(init=False)
    letters: list[DeadLetter] = attrs.field(factory=list)
    told: list[tuple[str, Event | None, dict[str, Any]]] = attrs.field(factory=list)
    history: list[tuple[str, int]] = attrs.field(factory=list)
    settled: list[Settlement] = attrs.field(factory=list)
    wall_s: float = 1_700_000_000.0
    """What the wall clock shows when Trio's shows zero."""
    disk_full_until_s: float = 0.0
    unreadable: set[int] = attrs.field(factory=set)
    recovered: bool = False
    """Whether all events are those of an earlier run."""
    noted: list[Note] = attrs.field(factory=list)
    room: Room = attrs.field(factory=Room)
    runs: Runs = attrs.field(factory=Runs)
    ages: Ages = attrs.field(factory=Ages)
    silent: bool = False
    unreachable: int = 0
    """How often the bus cannot be read before it can."""

    def __attrs_post_init__(self) -> None:
        self.settler = Settler(self._settle)

    def _settle(self, settlements: Sequence[Settlement], notes: Sequence[Note]) -> None:
        self.settled.extend(settlements)
        self.noted.extend(notes)
        self.history.extend((s.outcome, sequence) for s in settlements for sequence in s.sequences)
        self.bus.settle(settlements, notes=notes)

    def now_s(self) -> float:
        return self.wall_s + trio.current_time()

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        if self.unreachable:
            self.unreachable -= 1
            raise WalFailed("the log cannot be read at present")
        found = await self.bus.read(sequences)
        readable = [admitted for admitted in found if admitted.sequence not in self.unreadable]
        return [attrs.evolve(admitted, recovered=self.recovered) for admitted in readable]

    def note(self, kind: str, key: str) -> Any:
        return self.bus.note(kind, key)

    async def bury(self, letter: DeadLetter) -> None:
        await trio.lowlevel.checkpoint()
        if trio.current_time() < self.disk_full_until_s:
            raise OSError(errno.ENOSPC, "no space left on device")
        self.letters.append(letter)
        self.history.append(("buried", letter.sequence))

    def emit_for(self, parent: Event) -> Emit:
        async def emit(events: Sequence[Event]) -> None:
            await self.bus.publish(events)

        return emit

    def tell(self, phase: str, event: Event | None = None, **fields: Any) -> None:
        self.told.append((phase, event, fields))

    def phases(self, phase: str) -> list[dict[str, Any]]:
        """The fields of each notice of a phase."""
        return [fields for told, _, fields in self.told if told == phase]

    def outcomes(self) -> dict[int, str]:
        """How each obligation ended; it fails if one ended twice."""
        self.settler.hand_over()
        ended = [(sequence, s.outcome) for s in self.settled for sequence in s.sequences]
        assert len(dict(ended)) == len(ended), f"ended twice: {Counter(sequence for sequence, _ in ended)}"
        return dict(sorted(ended))


def lane(
    around: Around,
    *,
    steps: Sequence[Step] = (),
    order_key: Any = None,
    retention_s: float | None = None,
    **delivery: Any,
) -> Lane:
    """A lane with little jitter in its ways; ``delivery`` are fields of its DeliveryConfig."""
    delivery.setdefault("retry", RetryConfig(jitter=0))
    delivery.setdefault("circuit_breaker", BreakerConfig(failure_threshold=1000))
    config = DeliveryConfig(**delivery)
    spec = LaneSpec(
        module="m",
        route="r",
        actor="a",
        steps=steps,
        order_key=order_key,
        delivery=config,
        retention_s=retention_s,
    )
    return Lane(spec, around)


async def offer(around: Around, to: Lane, *payloads: Any) -> None:
    """Publish an event for each payload, and offer it to a lane."""
    await around.bus.publish([event(payload) for payload in payloads])
    for admitted in await around.bus.receive():
        to.offer(attrs.evolve(admitted, recovered=around.recovered))


@contextlib.asynccontextmanager
async def working(lane: Lane, actor: Actor) -> AsyncGenerator[trio.Nursery]:
    """The lane at work while the block runs; what it raises comes out."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.work, actor)
        yield nursery
        nursery.cancel_scope.cancel("the test is over")


async def until(true: Callable[[], bool]) -> None:
    """Wait, in virtual time, for something that others bring about."""
    with trio.fail_after(100_000):
        while not true():
            await trio.testing.wait_all_tasks_blocked()
            if not true():
                await trio.sleep(0.25)


async def work_off(lane: Lane, actor: Actor) -> None:
    """Work until nothing is left."""
    with trio.fail_after(100_000):
        await lane.work_off(actor)


async def crash(lane: Lane, actor: Actor) -> BaseException:
    """Work until the actor crashes; what it raised, out of its groups."""
    try:
        with trio.fail_after(100_000):
            await lane.work_off(actor)
    except BaseException as group:
        raised: BaseException = group
        while isinstance(raised, BaseExceptionGroup):
            (raised,) = raised.exceptions
        return raised
    raise AssertionError("the actor did not crash")


def step(transform: Transform, *, name: str = "t", on_error: OnError = "dead_letter") -> Step:
    return Step(name=name, transform=transform, context=context, on_error=on_error)


def context(admitted: Admitted) -> Context:
    return Context(
        module="m",
        route="r",
        source=admitted.event.source,
        target="a",
        event_type=admitted.event.type,
        now_s=0.0,
        marks=FakeMarks(admitted.event.id),
    )


@attrs.frozen
class Doing:
    """A transform that does what a function does."""

    what: Callable[[Event], Any]

    def apply(self, event: Event, context: Context) -> Any:
        return self.what(event)
