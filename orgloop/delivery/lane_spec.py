"""What a lane is to be, and all that it may touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from orgloop.delivery import pipeline
from orgloop.delivery.ages import Ages
from orgloop.delivery.config import DeliveryConfig
from orgloop.delivery.dead_letters import DeadLetter
from orgloop.delivery.kept import Keeper
from orgloop.delivery.room import Room
from orgloop.delivery.runs import Runs
from orgloop.delivery.settler import Settler
from orgloop.event import Event
from orgloop.sdk import Admitted, Delivery, Emit, Outcome, Prompt


@attrs.frozen(kw_only=True)
class LaneSpec:
    """What a lane is to be."""

    module: str
    route: str
    actor: str
    steps: Sequence[pipeline.Step] = ()
    config: Callable[[Event], Mapping[str, Any]] = lambda event: {}  # noqa: ARG005
    """``then.config`` for an event."""
    prompt: Prompt | None = None
    order_key: Callable[[Event], object] | None = None
    """What ``order_by`` finds in an event: any value."""
    delivery: DeliveryConfig = attrs.field(factory=DeliveryConfig)
    retention_s: float | None = None
    """How long an event may wait for its end, from its admission; None: for ever."""
    keepers: Sequence[Keeper] = ()
    """Asked, one after the other, whether an event is to be kept and not delivered."""
    auditor: Auditor | None = None
    """Told of every attempt; None: nobody is."""
    is_own: Callable[[Event], bool] | None = None
    """Whether an event is the runtime's word to the actor, which no transform is to touch; None: none is."""


class Auditor(Protocol):
    """Sees every attempt of a route."""

    def begin(self, admitted: Admitted, delivery: Delivery) -> Delivery:
        """An attempt begins; the delivery that the actor is given."""
        ...

    def end(self, admitted: Admitted, delivery: Delivery, outcome: Outcome | None) -> None:
        """It has ended; None: it was cut off."""
        ...


class Surroundings(Protocol):
    """All that a lane may touch."""

    @property
    def settler(self) -> Settler:
        """Where ends are noted."""
        ...

    @property
    def room(self) -> Room:
        """What all lanes together may hold in memory."""
        ...

    @property
    def runs(self) -> Runs:
        """The runs before this one."""
        ...

    @property
    def ages(self) -> Ages:
        """Since when events wait."""
        ...

    @property
    def silent(self) -> bool:
        """Whether nobody hears what is told."""
        ...

    def now_s(self) -> float:
        """Unix seconds."""
        ...

    async def read(self, sequences: Sequence[int]) -> list[Admitted]:
        """As :meth:`orgloop.sdk.EventBus.read`; OrgLoopError if it cannot be said at present."""
        ...

    def note(self, kind: str, key: str) -> Any:
        """A value that was noted on the bus."""
        ...

    async def bury(self, letter: DeadLetter) -> None:
        """Make a dead letter durable, not to be cancelled once begun; OSError if it cannot be."""
        ...

    def emit_for(self, parent: Event) -> Emit:
        """What an actor may use to publish what follows from an event."""
        ...

    def tell(self, phase: str, event: Event | None, **fields: Any) -> None:
        """Notice something, about an event if one is given."""
        ...
