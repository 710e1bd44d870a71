"""
JSON Schema (draft 2020-12) of every kind of file, for editors: made of the very classes that a load makes values of.

    schema_of("Project", catalogue)        catalogue: what the installed plug-ins say of their configuration
    schema_comment("Project", folder=…)    the first line of a file, by which an editor finds its schema

Law: a file that loads is valid. Not the other way round: names that lead nowhere, files that are not there, and what a
variable holds are seen by a load alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, get_args

from orgloop.config._schema_classes import TOLD, adjusted
from orgloop.config._schema_types import Schema, Shapes, or_nothing
from orgloop.config.catalogue import AnyCatalogue, Catalogue
from orgloop.config.gather import API_VERSION, NAMES
from orgloop.config.manifest import Head
from orgloop.config.module import ModuleConfig
from orgloop.config.workspace import KEYS as WORKSPACE_KEYS

Kind = Literal["Project", "ConnectorGroup", "RouteGroup", "TransformGroup", "LoggerGroup", "Module", "Workspace"]
KINDS: tuple[Kind, ...] = get_args(Kind)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SCHEMA_FOLDER = ".orgloop/schema"
"""Where a project keeps the schemas of its files: they are those of the plug-ins that it has, and need no network."""

_PATH: Schema = {"type": "string", "minLength": 1, "description": "The path of a file, from the project's folder."}
_TEXT: Schema = {"type": ["string", "null"]}


def schema_of(kind: Kind, catalogue: Catalogue | None = None) -> Schema:
    """
    The schema of a kind of file; with a catalogue, also of the configuration of each plug-in there is.

    >>> schema_of("Workspace")["properties"]["kind"]
    {'enum': ['Workspace', None]}
    """
    makers = {"Project": _project, "Module": _manifest, "Workspace": _workspace}
    shapes = Shapes(told=TOLD, adjust=partial(adjusted, catalogue or AnyCatalogue()), nothing_is_absent=True)
    made = makers.get(kind, _group)(kind, shapes)
    head = {"$schema": DIALECT, "$id": f"urn:orgloop:schema:{schema_file(kind)}", "title": f"OrgLoop {kind}"}
    return {**head, **made, "$defs": _referred_to(made, shapes.defs)}


def schema_file(kind: Kind) -> str:
    """
    The name of a schema's file.

    >>> schema_file("RouteGroup")
    'route-group.schema.json'
    """
    return f"{re.sub('(?<!^)(?=[A-Z])', '-', kind).lower()}.schema.json"


def schema_comment(kind: Kind, *, folder: str = SCHEMA_FOLDER) -> str:
    """
    The line by which editors with yaml-language-server know a file; ``folder`` is as seen from the file.

    >>> schema_comment("RouteGroup", folder="../.orgloop/schema")
    '# yaml-language-server: $schema=../.orgloop/schema/route-group.schema.json'
    """
    return f"# yaml-language-server: $schema={folder}/{schema_file(kind)}"


# -- kinds -------------------------------------------------------------------------------------------------------------


def _project(kind: Kind, shapes: Shapes) -> Schema:
    made = shapes.object_of(ModuleConfig)
    properties = made["properties"]
    for key in ("routes", "transforms", "loggers"):
        properties[key]["items"] = {"anyOf": [_PATH, properties[key]["items"]]}
    group: Schema = {
        "type": "object",
        "properties": _head("ConnectorGroup") | _lists(shapes),
        "additionalProperties": False,
    }
    properties["connectors"] = {
        "anyOf": [{"type": "array", "items": {"anyOf": [_PATH, group]}}, group, {"type": "null"}],
        "description": "Files with sources and actors, or the sources and actors themselves.",
    }
    properties |= _head(kind) | {"metadata": properties["metadata"]}
    return made


def _manifest(kind: Kind, shapes: Shapes) -> Schema:
    made = _project(kind, shapes)
    own = shapes.like(nothing_is_absent=False).object_of(Head)["properties"]
    made["properties"] |= {key: or_nothing(schema) for key, schema in own.items()}
    made["properties"]["kind"] = {"const": kind}
    metadata = shapes.defs["Metadata"]
    metadata["properties"] = {**metadata["properties"], "version": _TEXT}
    return made | {"required": ["kind"]}


def _group(kind: Kind, shapes: Shapes) -> Schema:
    return {
        "type": ["object", "null"],
        "description": "Definitions of a project, in a file of their own; any kind of them may stand in any.",
        "properties": _head(kind) | _lists(shapes),
        "additionalProperties": False,
    }


def _workspace(kind: Kind, shapes: Shapes) -> Schema:
    shapes = shapes.like(partial=True)
    whole = shapes.object_of(ModuleConfig)["properties"]
    properties = {key: whole[key] for key in WORKSPACE_KEYS if key in whole} | _lists(shapes) | _head(kind)
    properties["variables"] = {
        "type": ["object", "null"],
        "additionalProperties": {"type": "string"},
        "description": "For ${…}; the variables of the process itself still win.",
    }
    return {
        "type": ["object", "null"],
        "description": "What is laid over a project where it runs under this name.",
        "properties": properties,
        "additionalProperties": False,
    }


def _head(kind: Kind) -> dict[str, Schema]:
    return {
        "apiVersion": {**_TEXT, "examples": [API_VERSION]},
        "kind": {"enum": [kind, None]},
        "metadata": {"type": ["object", "null"], "properties": {"name": _TEXT, "description": _TEXT}},
    }


def _lists(shapes: Shapes) -> dict[str, Schema]:
    """The lists of definitions; of what is laid over one, no more than its name is asked for."""
    whole = shapes.object_of(ModuleConfig)["properties"]
    if not shapes.partial:
        return {key: whole[key] for key in NAMES}
    return {key: whole[key] | {"items": {**whole[key]["items"], "required": [name]}} for key, name in NAMES.items()}


# -- what is referred to -----------------------------------------------------------------------------------------------


def _referred_to(schema: Schema, defs: Mapping[str, Schema]) -> dict[str, Any]:
    """The definitions that a schema needs, and those that they need."""
    needed: dict[str, Any] = {}
    waiting = list(_refs(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = defs[name]
            waiting += _refs(defs[name])
    return dict(sorted(needed.items()))


def _refs(schema: Schema) -> Iterator[str]:
    return (found[1] for found in re.finditer(r'"#/\$defs/([^"]+)"', json.dumps(schema)))
