"""``orgloop plan``: what a start or a reload would change of what runs; exit code 2 if there is something."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from orgloop.cli.client import NotRunning
from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import FAULTS, OK
from orgloop.cli.output import Colour, Output
from orgloop.cli.projects import load, request_of, secret_keys
from orgloop.runtime.plugins import Plugins

SECTIONS = ("sources", "actors", "routes", "transforms", "loggers")
MAX_UNCHANGED = 8
"""How many of the unchanged parts of a section are named."""

MAX_VALUE = 120
"""How many characters of a value are shown; ``--json`` has all of it."""

PLAN_S = 60.0
"""How long the daemon may take to read a project."""

_SIGNS: Mapping[str, tuple[str, Colour]] = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "unchanged": ("=", "grey"),
    "remove": ("-", "red"),
}


@click.command()
@pass_context
def plan(context: Context) -> int:
    """Show what a start or a reload would change."""
    found, is_running = plan_of(context)
    for line in lines_of(found, context.out):
        context.out.say(line)
    if not is_running:
        context.out.say("OrgLoop is not running, so everything is new. orgloop start starts it.")
    context.out.document({**found, "running": is_running})
    return OK if found["empty"] else FAULTS


def plan_of(context: Context) -> tuple[dict[str, Any], bool]:
    """The plan of the project that is meant as plain data, and whether a daemon runs, which then has made it."""
    try:
        client = context.client(timeout_s=PLAN_S)
    except NotRunning as exc:
        if exc.code != "not_running":
            raise
        return _alone(context), False
    return client.post("/control/module/plan", request_of(context)), True


def _alone(context: Context) -> dict[str, Any]:
    from orgloop.config.plan import as_json
    from orgloop.config.plan import plan as compared

    plugins = Plugins()
    project = load(context, plugins=plugins)
    keys = secret_keys(project, plugins)
    return as_json(compared(None, project.config, name=project.name, secrets=project.secrets, secret_keys=keys))


# -- for people --------------------------------------------------------------------------------------------------------


def lines_of(plan: Mapping[str, Any], out: Output) -> Iterator[str]:
    """A plan as lines; what it holds is masked already."""
    module = plan["module"]
    yield f"OrgLoop Plan — {module['name'] or 'unnamed module'}"
    if module["action"] != "unchanged":
        yield from ("", *_part(module, out, name="module"))
    for section in SECTIONS:
        if plan[section]:
            yield from ("", section.capitalize(), *_section(plan, section, out))
    yield ""
    if plan["empty"]:
        yield "No changes."
    summary = plan["summary"]
    yield f"Plan: {summary['add']} to add, {summary['change']} to change, {summary['remove']} to remove."


def _section(plan: Mapping[str, Any], section: str, out: Output) -> Iterator[str]:
    unchanged = [part["name"] for part in plan[section] if part["action"] == "unchanged"]
    for part in plan[section]:
        if part["action"] != "unchanged":
            yield from _part(part, out)
    if section in plan.get("reordered", ()):
        yield _signed("change", "in another order", out)
    if unchanged:
        names = ", ".join([*unchanged[:MAX_UNCHANGED], *(["…"] if len(unchanged) > MAX_UNCHANGED else [])])
        yield _signed("unchanged", f"{len(unchanged)} unchanged: {names}", out)


def _part(part: Mapping[str, Any], out: Output, *, name: str | None = None) -> Iterator[str]:
    kept = (
        f" (checkpoint {part['checkpoint']})" if part.get("checkpoint") and "checkpoint" not in part["detail"] else ""
    )
    yield _signed(part["action"], f"{name or part['name']}  {part['detail']}{kept}", out)
    for field in part["fields"]:
        if "before" not in field and field["path"] in (["id"], ["name"]):
            continue  # it stands in the line above
        via = f" (from {field['via']})" if field.get("via") else ""
        yield f"      {_way(field['path'])}: {_sides(field)}{via}"


def _signed(action: str, text: str, out: Output) -> str:
    sign, colour = _SIGNS[action]
    return out.paint(f"  {sign} {text}", colour)


def _sides(field: Mapping[str, Any]) -> str:
    if "before" not in field:
        return _value(field.get("after"))
    before = _value(field["before"])
    if "after" not in field:
        return f"{before} → (removed)"
    after = _value(field["after"])
    hidden = " (a change of what is hidden)" if before == after and field.get("secret") else ""
    return f"{before} → {after}{hidden}"


def _value(plain: object) -> str:
    if plain is None:
        return "(not set)"
    text = plain if isinstance(plain, str) and plain.isprintable() and plain else json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _way(path: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
