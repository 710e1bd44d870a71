"""
The front door of this room: from a path to the values of a project, or to everything that is wrong with it.

    load_project(path, environ=…, catalogue=…) ──▶ Project            raises ConfigError with every fault
    examine_project(…same…)                    ──▶ Examined           for ``validate``: a missing variable is a warning

    orgloop.yaml ─▶ gather ─▶ user's defaults, workspace ─▶ modules ─▶ ${…} ─▶ plug-ins, prompts, scripts ─▶ values

Law: one load reads each file once and changes nothing: no socket, no plug-in started, no ``os.environ``. All faults of
all files come at once, with their places; no text that leaves here holds a secret. Paths in a configuration come out
absolute (prompts, scripts, plug-ins that are files, the checkpoints' folder, options that a plug-in declares as paths);
whatever else a plug-in takes for a path is relative to ``Project.directory``.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from orgloop.config._loading import Loading
from orgloop.config.cache import open_cache
from orgloop.config.catalogue import Catalogue
from orgloop.config.environment import Variable
from orgloop.config.masking import Masker
from orgloop.config.module import ModuleConfig
from orgloop.config.report import Checked, refusal_of
from orgloop.config.workspace import DEFAULT
from orgloop.errors import Fault


@attrs.frozen(kw_only=True)
class Project:
    """A project as it was read: values, and what they were read from."""

    name: str
    """``metadata.name``; of one without a name, a hash of where its file is."""
    config: ModuleConfig
    directory: Path
    """What paths are relative to."""
    file: Path
    workspace: str = DEFAULT
    files: tuple[Path, ...] = ()
    """Everything that was read, for whoever watches for changes; modules that are loaded along have their own."""
    digest: str = ""
    """A hash of the contents of all of them, and of the workspace's name."""
    warnings: tuple[Fault, ...] = ()
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)
    """What must not be shown: for :class:`orgloop.config.masking.Masker`."""
    environment: tuple[Variable, ...] = ()
    """The variables that are referred to."""
    modules: tuple[Project, ...] = ()
    """What ``modules:`` names, so far as it is a module of its own."""


@attrs.frozen(kw_only=True)
class Examined:
    """What there is to say of a project: it, if it could be read, and every fault and warning."""

    project: Project | None
    """With variables that are not set, it holds the text that refers to them, and is not to be started."""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    checked: tuple[Checked, ...] = ()
    """File by file and definition by definition, in the order of the original."""
    environment: tuple[Variable, ...] = ()
    left_out: int = 0
    """How many faults there are beside those that are told."""
    masker: Masker = attrs.field(factory=lambda: Masker(()))


def load_project(
    path: Path,
    *,
    environ: Mapping[str, str],
    catalogue: Catalogue,
    workspace: str = DEFAULT,
    home: Path | None = None,
    cache: Path | None = None,
) -> Project:
    """
    The project in a folder, or in the file itself.

    ``environ`` are the variables of the process, ``home`` the folder with the user's ``config.yaml``, ``cache`` a
    folder for what was parsed. Raises :class:`orgloop.errors.ConfigError` with every fault of every file.
    """
    loader = _Loader(environ, catalogue, workspace, home, cache, missing_is_fault=True)
    examined = loader.load(path)
    if examined.faults or examined.project is None:
        raise refusal_of(examined.faults, left_out=examined.left_out)
    return examined.project


def examine_project(
    path: Path,
    *,
    environ: Mapping[str, str],
    catalogue: Catalogue,
    workspace: str = DEFAULT,
    home: Path | None = None,
    cache: Path | None = None,
) -> Examined:
    """All that is to be said of a project, as :func:`load_project` reads it; variables not set are warnings."""
    return _Loader(environ, catalogue, workspace, home, cache, missing_is_fault=False).load(path)


@attrs.frozen
class _Loader:
    environ: Mapping[str, str]
    catalogue: Catalogue
    workspace: str
    home: Path | None
    cache: Path | None
    missing_is_fault: bool

    def load(self, path: Path) -> Examined:
        path = Path(os.path.abspath(path))
        cache = open_cache(self.cache, path)
        loading = Loading(
            environ=self.environ,
            catalogue=self.catalogue,
            workspace=self.workspace,
            home=self.home,
            missing_is_fault=self.missing_is_fault,
        )
        loading.session.cache = cache
        with _uncollected():
            loading.load(path)
        cache.write()
        return _examined(loading, with_rows=not self.missing_is_fault)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would walk over half a million new values again and again to find none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _examined(loading: Loading, *, with_rows: bool) -> Examined:
    """What has come of a load, with everything secret taken out of its texts."""
    inner = [_examined(module, with_rows=with_rows) for module in loading.modules]
    secrets = loading.session.secrets.union(*(module.session.secrets for module in loading.modules))
    masker = Masker(secrets)
    faults = _masked(loading.sorted(loading.session.findings.faults), masker)
    warnings = _masked(loading.sorted(loading.session.findings.warnings), masker)
    rows = loading.checked(faults) if with_rows else ()
    all_faults = (*faults, *(fault for module in inner for fault in module.faults))
    projects = tuple(module.project for module in inner if module.project is not None)
    project = None
    if loading.config is not None and not faults and len(projects) == len(inner):
        project = _project(loading, projects, warnings)
    return Examined(
        project=project,
        faults=all_faults,
        warnings=(*warnings, *(warning for module in inner for warning in module.warnings)),
        checked=(*rows, *(row for module in inner for row in module.checked)),
        environment=(*loading.variables(), *(variable for module in inner for variable in module.environment)),
        left_out=loading.session.findings.left_out + sum(module.left_out for module in inner),
        masker=masker,
    )


def _project(loading: Loading, modules: tuple[Project, ...], warnings: Sequence[Fault]) -> Project:
    config: Any = loading.config
    return Project(
        name=config.metadata.name or nameless(loading.file),
        config=config,
        directory=loading.file.parent,
        file=loading.file,
        workspace=loading.workspace,
        files=tuple(loading.session.contents),
        digest=loading.session.digest(loading.workspace),
        warnings=tuple(warnings),
        secrets=frozenset(loading.session.secrets),
        environment=loading.variables(),
        modules=modules,
    )


def nameless(file: Path) -> str:
    """The name of a project that has none."""
    return f"module-{hashlib.blake2b(os.path.realpath(file).encode(), digest_size=6).hexdigest()}"


def _masked(faults: Sequence[Fault], masker: Masker) -> tuple[Fault, ...]:
    return tuple(
        attrs.evolve(
            fault,
            text=masker.text(fault.text),
            place=fault.place and attrs.evolve(fault.place, source=masker.text(fault.place.source)),
        )
        for fault in faults
    )
