"""
Module configurations for laws: whatever fields the classes have, so that a new one is under every law at once.

What a validator asks for stands in ``_FIELDS``; everything else follows from the types. Names are few, so that two
modules have some of them in common.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st

from orgloop.config._plan_costs import name_of
from orgloop.config.audit import AuditConfig
from orgloop.config.module import (
    ActorConfig,
    LoggerConfig,
    Metadata,
    ModuleConfig,
    RouteConfig,
    SourceConfig,
    TransformConfig,
    When,
)
from orgloop.config.supervision import BackoffConfig

Strategy = st.SearchStrategy[Any]

NAMES = st.sampled_from(("a", "b", "c", "d"))
TEXTS = st.sampled_from(("x", "y", "a longer text", "ünï", "\x1b[31m", "s3cret-value"))
LEAVES = st.one_of(st.none(), st.booleans(), st.sampled_from((0, 1, 2, 1.0, 0.5, -0.0)), TEXTS)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("k", "l.m", "n o")), inner, max_size=3)
    ),
    max_leaves=6,
)

_FIELDS: Mapping[tuple[type, str], Strategy] = {
    **{(cls, "id"): NAMES for cls in (SourceConfig, ActorConfig)},
    **{(cls, "name"): NAMES for cls in (RouteConfig, TransformConfig, LoggerConfig)},
    (Metadata, "name"): st.none() | NAMES,
    (ModuleConfig, "bus"): st.none() | st.sampled_from(("file", "memory")),
    (When, "events"): st.sampled_from((("resource.changed",), ("actor.stopped", "message.received"))),
    (AuditConfig, "allowed_domains"): st.sampled_from(((), ("github.com",), ("a.example", "b.example"))),
    (BackoffConfig, "factor"): st.sampled_from((1.0, 2.0)),
    (BackoffConfig, "maximum_s"): st.sampled_from((30.0, 60.0)),
}

_SIMPLE: Mapping[Any, Strategy] = {
    str: st.sampled_from(("a", "b", "c", "d", "x y")),
    bool: st.booleans(),
    int: st.sampled_from((1, 3)),
    float: st.sampled_from((0.5, 1.0)),
    type(None): st.none(),
    Any: PLAIN,
}


def values(cls: type) -> Strategy:
    """Values of a class, with each field that can be given."""
    hints = get_type_hints(cls)
    return st.builds(
        cls,
        **{
            str(field.alias): _FIELDS[cls, field.name] if (cls, field.name) in _FIELDS else _of_type(hints[field.name])
            for field in attrs.fields(cls)
            if field.init
        },
    )


def _of_type(type_: Any) -> Strategy:
    origin, members = get_origin(type_), get_args(type_)
    if type_ in _SIMPLE:
        return _SIMPLE[type_]
    if origin is Literal:
        return st.sampled_from(members)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_of_type, members))
    if origin is tuple:
        return _lists_of(members[0]).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(st.sampled_from(("k", "l.m", "n o")), _of_type(members[1]), max_size=2)
    return values(type_)


def _lists_of(type_: Any) -> Strategy:
    if type_ in (SourceConfig, ActorConfig, RouteConfig, TransformConfig, LoggerConfig):
        return st.lists(values(type_), max_size=3, unique_by=name_of)
    return st.lists(_of_type(type_), max_size=2)


modules: st.SearchStrategy[ModuleConfig] = values(ModuleConfig)
"""Any module, whether or not its names lead somewhere."""


@st.composite
def edits(draw: st.DrawFn) -> tuple[ModuleConfig, ModuleConfig]:
    """Two modules that differ in one field, or in one part: what a person changes before a reload."""
    before, other = draw(modules), draw(modules)
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(ModuleConfig)
    field = draw(st.sampled_from(fields))
    theirs = getattr(other, field.name)
    ours = getattr(before, field.name)
    if isinstance(ours, tuple) and ours and theirs and not isinstance(ours[0], str) and hasattr(ours[0], "config"):
        theirs = (attrs.evolve(ours[0], config=theirs[0].config), *ours[1:])
    return before, attrs.evolve(before, **{str(field.alias): theirs})
