"""Reading the project that is meant, with the plug-ins that are installed; nothing of it is started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from orgloop.cli.context import Context
from orgloop.config.plan import secret_keys_of
from orgloop.config.project import Examined, Project, examine_project, load_project
from orgloop.config.report import refusal_of
from orgloop.errors import HomeError, PluginError
from orgloop.runtime.installed import Installed
from orgloop.runtime.plugins import Kind, Plugins


@attrs.frozen(kw_only=True)
class Read:
    """A project that holds together, though variables may be missing, and what was found with it."""

    project: Project
    examined: Examined
    plugins: Plugins


def examine(context: Context, *, plugins: Plugins | None = None) -> Examined:
    """All that is to be said of the project that is meant; variables that are not set are warnings."""
    home = home_path(context)
    return examine_project(
        context.project_file,
        environ=context.environ,
        catalogue=Installed(plugins or Plugins()),
        workspace=context.workspace,
        home=home,
        cache=_cache_of(home),
    )


def read(context: Context) -> Read:
    """As :func:`examine`, but what does not hold together raises :class:`orgloop.errors.ConfigError`."""
    plugins = Plugins()
    examined = examine(context, plugins=plugins)
    if examined.project is None:
        raise refusal_of(examined.faults, left_out=examined.left_out)
    return Read(project=examined.project, examined=examined, plugins=plugins)


def load(context: Context, *, plugins: Plugins | None = None) -> Project:
    """The project as a start would read it: a missing variable too is a fault, and every one is raised."""
    home = home_path(context)
    return load_project(
        context.project_file,
        environ=context.environ,
        catalogue=Installed(plugins or Plugins()),
        workspace=context.workspace,
        home=home,
        cache=_cache_of(home),
    )


def secret_keys(project: Project, plugins: Plugins) -> frozenset[str]:
    """The keys that the plug-ins of a project flag as secret, whatever stands under them."""
    return secret_keys_of(list(_classes(project, plugins)))


def _classes(project: Project, plugins: Plugins) -> Iterator[type]:
    config = project.config
    wanted: list[tuple[Kind, str]] = [
        *(("source", source.connector) for source in config.sources),
        *(("actor", actor.connector) for actor in config.actors),
        *(("transform", transform.plugin) for transform in config.transforms),
        *(("logger", logger.type) for logger in config.loggers),
    ]
    for kind, name in dict.fromkeys(wanted):
        try:
            offer = plugins.find(kind, name, project.directory)
        except PluginError:  # the loader has found it; what it says of its secrets only adds to what is known
            continue
        if offer is not None:
            yield offer.config


def home_path(context: Context) -> Path | None:
    """Where the user's own defaults are; None if this user has no home, which a project can do without."""
    try:
        return context.home.path
    except HomeError as exc:
        context.out.detail(str(exc))
        return None


def shown_path(path: str | Path, context: Context) -> str:
    """A path as one would type it here."""
    try:
        return os.fspath(Path(path).relative_to(context.directory))
    except ValueError:
        return os.fspath(path)


def request_of(context: Context) -> Mapping[str, str]:
    """The project that is meant, as the control API wants it named."""
    file = context.project_file
    return {"configPath": str(file), "projectDir": str(file.parent), "workspace": context.workspace}


def _cache_of(home: Path | None) -> Path | None:
    """Kept in the home, if there is one: whoever only looks makes none."""
    return home / "cache" if home is not None and home.is_dir() else None
