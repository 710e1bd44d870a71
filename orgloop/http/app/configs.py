"""``/api/v1/config``: examine a project, see what it would change, have it loaded."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from orgloop.config.plan import as_json, as_text
from orgloop.config.report import plain_of
from orgloop.errors import ConfigError, Fault
from orgloop.http.app import given, shapes
from orgloop.http.app.modules import absolute, read, start
from orgloop.http.app.problems import MOST_FAULTS, bad
from orgloop.http.app.route import Api, Asked, Route
from orgloop.runtime.asking import Examined

_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
KINDS = frozenset({".jq", ".json", ".md", ".txt", ".yaml", ".yml"})
"""What a document can be: nothing of these is code that examining a project would run."""

DEEPEST = 8
"""Folders that a document may lie in."""


async def validate(api: Api, asked: Asked[given.Nothing, given.Config]) -> shapes.Validated:
    """Say everything that is wrong with a project, each with its code and its place; changes nothing."""
    async with _place(asked.body) as (path, base):
        examined = await api.runtime.examine(path, workspace=asked.body.workspace, environ=api.environ)
        api.masks.learn(() if examined.project is None else examined.project.secrets)
        return _validated(examined, base)


def _validated(examined: Examined, base: Path | None) -> shapes.Validated:
    mask = examined.masker.text
    return shapes.Validated(
        valid=not examined.faults,
        results=[
            shapes.CheckedRow(file=_short(row.label, base), valid=row.is_valid, description=mask(row.description))
            for row in examined.checked[: given.LONGEST_PAGE]
        ],
        faults=[_fault(one, base) for one in examined.faults[:MOST_FAULTS]],
        warnings=[_fault(one, base) for one in examined.warnings[:MOST_FAULTS]],
        environment=[shapes.VariableShape(name=one.name, set=one.is_set) for one in examined.environment],
        left_out=examined.left_out + max(0, len(examined.faults) - MOST_FAULTS),
    )


def _fault(fault: Fault, base: Path | None) -> shapes.FaultShape:
    plain = plain_of(fault, base=base)
    return shapes.FaultShape(**{**plain, "text": _short(plain["text"], base)})


def _short(text: str, base: Path | None) -> str:
    """A text without the folder that the documents lay in."""
    return text if base is None else text.replace(f"{base}/", "").replace(str(base), ".")


async def plan(api: Api, asked: Asked[given.Nothing, given.Config]) -> shapes.Planned:
    """Show what loading, or reloading, a project would change of what runs; changes nothing."""
    async with _place(asked.body) as (path, base):
        try:
            project = await read(api, path, workspace=asked.body.workspace)
        except ConfigError as exc:
            if base is None:
                raise
            raise ConfigError(_short(str(exc), base), [_moved(fault, base) for fault in exc.faults]) from exc
        made = api.runtime.plan(project)
        return shapes.Planned(plan=as_json(made), text=as_text(made), changes=not made.is_empty)


def _moved(fault: Fault, base: Path) -> Fault:
    place = fault.place and attrs.evolve(fault.place, file=_short(fault.place.file, base))
    return attrs.evolve(fault, text=_short(fault.text, base), place=place)


async def begin(api: Api, asked: Asked[given.Nothing, given.Start]) -> shapes.ModuleStatus:
    """Load a project from the disk of the daemon; one that is loaded already is changed to what it says now."""
    return await start(api, absolute(asked.body.path, "path"), workspace=asked.body.workspace)


# -- documents ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _place(body: given.Config) -> AsyncGenerator[tuple[Path, Path | None]]:
    """The path of a project; if it came as documents, they are written to a folder for as long as it is looked at."""
    if (body.path is None) == (body.documents is None):
        raise bad("Give a path, or documents", where="path")
    if body.path is not None:
        yield absolute(body.path, "path"), None
        return
    documents = body.documents or {}
    for name in (*documents, body.main):
        _check(name)
    if body.main not in documents:
        raise bad(f"main: {body.main!r} is not among the documents", where="main")
    base = await trio.to_thread.run_sync(_new_folder)
    try:
        await trio.to_thread.run_sync(_write, base, documents)
        yield base / body.main, base
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(shutil.rmtree, base, ignore_errors=True))


def _new_folder() -> Path:
    """Resolved: what is read is told of by its real path, which is then cut out of every text."""
    return Path(tempfile.mkdtemp(prefix="orgloop-")).resolve()


def _check(name: str) -> None:
    steps = name.split("/")
    if len(steps) > DEEPEST or not all(map(_STEP.fullmatch, steps)) or Path(name).suffix not in KINDS:
        raise bad(
            f"documents: {name!r} cannot be the name of a document",
            where="documents",
            next_=f"Give a relative path of letters, digits, '.', '_' and '-' that ends in {', '.join(sorted(KINDS))}.",
        )


def _write(base: Path, documents: Mapping[str, str]) -> None:
    for name, text in documents.items():
        path = base / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as exc:
            raise bad(f"documents: {name!r} is a file and a folder at once", where="documents") from exc
        except UnicodeEncodeError as exc:
            raise bad(f"documents: {name!r} holds what UTF-8 cannot", where="documents") from exc


ROUTES = (
    Route("POST", "/api/v1/config/validate", validate, shapes.Validated, body=given.Config),
    Route("POST", "/api/v1/config/plan", plan, shapes.Planned, body=given.Config, faults=(422,)),
    Route("POST", "/api/v1/config/start", begin, shapes.ModuleStatus, body=given.Start, faults=(409, 422)),
)
