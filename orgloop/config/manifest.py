"""
``orgloop-module.yaml``: a module that is written once and loaded with parameters, and the ``modules:`` that load it.

    apiVersion: orgloop/v1alpha1
    kind: Module
    metadata: {name: triage, description: …, version: 1.0.0}
    parameters: [{name: agent, description: …, type: string, required: true}]
    connectors: {sources: […], actors: […]}        with these it is a module of its own
    templates/routes.yaml, templates/transforms.yaml

Law: ``{{ params.x }}``, ``{{ module.name }}`` and ``{{ module.path }}`` are filled in before the text is read as YAML,
so they may stand anywhere; a value is one line without quotes, so it cannot become anything but a value. Other
``{{…}}`` belong to events, and are left alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from orgloop.config._codec import structure
from orgloop.config._files import decoded
from orgloop.config._refused import Refused
from orgloop.config._units import shown
from orgloop.config.document import Document, parse_document
from orgloop.config.gather import Gathered, Origin, take_group
from orgloop.config.reading import Session
from orgloop.errors import ConfigError, Fault, Place

FILE = "orgloop-module.yaml"
TEMPLATES = ("routes.yaml", "transforms.yaml", "loggers.yaml")
OWN_KEYS = ("requires", "parameters", "provides")
"""What a manifest has beside the keys of a project."""

Params = Mapping[str, str | int | float | bool]

_EXPRESSION = re.compile(r"\{\{\s*([A-Za-z_]\w*)\.([A-Za-z_][\w-]*)\s*\}\}")
_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


@attrs.frozen(kw_only=True)
class Parameter:
    """What may be set from outside."""

    name: str
    description: str = ""
    type: Literal["string", "number", "boolean"] = "string"
    required: bool = False
    default: str | int | float | bool | None = None


@attrs.frozen(kw_only=True)
class Head:
    """What a manifest says of itself beside what it defines; all but the parameters is for people."""

    requires: Mapping[str, Any] = attrs.field(factory=dict)
    parameters: tuple[Parameter, ...] = ()
    provides: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Given:
    """The values that whoever loads a module gives to its parameters, and where."""

    params: Params = attrs.field(factory=dict)
    place: Place | None = None


@attrs.frozen
class Expansion:
    """What is filled in: ``None`` stands for a parameter that has no value and needs none."""

    params: Mapping[str, str | None]
    module: Mapping[str, str]

    def text(self, text: str) -> tuple[str, list[tuple[int, int, str]]]:
        """A text with all of it filled in, and what is wrong: position, length and why."""
        wrong: list[tuple[int, int, str]] = []

        def value(found: re.Match[str]) -> str:
            space = {"params": self.params, "module": self.module}.get(found[1])
            if space is None:
                return found[0]
            if found[2] not in space:
                near = difflib.get_close_matches(found[2], list(space), n=1)
                advice = f'; did you mean "{found[1]}.{near[0]}"?' if near else ""
                wrong.append((found.start(), len(found[0]), f"there is no {found[1]}.{found[2]}{advice}"))
            filled = space.get(found[2])
            return found[0] if filled is None else filled

        return _EXPRESSION.sub(value, text), wrong


def expanded(document: Document, given: Given, session: Session) -> tuple[Document, Expansion]:
    """A manifest with its parameters filled in, and what fills in its templates."""
    head = _head(document, session)
    name = (
        (document.data.get("metadata") or {}).get("name") if isinstance(document.data.get("metadata"), dict) else None
    )
    name = name if isinstance(name, str) else document.file.parent.name
    params = _resolved(head.parameters, given, name, document, session)
    expansion = Expansion(params, {"name": name, "path": str(document.file.parent)})
    if "{{" not in document.text:
        return document, expansion
    again = _expanded_document(document.text, document.file, expansion, session)
    return (document if again is None else again), expansion


def take_templates(gathered: Gathered, folder: Path, expansion: Expansion, session: Session) -> None:
    """Take the definitions of a module's templates."""
    for name in TEMPLATES:
        file = folder / "templates" / name
        try:
            text = decoded(session.bytes_of(file), file)
        except Refused as exc:
            if exc.code != "OL1001":
                session.findings.fault(exc.code, str(exc), place=Place(str(file), 1, 1))
            continue
        document = _expanded_document(text, file, expansion, session)
        if document is None or document.data is None:
            continue
        gathered.bases[file] = (folder,)
        gathered.groups.append((document, name.partition(".")[0]))
        take_group(gathered, session, Origin(document))


def _head(document: Document, session: Session) -> Head:
    own = {key: document.data[key] for key in OWN_KEYS if document.data.get(key) is not None}
    try:
        return structure(Head, own, where="")
    except ConfigError as exc:
        session.findings.add(
            *(attrs.evolve(fault, place=document.place(fault.path, code=fault.code)) for fault in exc.faults)
        )
        return Head()


def _expanded_document(text: str, file: Path, expansion: Expansion, session: Session) -> Document | None:
    filled, wrong = expansion.text(text)
    original = Document(file, text, None, [])
    for start, width, why in wrong:
        line = text.count("\n", 0, start)
        column = start - (text.rfind("\n", 0, start) + 1)
        session.findings.add(Fault((), why, "OL1704", original.at((line, column, width))))
    document = parse_document(filled, file)
    session.findings.add(*document.faults())
    return document if document.is_usable else None


def _resolved(
    parameters: tuple[Parameter, ...], given: Given, module: str, document: Document, session: Session
) -> dict[str, str | None]:
    place = given.place or document.place(("parameters",))

    def refuse(code: str, text: str) -> None:
        session.findings.fault(code, text, place=place)

    known = {parameter.name: parameter for parameter in parameters}
    for name in given.params:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f'; did you mean "{near[0]}"?' if near else f"; it has: {', '.join(known) or 'none'}"
            refuse("OL1704", f'module "{module}" has no parameter {shown(name)}{advice}')
    values: dict[str, str | None] = {}
    for name, parameter in known.items():
        value = given.params.get(name, parameter.default)
        values[name] = None
        if value is None:
            if parameter.required:
                refuse("OL1703", f'Missing required parameter "{name}" for module "{module}"')
        elif not isinstance(value, _TYPES[parameter.type]) or isinstance(value, bool) != (parameter.type == "boolean"):
            refuse("OL1705", f'parameter "{name}" of module "{module}" is a {parameter.type}, got {shown(value)}')
        elif isinstance(value, str) and (not value.isprintable() or set(value) & set("\"'\\")):
            refuse("OL1705", f'parameter "{name}" of module "{module}" must be one line without quotes')
        else:
            values[name] = (
                str(value).lower() if isinstance(value, bool) else f"{value:g}" if _is_whole(value) else str(value)
            )
    return values


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < 1e15
