"""
What a plan is made of: for each part of a module what becomes of it, by which fields, and at what price.

Law: a plan is whole. Laid on what it was made from (:func:`orgloop.config.plan.apply`) it gives what it was made for,
so no difference can be missing from it, and none can be shown that is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from enum import Enum
from typing import Literal

import attrs

Kind = Literal["add", "change", "unchanged", "remove"]

Cost = Literal["nothing", "start", "stop", "swap", "restart"]
"""
What putting it into force does to the running part.

    nothing   its task or its lane goes on, and takes no notice
    start     there is none yet
    stop      there will be none
    swap      a route gets a new lane, and what waits moves over; no task of a source or an actor ends
    restart   its task ends, and another one begins
"""

Section = Literal["sources", "actors", "routes", "transforms", "loggers"]
SECTIONS: tuple[Section, ...] = ("sources", "actors", "routes", "transforms", "loggers")


class Absent(Enum):
    """There is no such key."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT

Path = tuple[Hashable, ...]
"""The keys of the file, and positions in lists, that lead to a value."""


@attrs.frozen
class FieldChange:
    """
    One value that differs.

    The values are as they are, secrets too: they are not in the repr, and only the renderings know what to hide.
    """

    path: Path
    before: object = attrs.field(repr=False)
    after: object = attrs.field(repr=False)
    unit: str | None = None
    """``duration``, ``size`` or ``rate``: the file has text, the value is a number."""
    secret: bool = False
    """Flagged so by its class: never shown."""
    via: str | None = None
    """Where it was changed, if not here: ``defaults.poll_interval``, or ``transforms.bots``."""


@attrs.frozen(kw_only=True)
class Change:
    """What becomes of one part of a module."""

    kind: Kind
    """``unchanged`` if it works as before; its task may have to end all the same, with that of the module."""
    name: str
    fields: tuple[FieldChange, ...] = ()
    """What differs; of what is new, all that is said of it."""
    cost: Cost
    consequence: str
    """The cost in words: ``restarts source github (checkpoint kept)``."""
    checkpoint: Literal["kept", "reset"] | None = None
    """Of a source that restarts."""

    @property
    def keeps_running(self) -> bool:
        """Whether its task, or its lane, is left alone."""
        return self.cost == "nothing"


@attrs.frozen
class Summary:
    """How many parts are new, other than they were, and gone."""

    add: int
    change: int
    remove: int


@attrs.frozen(kw_only=True)
class Plan:
    """The difference between two configurations of one module; each section is in the order of the later one."""

    module: Change
    """What belongs to no part: the metadata, the defaults, what is exported, the module's own supervision."""
    sources: tuple[Change, ...] = ()
    actors: tuple[Change, ...] = ()
    routes: tuple[Change, ...] = ()
    transforms: tuple[Change, ...] = ()
    loggers: tuple[Change, ...] = ()
    reordered: tuple[Section, ...] = ()
    """Where parts that stay have changed places; it matters to routes, which are tried in order, and costs nothing."""
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)
    """Values that are never shown, nor texts with them inside."""
    secret_keys: frozenset[str] = frozenset()
    """Keys whose values are never shown, wherever they stand."""

    def changes(self) -> Iterator[tuple[Section, Change]]:
        """Every part with its section."""
        for section in SECTIONS:
            for change in self.of(section):
                yield section, change

    def of(self, section: Section) -> tuple[Change, ...]:
        """The parts of one section."""
        parts: tuple[Change, ...] = getattr(self, section)
        return parts

    @property
    def is_empty(self) -> bool:
        """Whether the two configurations are the same."""
        kinds = {self.module.kind, *(change.kind for _, change in self.changes())}
        return kinds == {"unchanged"} and not self.reordered

    @property
    def restarts_module(self) -> bool:
        """Whether every task of the module ends, those of unchanged parts too."""
        return self.module.cost == "restart"

    @property
    def summary(self) -> Summary:
        """The counts of the last line; the module itself counts where it is changed."""
        kinds = [change.kind for _, change in self.changes()]
        changed = kinds.count("change") + (self.module.kind == "change")
        return Summary(kinds.count("add"), changed, kinds.count("remove"))

    @property
    def exit_code(self) -> Literal[0, 2]:
        """For the command line: 0 if there is nothing to change, 2 if there is."""
        return 0 if self.is_empty else 2


def kept(changes: Collection[Change]) -> frozenset[str]:
    """The names of those whose tasks, or lanes, go on untouched."""
    return frozenset(change.name for change in changes if change.keeps_running)
