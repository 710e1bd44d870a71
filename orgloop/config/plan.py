"""
What a reload would change: the difference between two configurations of one module, and its price.

    plan(before, after) ─▶ Plan ─┬─ as_text(plan)            for people: + ~ = -
                                 ├─ as_json(plan)            for programs
                                 └─ apply(plan, before) == after

Pure. A reload goes by the very plan that was shown: what costs ``nothing`` in it keeps its task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, get_args, get_type_hints

import attrs

from orgloop.config import _plan_costs
from orgloop.config._plan_costs import Around, Draft, Identity, Part, name_of
from orgloop.config._plan_diff import differences, made, patched, whole
from orgloop.config._plan_shown import secret_keys_of
from orgloop.config._plan_text import as_json, as_text
from orgloop.config._plan_values import (
    ABSENT,
    SECTIONS,
    Change,
    Cost,
    FieldChange,
    Plan,
    Section,
    Summary,
    kept,
)
from orgloop.config.module import ModuleConfig, SourceConfig
from orgloop.errors import ConfigError

__all__ = [
    "ABSENT",
    "SECTIONS",
    "Change",
    "Cost",
    "FieldChange",
    "Identity",
    "Plan",
    "Section",
    "Summary",
    "apply",
    "as_json",
    "as_text",
    "kept",
    "plan",
    "secret_keys_of",
]


def connector_and_config(source: SourceConfig) -> object:
    """What a checkpoint belongs to, where the caller knows nothing better, such as the config with secrets unfilled."""
    return source.connector, source.config


def plan(
    before: ModuleConfig | None,
    after: ModuleConfig | None,
    *,
    name: str = "",
    secrets: frozenset[str] = frozenset(),
    secret_keys: frozenset[str] = frozenset(),
    identity: Identity = connector_and_config,
) -> Plan:
    """
    What leads from one configuration to another; None is a module that is not loaded.

    ``name`` is that of a module whose configuration has none. ``secrets`` (of both sides) and what stands under
    ``secret_keys`` (see :func:`secret_keys_of`) are never shown. Raises :class:`ConfigError` if two parts of a section
    share a name, or a value is nested too deeply.

    >>> print(plan(ModuleConfig(), ModuleConfig(exports=("github",))).module.consequence)
    changes which sources other modules may listen to
    """
    old, new = before or ModuleConfig(), after or ModuleConfig()
    drafts = {section: _drafts(section, getattr(old, section), getattr(new, section)) for section in SECTIONS}
    module = _plan_costs.module_change(before, after, differences(_bare(old), _bare(new)), name=name)
    around = Around(
        before=old,
        after=new,
        module=module,
        identity=identity,
        transforms={draft.name: draft for draft in drafts["transforms"] if draft.kind != "unchanged"},
    )
    return Plan(
        module=module,
        sources=tuple(_plan_costs.source_change(draft, around) for draft in drafts["sources"]),
        actors=tuple(_plan_costs.actor_change(draft, around) for draft in drafts["actors"]),
        routes=tuple(_plan_costs.route_change(draft, around) for draft in drafts["routes"]),
        transforms=_transforms(drafts["transforms"], old, new),
        loggers=tuple(_plan_costs.logger_change(draft, around) for draft in drafts["loggers"]),
        reordered=tuple(section for section in SECTIONS if _is_reordered(drafts[section], getattr(old, section))),
        secrets=secrets,
        secret_keys=secret_keys,
    )


def apply(plan: Plan, before: ModuleConfig | None) -> ModuleConfig | None:
    """
    The configuration that the plan leads to, from the one that it was made of.

    ``apply(plan(a, b), a) == b`` for every two configurations.
    """
    if plan.module.kind == "remove" or (before is None and plan.module.kind == "unchanged"):
        return None
    module = before or ModuleConfig()
    sections: dict[str, Any] = {
        section: _applied(section, plan.of(section), getattr(module, section)) for section in SECTIONS
    }
    result = patched(_bare(module), plan.module.fields)
    assert isinstance(result, ModuleConfig)
    return attrs.evolve(result, **sections)


# -- to tell -----------------------------------------------------------------------------------------------------------


def _bare(module: ModuleConfig) -> ModuleConfig:
    """All that belongs to no part, whichever fields that are."""
    return attrs.evolve(module, sources=(), actors=(), routes=(), transforms=(), loggers=())


def _drafts(section: Section, before: Sequence[Part], after: Sequence[Part]) -> list[Draft]:
    """In the order of ``after``; what is gone comes last."""
    old, new = _by_name(section, before), _by_name(section, after)
    drafts = [_draft(name, old[name], part) if name in old else _added(name, part) for name, part in new.items()]
    return drafts + [Draft(kind="remove", name=name, before=old[name]) for name in old if name not in new]


def _by_name(section: Section, parts: Sequence[Part]) -> dict[str, Part]:
    named = {name_of(part): part for part in parts}
    if len(named) != len(parts):
        name, _ = Counter(map(name_of, parts)).most_common(1)[0]
        raise ConfigError(f"{section}: {name!r} is there more than once; each name may be given once")
    return named


def _draft(name: str, before: Part, after: Part) -> Draft:
    fields = differences(before, after)
    return Draft(kind="change" if fields else "unchanged", name=name, before=before, after=after, fields=fields)


def _added(name: str, part: Part) -> Draft:
    return Draft(kind="add", name=name, after=part, fields=whole(part))


def _transforms(drafts: Iterable[Draft], old: ModuleConfig, new: ModuleConfig) -> tuple[Change, ...]:
    users: dict[str, set[str]] = {}
    for route in (*old.routes, *new.routes):
        for ref in route.transforms:
            users.setdefault(ref.ref, set()).add(route.name)
    return tuple(_plan_costs.transform_change(draft, users.get(draft.name, ())) for draft in drafts)


def _is_reordered(drafts: Sequence[Draft], before: Sequence[Part]) -> bool:
    """Whether parts that stay have changed places among themselves."""
    now = [draft.name for draft in drafts if draft.before is not None and draft.after is not None]
    staying = frozenset(now)
    return now != [name for part in before if (name := name_of(part)) in staying]


# -- to lay on ---------------------------------------------------------------------------------------------------------


def _applied(section: Section, changes: Iterable[Change], before: Sequence[Part]) -> tuple[object, ...]:
    named: Mapping[str, Part] = {name_of(part): part for part in before}
    new = partial(made, _class_of(section))
    return tuple(
        new(change.fields) if change.kind == "add" else patched(named[change.name], _own(change.fields))
        for change in changes
        if change.kind != "remove"
    )


def _own(fields: Iterable[FieldChange]) -> list[FieldChange]:
    """Without what is inherited, which is changed elsewhere."""
    return [field for field in fields if field.via is None]


def _class_of(section: Section) -> type[Any]:
    cls: type[Any] = get_args(get_type_hints(ModuleConfig)[section])[0]
    return cls
