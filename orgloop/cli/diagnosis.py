"""
What ``doctor`` finds: configuration, plug-ins, variables, and whether the credentials and services of each one work.

    diagnose(examined, plugins) ──▶ Diagnosis      ok | degraded (something is missing) | error

Law: it changes nothing outside and wakes nobody, for a plug-in's ``Offer.check`` promises that; it ends in time, since
each check has its own deadline and they run side by side; and no secret is in what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import trio

from orgloop.config import structure
from orgloop.config.environment import Variable, without_references
from orgloop.config.graph import KINDS
from orgloop.config.project import Examined, Project
from orgloop.config.report import line_of, plain_of
from orgloop.errors import OrgLoopError
from orgloop.runtime.plugins import Kind, Plugins
from orgloop.sdk import Checked, Offer, Place

CHECK_S = 10.0
"""How long one plug-in may take to look at its credentials and services."""

ALL_S = 30.0
"""How long all of them together may take."""

AT_ONCE = 16

Status = Literal["ok", "warning", "missing", "error"]
Category = Literal["dependency", "credential", "service", "config", "route-graph"]

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
_PLUGIN_CODES = frozenset({"OL1501", "OL1502", "OL1504", "OL1505"})


Found = tuple[str, Checked]
"""What a plug-in has found, and for which id it looked."""


@attrs.frozen(kw_only=True)
class Check:
    """One thing that was looked at."""

    category: Category
    name: str
    status: Status
    detail: str | None = None
    description: str | None = None
    help_url: str | None = None
    identity: str | None = None
    scopes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The original's shape: what is not known is left out."""
        members = attrs.asdict(self) | {"scopes": list(self.scopes)}
        return {key: value for key, value in members.items() if value not in (None, [])}


@attrs.frozen(kw_only=True)
class Diagnosis:
    """All checks, in the order dependency, credential, service, config, route-graph."""

    project: str
    checks: tuple[Check, ...]

    @property
    def status(self) -> Literal["ok", "degraded", "error"]:
        """``error`` keeps a start from working, ``degraded`` does not."""
        found = {check.status for check in self.checks}
        return "error" if "error" in found else "degraded" if found & {"missing", "warning"} else "ok"

    def as_json(self) -> dict[str, Any]:
        """The original's shape."""
        return {"status": self.status, "project": self.project, "checks": [check.as_json() for check in self.checks]}


def diagnose(examined: Examined, plugins: Plugins, *, project: str) -> Diagnosis:
    """Look at everything; ``project`` is what to call one that cannot be read."""
    probes = [] if examined.project is None else list(probes_of(examined.project, plugins))
    probed = trio.run(probe_all, probes) if any(probe.offer.check for probe in probes) else []
    variables = {variable.name: variable for variable in examined.environment}
    checks = [
        *_dependencies(examined, probes),
        *_credentials(variables, probed),
        *_services(probed, variables),
        *_configuration(examined),
        *_graph(examined),
    ]
    name = project if examined.project is None else examined.project.name
    return Diagnosis(project=name, checks=tuple(_without_secrets(check, examined) for check in checks))


def _without_secrets(check: Check, examined: Examined) -> Check:
    mask = examined.masker.text
    return attrs.evolve(
        check,
        detail=check.detail and mask(check.detail),
        identity=check.identity and mask(check.identity),
        scopes=tuple(map(mask, check.scopes)),
    )


# -- what needs no network ---------------------------------------------------------------------------------------------


def _dependencies(examined: Examined, probes: Sequence[Probe]) -> Iterator[Check]:
    for name in dict.fromkeys(probe.plugin for probe in probes):
        yield Check(category="dependency", name=name, status="ok")
    for fault in examined.faults:
        if fault.code in _PLUGIN_CODES:
            yield Check(category="dependency", name=_quoted(fault.text), status="error", detail=line_of(fault))


def _configuration(examined: Examined) -> Iterator[Check]:
    for fault in examined.faults:
        if fault.code not in _PLUGIN_CODES:
            plain = plain_of(fault)
            yield Check(
                category="config",
                name=plain["file"] or "",
                status="error",
                detail=line_of(fault),
                description=plain["fix"],
                help_url=None,
            )
    if examined.left_out:
        yield Check(category="config", name="", status="error", detail=f"and {examined.left_out:,} more faults")
    if not examined.faults:
        files = 0 if examined.project is None else len(examined.project.files)
        yield Check(
            category="config", name="project", status="ok", detail=f"{files} file{'' if files == 1 else 's'}, no fault"
        )


def _graph(examined: Examined) -> Iterator[Check]:
    for warning in examined.warnings:
        if warning.code in KINDS:
            yield Check(category="route-graph", name=_quoted(warning.text), status="warning", detail=warning.text)
        elif warning.code != "OL1401":  # those are told as credentials
            yield Check(category="config", name=warning.code, status="warning", detail=line_of(warning))


