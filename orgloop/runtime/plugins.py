"""
From the names in a configuration to objects: what the caller brought, what is built in, what is installed, and files.

    github                       the short name of an entry point
    @orgloop/connector-github    the name of the original's package for the same
    package.module:attr          anything that can be imported
    ./actors/mine.py[:attr]      a file, from the folder of the module

What is found is a :class:`orgloop.sdk.Connector` or a :class:`orgloop.sdk.Offer`, and says itself what it can be told.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import attrs

from orgloop import loggers, transforms
from orgloop.config import structure
from orgloop.config.module import ActorConfig, LoggerConfig, SourceConfig, TransformConfig
from orgloop.config.plan import secret_keys_of
from orgloop.errors import ConfigError, Fault, PluginError
from orgloop.sdk import Connector, Offer, Place

Given = Mapping[str, Any]
"""Objects that the caller of ``load_module`` brings, by id or name."""

Kind = Literal["source", "actor", "transform", "logger"]

GROUPS: Mapping[Kind, str] = {
    "source": "orgloop.connectors",
    "actor": "orgloop.connectors",
    "transform": "orgloop.transforms",
    "logger": "orgloop.loggers",
}
"""Where each kind is installed."""

_ORIGINAL = re.compile(r"@orgloop/(?:connector|transform|logger)-(.+)")
_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>[A-Za-z_]\w*))?")


@attrs.define
class Faults:
    """What is wrong with a module, gathered."""

    where: str
    found: list[Fault] = attrs.field(factory=list)

    def add(self, *path: str | int, text: str) -> None:
        """Note one fault."""
        self.found.append(Fault(path, text))

    def absorb(self, path: tuple[str | int, ...], error: Exception) -> None:
        """Note what an attempt to build something has raised."""
        if isinstance(error, ConfigError):
            self.found.extend(attrs.evolve(fault, path=(*path, *fault.path)) for fault in error.faults)
        else:
            self.found.extend(Fault(path, line) for line in str(error).splitlines() or [type(error).__name__])


@attrs.frozen(eq=False)
class Made:
    """How a plug-in is made for each of its lives; ``first`` has been made already, and says what it can do."""

    first: Any
    make: Callable[[], Any]
    made_of: object
    """Equal if it is made by the same."""
    identity: Mapping[str, Any]
    """The configuration without what is secret: who has another token still looks at the same outside."""


@attrs.define(eq=False)
class Plugins:
    """All that can be found by name."""

    _installed: dict[tuple[str, str], Any] = attrs.field(factory=dict)
    _files: dict[Path, tuple[bytes, ModuleType]] = attrs.field(factory=dict)
    """Those that were imported, with a hash of what stood in them then."""

    def source(self, config: SourceConfig, given: Given, place: Place) -> Made:
        """A source: ConfigError or ValueError, a line for each fault, if there is none, or it cannot be so."""
        return self._connector("source", config, given, place)

    def actor(self, config: ActorConfig, given: Given, place: Place) -> Made:
        """An actor, likewise."""
        return self._connector("actor", config, given, place)

    def _connector(self, kind: Kind, config: SourceConfig | ActorConfig, given: Given, place: Place) -> Made:
        if config.id in given:
            return _brought(given[config.id], config.config)
        offer = self.find(kind, config.connector, place.directory)
        if offer is None:
            known = ", ".join(self.names(kind)) or "none"
            raise ValueError(f"connector: there is no connector {config.connector!r}; installed are: {known}")
        return _made(offer, config.config, place)

    def identity(self, config: SourceConfig, directory: Path) -> object:
        """What a checkpoint of a source belongs to: its connector, and its configuration without what is secret."""
        try:
            offer = self.find("source", config.connector, directory)
        except PluginError:
            offer = None
        return config.connector, config.config if offer is None else identity_of(offer, config.config)

    def transform(self, config: TransformConfig, given: Given, options: Mapping[str, Any], place: Place) -> Made:
        """A transform, with the options of its place in a route laid over its own."""
        if config.name in given:
            return _brought(given[config.name], config.config)
        offer = self.find("transform", config.plugin, place.directory)
        if offer is None:
            raise ValueError(
                f"there is no transform {config.plugin!r}; there are: {', '.join(self.names('transform'))}"
            )
        return _made(offer, {**config.options, **options}, place)

    def logger(self, config: LoggerConfig, given: Given, place: Place) -> Made:
        """A logger."""
        if config.name in given:
            return _brought(given[config.name], config.config)
        offer = self.find("logger", config.type, place.directory)
        if offer is None:
            raise ValueError(f"type: there is no logger {config.type!r}; there are: {', '.join(self.names('logger'))}")
        return _made(offer, config.config, place)

    # -- by name -------------------------------------------------------------------------------------------------------

    def find(self, kind: Kind, name: str, directory: Path) -> Offer | None:
        """
        What a name leads to; None if there is nothing of that name.

        Raises :class:`PluginError` if there is something, and it cannot be used. Imports what it finds.
        """
        if (built_in := BUILT_IN.get((kind, short(name)))) is not None:
            return built_in
        found = self.load(kind, name, directory)
        if isinstance(found, Connector):
            found = found.source if kind == "source" else found.actor
            if found is None:
                raise PluginError(f"connector {name!r} has no {kind}")
        if found is not None and not isinstance(found, Offer):
            raise PluginError(f"{name!r} leads to {type(found).__name__}, which is no Connector and no Offer")
        return found

    def load(self, kind: Kind, name: str, directory: Path) -> Any:
        """The object that a name leads to, whatever it is; None if there is nothing of that name."""
        if (file := _FILE.fullmatch(name)) is not None and ("/" in name or name.startswith(".")):
            path = (directory / Path(file["path"]).expanduser()).resolve()
            return _named_in(self._imported(path), path, file["name"])
        key = (GROUPS[kind], short(name))
        if key not in self._installed:
            self._installed[key] = _load_installed(*key) if not _ATTRIBUTE.fullmatch(name) else _load_attribute(name)
        return self._installed[key]

    def _imported(self, path: Path) -> ModuleType:
        """A file as a module: imported again when it has changed, so that a reload sees it."""
        if not path.is_file():
            raise PluginError(f"there is no file {path}")
        digest = hashlib.sha256(path.read_bytes()).digest()
        known = self._files.get(path)
        if known is None or known[0] != digest:
            known = self._files[path] = (digest, _import_file(path))
        return known[1]

    def names(self, kind: Kind) -> list[str]:
        """The short names there are, in order."""
        built_in = {name for of, name in BUILT_IN if of == kind}
        return sorted(built_in | {entry.name for entry in entry_points(group=GROUPS[kind])})


def short(name: str) -> str:
    """
    The short name of the original's package, or the name as it is.

    >>> short("@orgloop/connector-github")
    'github'
    """
    original = _ORIGINAL.fullmatch(name)
    return name if original is None else original[1]


def _built_in(make: Any, config: Any) -> Offer:
    return Offer(config=config, make=lambda values, _: make(values))


BUILT_IN: Mapping[tuple[Kind, str], Offer] = {
    **{("transform", short(name)): _built_in(one.make, one.config) for name, one in transforms.BUILT_IN.items()},
    **{("logger", short(name)): _built_in(one.make, one.config) for name, one in loggers.BUILT_IN.items()},
}
"""What comes with OrgLoop itself, by kind and short name."""


def _brought(plugin: Any, config: Mapping[str, Any]) -> Made:
    return Made(plugin, lambda: plugin, ("brought", id(plugin)), config)


def _made(offer: Offer, config: Mapping[str, Any], place: Place) -> Made:
    try:
        values = structure(offer.config, config, where="")
    except ConfigError as exc:
        raise ConfigError(
            str(exc), [attrs.evolve(fault, path=("config", *fault.path)) for fault in exc.faults]
        ) from exc
    make = partial(offer.make, values, place)
    return Made(make(), make, ("offered", offer), identity_of(offer, config))


def identity_of(offer: Offer, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration without what its class flags as secret."""
    hidden = _secret_keys(offer.config)
    bare = _without(config, hidden) if hidden else config
    assert isinstance(bare, Mapping)
    return bare


@cache
def _secret_keys(config: type[Any]) -> frozenset[str]:
    return secret_keys_of([config])


def _without(value: object, keys: Collection[str]) -> object:
    if isinstance(value, Mapping):
        return {key: _without(member, keys) for key, member in value.items() if key not in keys}
    if isinstance(value, list | tuple):
        return [_without(member, keys) for member in value]
    return value


# -- finding -----------------------------------------------------------------------------------------------------------


def _load_installed(group: str, name: str) -> Any:
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except Exception as exc:
            raise PluginError(f"{entry.value} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return None


def _load_attribute(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for step in attribute.split("."):
            found = getattr(found, step)
    except Exception as exc:
        raise PluginError(f"{name} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return found


def _import_file(path: Path) -> ModuleType:
    name = f"orgloop_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be imported: it is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        raise PluginError(f"{path} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return module


def _named_in(module: ModuleType, path: Path, name: str | None) -> Any:
    """What a file calls so; without a name, its ``CONNECTOR`` or its ``OFFER``."""
    for candidate in [name] if name else ["CONNECTOR", "OFFER"]:
        if hasattr(module, candidate):
            return getattr(module, candidate)
    raise PluginError(f"{path} has no {name or 'CONNECTOR, and no OFFER'}")
