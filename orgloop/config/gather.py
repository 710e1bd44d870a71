"""
From the files of a project to one mapping, and back from a place in the mapping to a place in a file.

    orgloop.yaml ─┬─ connectors: transforms: loggers: routes:   paths of group files, or definitions
                  ├─ sources: actors:                           definitions
                  └─ routes/*.yaml, *.yml                       found by themselves
    workspaces/<name>.yaml                                      laid over all of that

Law: a group file may hold definitions of any kind, whatever its own kind and wherever it is named; none is passed
over, and none is read twice. What is merged shares its parts with the documents, so nothing here is changed in place.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from orgloop.config._units import shown
from orgloop.config.document import Document, KeyPath
from orgloop.config.reading import Session
from orgloop.errors import Fault, Place

NAMES: Mapping[str, str] = {"sources": "id", "actors": "id", "routes": "name", "transforms": "name", "loggers": "name"}
"""The lists of definitions, and what a member of each is called by."""

GROUP_KINDS = ("ConnectorGroup", "RouteGroup", "TransformGroup", "LoggerGroup")
API_VERSION = "orgloop/v1alpha1"

PROJECT_KEYS = (
    *("apiVersion", "kind", "metadata", "defaults", "connectors", *NAMES),
    *("modules", "exports", "supervision", "bus"),
)
_LISTS = ("connectors", *NAMES)
_GROUP_KEYS = ("apiVersion", "kind", "metadata", *NAMES)
_ENDS = (".yaml", ".yml")


@attrs.frozen
class Origin:
    """A part of a document."""

    document: Document
    path: KeyPath = ()


@attrs.define(eq=False)
class Gathered:
    """A module as one mapping, and where each part of it was written."""

    folder: Path
    data: dict[str, Any] = attrs.field(factory=dict)
    tops: list[Origin] = attrs.field(factory=list)
    """What speaks for the whole: the project file, and what is laid over it."""
    members: dict[str, list[list[Origin]]] = attrs.field(factory=lambda: {key: [] for key in NAMES})
    """Of each definition: where it is written, and what is laid over it."""
    moved: dict[KeyPath, KeyPath] = attrs.field(factory=dict)
    """What stands elsewhere than it was written."""
    groups: list[tuple[Document, str]] = attrs.field(factory=list)
    """The files that were named, and by which key."""
    taken: set[Path] = attrs.field(factory=set)
    """All files that were named, whether or not they could be read."""
    bases: dict[Path, tuple[Path, ...]] = attrs.field(factory=dict)
    """Of a file: where else than beside it, and in the folder, its relative paths may lead."""
    _bases: dict[Path, tuple[Path, ...]] = attrs.field(factory=dict, init=False)

    def add(self, key: str, member: Any, origin: Origin) -> None:
        """Take one definition."""
        self.data.setdefault(key, []).append(member)
        self.members[key].append([origin])

    def members_of(self, key: str) -> list[Any]:
        """The definitions of one kind, to be looked at or replaced one by one; none if there is no list of them."""
        found = self.data.get(key)
        return found if isinstance(found, list) else []

    def origin(self, path: KeyPath) -> Origin:
        """Where a part was written: the document that has most of the way to it, the last of several."""
        path = self._as_written(path)
        origins, rest = self._origins(path)
        if len(origins) == 1:
            return Origin(origins[0].document, (*origins[0].path, *rest))
        best = max(origins, key=lambda origin: (origin.document.holds((*origin.path, *rest)), origins.index(origin)))
        return Origin(best.document, (*best.path, *rest))

    def place(self, fault: Fault) -> Place:
        """Where in the files a fault is."""
        origin = self.origin(fault.path)
        return origin.document.place(origin.path, code=fault.code)

    def bases_of(self, path: KeyPath) -> tuple[Path, ...]:
        """Where a relative path in a part of it may lead: beside its file, then the project's folder."""
        file = self.origin(path).document.file
        if file not in self._bases:
            self._bases[file] = tuple(dict.fromkeys([file.parent, self.folder, *self.bases.get(file, ())]))
        return self._bases[file]

    def _as_written(self, path: KeyPath) -> KeyPath:
        for end in range(len(path), 0, -1):
            if path[:end] in self.moved:
                return (*self.moved[path[:end]], *path[end:])
        return path

    def _origins(self, path: KeyPath) -> tuple[list[Origin], KeyPath]:
        if len(path) > 1 and path[0] in self.members and isinstance(path[1], int):
            members = self.members[str(path[0])]
            if path[1] < len(members):
                return members[path[1]], path[2:]
        return self.tops, path


