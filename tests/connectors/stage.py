"""What connectors are tried with: a place, deliveries, and what an actor has emitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from orgloop.config import structure
from orgloop.event import Event
from orgloop.sdk import Checked, Delivery, Offer, Place, Prompt

KEY = "engineering/reviews-17-evt_1"


def place(directory: Path = Path("/srv/engineering"), *, id: str = "it") -> Place:
    return Place(module="engineering", id=id, directory=directory)


def made(offer: Offer | None, config: Mapping[str, Any], at: Place | None = None) -> Any:
    """What an offer makes of a config as it stands in a file."""
    assert offer is not None
    return offer.make(structure(offer.config, config, where="config"), at or place())


async def checked(offer: Offer | None, config: Mapping[str, Any], at: Place | None = None) -> Sequence[Checked]:
    """What the check of an offer says of a config as it stands in a file."""
    assert offer is not None
    assert offer.check is not None
    return await offer.check(structure(offer.config, config, where="config"), at or place())


def event(payload: Any = None) -> Event:
    return Event(
        "github",
        "resource.changed",
        {"platform": "github", "author": "ann"},
        {} if payload is None else payload,
        id="evt_1",
        timestamp="2023-11-14T22:13:20.000Z",
        trace_id="trc_1",
        module="engineering",
    )


@attrs.define
class Stage:
    """Makes deliveries, and keeps what is emitted in them."""

    emitted: list[Event] = attrs.field(factory=list)

    async def emit(self, events: Sequence[Event]) -> None:
        self.emitted += events

    def delivery(
        self, payload: Any = None, *, prompt: str | None = None, attempt: int = 1, **config: object
    ) -> Delivery:
        return Delivery(
            event=event(payload),
            config=config,
            prompt=None if prompt is None else Prompt(prompt, "/srv/engineering/sops/review.md"),
            attempt=attempt,
            idempotency_key=KEY,
            emit=self.emit,
        )


def delivery(payload: Any = None, *, prompt: str | None = None, attempt: int = 1, **config: object) -> Delivery:
    """A delivery in which nothing is emitted that anybody looks at."""
    return Stage().delivery(payload, prompt=prompt, attempt=attempt, **config)
