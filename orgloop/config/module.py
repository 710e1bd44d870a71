"""
One module as values: what brings events in, what works on them, and what connects the two.

    read_module(mapping) ──▶ ModuleConfig ─┬─ sources  actors       connector, config, supervision
                                           ├─ routes                when ──▶ transforms ──▶ then, with a prompt
                                           └─ transforms  loggers   definitions that routes and people refer to

Law: what this returns is whole. Every name in it leads somewhere, every id can be a file name, and nothing of what was
written is passed over; only what belongs to a plug-in (``config``, ``delivery``) is as it was, for others to read. A
key with nothing after it counts as not being there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs
from attrs.validators import gt, optional

from orgloop.config import _module_faults
from orgloop.config._codec import refusal, structure
from orgloop.config._refused import Refused
from orgloop.config._units import shown
from orgloop.config.audit import AuditConfig
from orgloop.config.prompt import PromptFile
from orgloop.config.supervision import BackoffConfig, ShutdownConfig, SupervisionConfig, duration, over
from orgloop.errors import ConfigError, Fault

EventType = Literal["resource.changed", "actor.stopped", "message.received"]
Level = Literal["debug", "info", "warn", "warning", "error"]
OnError = Literal["dead_letter", "pass", "drop", "halt"]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What may become a file name, or a part of a web address."""

MAX_NAME = 200
"""How long the name of a route may be, which never becomes either."""


def _id(_instance: object, _field: object, value: Any) -> None:
    if value is not None and not ID.fullmatch(value):
        form = 'letters, digits, ".", "_" and "-", at most 64 of them, the first a letter or digit'
        raise Refused("OL1209", f"must be {form}, got {shown(value)}")


def _name(_instance: object, _field: object, value: Any) -> None:
    if not value.strip() or not value.isprintable() or len(value) > MAX_NAME:
        raise Refused("OL1209", f"must be 1 to {MAX_NAME} characters on one line, got {shown(value)}")


def _bus(_instance: object, _field: object, value: Any) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9+-]{0,31}(://\S{1,500})?", value):
        raise Refused("OL1210", f'must be a name, or an address as in "nats://localhost:4222", got {shown(value)}')


def _not_empty(_instance: object, _field: object, value: Any) -> None:
    if not value:
        raise Refused("OL1210", "must not be empty")


# -- what there is -----------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class PollConfig:
    """How often a source looks for itself."""

    interval_s: float | None = attrs.field(default=None, validator=optional(gt(0)), metadata=duration("interval"))


@attrs.frozen(kw_only=True)
class SourceConfig:
    """What brings events in."""

    id: str = attrs.field(validator=_id)
    connector: str = attrs.field(validator=_not_empty)
    config: Mapping[str, Any] = attrs.field(factory=dict)
    description: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    poll: PollConfig | None = None
    """None: as often as the module says, and not at all if it can be pushed."""
    emits: tuple[EventType, ...] = ()
    """What it says it emits; nothing is enforced."""
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)


@attrs.frozen(kw_only=True)
class ActorConfig:
    """What works on events."""

    id: str = attrs.field(validator=_id)
    connector: str = attrs.field(validator=_not_empty)
    config: Mapping[str, Any] = attrs.field(factory=dict)
    description: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)


@attrs.frozen(kw_only=True)
class TransformConfig:
    """A transform, to be referred to by routes; ``type`` is ``script``, ``package``, or the package itself."""

    name: str = attrs.field(validator=_id)
    type: str = attrs.field(validator=_not_empty)
    package: str | None = None
    script: str | None = None
    config: Mapping[str, Any] = attrs.field(factory=dict)
    timeout_ms: float = attrs.field(default=30_000.0, validator=gt(0))
    """How long it may take for one event, if it waits for anything."""
    on_error: OnError = "dead_letter"

    @property
    def plugin(self) -> str:
        """What makes it: ``script``, or the name of a package."""
        return self.package or "" if self.type == "package" else self.type

    @property
    def options(self) -> Mapping[str, Any]:
        """What its plug-in is made of: ``config``, and for a script which one and for how long."""
        if self.type != "script":
            return self.config
        return {**self.config, "script": self.script, "timeout_ms": self.timeout_ms}


@attrs.frozen(kw_only=True)
class LoggerConfig:
    """Who hears what happens."""

    name: str = attrs.field(validator=_id)
    type: str = attrs.field(validator=_not_empty)
    config: Mapping[str, Any] = attrs.field(factory=dict)
    level: Level | None = None
    """None: the module's."""


# -- how it is wired ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class When:
    """Which events a route wants; ``source`` may be an actor's id too, or ``module:source``."""

    source: str = attrs.field(validator=_not_empty)
    events: tuple[EventType, ...] = attrs.field(validator=_not_empty)
    filter: Mapping[str, Any] = attrs.field(factory=dict)
    """Dot paths, and what is wanted there: a value, or a list of which any will do."""


@attrs.frozen(kw_only=True)
class TransformRef:
    """A transform at its place in a route; what is None here is as in its definition, ``config`` adds to it."""

    ref: str = attrs.field(validator=_not_empty)
    config: Mapping[str, Any] | None = None
    on_error: OnError | None = None