def gather_project(document: Document, session: Session, *, more: Iterable[str] = ()) -> Gathered:
    """
    All that a project file names, and the routes that are found beside it.

    ``more`` are keys that it may have, and that are read elsewhere.
    """
    gathered = Gathered(document.file.parent, tops=[Origin(document)])
    data = document.data
    session.findings.add(*_unknown_keys(document, (), (*PROJECT_KEYS, *more)))
    gathered.data = {key: value for key, value in data.items() if key in PROJECT_KEYS and key not in _LISTS}
    for key in _LISTS:
        if data.get(key) is not None:
            _take_entries(gathered, session, document, key)
    for file in _found_routes(gathered.folder, session):
        _take_file(gathered, session, file, "routes", named_at=None)
    return gathered


def _found_routes(folder: Path, session: Session) -> list[Path]:
    """The route files that need not be named, by the alphabet."""
    try:
        names = sorted(os.listdir(folder / "routes"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        text = f"{folder / 'routes'} cannot be read: {exc.strerror}"
        session.findings.fault("OL1005", text, place=Place(str(folder / "routes"), 1, 1))
        return []
    return [folder / "routes" / name for name in names if name.endswith(_ENDS) and not name.startswith(".")]


def _take_entries(gathered: Gathered, session: Session, document: Document, key: str) -> None:
    """Take what stands after one key of a project: paths of files, or definitions."""
    entries = document.data[key]
    if key == "connectors" and isinstance(entries, dict):
        take_group(gathered, session, Origin(document, (key,)))
    elif not isinstance(entries, list):
        text = f"must be a list, got {shown(entries)}"
        session.findings.fault("OL1201", text, place=document.place((key,)), path=(key,))
    else:
        for number, entry in enumerate(entries):
            _take_entry(gathered, session, Origin(document, (key, number)), entry)


def _take_entry(gathered: Gathered, session: Session, origin: Origin, entry: Any) -> None:
    document, path = origin.document, origin.path
    key = str(path[0])
    if isinstance(entry, str) and key not in ("sources", "actors"):
        place = document.place(path)
        file = Path(os.path.normpath(gathered.folder / entry)) if "\0" not in entry else Path("/dev/null")
        _take_file(gathered, session, file, key, named_at=place)
    elif isinstance(entry, dict) and key == "connectors":
        take_group(gathered, session, origin)
    elif key == "connectors":
        text = f"must be the path of a file, or a mapping, got {shown(entry)}"
        session.findings.fault("OL1201", text, place=document.place(path), path=path)
    else:
        gathered.add(key, entry, origin)


def _take_file(gathered: Gathered, session: Session, file: Path, key: str, *, named_at: Place | None) -> None:
    if file in gathered.taken:
        return  # named twice, or under two keys; all that it holds is taken already
    gathered.taken.add(file)
    document = session.document(file, named_at=named_at, within=[gathered.folder])
    if document is None:
        return
    gathered.groups.append((document, key))
    if document.data is not None:
        take_group(gathered, session, Origin(document))


def take_group(gathered: Gathered, session: Session, origin: Origin) -> None:
    """Take every definition of a group."""
    document, path = origin.document, origin.path
    group = _at(document.data, path)
    if not isinstance(group, dict):
        text = f"must be a mapping with some of {', '.join(NAMES)}; got {shown(group)}"
        session.findings.fault("OL1106", text, place=document.place(path), path=path)
        return
    session.findings.add(*_head_faults(document, path, group))
    for key in NAMES:
        entries = group.get(key)
        if entries is None:
            continue
        if not isinstance(entries, list):
            text = f"must be a list, got {shown(entries)}"
            session.findings.fault("OL1201", text, place=document.place((*path, key)), path=(*path, key))
            continue
        for number, entry in enumerate(entries):
            gathered.add(key, entry, Origin(document, (*path, key, number)))


def _head_faults(document: Document, path: KeyPath, group: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _unknown_keys(document, path, _GROUP_KEYS)
    kind = group.get("kind")
    if kind is not None and kind not in GROUP_KINDS:
        near = difflib.get_close_matches(str(kind), GROUP_KINDS, n=1)
        advice = f'; did you mean "{near[0]}"?' if near else ""
        text = f"a file that is named in a project is one of {', '.join(GROUP_KINDS)}, got {shown(kind)}{advice}"
        yield Fault((*path, "kind"), text, "OL1211", document.place((*path, "kind")))


def _unknown_keys(document: Document, path: KeyPath, known: Sequence[str]) -> Iterator[Fault]:
    for key in _at(document.data, path):
        if key not in known:
            near = difflib.get_close_matches(key.lower(), known, n=1)
            advice = f'; did you mean "{near[0]}"?' if near else f"; known are: {', '.join(known)}"
            at = (*path, key)
            yield Fault(at, f"unknown key{advice}", "OL1203", document.place(at, code="OL1203"))


def _at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data
