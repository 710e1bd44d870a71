"""``orgloop doctor``: what keeps a project from working, each thing with where to get it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.diagnosis import Check, Diagnosis, diagnose
from orgloop.cli.output import Output
from orgloop.cli.projects import examine
from orgloop.runtime.plugins import Plugins

CODES = {"ok": 0, "degraded": 1, "error": 2}

_SECTIONS = (
    ("Dependencies", "dependency"),
    ("Credentials", "credential"),
    ("Services", "service"),
    ("Config", "config"),
    ("Route Graph", "route-graph"),
)


@click.command()
@pass_context
def doctor(context: Context) -> int:
    """Check variables, credentials, services and configuration."""
    diagnosis = diagnosis_of(context)
    tell_diagnosis(diagnosis, context.out)
    context.out.document(diagnosis.as_json())
    return CODES[diagnosis.status]


def diagnosis_of(context: Context) -> Diagnosis:
    """What is found of the project that is meant."""
    plugins = Plugins()
    return diagnose(examine(context, plugins=plugins), plugins, project=context.project_directory.name)


def tell_diagnosis(diagnosis: Diagnosis, out: Output) -> None:
    """Tell people of it."""
    out.say(f"OrgLoop Doctor — {diagnosis.project}")
    for title, category in _SECTIONS:
        checks = [check for check in diagnosis.checks if check.category == category]
        if checks:
            out.say(f"\n{out.paint(title, 'bold')}")
            for check in checks:
                _tell(check, out)
    out.say(f"\n{summary_of(diagnosis.checks)}")
    if diagnosis.status == "degraded":
        out.say("System will run in degraded mode.")
    elif diagnosis.status == "error":
        out.say("Fix errors above, then re-run `orgloop doctor`.")


def summary_of(checks: Sequence[Check]) -> str:
    """The counts in a sentence."""
    errors, missing, warnings = (
        sum(check.status == status for check in checks) for status in ("error", "missing", "warning")
    )
    parts = [
        f"{errors} error{'' if errors == 1 else 's'}" if errors else "",
        f"{missing} credential{'' if missing == 1 else 's'} missing" if missing else "",
        f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "",
    ]
    return f"{', '.join(filter(None, parts))}." if any(parts) else "All checks passed."


def _tell(check: Check, out: Output) -> None:
    who = ", ".join(filter(None, [check.identity, f"scopes: {', '.join(check.scopes)}" if check.scopes else None]))
    detail = f" — {check.detail}" if check.detail and check.name not in check.detail else ""
    if check.detail and not detail:
        text = check.detail
    else:
        text = f"{check.name}{detail}"
    text += f" ({who})" if who else ""
    signs = {
        "ok": ("ok", "green"),
        "warning": ("warn", "yellow"),
        "missing": ("bad", "yellow"),
        "error": ("bad", "red"),
    }
    mark, colour = signs[check.status]
    out.say(f"  {out.paint(out.mark(mark), colour)} {text}")  # type: ignore[arg-type] # a table of literals
    for more in (check.description, check.help_url):
        if more and check.status != "ok":
            out.say(f"      → {more}")
