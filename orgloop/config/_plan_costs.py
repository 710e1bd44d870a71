"""
What each difference costs a running module.

Law: when in doubt, it costs more. Only what is listed here is free; a field that nobody has thought of yet restarts
what it belongs to, because a task that goes on with an old value is worse than one that begins anew.

    description, labels, emits           nothing: they are for people
    a route, or a transform it refers to a new lane; what waits moves over, and its actor keeps its task
    a source, an actor, a logger         a new task for it, and for no other
    connector or config of a source      its checkpoint too: another place in another outside
    defaults                             whatever has none of its own
    supervision of the module            all of it: the supervisors themselves have to be made anew
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import attrs

from orgloop.config._plan_diff import differences
from orgloop.config._plan_values import ABSENT, Change, Cost, FieldChange, Kind, Path
from orgloop.config.module import ActorConfig, LoggerConfig, ModuleConfig, RouteConfig, SourceConfig, TransformConfig

Identity = Callable[[SourceConfig], object]
"""What a source's checkpoint belongs to; equal for two sources if one may go on where the other was."""

_FOR_PEOPLE = ("description", "labels", "emits")

_FREE: tuple[Path, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "description"),
    ("modules",),  # what they bring is planned as theirs
    # Whoever inherits one of these carries the cost; the last is read when there is something to forget.
    ("defaults", "poll_interval"),
    ("defaults", "log_level"),
    ("defaults", "checkpoint"),
    ("defaults", "event_retention"),
)

MAX_NAMES = 5
"""How many routes a sentence names."""


@attrs.frozen(kw_only=True)
class Draft:
    """A part that is on at least one side, and what differs in its own definition."""

    kind: Kind
    name: str
    before: Any = None
    after: Any = None
    fields: tuple[FieldChange, ...] = ()

    def with_inherited(self, inherited: Collection[FieldChange]) -> Draft:
        """Changed too, if it stays and inherits what is."""
        if not inherited or self.kind not in ("change", "unchanged"):
            return self
        return attrs.evolve(self, kind="change", fields=(*self.fields, *inherited))

    @property
    def is_free(self) -> bool:
        """Whether all that differs is for people."""
        return all(field.path[0] in _FOR_PEOPLE for field in self.fields)


@attrs.frozen(kw_only=True)
class Around:
    """What parts have to know of the rest."""

    before: ModuleConfig
    after: ModuleConfig
    module: Change
    identity: Identity
    transforms: Mapping[str, Draft]
    """Those that are new, changed or gone."""

    @property
    def restarts(self) -> bool:
        """Whether every task ends."""
        return self.module.cost == "restart"

    def inherited(self, path: Path, *, at: Path) -> list[FieldChange]:
        """The changes of the module below ``path``, as those of a part that has it from there."""
        return [
            attrs.evolve(field, path=(*at, *field.path[len(path) :]), via=".".join(map(str, field.path)))
            for field in self.module.fields
            if field.path[: len(path)] == path
        ]


# -- the module --------------------------------------------------------------------------------------------------------


def module_change(
    before: ModuleConfig | None, after: ModuleConfig | None, fields: tuple[FieldChange, ...], *, name: str
) -> Change:
    """What becomes of the module as a whole; ``name`` is for one that does not say its own."""
    name = (after or before or ModuleConfig()).metadata.name or name
    if before is None or after is None:
        return _coming_or_going(name, before, after, fields)
    cost, consequence = _cost_of_module(fields)
    return Change(
        kind="change" if fields else "unchanged", name=name, fields=fields, cost=cost, consequence=consequence
    )


def _coming_or_going(
    name: str, before: ModuleConfig | None, after: ModuleConfig | None, fields: tuple[FieldChange, ...]
) -> Change:
    if after is not None:
        return Change(kind="add", name=name, fields=fields, cost="start", consequence="loads the module")
    if before is not None:
        return Change(kind="remove", name=name, cost="stop", consequence="unloads the module")
    return Change(kind="unchanged", name=name, cost="nothing", consequence="there is no module")


def _cost_of_module(fields: Collection[FieldChange]) -> tuple[Cost, str]:
    costly = [field.path for field in fields if not any(field.path[: len(free)] == free for free in _FREE)]
    if any(path[:2] == ("metadata", "name") for path in costly):
        return "restart", "restarts the whole module: under another name it is another one (checkpoints reset)"
    if any(path[0] != "exports" for path in costly):
        return "restart", "restarts the whole module"
    if costly:
        return "swap", "changes which sources other modules may listen to"
    return "nothing", "restarts nothing by itself"


# -- its parts ---------------------------------------------------------------------------------------------------------


