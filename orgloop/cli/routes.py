"""``orgloop routes``: which source leads to which actor, drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.projects import read
from orgloop.config.graph import graph_warnings
from orgloop.config.masking import Masker
from orgloop.config.module import ModuleConfig, RouteConfig

KINDS = {"OL1901": "unrouted-source", "OL1902": "unreachable-actor", "OL1903": "orphan-transform"}
"""The words of this command; those of ``validate`` differ, as they did in the original."""


@click.command()
@pass_context
def routes(context: Context) -> None:
    """Draw which source leads to which actor."""
    found = read(context)
    config, masker = found.project.config, found.examined.masker
    warnings = _warnings(config)
    for line in _drawn(context, config, masker):
        context.out.say(line)
    for warning in warnings:
        context.out.say(_warned(context, warning))
    if not (config.routes or config.sources or config.actors):
        context.out.say("No routes defined.")
    else:
        counts = len(config.routes), len(warnings)
        words = [
            f"{count} {word}{'' if count == 1 else 's'}"
            for count, word in zip(counts, ("route", "warning"), strict=True)
        ]
        context.out.say(f"\n{', '.join(words)}")
    context.out.document(
        {
            "project": found.project.name,
            "sources": [source.id for source in config.sources],
            "actors": [actor.id for actor in config.actors],
            "transforms": [transform.name for transform in config.transforms],
            "edges": [masker.plain(_edge(route)) for route in config.routes],
            "warnings": warnings,
        }
    )


def _drawn(context: Context, config: ModuleConfig, masker: Masker) -> Iterator[str]:
    arrow = context.out.paint("──▶", "grey")
    for route in config.routes:
        name = context.out.paint(route.name, "bold")
        yield f"{route.when.source} {arrow} {name} {arrow} {route.then.actor}"
        notes = [f"filter: {key} = {masker.text(_value(value))}" for key, value in route.when.filter.items()]
        if route.transforms:
            notes.append(f"transform: {' → '.join(step.ref for step in route.transforms)}")
        for number, note in enumerate(notes, start=1):
            yield f"    {'└─' if number == len(notes) else '├─'} {note}"


def _warnings(config: ModuleConfig) -> list[dict[str, str]]:
    return [
        {"kind": KINDS[fault.code], "id": fault.text.split('"')[1], "message": fault.text}
        for fault in graph_warnings(config)
        if fault.code in KINDS
    ]


def _warned(context: Context, warning: dict[str, str]) -> str:
    sign, id_ = context.out.paint("⚠", "yellow"), warning["id"]
    match warning["kind"]:
        case "unrouted-source":
            return f"{id_} ──▶ (no routes)  {sign} unrouted source"
        case "unreachable-actor":
            return f"{sign} {id_} — unreachable actor (no routes target this actor)"
        case _:
            return f"{sign} {id_} — orphan transform (no route uses it)"


def _edge(route: RouteConfig) -> dict[str, Any]:
    edge: dict[str, Any] = {"route": route.name}
    if route.description:
        edge["description"] = route.description
    edge |= {"source": route.when.source, "actor": route.then.actor, "events": list(route.when.events)}
    if route.when.filter:
        edge["filter"] = dict(route.when.filter)
    return edge | {"transforms": [step.ref for step in route.transforms]}


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
