"""``orgloop validate``: every fault of every file at once; exit code 2 if there is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import FAULTS, OK
from orgloop.cli.projects import examine, shown_path
from orgloop.config.graph import KINDS
from orgloop.config.project import Examined
from orgloop.config.report import Checked, line_of, plain_of, report_of
from orgloop.errors import Fault

MAX_ROWS = 60
"""How many rows that are well are shown; ``-v`` shows all."""

_WORDS = {
    "source definition": "sources",
    "actor definition": "actors",
    "transform definition": "transforms",
    "route definition": "routes",
}


@attrs.frozen
class Row:
    """One thing that was checked, and what is wrong with it."""

    checked: Checked
    faults: tuple[Fault, ...]


@click.command()
@pass_context
def validate(context: Context) -> int:
    """Check every file of a project; all faults at once."""
    examined = examine(context)
    rows, others = rows_of(examined)
    if context.is_json:
        context.out.document(as_json(examined, rows, others))
    else:
        _tell(context, examined, rows, others)
    return FAULTS if examined.faults else OK


def rows_of(examined: Examined) -> tuple[list[Row], list[Fault]]:
    """Each thing that was checked with its faults, and the faults that belong to none of them."""
    waiting: defaultdict[tuple[str, object], list[Fault]] = defaultdict(list)
    for fault in examined.faults:
        waiting[_key_of(fault)].append(fault)
    rows = [Row(checked, tuple(waiting.pop(key, ()))) for checked, key in _keyed(examined.checked)]
    of_files: dict[str, list[Fault]] = defaultdict(list)
    rest: list[Fault] = []
    files = {row.checked.label for row in rows}
    for faults in waiting.values():
        for fault in faults:
            file = None if fault.place is None else fault.place.file
            (of_files[file] if file in files and file is not None else rest).append(fault)
    rows = [attrs.evolve(row, faults=(*row.faults, *of_files.pop(row.checked.label, ()))) for row in rows]
    return rows, rest


def _key_of(fault: Fault) -> tuple[str, object]:
    """Which row a fault belongs to: the file that it stands in, and the definition that its path begins with."""
    file = "" if fault.place is None else fault.place.file
    return (file, fault.path[:2]) if len(fault.path) > 1 and fault.path[0] in _WORDS.values() else (file, None)


def _keyed(checked: Sequence[Checked]) -> Iterator[tuple[Checked, tuple[str, object]]]:
    counts: defaultdict[str, int] = defaultdict(int)
    for row in checked:
        if row.description.endswith("project manifest"):
            counts.clear()  # a module that is loaded along counts from the beginning
        section = _WORDS.get(row.description.partition(" ")[2])
        if section is None:
            yield row, (row.label, None)
        else:
            yield row, (row.label.rpartition("#")[0], (section, counts[section]))
            counts[section] += 1


# -- for people --------------------------------------------------------------------------------------------------------


def _tell(context: Context, examined: Examined, rows: Sequence[Row], others: Sequence[Fault]) -> None:
    out = context.out
    out.say()
    good = [row for row in rows if not row.faults and row.checked.is_valid]
    shown = set(map(id, good if out.is_verbose else good[:MAX_ROWS]))
    told_below = {row.checked.label.rpartition("#")[0] for row in rows if row.faults}
    for row in rows:
        if not row.faults and not row.checked.is_valid and row.checked.label in told_below:
            continue  # what is wrong with this file is told with the definition in it
        text = f"{shown_path(row.checked.label, context)} — {row.checked.description}"
        if row.faults or not row.checked.is_valid:
            out.fail(text)
            for fault in row.faults:
                _tell_fault(context, fault)
        elif id(row) in shown:
            out.good(text)
    if len(good) > len(shown):
        out.say(f"  … and {len(good) - len(shown):,} more that are well; -v shows them")
    for fault in others:
        out.fail(report_of(fault, base=context.directory))
    for warning in examined.warnings:
        out.warn(line_of(warning, base=context.directory))
    for variable in examined.environment:
        if not variable.is_set and all(warning.code != "OL1401" for warning in examined.warnings):
            out.warn(f"{variable.name} — not set ({_files_of(variable, context)})")
    out.say()
    _tell_sum(context, examined)


def _tell_fault(context: Context, fault: Fault) -> None:
    for line in report_of(fault, base=context.directory).splitlines():
        context.out.complain(f"    {line}")


def _tell_sum(context: Context, examined: Examined) -> None:
    errors, warnings = len(examined.faults) + examined.left_out, _warning_count(examined)
    many = "" if warnings == 1 else "s"
    if not errors:
        context.out.say(f"0 errors, {warnings} warning{many} {context.out.mark('ok')}")
        return
    if examined.left_out:
        context.out.fail(f"… and {examined.left_out:,} more faults, which are not shown")
    context.out.complain(f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{many}")
    context.out.complain(f"  next: correct them; orgloop help {examined.faults[0].code} tells more of the first")


def _warning_count(examined: Examined) -> int:
    told = len(examined.warnings)
    if any(warning.code == "OL1401" for warning in examined.warnings):
        return told
    return told + sum(not variable.is_set for variable in examined.environment)


def _files_of(variable: Any, context: Context) -> str:
    return ", ".join(sorted({shown_path(place.file, context) for place in variable.places}))


# -- for programs ------------------------------------------------------------------------------------------------------


def as_json(examined: Examined, rows: Sequence[Row], others: Sequence[Fault]) -> dict[str, Any]:
    """The original's shape, and beside it every fault and warning with its code and place."""
    results = [
        {
            "file": row.checked.label,
            "valid": row.checked.is_valid and not row.faults,
            "description": row.checked.description,
            "errors": [fault.text for fault in row.faults],
        }
        for row in rows
    ]
    if others:
        texts = [line_of(fault) for fault in others]
        results.append({"file": "", "valid": False, "description": "elsewhere", "errors": texts})
    return {
        "results": results,
        "errors": len(examined.faults) + examined.left_out,
        "warnings": _warning_count(examined),
        "graphWarnings": [
            {"kind": KINDS[warning.code], "id": _id_in(warning), "message": warning.text}
            for warning in examined.warnings
            if warning.code in KINDS
        ],
        "envWarnings": [
            {"name": variable.name, "source": variable.places[0].file if variable.places else None}
            for variable in examined.environment
            if not variable.is_set
        ],
        "faults": [plain_of(fault) for fault in examined.faults],
        "allWarnings": [plain_of(warning) for warning in examined.warnings],
    }


def _id_in(warning: Fault) -> str:
    """The name that a warning of the graph is about, which is the first that it quotes."""
    parts = warning.text.split('"')
    return parts[1] if len(parts) > 1 else ""
