"""Variables are filled in, over the whole of a module; each use of one is remembered, with its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orgloop.config._refused import Substituted
from orgloop.config.catalogue import EnvironmentVariable
from orgloop.config.document import KeyPath
from orgloop.config.environment import KNOWN, Environment, Variable, substituted, without_references
from orgloop.config.gather import NAMES, Gathered
from orgloop.config.reading import Session
from orgloop.errors import Fault

MAX_PLACES = 20
"""How many places of a variable are told."""

NOT_SECRET = frozenset({"HOME", "USER", "LOGNAME", "PWD", "PATH", "LANG", "SHELL", "TMPDIR", "HOSTNAME", "TZ"})
"""Variables of every process: to mask their values would make paths unreadable, and hide nothing."""


def fill_in_all(gathered: Gathered, environment: Environment, session: Session) -> None:
    """Fill in every variable of a module, in copies; what refers to one that is not set stays as it was written."""
    for key, value in gathered.data.items():
        if key in NAMES and isinstance(value, list):
            for number, member in enumerate(value):
                if any(origin.document.has_references for origin in gathered.members[key][number]):
                    value[number] = _filled(gathered, environment, session, (key, number), member)
        elif not without_references(value):
            gathered.data[key] = _filled(gathered, environment, session, (key,), value)


def _filled(gathered: Gathered, environment: Environment, session: Session, at: KeyPath, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(gathered, environment, session, (*at, key), member) for key, member in value.items()}
    if isinstance(value, list):
        return [_filled(gathered, environment, session, (*at, n), member) for n, member in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    filled, uses, wrong = substituted(value, environment)
    for text in wrong:
        session.findings.fault("OL1402", text, place=gathered.place(Fault(at, "")), path=at)
    for use in uses:
        is_placed = session.places_of[use.name, use.origin] < MAX_PLACES
        session.places_of[use.name, use.origin] += 1
        place = gathered.place(Fault(at, "")) if is_placed else None
        session.uses.setdefault(use.name, []).append((use, place))
        if use.origin not in (None, "default") and use.name not in NOT_SECRET and use.value:
            session.secrets.add(use.value)
    return filled


def variables_used(session: Session, hints: Iterable[EnvironmentVariable]) -> tuple[Variable, ...]:
    """The variables that a module refers to, with what its plug-ins say of them."""
    told = {**KNOWN, **{hint.name: (hint.description, hint.url) for hint in hints}}
    return tuple(
        Variable(
            name,
            tuple(place for _, place in uses if place is not None),
            None if any(use.origin is None for use, _ in uses) else uses[0][0].origin,
            *told.get(name, (None, None)),
        )
        for name, uses in session.uses.items()
    )


def tell_missing(variables: Iterable[Variable], session: Session, *, as_faults: bool) -> None:
    """Tell of every variable that is not set, at each place that refers to it."""
    tell = session.findings.fault if as_faults else session.findings.warn
    for variable in variables:
        hint = "; ".join(part for part in (variable.description, variable.url) if part)
        text = f'Environment variable "{variable.name}" is not set{f" ({hint})" if hint else ""}'
        for use, place in session.uses[variable.name]:
            if use.origin is None and place is not None:
                tell("OL1401", text, place=place)


def follows_from_missing(data: Any, fault: Fault) -> bool:
    """Whether a fault is only that a variable is not there, which is told of already."""
    if fault.code in ("OL1202", "OL1203", "OL1204"):
        return False  # about a key, and variables stand in values
    for step in fault.path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return _has_missing(data)


def _has_missing(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_missing, value.values()))
    if isinstance(value, list):
        return any(map(_has_missing, value))
    return isinstance(value, Substituted) and value.is_missing
