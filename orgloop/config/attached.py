"""The files that definitions name: prompts of routes, which are read; scripts of transforms, which are looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from orgloop.config._files import find
from orgloop.config._refused import Refused, Substituted
from orgloop.config._units import shown
from orgloop.config.gather import Gathered
from orgloop.config.prompt import PromptFile
from orgloop.config.reading import MAX_FAULTS, Session
from orgloop.errors import Fault

_PROMPT_CODES = {"OL1001": "OL1601"}


def attach_prompts(gathered: Gathered, session: Session) -> tuple[dict[int, PromptFile], list[Fault]]:
    """The prompt of each route, by its number; the paths in ``gathered.data`` become absolute."""
    prompts: dict[int, PromptFile] = {}
    faults: list[Fault] = []
    found: dict[tuple[str, tuple[Path, ...]], Path] = {}
    routes = gathered.members_of("routes")
    for number, route in enumerate(routes):
        with_ = route.get("with") if isinstance(route, dict) else None
        file = with_.get("prompt_file") if isinstance(with_, dict) else None
        if not isinstance(with_, dict) or not isinstance(file, str) or not file or _is_missing(file):
            continue
        if len(faults) > MAX_FAULTS:
            break  # more are not told of, and each costs a look at the disk
        at = ("routes", number, "with", "prompt_file")
        try:
            bases = gathered.bases_of(at)
            if (file, bases) not in found:
                found[file, bases] = find(file, bases)
            prompt = prompts[number] = session.prompt(found[file, bases])
        except Refused as exc:
            faults.append(Fault(at, f"prompt file: {exc}", _PROMPT_CODES.get(exc.code, "OL1602")))
            continue
        if prompt.strange is not None:
            text = f"the front matter of {prompt.file} is left out: {prompt.strange}"
            session.findings.warn("OL1605", text, place=gathered.place(Fault(at, "")), path=at)
        routes[number] = {**route, "with": {**with_, "prompt_file": prompt.file}}
    return prompts, faults


def attach_scripts(gathered: Gathered, session: Session) -> list[Fault]:
    """What is wrong with the scripts; the paths in ``gathered.data`` become absolute."""
    faults: list[Fault] = []
    transforms = gathered.members_of("transforms")
    for number, transform in enumerate(transforms):
        script = transform.get("script") if isinstance(transform, dict) else None
        if not isinstance(script, str) or not script or _is_missing(script):
            continue
        at = ("transforms", number, "script")
        try:
            path = find(script, gathered.bases_of(at))
            transforms[number] = {**transform, "script": str(path)}
            _look_at(path, script)
            session.note_script(path)
        except Refused as exc:
            code = "OL1603" if exc.code == "OL1001" else exc.code
            faults.append(Fault(at, f"script: {exc}", code))
    return faults


def _look_at(path: Path, written: str) -> None:
    if not os.path.isfile(path):
        raise Refused("OL1603", f"{path} is not a regular file")
    if not os.access(path, os.X_OK):
        raise Refused("OL1604", f"{shown(written)} is not executable (run: chmod +x {path})")


def _is_missing(value: Any) -> bool:
    return isinstance(value, Substituted) and value.is_missing
