"""
From the names in a configuration to objects: what the caller gave, then what is built in, then entry points.

Every fault of a module is collected, with the path of what named it; nothing is loaded half.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import attrs

from orgloop import loggers, transforms
from orgloop.config import structure
from orgloop.config.module import ActorConfig, LoggerConfig, SourceConfig, TransformConfig
from orgloop.errors import ConfigError, Fault

Given = Mapping[str, Any]
"""Objects that the caller of ``load_module`` brings, by id or name."""


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
            self.found.extend(Fault((*path, *fault.path), fault.text) for fault in error.faults)
        else:
            self.found.extend(Fault(path, line) for line in str(error).splitlines())


def connector(config: SourceConfig | ActorConfig, given: Given, *, kind: str) -> Any:
    """The object of a source or an actor: given by its id, or made by its connector; ValueError if there is neither."""
    if config.id in given:
        return given[config.id]
    made = _by_entry_point("orgloop.connectors", config.connector)
    if made is None:
        raise ValueError(
            f"nothing was given for {kind} {config.id!r}, and no connector {config.connector!r} is installed"
        )
    return made(kind, config.config)


def transform(config: TransformConfig, given: Given, options: Mapping[str, Any]) -> Any:
    """The object of a transform, with the options of its place laid over its own."""
    if config.name in given:
        return given[config.name]
    name = config.plugin
    built_in = transforms.BUILT_IN.get(name)
    merged = {**config.config, **options}
    if built_in is not None:
        return built_in.make(structure(built_in.config, merged, where=f"transform {config.name}"))
    made = _by_entry_point("orgloop.transforms", name)
    if made is None:
        raise ValueError(f"there is no transform {name!r}; built in are {', '.join(sorted(transforms.BUILT_IN))}")
    return made(merged)


def logger(config: LoggerConfig, given: Given) -> Any:
    """The object of a logger."""
    if config.name in given:
        return given[config.name]
    built_in = loggers.BUILT_IN.get(config.type)
    if built_in is not None:
        return built_in.make(structure(built_in.config, config.config, where=f"logger {config.name}"))
    made = _by_entry_point("orgloop.loggers", config.type)
    if made is None:
        raise ValueError(f"there is no logger {config.type!r}; built in are {', '.join(sorted(loggers.BUILT_IN))}")
    return made(config.config)


def _by_entry_point(group: str, name: str) -> Any:
    for entry in entry_points(group=group, name=name):
        return entry.load()
    return None