def source_change(draft: Draft, around: Around) -> Change:
    """What becomes of a source."""
    inherited = around.inherited(("defaults", "checkpoint"), at=("checkpoint",))
    if not _has_own_interval(draft.before) or not _has_own_interval(draft.after):
        inherited += around.inherited(("defaults", "poll_interval"), at=("poll", "interval"))
    draft = draft.with_inherited(inherited)
    change = _of_a_task(draft, around, word="source")
    if change.cost != "restart":
        return change
    checkpoint = _checkpoint(draft, around)
    told = "checkpoint kept" if checkpoint == "kept" else "checkpoint reset: it begins where its configuration says"
    return attrs.evolve(change, checkpoint=checkpoint, consequence=f"{change.consequence} ({told})")


def _has_own_interval(source: SourceConfig | None) -> bool:
    return source is not None and source.poll is not None and source.poll.interval_s is not None


def _checkpoint(draft: Draft, around: Around) -> Literal["kept", "reset"]:
    """A checkpoint is found again under the module's name, in the same kind of store, by the same source."""
    old, new = around.before, around.after
    names = [FieldChange((), old.metadata.name, new.metadata.name)]
    stores = [FieldChange((), old.defaults.checkpoint.store, new.defaults.checkpoint.store)]
    identities = [FieldChange((), around.identity(draft.before), around.identity(draft.after))]
    pairs = (*names, *stores, *identities)
    return "reset" if any(differences(pair.before, pair.after) for pair in pairs) else "kept"


def actor_change(draft: Draft, around: Around) -> Change:
    """What becomes of an actor; its mailbox outlives it."""
    change = _of_a_task(draft, around, word="actor")
    if change.cost != "restart":
        return change
    return attrs.evolve(change, consequence=f"{change.consequence} (what waits for it is kept)")


def logger_change(draft: Draft, around: Around) -> Change:
    """What becomes of a logger."""
    levels = [config.level for config in (draft.before, draft.after) if isinstance(config, LoggerConfig)]
    if None in levels:
        draft = draft.with_inherited(around.inherited(("defaults", "log_level"), at=("level",)))
    return _of_a_task(draft, around, word="logger")


def _of_a_task(draft: Draft, around: Around, *, word: str) -> Change:
    if draft.kind == "add":
        return _change(draft, "start", f"starts {word} {draft.name}")
    if draft.kind == "remove":
        return _change(draft, "stop", f"stops {word} {draft.name}")
    if around.restarts:
        return _change(draft, "restart", f"restarts {word} {draft.name} with the module")
    if not draft.is_free:
        return _change(draft, "restart", f"restarts {word} {draft.name}")
    return _change(draft, "nothing", "restarts nothing")


def route_change(draft: Draft, around: Around) -> Change:
    """
    What becomes of a route. All that is not for people gives it a new lane, ``then.delivery`` alone as well: a breaker
    that has counted to four of five says nothing about a threshold of three.
    """
    # A transform that only one side refers to is a change of the route itself.
    shared = [name for name in _refs(draft.before) if name in _refs(draft.after) and name in around.transforms]
    draft = draft.with_inherited([field for name in shared for field in _through(around.transforms[name])])
    if draft.kind == "add":
        return _change(draft, "start", f"opens a lane to actor {draft.after.then.actor}")
    if draft.kind == "remove":
        return _change(draft, "stop", f"closes its lane to actor {draft.before.then.actor}, which drains first")
    if around.restarts:
        return _change(draft, "swap", "gets a new lane with the module (what waits moves over)")
    if draft.is_free:
        return _change(draft, "nothing", "restarts nothing")
    new = draft.after.then.actor
    whither = "" if draft.before.then.actor == new else f" to actor {new}"
    return _change(draft, "swap", f"gets a new lane{whither} (what waits moves over)")


def _refs(route: RouteConfig | None) -> list[str]:
    return list(dict.fromkeys(ref.ref for ref in route.transforms)) if route is not None else []


def _through(draft: Draft) -> list[FieldChange]:
    via = f"transforms.{draft.name}"
    if draft.kind == "change":
        return [attrs.evolve(field, path=(via, *field.path), via=via) for field in draft.fields]
    before, after = (draft.name, ABSENT) if draft.kind == "remove" else (ABSENT, draft.name)
    return [FieldChange((via,), before, after, via=via)]


def transform_change(draft: Draft, routes: Collection[str]) -> Change:
    """What becomes of a definition: nothing by itself, the ``routes`` that refer to it carry the cost."""
    if draft.kind == "unchanged":
        return _change(draft, "nothing", "restarts nothing")
    if not routes:
        return _change(draft, "nothing", "no route refers to it")
    names = sorted(routes)
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return _change(
        draft, "nothing", f"used by {'route' if len(names) == 1 else 'routes'} {', '.join(names[:MAX_NAMES])}{more}"
    )


def _change(draft: Draft, cost: Cost, consequence: str) -> Change:
    return Change(kind=draft.kind, name=draft.name, fields=draft.fields, cost=cost, consequence=consequence)


Part = SourceConfig | ActorConfig | RouteConfig | TransformConfig | LoggerConfig


def name_of(part: Part) -> str:
    """What a part is known by, in its section."""
    return part.id if isinstance(part, SourceConfig | ActorConfig) else part.name
