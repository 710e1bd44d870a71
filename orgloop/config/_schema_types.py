"""
From the classes of values to JSON Schema: what the codec takes of plain data, said so that an editor can tell.

Law: what the codec takes, the schema takes. It refuses what it can: kinds, unknown and missing keys, choices, forms of
durations, bounds. Text with a ``${VARIABLE}`` in it is taken wherever text is: only a load knows what it will be.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs.cols import is_frozenset, is_mapping, is_sequence

from orgloop.config._plan_diff import Field, hints_of
from orgloop.config._plan_shown import with_unit
from orgloop.config._plan_values import ABSENT
from orgloop.config._schema_docs import field_docs, plain_text

Schema = dict[str, Any]

VARIABLE = r"\$\{[^}]+\}|\{\{[^}]+\}\}"
"""Somewhere in a text: what stands there is not known yet. The second is a parameter of a module."""

_FORMS: Mapping[str, tuple[str, list[str]]] = {
    "duration": (r"[0-9]{1,15}(ms|s|m|h|d)", ["250ms", "30s", "5m", "1h", "7d"]),
    "size": (r"[0-9]{1,18}(\.[0-9]{1,18})? *([Bb]|[KkMmGg][Bb])", ["512KB", "100MB", "1GB"]),
    "rate": (r"(?=[0-9.]*[1-9])[0-9]{1,15}(\.[0-9]{1,15})?/(s|m|h)", ["100/s", "5/m", "1/h"]),
}
_MORE_THAN_NONE = "(?=[0-9.]*[1-9])"

_SIMPLE: Mapping[Any, Schema] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
}
_BOUNDS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}


@attrs.define(eq=False, kw_only=True)
class Shapes:
    """Makes schemas of classes, and collects those that are referred to."""

    told: Mapping[object, Schema]
    """What validators that are plain functions ask for."""
    adjust: Callable[[Shapes, type, Schema], Schema] = lambda _shapes, _cls, schema: schema
    """The last word on the schema of a class."""
    nothing_is_absent: bool = False
    """Whether a key with nothing after it counts as not being there."""
    partial: bool = False
    """Whether any key may be left out: for what is laid over something else."""
    defs: dict[str, Schema] = attrs.field(factory=dict)
    _names: dict[Any, str] = attrs.field(factory=dict)

    def ref(self, cls: type) -> Schema:
        """A reference to the schema of a class, which is made if it is not there."""
        key = (cls, self.nothing_is_absent, self.partial)
        if key not in self._names:
            name = self._names[key] = self._free_name(cls.__name__)
            self.defs[name] = {}  # a class may hold itself
            self.defs[name] = self.adjust(self, cls, self.object_of(cls))
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _free_name(self, name: str) -> str:
        taken, number = name, 2
        while taken in self.defs:
            taken, number = f"{name}{number}", number + 1
        return taken

    def like(self, **changes: Any) -> Shapes:
        """Other rules, the same collection."""
        return attrs.evolve(self, defs=self.defs, names=self._names, **changes)

    # -- classes -------------------------------------------------------------------------------------------------------

    def object_of(self, cls: type) -> Schema:
        """The schema of a mapping that becomes a value of the class."""
        hints, docs = hints_of(cls), field_docs(cls)
        properties: dict[str, Schema] = {}
        required, one_of_two = [], []
        for field in map(_field, attrs.fields(cls)):
            if not field.attribute.init or not field.attribute.metadata.get("written", True):
                continue
            names = (field.key, *field.attribute.metadata.get("aliases", ()))
            is_required = field.attribute.default is attrs.NOTHING and not self.partial
            schema = self._of_field(field, hints.get(field.name, Any), docs.get(field.name), is_required)
            properties |= dict.fromkeys(names, schema)
            if is_required:
                required.append(names)
            one_of_two += [(first, second) for first in names for second in names if first < second]
        made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if cls.__doc__:
            made["description"] = plain_text(cls.__doc__)
        if sole := [names[0] for names in required if len(names) == 1]:
            made["required"] = sole
        either = [{"anyOf": [{"required": [name]} for name in names]} for names in required if len(names) > 1]
        both = [{"not": {"required": list(pair)}} for pair in one_of_two]
        if either or both:
            made["allOf"] = [*either, *both]
        return made

    def _of_field(self, field: Field, type_: Any, doc: str | None, is_required: bool) -> Schema:
        schema = self._of_unit(field, type_) if field.unit else self.of_type(type_)
        schema = self._bounded(field.attribute.validator, schema, field.unit)
        if self.partial or (self.nothing_is_absent and not is_required):
            schema = or_nothing(schema)
        if doc is not None:
            schema = {**schema, "description": plain_text(doc)}
        if field.secret:
            schema = {**schema, "writeOnly": True}
        default = _default(field)
        return schema if default is None else {**schema, "default": default}

    def _of_unit(self, field: Field, type_: Any) -> Schema:
        may_be_nothing = type(None) in get_args(type_)
        if field.unit == "ms":
            schema: Schema = {"type": "number"}
        else:
            form, examples = _FORMS[str(field.unit)]
            schema = {**text_like(form), "examples": examples}
        return or_nothing(schema) if may_be_nothing else schema

    # -- types ---------------------------------------------------------------------------------------------------------

    def of_type(self, type_: Any) -> Schema:
        """The schema of what becomes a value of a type."""
        origin, members = get_origin(type_), get_args(type_)
        if type_ in _SIMPLE:
            return dict(_SIMPLE[type_])
        if origin is Literal:
            return _choices(list(members))
        if origin in (Union, types.UnionType):
            return _any_of([self.of_type(member) for member in members])
        if is_mapping(type_):
            values = self.of_type(members[1]) if len(members) == 2 else {}
            return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
        if origin is tuple and members[-1] is not Ellipsis:
            return {"type": "array", "prefixItems": [self.of_type(member) for member in members]}
        if is_sequence(type_) or is_frozenset(type_):
            return {"type": "array", "items": self.of_type(members[0])} if members else {"type": "array"}
        if isinstance(type_, type) and attrs.has(type_):
            return self.ref(type_)
        return {}  # a plug-in's own kind of value: whatever it may be

    # -- validators ----------------------------------------------------------------------------------------------------

    def _bounded(self, validator: Any, schema: Schema, unit: str | None) -> Schema:
        """The schema with what a validator asks for, as far as it can be told."""
        # The classes of attrs' validators are private; their attributes are shown by their repr, and stable.
        for inner in getattr(validator, "_validators", ()):
            schema = self._bounded(inner, schema, unit)
        if (inner := getattr(validator, "validator", None)) is not None:
            schema = self._bounded(inner, schema, unit)
        if hasattr(validator, "options") and not {"anyOf", "enum"} & schema.keys():
            schema = _choices(list(validator.options))
        if isinstance(form := getattr(validator, "pattern", None), re.Pattern) and "(?P" not in form.pattern:
            schema = {
                **schema,
                "pattern": text_like(form.pattern)["pattern"],
            }  # unless it is one that only Python reads
        if hasattr(validator, "compare_op"):
            schema = _with_bound(schema, validator.compare_op, validator.bound, unit)
        for name, keys in (("min_length", ("minLength", "minItems")), ("max_length", ("maxLength", "maxItems"))):
            if hasattr(validator, name):
                schema |= _fitting(schema, dict.fromkeys(keys, getattr(validator, name)))
        is_plain = isinstance(validator, types.FunctionType)
        return schema | _fitting(schema, self.told.get(validator, {})) if is_plain else schema


def _field(attribute: attrs.Attribute[Any]) -> Field:
    metadata, alias = attribute.metadata, attribute.alias or attribute.name
    key = metadata.get("yaml", alias)
    return Field(key, attribute.name, alias, metadata.get("unit"), bool(metadata.get("secret")), attribute)


def _fitting(schema: Schema, more: Schema) -> Schema:
    """Of what a validator asks for, that which the type has."""
    other = {"string": "Items", "array": "Length"}.get(_type_of(schema))
    return {key: value for key, value in more.items() if other is None or not key.endswith(other)}


def _type_of(schema: Schema) -> str:
    type_ = schema.get("type", "")
    return str(type_[0] if isinstance(type_, list) else type_)


def _default(field: Field) -> object:
    """What holds where nothing is said, as the file would have it; None if that needs no saying."""
    default = field.default()
    if default is ABSENT or not isinstance(default, str | bool | int | float) or default == "":
        return None
    return default if isinstance(default, str | bool) else with_unit(default, field.unit)


def _with_bound(schema: Schema, compare: str, bound: float, unit: str | None) -> Schema:
    if unit in _FORMS:
        if (compare, bound) == (">", 0) and "pattern" in schema and _MORE_THAN_NONE not in schema["pattern"]:
            return {**schema, "pattern": schema["pattern"].replace("^(?:", f"^(?:{_MORE_THAN_NONE}", 1)}
        return schema
    factor = 1000 if unit == "ms" else 1
    return {**schema, _BOUNDS[compare]: bound * factor} if math.isfinite(bound) else schema


def text_like(form: str) -> Schema:
    """Text of a form, or with a variable in it."""
    return {"type": "string", "pattern": f"^(?:{form})$|{VARIABLE}"}


def or_nothing(schema: Schema) -> Schema:
    """Also nothing at all, as after a key that is left empty."""
    if not schema:
        return schema
    type_ = schema.get("type")
    if isinstance(type_, str):
        return schema if type_ == "null" else {**schema, "type": [type_, "null"]}
    if isinstance(type_, list):
        return schema if "null" in type_ else {**schema, "type": [*type_, "null"]}
    if "anyOf" in schema:
        return (
            schema if {"type": "null"} in schema["anyOf"] else {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
        )
    return {"anyOf": [schema, {"type": "null"}]}


def _choices(choices: list[Any]) -> Schema:
    if not all(isinstance(choice, str) for choice in choices):
        return {"enum": choices}
    return {"anyOf": [{"enum": choices}, {"type": "string", "pattern": VARIABLE}]}


def _any_of(schemas: list[Schema]) -> Schema:
    if {"type": "null"} in schemas:
        rest = [schema for schema in schemas if schema != {"type": "null"}]
        return or_nothing(rest[0] if len(rest) == 1 else {"anyOf": rest})
    return {"anyOf": schemas}
