"""
One load of one module, step by step, over one session; what it found is in its fields.

Law: no step stops the others. What a step could not make sense of is a fault and left out, so that the faults of
three files are three faults; only values are made if there are none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from orgloop.config import manifest
from orgloop.config._refused import Refused
from orgloop.config._units import shown
from orgloop.config.attached import attach_prompts, attach_scripts
from orgloop.config.catalogue import Catalogue
from orgloop.config.document import Document, KeyPath
from orgloop.config.environment import Environment, Variable
from orgloop.config.filling import fill_in_all, follows_from_missing, tell_missing, variables_used
from orgloop.config.gather import API_VERSION, NAMES, Gathered, gather_project
from orgloop.config.graph import graph_warnings
from orgloop.config.layers import env_file, lay_below, lay_workspace_over
from orgloop.config.manifest import Given
from orgloop.config.module import ModuleConfig, read_module
from orgloop.config.offers import Offers, check_plugins
from orgloop.config.reading import MAX_FAULTS, Session
from orgloop.config.report import Checked, checked_rows
from orgloop.errors import ConfigError, Fault, Place

PROJECT_FILES = ("orgloop.yaml", "orgloop.yml", manifest.FILE)
"""What a folder is asked for, in this order."""

_NOWHERE_CODES = ("OL1302", "OL1303", "OL1304")
"""In a project of which a file could not be read, nothing can be said to be nowhere."""


@attrs.define(eq=False, kw_only=True)
class Loading:
    """A load under way, and after it what came of it."""

    environ: Mapping[str, str]
    catalogue: Catalogue
    workspace: str
    home: Path | None
    missing_is_fault: bool
    given: Given = attrs.field(factory=Given)
    ancestors: tuple[Path, ...] = ()
    """The files of the modules that are loading this one."""
    session: Session = attrs.field(factory=Session)
    file: Path = attrs.field(factory=Path, init=False)
    gathered: Gathered | None = attrs.field(default=None, init=False)
    config: ModuleConfig | None = attrs.field(default=None, init=False)
    modules: list[Loading] = attrs.field(factory=list, init=False)
    offers: Offers = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """The home that ``~`` stands for is that of the process whose variables these are."""
        self.offers = Offers(self.catalogue, self.environ.get("HOME", "~"))

    # -- the steps -------------------------------------------------------------------------------------------------

    def load(self, path: Path) -> None:
        """Read, check and, if nothing is wrong, make values."""
        self.file = project_file(path)
        gathered = self._gather()
        if gathered is None:
            return
        self.gathered = gathered
        if self.home is not None:
            lay_below(gathered, self.home, self.session, is_told=not self.ancestors)
        overlay = lay_workspace_over(gathered, self.workspace, self.session, is_required=not self.ancestors)
        environment = Environment(self.environ, overlay, env_file(gathered.folder, self.session))
        self._boot_modules(gathered)
        fill_in_all(gathered, environment, self.session)
        faults = self._check(gathered)
        tell_missing(self.variables(), self.session, as_faults=self.missing_is_fault)
        self.session.findings.add(*faults)
        self._without_echoes()
        if self.session.findings.faults or self.config is None:
            self.config = None
            return
        for warning in graph_warnings(self.config):
            place = gathered.place(warning)
            self.session.findings.warn(warning.code, warning.text, place=place, path=warning.path)

    def _gather(self) -> Gathered | None:
        if not os.path.lexists(self.file) and os.path.isdir(self.file.parent):
            text, fix = f"Configuration file not found: {self.file}", "Run `orgloop init` to create a new project"
            place = self.given.place or Place(str(self.file), 1, 1)
            self.session.findings.add(Fault((), text, "OL1001", place, f"{fix}, or use --config to specify a path."))
            return None
        document = self.session.document(self.file, named_at=None)
        if document is None:
            return None
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if not isinstance(document.data, dict):
            code, text = ("OL1105", "the file is empty") if document.data is None else ("OL1106", "must be a mapping")
            advice = "; write at least apiVersion, kind and metadata"
            self.session.findings.fault(code, f"{text}{advice}", place=document.place(()))
            return None
        self._head_warnings(document)
        if kind == "Module":
            document, expansion = manifest.expanded(document, self.given, self.session)
            if not isinstance(document.data, dict):
                self.session.findings.fault("OL1106", "must be a mapping", place=document.place(()))
                return None
            gathered = gather_project(document, self.session, more=manifest.OWN_KEYS)
            metadata = gathered.data.get("metadata")
            if isinstance(metadata, dict):
                gathered.data["metadata"] = {key: value for key, value in metadata.items() if key != "version"}
            manifest.take_templates(gathered, document.file.parent, expansion, self.session)
            return gathered
        if self.given.params:
            text = f"{self.file} is a project, and takes no parameters"
            self.session.findings.fault("OL1704", text, place=self.given.place)
        return gather_project(document, self.session)

    def _head_warnings(self, document: Document) -> None:
        version = document.data.get("apiVersion")
        if version is None:
            text = f"apiVersion is missing; write apiVersion: {API_VERSION}"
            self.session.findings.warn("OL1906", text, place=document.place(()))
        elif isinstance(version, str) and version != API_VERSION:
            text = f"apiVersion {shown(version)} is not known, and is read as {API_VERSION}"
            self.session.findings.warn("OL1906", text, place=document.place(("apiVersion",)), path=("apiVersion",))

    # -- modules that are loaded along -----------------------------------------------------------------------------

    def _boot_modules(self, gathered: Gathered) -> None:
        entries = gathered.data.get("modules")
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            package = entry.get("package") if isinstance(entry, dict) else None
            if isinstance(package, str) and package:
                self._boot_module(gathered, ("modules", number), entry)
        names: dict[str, str] = {}
        for module in self.modules:
            name = _name_in(module.gathered)
            if name is not None and name in {*names, _name_in(gathered)}:
                text = f'there is a module "{name}" already; a name belongs to one module'
                self.session.findings.fault("OL1706", text, place=module.given.place)
            names[str(name)] = str(module.file)

    def _boot_module(self, gathered: Gathered, at: KeyPath, entry: Mapping[str, Any]) -> None:
        place = gathered.place(Fault((*at, "package"), ""))
        params = entry.get("params")
        params = params if isinstance(params, dict) else {}
        try:
            file = self._module_file(str(entry["package"]), gathered.folder)
            if file in (*self.ancestors, self.file):
                raise Refused("OL1707", f"{file} is loading itself")
        except Refused as exc:
            self.session.findings.fault(exc.code, str(exc), place=place, path=at)
            return
        inner = Loading(
            environ=self.environ,
            catalogue=self.catalogue,
            workspace=self.workspace,
            home=self.home,
            missing_is_fault=self.missing_is_fault,
            given=Given(params, place),
            ancestors=(*self.ancestors, self.file),
            session=Session(cache=self.session.cache),
        )
        inner.file = file
        if file.name == manifest.FILE and not _is_whole(found := inner.look()):
            self._take_in(gathered, inner, found)
        else:
            inner.session = Session(cache=self.session.cache)
            inner.load(file)
            self.modules.append(inner)

    def look(self) -> Gathered | None:
        """What a module defines, before anything is done with it."""
        return self._gather()

    def _take_in(self, gathered: Gathered, inner: Loading, found: Gathered | None) -> None:
        """Make the definitions of a module without sources and actors part of the project that loads it."""
        self.session.contents.update(inner.session.contents)
        self.session.findings.add(*inner.session.findings.faults)
        self.session.findings.warnings.extend(inner.session.findings.warnings)
        self.session.documents.update(inner.session.documents)
        if found is None:
            return
        for key in found.data.keys() - {*NAMES, "apiVersion", "kind", "metadata"}:
            text = f'"{key}" is not for a module without sources and actors, which becomes part of its project'
            self.session.findings.fault("OL1708", text, place=found.place(Fault((key,), "", "OL1203")), path=(key,))
        gathered.bases |= {document.file: (found.folder,) for document, _ in found.groups} | found.bases
        gathered.groups += found.groups
        for key in NAMES:
            for member, origins in zip(found.data.get(key, ()), found.members[key], strict=True):
                gathered.data.setdefault(key, []).append(member)
                gathered.members[key].append(origins)

    def _module_file(self, package: str, folder: Path) -> Path:
        """The file of a module that is named in ``modules:``; raises :class:`Refused`."""
        is_path = package.startswith(("./", "../", "/"))
        if not is_path and ".." in package.split("/"):
            raise Refused("OL1701", f"{shown(package)} is neither the name of a package nor a path")
        if is_path:
            found: Path | None = Path(os.path.normpath(folder / package))
        else:
            local = Path(os.path.normpath(folder / "node_modules" / package))
            installed = None if os.path.isdir(local) else self.catalogue.module(package)
            found = local if os.path.isdir(local) else Path(installed) if installed is not None else None
        if found is None:
            text = f'Unknown module "{package}". Use a fully qualified package name (e.g. @orgloop/module-x)'
            raise Refused("OL1701", f"{text} or a local path (e.g. ./modules/x).")
        if os.path.isfile(found):
            return found
        for name in (manifest.FILE, *PROJECT_FILES):
            if os.path.lexists(found / name):
                return found / name
        raise Refused("OL1702", f"Module manifest not found: {found / manifest.FILE}")

    def variables(self) -> tuple[Variable, ...]:
        """The variables that are referred to."""
        return variables_used(self.session, (hint for offer in self.offers.used.values() for hint in offer.environment))

    # -- values ----------------------------------------------------------------------------------------------------

    def _check(self, gathered: Gathered) -> list[Fault]:
        """Make values, and say of everything what is wrong with it, and where."""
        prompts, found = attach_prompts(gathered, self.session)
        found += attach_scripts(gathered, self.session)
        found += check_plugins(gathered, self.offers, self.session)
        try:
            config = read_module(gathered.data, where="")
            self.config = self._finished(config, prompts)
        except ConfigError as exc:
            found += exc.faults
        faults = [
            fault
            for fault in dict.fromkeys(found)
            if not follows_from_missing(gathered.data, fault)
            and not (self.session.is_partial and fault.code in _NOWHERE_CODES)
        ]
        # Places cost something, and of the others only the number is told.
        placed = [attrs.evolve(fault, place=gathered.place(fault)) for fault in faults[:MAX_FAULTS]]
        return [*placed, *faults[MAX_FAULTS:]]

    def _without_echoes(self) -> None:
        """Leave out what is said of a line whose YAML is wrong: it was not what was meant."""
        broken = {
            (fault.place.file, fault.place.line)
            for fault in self.session.findings.faults
            if fault.place is not None and fault.code.startswith("OL11")
        }
        self.session.findings.faults = [
            fault
            for fault in self.session.findings.faults
            if fault.place is None
            or fault.code.startswith("OL11")
            or (fault.place.file, fault.place.line) not in broken
        ]

    def _finished(self, config: ModuleConfig, prompts: Mapping[int, Any]) -> ModuleConfig:
        """The values with what was read for them, and the checkpoints' folder made absolute."""
        routes = [
            attrs.evolve(route, with_=attrs.evolve(route.with_, prompt=prompts[number]))
            if number in prompts and route.with_ is not None
            else route
            for number, route in enumerate(config.routes)
        ]
        checkpoint = config.defaults.checkpoint
        if checkpoint.dir is not None:
            folder = self.offers.expanded(checkpoint.dir)
            checkpoint = attrs.evolve(checkpoint, dir=os.path.normpath(self.file.parent / folder))
        return attrs.evolve(config, routes=tuple(routes), defaults=attrs.evolve(config.defaults, checkpoint=checkpoint))

    # -- what is told ----------------------------------------------------------------------------------------------

    def sorted(self, faults: Sequence[Fault]) -> list[Fault]:
        """File by file as they were read, and from top to bottom within each."""
        order = {str(file): number for number, file in enumerate(self.session.documents)}

        def key(fault: Fault) -> tuple[int, int, int]:
            place = fault.place
            return (-1, 0, 0) if place is None else (order.get(place.file, len(order)), place.line, place.column)

        return sorted(faults, key=key)

    def checked(self, faults: Sequence[Fault]) -> list[Checked]:
        """File by file and definition by definition what was checked."""
        return checked_rows(self.file, self.gathered, faults)


def project_file(path: Path) -> Path:
    """The file of a project that is named by its folder or by itself; it need not be there."""
    if not os.path.isdir(path):
        return path
    return next((path / name for name in PROJECT_FILES if os.path.lexists(path / name)), path / PROJECT_FILES[0])


def _name_in(gathered: Gathered | None) -> str | None:
    metadata = gathered.data.get("metadata") if gathered is not None else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return str(name) if isinstance(name, str) else None


def _is_whole(gathered: Gathered | None) -> bool:
    """Whether a module can stand by itself: it brings something that emits, or something that works."""
    return gathered is not None and bool(gathered.data.get("sources") or gathered.data.get("actors"))
