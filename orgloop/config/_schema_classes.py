"""What is true of the classes of a module, and no type of theirs says: what validators ask for, what plug-ins take."""

from __future__ import annotations

from collections.abc import Mapping

from orgloop.config import module
from orgloop.config._module_faults import EVENT_FIELDS
from orgloop.config._schema_types import Schema, Shapes, or_nothing, text_like
from orgloop.config.catalogue import Catalogue, Kind, Offer
from orgloop.config.module import (
    ID,
    MAX_NAME,
    ActorConfig,
    LoggerConfig,
    SourceConfig,
    Then,
    TransformConfig,
    TransformRef,
    When,
)

TOLD: Mapping[object, Schema] = {
    module._id: {"pattern": text_like(ID.pattern)["pattern"]},
    module._name: {"minLength": 1, "maxLength": MAX_NAME},
    module._not_empty: {"minLength": 1, "minItems": 1},
}
"""What validators that are plain functions ask for."""

_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_FILTER: Schema = {
    "type": "object",
    "propertyNames": {"pattern": rf"^(?:{'|'.join(EVENT_FIELDS)})(?:\.|$)"},
    "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "minItems": 1, "items": _SCALAR}]},
}

_PLUGINS: Mapping[type, tuple[Kind, str]] = {
    SourceConfig: ("source", "connector"),
    ActorConfig: ("actor", "connector"),
    TransformConfig: ("transform", "type"),
    LoggerConfig: ("logger", "type"),
}
"""The key that names the plug-in of a definition."""

_OWN_OF_SCRIPT = ("script", "timeout_ms")
"""Of a script, these stand beside ``config``, not in it."""


def adjusted(catalogue: Catalogue, shapes: Shapes, cls: type, schema: Schema) -> Schema:
    """The schema of a class with what is known beside it."""
    properties = schema["properties"]
    if cls is When:
        filter_ = {**properties["filter"], **_FILTER}
        return schema | {"properties": {**properties, "filter": or_nothing(filter_)}}
    if cls is TransformRef:
        return {"anyOf": [{"type": "string", "minLength": 1}, schema]}
    if cls is Then and catalogue.delivery is not None:
        delivery = or_nothing(_of_plugin(shapes).ref(catalogue.delivery))
        return schema | {"properties": {**properties, "delivery": delivery}}
    conditions = []
    if cls is TransformConfig and not shapes.partial:
        conditions += [_needs_its_type("script"), _needs_its_type("package")]
    if cls in _PLUGINS:
        conditions += _configs(catalogue, shapes, *_PLUGINS[cls])
    return schema | {"allOf": [*schema.get("allOf", ()), *conditions]} if conditions else schema


def _of_plugin(shapes: Shapes) -> Shapes:
    """An option of a plug-in with nothing after it is nothing, not absent."""
    return shapes.like(nothing_is_absent=False)


def _needs_its_type(type_: str) -> Schema:
    return {"if": {"properties": {"type": {"const": type_}}, "required": ["type"]}, "then": {"required": [type_]}}


def _configs(catalogue: Catalogue, shapes: Shapes, kind: Kind, key: str) -> list[Schema]:
    """For each plug-in there is: if it is named, ``config`` is its."""
    conditions = []
    for name in sorted(catalogue.names(kind)):
        offer = catalogue.find(kind, name)
        if isinstance(offer, Offer) and offer.config is not None:
            conditions.append({"if": _is_named(kind, key, name), "then": _config(shapes, kind, name, offer.config)})
    return conditions


def _is_named(kind: Kind, key: str, name: str) -> Schema:
    word = "connector" if kind in ("source", "actor") else kind
    names = {"enum": [name, f"@orgloop/{word}-{name}"]}
    named: Schema = {"properties": {key: names}, "required": [key]}
    if kind != "transform":
        return named
    package: Schema = {"properties": {"type": {"const": "package"}, "package": names}, "required": ["type", "package"]}
    return {"anyOf": [named, package]}


def _config(shapes: Shapes, kind: Kind, name: str, cls: type) -> Schema:
    config = _of_plugin(shapes).object_of(cls)
    if kind == "transform" and name == "script":
        config = _without(config, _OWN_OF_SCRIPT)
    if kind == "source":
        config = _with_old_spellings(config)
    # What has to be given may be given under either of two names, so both ways of saying so count.
    must_be_given = "required" in config or any("anyOf" in one for one in config.get("allOf", ()))
    if not must_be_given:
        return {"properties": {"config": or_nothing(config)}}
    return {"properties": {"config": config}, "required": ["config"]}


def _without(config: Schema, keys: tuple[str, ...]) -> Schema:
    rest = {key: schema for key, schema in config["properties"].items() if key not in keys}
    required = [key for key in config.get("required", ()) if key not in keys]
    made = {key: value for key, value in config.items() if key != "required"} | {"properties": rest}
    return made | {"required": required} if required else made


def _with_old_spellings(config: Schema) -> Schema:
    """Some pages of the original have a source's interval among its options."""
    interval = text_like(r"[0-9]{1,15}(ms|s|m|h|d)") | {"deprecated": True}
    poll = {
        "type": "object",
        "properties": {"interval": interval},
        "required": ["interval"],
        "additionalProperties": False,
        "deprecated": True,
    }
    return config | {"properties": {"poll": poll, "poll_interval": interval} | config["properties"]}
