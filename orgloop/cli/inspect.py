"""``orgloop inspect``: one definition as it is in force, with what is secret hidden."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.projects import Read, read, secret_keys, shown_path
from orgloop.config.module import ModuleConfig, RouteConfig, TransformConfig
from orgloop.config.plan import as_json, plan

SECTIONS: Mapping[str, str] = {
    "source": "sources",
    "actor": "actors",
    "route": "routes",
    "transform": "transforms",
    "logger": "loggers",
}


@click.command()
@click.argument("kind", type=click.Choice(list(SECTIONS)))
@click.argument("name")
@pass_context
def inspect(context: Context, kind: str, name: str) -> None:
    """Show one source, actor, route or transform."""
    found = read(context)
    definition = _definitions(found)[SECTIONS[kind]].get(name)
    if definition is None:
        raise _nothing(context, found.project.config, kind, name)
    shown = _told(found.project.config, kind, name, definition)
    if "Connector" in shown:
        shown["Connector"] = shown_path(shown["Connector"], context)
    width = max(map(len, shown)) + 2
    for label, value in shown.items():
        lines = _lines(value)
        context.out.say(f"{f'{label}:':<{width}}{lines[0]}".rstrip())
        for line in lines[1:]:
            context.out.say(f"{'':<{width}}{line}")
    context.out.document(
        {**definition, "routes": [route.name for route in _routes_of(found.project.config, kind, name)]}
    )


def _definitions(found: Read) -> dict[str, dict[str, dict[str, Any]]]:
    """Every definition as a plan would show it: as the file has it, and without secrets."""
    project = found.project
    keys = secret_keys(project, found.plugins)
    whole = as_json(plan(None, project.config, secrets=project.secrets, secret_keys=keys))
    return {
        section: {part["name"]: _as_written(part["fields"]) for part in whole[section]} for section in SECTIONS.values()
    }


def _as_written(fields: list[dict[str, Any]]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for field in fields:
        within = written
        *way, last = field["path"]
        for step in way:
            within = within.setdefault(step, {})
        within[last] = field.get("after")
    return written


def _nothing(context: Context, config: ModuleConfig, kind: str, name: str) -> CommandFailed:
    from difflib import get_close_matches

    known = [getattr(one, "id", None) or one.name for one in getattr(config, SECTIONS[kind])]
    near = get_close_matches(name, known, n=1)
    if near:
        step = f"orgloop inspect {kind} {near[0]}"
    else:
        step = f"there are: {', '.join(known)}" if known else f"define a {kind} in the project"
    return CommandFailed(f'There is no {kind} "{name}"', where=str(context.project_file), next=step, code="not_found")


# -- for people --------------------------------------------------------------------------------------------------------


def _told(config: ModuleConfig, kind: str, name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    head = {"Name": name, "Desc": definition.get("description"), "Type": kind}
    if kind == "route":
        route = next(route for route in config.routes if route.name == name)
        return _present({**head, **_of_route(route, definition)})
    if kind == "transform":
        transform = next(transform for transform in config.transforms if transform.name == name)
        head = {**head, **_of_transform(transform)}
    else:
        head = {
            **head,
            "Connector": definition.get("connector"),
            "Logger": definition.get("type") if kind == "logger" else None,
        }
    routes = [_wire(route) for route in _routes_of(config, kind, name)]
    rest = {"Config": definition.get("config"), "Emits": definition.get("emits"), "Poll": definition.get("poll")}
    return _present({**head, **rest, "Routes": routes})


def _of_route(route: RouteConfig, definition: Mapping[str, Any]) -> dict[str, Any]:
    when, then = definition.get("when") or {}, definition.get("then") or {}
    return {
        "Source": _wire(route),
        "Events": list(route.when.events),
        "Prompt": None if route.with_ is None else route.with_.prompt_file,
        "Filter": when.get("filter"),
        "Config": then.get("config"),
        "Delivery": then.get("delivery"),
    }


def _of_transform(transform: TransformConfig) -> dict[str, Any]:
    if transform.type == "script":
        return {"Type": "script", "Script": transform.script, "Timeout": f"{transform.timeout_ms:g} ms"}
    return {"Type": "package", "Package": transform.plugin, "On error": transform.on_error}


def _routes_of(config: ModuleConfig, kind: str, name: str) -> list[RouteConfig]:
    return [route for route in config.routes if _concerns(route, kind, name)]


def _concerns(route: RouteConfig, kind: str, name: str) -> bool:
    match kind:
        case "source":
            return route.when.source == name
        case "actor":
            return route.then.actor == name
        case "transform":
            return name in [step.ref for step in route.transforms]
        case _:
            return False


def _wire(route: RouteConfig) -> str:
    steps = f" -> [{', '.join(step.ref for step in route.transforms)}]" if route.transforms else ""
    return f"{route.when.source}{steps} -> {route.then.actor}"


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {label: value for label, value in members.items() if value not in (None, {}, [], "")}


def _lines(value: object) -> list[str]:
    if isinstance(value, str):
        return value.splitlines() or [""]
    if isinstance(value, Mapping):
        return [
            f"{key}: {member if isinstance(member, str) else json.dumps(member, ensure_ascii=False)}"
            for key, member in value.items()
        ]
    if isinstance(value, list):
        return [str(member) for member in value]
    return [json.dumps(value, ensure_ascii=False)]
