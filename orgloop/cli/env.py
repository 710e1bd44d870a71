"""``orgloop env``: the variables that a project refers to, whether each is set, and where to get it; never a value."""

from __future__ import annotations

import click

from orgloop.cli.context import Context, context_of, pass_context
from orgloop.cli.errors import FAILED, OK
from orgloop.cli.projects import examine, shown_path
from orgloop.config.environment import Variable
from orgloop.config.project import Examined


@click.group(invoke_without_command=True)
@click.pass_context
def env(current: click.Context) -> int:
    """Show the variables that a project needs."""
    if current.invoked_subcommand is None:
        _show(context_of(current))
    return OK


@env.command()
@pass_context
def check(context: Context) -> int:
    """Show them, and exit with 1 if one that is needed is not set."""
    return FAILED if any(not variable.is_set for variable in _show(context)) else OK


def _show(context: Context) -> list[Variable]:
    examined = examine(context)
    variables = _merged(examined)
    for variable in variables:
        _tell(context, variable)
    missing = sum(not variable.is_set for variable in variables)
    if not variables:
        context.out.say("No environment variables found in configuration.")
    else:
        rest = f" {missing} missing." if missing else ""
        context.out.say(f"\n{len(variables) - missing} of {len(variables)} variables set.{rest}")
    if examined.faults:
        count = len(examined.faults) + examined.left_out
        context.out.warn(
            f"the project has {count} fault{'' if count == 1 else 's'}, so some may be missing here",
            next="orgloop validate",
        )
    context.out.document(
        {
            "variables": {variable.name: _as_json(variable) for variable in variables},
            "set": len(variables) - missing,
            "missing": missing,
        }
    )
    return variables


def _merged(examined: Examined) -> list[Variable]:
    """Each name once: modules that are loaded along may refer to the same."""
    found: dict[str, Variable] = {}
    for variable in examined.environment:
        before = found.get(variable.name)
        if before is None or (before.is_set and not variable.is_set):
            found[variable.name] = variable
    return sorted(found.values(), key=lambda variable: variable.name)


def _tell(context: Context, variable: Variable) -> None:
    out = context.out
    files = ", ".join(sorted({shown_path(place.file, context) for place in variable.places}))
    if variable.is_set:
        out.good(f"{variable.name}  {files}  ({variable.origin})")
        return
    out.say(f"{out.paint(out.mark('bad'), 'red')} {variable.name}  {files}")
    for text in (variable.description, variable.url):
        if text:
            out.say(f"    → {text}")


def _as_json(variable: Variable) -> dict[str, object]:
    shown: dict[str, object] = {
        "set": variable.is_set,
        "source": variable.places[0].file if variable.places else None,
        "origin": variable.origin,
    }
    more = {"description": variable.description, "help_url": variable.url}
    return shown | {key: value for key, value in more.items() if value is not None}