@attrs.frozen(kw_only=True)
class Then:
    """Who is to work on the event, with what, and how it is delivered; ``delivery`` is structured by the runtime."""

    actor: str = attrs.field(validator=_not_empty)
    config: Mapping[str, Any] = attrs.field(factory=dict)
    delivery: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class With:
    """What goes along; whoever reads it from files makes ``prompt_file`` absolute, and reads it."""

    prompt_file: str = attrs.field(validator=_not_empty)
    prompt: PromptFile | None = attrs.field(default=None, metadata={"written": False})


@attrs.frozen(kw_only=True)
class RouteConfig:
    """The wire from a source to an actor."""

    name: str = attrs.field(validator=_name)
    description: str | None = None
    when: When
    transforms: tuple[TransformRef, ...] = ()
    then: Then
    with_: With | None = attrs.field(default=None, metadata={"yaml": "with"})
    audit: AuditConfig | None = None
    """None: as the module says."""


# -- the whole ---------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class CheckpointConfig:
    """Where the copies of the sources' checkpoints are."""

    store: Literal["file", "memory"] = "file"
    dir: str | None = None


@attrs.frozen(kw_only=True)
class Defaults:
    """What holds where nothing else is said."""

    poll_interval_s: float = attrs.field(default=300.0, validator=gt(0), metadata=duration("poll_interval"))
    log_level: Level = "info"
    event_retention_s: float | None = attrs.field(
        default=None, validator=optional(gt(0)), metadata=duration("event_retention")
    )
    checkpoint: CheckpointConfig = attrs.field(factory=CheckpointConfig)
    audit: AuditConfig | None = None
    """For all routes that say nothing of it themselves; None: no delivery is put on record, or held."""


@attrs.frozen(kw_only=True)
class Metadata:
    """Who the module is; without a name, whoever loads it gives it one."""

    name: str | None = attrs.field(default=None, validator=_id)
    description: str | None = None


@attrs.frozen(kw_only=True)
class BootModule:
    """A module to load along with this one: a package or a path, and the values of its parameters."""

    package: str = attrs.field(validator=_not_empty)
    params: Mapping[str, str | float | bool] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class ModuleConfig:
    """Everything of one module."""

    api_version: str | None = attrs.field(default=None, metadata={"yaml": "apiVersion"})
    kind: Literal["Project", "Module"] = "Project"
    metadata: Metadata = attrs.field(factory=Metadata)
    defaults: Defaults = attrs.field(factory=Defaults)
    sources: tuple[SourceConfig, ...] = ()
    actors: tuple[ActorConfig, ...] = ()
    routes: tuple[RouteConfig, ...] = ()
    transforms: tuple[TransformConfig, ...] = ()
    loggers: tuple[LoggerConfig, ...] = ()
    exports: tuple[str, ...] = ()
    """The sources that other modules may listen to."""
    modules: tuple[BootModule, ...] = ()
    bus: str | None = attrs.field(default=None, validator=optional(_bus))
    """Which bus carries the events: ``file``, ``memory`` or an address (``nats://…``); None: the runtime's."""
    supervision: SupervisionConfig = attrs.field(factory=SupervisionConfig)
    """What the sources and actors say of theirs is laid over this, key by key."""


def read_module(data: object, *, where: str) -> ModuleConfig:
    """
    The values of a module, from plain data.

    Raises :class:`ConfigError` with every fault: of form, and of names that lead nowhere or to several things.

    >>> read_module({"sources": [{"id": "github", "connector": "github"}]}, where="orgloop.yaml").sources[0].id
    'github'
    """
    data = _module_faults.spelled_out(data, known=_KEYS)
    faults: list[Fault] = []
    module = ModuleConfig()
    try:
        module = structure(ModuleConfig, data, where=where)
    except ConfigError as exc:
        faults += exc.faults
    if isinstance(data, Mapping):
        faults += _module_faults.faults_between(data)
        if not faults:
            module, inherited = _inherit(module, data)
            faults += inherited
    if faults:
        raise refusal(faults, where=where)
    return module


def _inherit(module: ModuleConfig, data: Mapping[str, Any]) -> tuple[ModuleConfig, list[Fault]]:
    """Lay the supervision of each source and actor over that of the module; the faults that only this makes."""
    ours, faults = data.get("supervision"), list[Fault]()
    if not ours:
        return module, faults

    def laidover(key: str) -> Iterator[SupervisionConfig]:
        for number, member in enumerate(data.get(key, ())):
            try:
                yield structure(SupervisionConfig, over(ours, member.get("supervision", {})), where="")
            except ConfigError as exc:
                at = (key, number, "supervision")
                faults.extend(attrs.evolve(fault, path=(*at, *fault.path)) for fault in exc.faults)
                yield SupervisionConfig()

    sources = zip(module.sources, laidover("sources"), strict=True)
    actors = zip(module.actors, laidover("actors"), strict=True)
    return attrs.evolve(
        module,
        sources=tuple(attrs.evolve(source, supervision=supervision) for source, supervision in sources),
        actors=tuple(attrs.evolve(actor, supervision=supervision) for actor, supervision in actors),
    ), faults


_KEYS = frozenset(
    field.metadata.get("yaml", field.alias)
    for cls in (
        *(ModuleConfig, Metadata, Defaults, CheckpointConfig, SourceConfig, ActorConfig, PollConfig, RouteConfig, When),
        *(Then, With, TransformRef, TransformConfig, LoggerConfig, SupervisionConfig, BackoffConfig, ShutdownConfig),
        *(BootModule, AuditConfig),
    )
    for field in attrs.fields(cls)
)
