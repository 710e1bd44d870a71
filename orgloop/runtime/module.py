"""
One module: its lanes and mailboxes, which outlive every crash, and the recipe of its supervision tree.

    <module>              rest_for_one: what stands below depends on what stands above
    ├── transforms        those that hold something open
    ├── actors            each serves its mailbox
    ├── loggers
    ├── checkpoints       copies the sources' places to files
    └── sources           each polls, or is told, and publishes
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from orgloop.config.module import ModuleConfig
from orgloop.config.project import Project
from orgloop.config.supervision import BackoffConfig, SupervisionConfig
from orgloop.delivery.lane import Lane
from orgloop.routing import Route
from orgloop.runtime.checkpoint_files import CheckpointFiles
from orgloop.runtime.members import ActorMember, Group, Member, SourceMember, child_of
from orgloop.runtime.plugins import Given
from orgloop_supervisors import ChildSpec, Strategy, SupervisorSpec

AT_ONCE = SupervisionConfig(backoff=BackoffConfig(initial_s=0.0, maximum_s=0.0))
"""For children of ours that nobody can configure: whatever the frame around them allows, they go with it."""


@attrs.frozen(kw_only=True)
class Objects:
    """Plug-ins that the caller of ``load_module`` brings, by id or name."""

    sources: Given = attrs.field(factory=dict)
    actors: Given = attrs.field(factory=dict)
    transforms: Given = attrs.field(factory=dict)
    loggers: Given = attrs.field(factory=dict)


@attrs.frozen(eq=False, kw_only=True)
class Wire:
    """A route at work: what it wants, its lane, and whom that ends at."""

    route: Route
    lane: Lane
    actor: ActorMember
    made_of: object
    """Equal for two wires that do the same."""
    steps: tuple[Member, ...]
    """Those of its transforms that hold something open."""


@attrs.define(eq=False)
class Module:
    """A module that has been built."""

    name: str
    config: ModuleConfig
    wires: Mapping[str, Wire]
    """By the name of the route."""
    transforms: Group
    actors: Group
    loggers: Group
    sources: Group
    files: CheckpointFiles | None
    """None: checkpoints have no copies."""
    draining: set[Lane] = attrs.field(factory=set)
    """Lanes of routes that were changed or removed, with what was under way in them."""
    tree: SupervisorSpec = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put the tree together; ValueError for one that could never work."""
        own = self.config.supervision
        copies: list[ChildSpec[Any]] = []
        if self.files is not None:
            copies.append(child_of("checkpoints", self.files.run, AT_ONCE))
        for group in self.groups:
            group.spec()  # refuses what is impossible now, and not when it is begun
        self.tree = SupervisorSpec(
            name=self.name,
            children=[self.transforms.child, self.actors.child, self.loggers.child, *copies, self.sources.child],
            strategy=Strategy.REST_FOR_ONE,
            intensity=own.intensity,
            period=own.period_s,
        )

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order of their start."""
        return (self.transforms, self.actors, self.loggers, self.sources)

    @property
    def routes(self) -> dict[Route, Lane]:
        """What the router needs to know, in the order of the configuration."""
        return {wire.route: wire.lane for wire in self.wires.values()}

    @property
    def in_motion(self) -> int:
        """How many obligations wait for an actor: all that have not ended, but those that are kept for somebody."""
        return sum(wire.lane.in_motion for wire in self.wires.values()) + sum(lane.in_motion for lane in self.draining)

    def members_of_sources(self) -> Mapping[str, SourceMember]:
        """The sources, by their ids; of two that are there during a reload the newer, from when it can be told."""
        found: dict[str, SourceMember] = {}
        for member in self.sources.members.values():
            if isinstance(member, SourceMember):
                is_beginning = member.desk is not None and not member.desk.is_at_work
                if member.id not in found or not is_beginning:
                    found[member.id] = member
        return found


@attrs.frozen(kw_only=True)
class Origin:
    """What a module is built from."""

    name: str
    config: ModuleConfig
    objects: Objects = attrs.field(factory=Objects)
    where: str = "module"
    """What its faults begin with."""
    directory: Path = attrs.field(factory=Path)
    """Where relative paths begin."""
    project: Project | None = None
    """The files it was read from, if it was."""
