"""
What a face asks the runtime with, and what it is answered: values of the parts, which no face imports by itself.

``Which`` names dead letters, ``DeadLetter`` and ``Damaged`` are what there is of them, ``Examined`` is all there is to
say of a project, and ``Explained`` why a route does, or does not, want an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from orgloop.config.project import Examined
from orgloop.delivery.dead_letters import REASONS, Damaged, DeadLetter, Which
from orgloop.event import Event
from orgloop.routing import Route, explain

__all__ = ["REASONS", "Condition", "Damaged", "DeadLetter", "Examined", "Explained", "Which", "explained"]


@attrs.frozen
class Condition:
    """One condition of a route, as a sentence, and whether the event meets it."""

    path: str
    text: str
    matched: bool


@attrs.frozen(kw_only=True)
class Explained:
    """How one route stands to an event."""

    module: str
    route: str
    actor: str
    matched: bool
    conditions: tuple[Condition, ...]


def explained(routes: Iterable[Route], event: Event) -> Iterator[Explained]:
    """What each of these routes says of an event, in their order."""
    for route in routes:
        clauses = explain(route, event)
        yield Explained(
            module=route.module,
            route=route.name,
            actor=route.actor,
            matched=all(clause.matched for clause in clauses),
            conditions=tuple(Condition(clause.path, str(clause), clause.matched) for clause in clauses),
        )
