"""
A plan as text for people, and as JSON for programs.

    ~ github  restarts source github (checkpoint kept)
        poll.interval: 5m → 1m

Law: no meaning hangs on colour alone, what is hidden in one form is hidden in the other, and text from a file cannot
move the cursor: what is not printable is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from orgloop.config._plan_shown import Mask
from orgloop.config._plan_values import ABSENT, SECTIONS, Change, FieldChange, Kind, Path, Plan, Section
from orgloop.config.masking import MASK

MAX_VALUE = 120
"""How many characters of a value the text shows; JSON has all of it."""

MAX_UNCHANGED = 8
"""How many of the unchanged parts of a section are named."""

_SYMBOLS: dict[Kind, str] = {"add": "+", "change": "~", "unchanged": "=", "remove": "-"}
_COLOURS: dict[Kind, str] = {"add": "32", "change": "33", "unchanged": "2", "remove": "31"}
_NAMES: tuple[Path, ...] = (("id",), ("name",))
_PLAIN_STEP = re.compile(r"[A-Za-z0-9_-]{1,64}")


# -- for people --------------------------------------------------------------------------------------------------------


def as_text(plan: Plan, colour: bool = False) -> str:
    """
    The plan for a terminal; ``colour`` adds ANSI colours.

    Symbols are those of the original: ``+`` new, ``~`` changed, ``=`` unchanged, ``-`` removed.
    """
    return "\n".join(_lines(plan, _Pen(Mask.of(plan), colour))) + "\n"


def _lines(plan: Plan, pen: _Pen) -> Iterator[str]:
    yield f"OrgLoop Plan — {printable(plan.module.name) or 'unnamed module'}"
    if plan.module.kind != "unchanged":
        yield from ("", *pen.part("module", plan.module))
    for section in SECTIONS:
        if plan.of(section):
            yield from ("", section.capitalize(), *_section(plan, section, pen))
    yield ""
    if plan.is_empty:
        yield "No changes."
    summary = plan.summary
    yield f"Plan: {summary.add} to add, {summary.change} to change, {summary.remove} to remove."


def _section(plan: Plan, section: Section, pen: _Pen) -> Iterator[str]:
    changes = plan.of(section)
    for change in changes:
        if change.kind != "unchanged":
            yield from pen.part(printable(change.name), change)
    if section in plan.reordered:
        yield pen.line("change", "in another order")
    unchanged = [change for change in changes if change.kind == "unchanged"]
    if unchanged:
        yield pen.line("unchanged", f"{len(unchanged)} unchanged: {_named(unchanged)}{_price(section, unchanged)}")


def _named(changes: Sequence[Change]) -> str:
    names = [printable(change.name) for change in changes[:MAX_UNCHANGED]]
    return ", ".join([*names, "…"] if len(changes) > MAX_UNCHANGED else names)


def _price(section: Section, unchanged: Sequence[Change]) -> str:
    """What is unchanged may have to end with its module, and then all of its section does."""
    if all(change.keeps_running for change in unchanged):
        return ""
    if section == "routes":
        return "; they get new lanes with the module"
    told = {change.checkpoint for change in unchanged if change.checkpoint}
    checkpoints = f" (checkpoints {' or '.join(sorted(told))})" if told else ""
    return f"; they restart with the module{checkpoints}"


class _Pen:
    """Writes lines, coloured or not, with nothing secret in them."""

    def __init__(self, mask: Mask, colour: bool) -> None:
        self._mask, self._colour = mask, colour

    def line(self, kind: Kind, text: str) -> str:
        line = f"  {_SYMBOLS[kind]} {text}"
        return f"\x1b[{_COLOURS[kind]}m{line}\x1b[0m" if self._colour else line

    def part(self, name: str, change: Change) -> Iterator[str]:
        yield self.line(change.kind, f"{name}  {printable(change.consequence)}")
        for field in change.fields:
            if field.before is ABSENT and field.path in _NAMES:
                continue  # it stands in the line above
            via = f" (from {printable(field.via)})" if field.via else ""
            yield f"      {_path_as_text(field.path)}: {self._sides(field)}{via}"

    def _sides(self, field: FieldChange) -> str:
        before, after = (_value(side) for side in self._mask.sides(field))
        if field.before is ABSENT:
            return after
        if field.after is ABSENT:
            return f"{before} → (removed)"
        same = ""
        if before == after:
            same = " (a change of what is hidden)" if MASK in before else " (further on)"
        return f"{before} → {after}{same}"


def _value(plain: Any) -> str:
    if plain is None:
        return "(not set)"
    text = printable(json.dumps(plain, ensure_ascii=False))
    if isinstance(plain, str) and text == f'"{plain}"' and _needs_no_quotes(plain):
        text = plain
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _needs_no_quotes(text: str) -> bool:
    """Whether it can be taken for nothing but text."""
    return bool(re.fullmatch(r"[0-9]*\*{0,3}[A-Za-z@./*_-][A-Za-z0-9@./:*_-]*", text)) and text not in ("true", "false")


def _path_as_text(path: Path) -> str:
    return printable("".join(_steps(path)).removeprefix("."))


def _steps(path: Path) -> Iterator[str]:
    for place, step in enumerate(path):
        if isinstance(step, int) and not isinstance(step, bool) and place:
            yield f"[{step}]"
        elif place == 0 or (isinstance(step, str) and _PLAIN_STEP.fullmatch(step)):
            yield f".{step}"
        else:
            yield f"[{json.dumps(_key(step), ensure_ascii=False)}]"


def _key(step: Hashable) -> Any:
    return step if isinstance(step, str | bool | int | float | None) else str(step)


def printable(text: str) -> str:
    """Text that stays on its line, and in its place: escapes, controls and marks of direction are spelled out."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)


# -- for programs ------------------------------------------------------------------------------------------------------


def as_json(plan: Plan) -> dict[str, Any]:
    """
    The plan as plain data: the original's shape, and beside it the module, the cost and the fields of each part.

    Paths are lists of keys and positions; values are as the file has them. A side that is not there has no key.
    """
    mask = Mask.of(plan)
    summary = plan.summary
    sections: dict[str, Any] = {section: [_part(change, mask) for change in plan.of(section)] for section in SECTIONS}
    return sections | {
        "summary": {"add": summary.add, "change": summary.change, "remove": summary.remove},
        "module": _part(plan.module, mask),
        "reordered": list(plan.reordered),
        "empty": plan.is_empty,
    }


def _part(change: Change, mask: Mask) -> dict[str, Any]:
    part: dict[str, Any] = {
        "name": change.name,
        "action": change.kind,
        "detail": change.consequence,
        "cost": change.cost,
        "fields": [_field(field, mask) for field in change.fields],
    }
    return part if change.checkpoint is None else part | {"checkpoint": change.checkpoint}


def _field(field: FieldChange, mask: Mask) -> dict[str, Any]:
    before, after = mask.sides(field)
    made: dict[str, Any] = {"path": [_key(step) for step in field.path]}
    if field.before is not ABSENT:
        made["before"] = before
    if field.after is not ABSENT:
        made["after"] = after
    if field.via is not None:
        made["via"] = field.via
    if MASK in str((before, after)):
        made["secret"] = True
    return made