def _quoted(text: str) -> str:
    parts = text.split('"')
    return parts[1] if len(parts) > 2 else text


def _credentials(variables: Mapping[str, Variable], probed: Sequence[Found]) -> Iterator[Check]:
    """Each variable, with what a plug-in has found out about it."""
    found: dict[str, Checked] = {}
    for _, checked in probed:
        if _is_credential(checked, variables) and (checked.name not in found or not checked.ok):
            found[checked.name] = checked
    for name in sorted({*variables, *found}):
        variable, seen = variables.get(name), found.get(name)
        if variable is not None and not variable.is_set:
            yield Check(
                category="credential",
                name=name,
                status="missing",
                detail="not set",
                description=variable.description,
                help_url=variable.url,
            )
        elif seen is None:
            yield Check(category="credential", name=name, status="ok", detail="set")
        else:
            yield _of_checked(seen, "credential", url=None if variable is None else variable.url)


def _services(probed: Sequence[Found], variables: Mapping[str, Variable]) -> Iterator[Check]:
    for id_, checked in probed:
        if not _is_credential(checked, variables):
            name = id_ if checked.name == id_ else f"{id_}: {checked.name}"
            yield attrs.evolve(_of_checked(checked, "service", url=None), name=name)


def _is_credential(checked: Checked, variables: Mapping[str, Variable]) -> bool:
    return checked.name in variables or _VARIABLE.fullmatch(checked.name) is not None


def _of_checked(checked: Checked, category: Category, *, url: str | None) -> Check:
    # What does not answer today may answer when an event comes; a credential that is refused will stay refused.
    bad: Status = "error" if category == "credential" else "warning"
    return Check(
        category=category,
        name=checked.name,
        status="ok" if checked.ok else bad,
        detail=checked.detail or None,
        help_url=None if checked.ok else url,
        identity=checked.identity,
        scopes=tuple(checked.scopes),
    )


# -- what asks the outside ---------------------------------------------------------------------------------------------


@attrs.frozen
class Probe:
    """A definition whose plug-in may have something to say of its outside."""

    plugin: str
    offer: Offer
    config: Mapping[str, Any]
    place: Place


def probes_of(project: Project, plugins: Plugins) -> Iterator[Probe]:
    """What each definition of a project, and of those that are loaded along, can say of its outside."""
    config = project.config
    wanted: list[tuple[Kind, str, str, Mapping[str, Any]]] = [
        *(("source", one.connector, one.id, one.config) for one in config.sources),
        *(("actor", one.connector, one.id, one.config) for one in config.actors),
        *(("transform", one.plugin, one.name, one.options) for one in config.transforms),
        *(("logger", one.type, one.name, one.config) for one in config.loggers),
    ]
    for kind, name, id_, options in wanted:
        try:
            offer = plugins.find(kind, name, project.directory)
        except OrgLoopError:  # the loader has said so already
            continue
        if offer is not None:
            yield Probe(name, offer, options, Place(module=project.name, id=id_, directory=project.directory))
    for module in project.modules:
        yield from probes_of(module, plugins)


async def probe_all(probes: Sequence[Probe]) -> list[Found]:
    """What all of them have found, within :data:`ALL_S`."""
    found: list[Found] = []
    seats = trio.Semaphore(AT_ONCE)
    waiting = {probe.place.id for probe in probes if probe.offer.check is not None}

    async def look(probe: Probe) -> None:
        async with seats:
            found.extend((probe.place.id, checked) for checked in await _probe(probe))
        waiting.discard(probe.place.id)

    with trio.move_on_after(ALL_S) as scope:
        async with trio.open_nursery() as nursery:
            for probe in probes:
                if probe.offer.check is not None:
                    nursery.start_soon(look, probe)
    if scope.cancelled_caught:
        late = f"not looked at: all checks together may take {ALL_S:g} s"
        found += [(id_, Checked(name=id_, ok=False, detail=late)) for id_ in sorted(waiting)]
    return found


async def _probe(probe: Probe) -> Sequence[Checked]:
    id_ = probe.place.id
    if not without_references(dict(probe.config)):
        return [Checked(name=id_, ok=False, detail="not looked at: a variable of its configuration is not set")]
    assert probe.offer.check is not None
    try:
        with trio.move_on_after(CHECK_S):
            return await probe.offer.check(structure(probe.offer.config, probe.config, where=""), probe.place)
    except Exception as exc:  # a plug-in's own; it says nothing against the others
        return [Checked(name=id_, ok=False, detail=f"its check raised {type(exc).__name__}: {exc}")]
    return [Checked(name=id_, ok=False, detail=f"no answer within {CHECK_S:g} s")]
