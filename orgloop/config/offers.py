"""
What the plug-ins say of a module: whether each is there, and what is wrong with its configuration.

Law: a plug-in is asked for its declared class, and nothing of it is run, except the checks of what is OrgLoop's own.
Plain data goes in, so that one bad duration elsewhere does not hide a bad option here; what has to be absolute or is
spelled in an old way comes out in place of what was written, in copies.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from orgloop.config._codec import MAX_ADVICE, structure
from orgloop.config._files import find
from orgloop.config._refused import Refused, Substituted
from orgloop.config._units import shown
from orgloop.config.catalogue import Catalogue, Kind, Offer, Unusable
from orgloop.config.declared import keys_of, secrets_in, with_paths
from orgloop.config.document import KeyPath
from orgloop.config.gather import Gathered
from orgloop.config.reading import Session
from orgloop.errors import ConfigError, Fault

_DEFINITIONS: tuple[tuple[Kind, str, str], ...] = (
    ("source", "sources", "connector"),
    ("actor", "actors", "connector"),
    ("transform", "transforms", "type"),
    ("logger", "loggers", "type"),
)
_OWN_OF_SCRIPT = ("script", "timeout_ms")


@attrs.define(eq=False)
class Offers:
    """A catalogue that is asked once for each name."""

    catalogue: Catalogue
    home: str
    """For ``~`` in paths."""
    used: dict[tuple[Kind, str], Offer] = attrs.field(factory=dict)
    _known: dict[tuple[Kind, str], Offer | Unusable | None] = attrs.field(factory=dict)

    def expanded(self, path: str) -> str:
        """A path with ``~`` made the home."""
        return self.home + path[1:] if path == "~" or path.startswith("~/") else str(path)

    def find(self, kind: Kind, name: str) -> Offer | Unusable | None:
        """As the catalogue says."""
        if (kind, name) not in self._known:
            found = self._known[kind, name] = self.catalogue.find(kind, name)
            if isinstance(found, Offer):
                self.used[kind, name] = found
        return self._known[kind, name]


def check_plugins(gathered: Gathered, offers: Offers, session: Session) -> list[Fault]:
    """
    Every fault between a module and its plug-ins, with paths into ``gathered.data``.

    Paths in options become absolute there, and the old spellings of a source's interval become the new one.
    """
    checking = _Checking(gathered, offers, session)
    checking.everything()
    return checking.faults


@attrs.define(eq=False)
class _Checking:
    gathered: Gathered
    offers: Offers
    session: Session
    faults: list[Fault] = attrs.field(factory=list)
    _transforms: dict[str, tuple[Offer, Mapping[str, Any]]] = attrs.field(factory=dict)

    def everything(self) -> None:
        for kind, key, says in _DEFINITIONS:
            members = self.gathered.members_of(key)
            for number, member in enumerate(members):
                if isinstance(member, dict):
                    members[number] = self._definition(kind, (key, number), member, says)
        for number, route in enumerate(self.gathered.members_of("routes")):
            if isinstance(route, dict):
                self._route(("routes", number), route)
        self._bus(self.gathered.data.get("bus"))

    # -- definitions -----------------------------------------------------------------------------------------------

    def _definition(self, kind: Kind, at: KeyPath, member: dict[str, Any], says: str) -> dict[str, Any]:
        """Check one definition; it as it is to be used."""
        if kind == "transform" and member.get("type") == "package":
            says = "package"
        name = member.get(says)
        if not isinstance(name, str) or not name or _is_missing(name):
            return member
        if name.startswith(("./", "../", "/", "~/")):
            name = self._plugin_file(name, (*at, says))
            if name is None:
                return member
            member = {**member, says: name}
        offer = self._offer(kind, name, (*at, says))
        if offer is None:
            return member
        if kind == "source":
            member = self._with_interval(member, offer, at)
        config = {} if member.get("config") is None else member["config"]
        if not isinstance(config, dict):
            return member  # the codec tells of it
        config = with_paths(offer.config, config, self._absolute)
        member = {**member, "config": config} if config else member
        self._options(offer, member, config, at)
        if kind == "transform" and isinstance(member.get("name"), str):
            self._transforms[member["name"]] = offer, config
        return member

    def _plugin_file(self, name: str, at: KeyPath) -> str | None:
        try:
            path = find(self.offers.expanded(name), [self.gathered.folder, *self.gathered.bases_of(at)])
            if path.suffix in (".js", ".mjs", ".cjs", ".ts"):
                raise Refused("OL1502", f"{shown(name)} is written in JavaScript; plug-ins are Python modules here")
        except Refused as exc:
            self.faults.append(Fault(at, str(exc), "OL1505" if exc.code == "OL1001" else exc.code))
            return None
        return str(path)

    def _offer(self, kind: Kind, name: str, at: KeyPath) -> Offer | None:
        found = self.offers.find(kind, name)
        if isinstance(found, Offer):
            return found
        word = "connector" if kind in ("source", "actor") else kind
        if found is None:
            known = sorted(self.offers.catalogue.names(kind))
            short = name.removeprefix(f"@orgloop/{word}-")
            near = difflib.get_close_matches(short, known, n=1) if len(self.faults) < MAX_ADVICE else []
            if not known:
                advice = "; none is installed"
            else:
                advice = f". Did you mean {shown(near[0])}?" if near else f"; there are: {', '.join(known)}"
            text = f"there is no {word} {shown(_written(name))} for {_article(kind)}{advice}"
            self.faults.append(Fault(at, text, "OL1504" if kind == "bus" else "OL1501"))
        else:
            text = f"{word} {shown(_written(name))} cannot be used: {found.reason}"
            self.faults.append(Fault(at, text, "OL1502", fix=found.fix))
        return None

    def _options(self, offer: Offer, member: Mapping[str, Any], config: dict[str, Any], at: KeyPath) -> None:
        if offer.config is None or (member.get("type") == "script" and not _is_found(member.get("script"))):
            return
        own = _OWN_OF_SCRIPT if member.get("type") == "script" else ()
        options = {**config, **{key: member[key] for key in own if member.get(key) is not None}}
        value = self._value(offer, options, (*at, "config"), own=own)
        if value is not None:
            self._secrets(offer.config, config, (*at, "config"))

    def _value(
        self, offer: Offer, options: Mapping[str, Any], at: KeyPath, *, own: tuple[str, ...] = (), only: Any = None
    ) -> Any:
        """The options as a value of the plug-in's class; None, and faults, if they are none."""
        found: list[Fault] = []
        value = None
        try:
            value = structure(cast(Any, offer.config), options, where="")
            if offer.check is not None and not _any_missing(options):
                offer.check(value)
        except ConfigError as exc:
            found = list(exc.faults) or _faults_in_lines(str(exc), options)
        except ValueError as exc:
            found = _faults_in_lines(str(exc), options)
        for fault in found:
            first = fault.path[0] if fault.path else None
            if only is not None and first not in only:
                continue
            path = (*at[:-1], *fault.path) if first in own else (*at, *fault.path)
            self.faults.append(attrs.evolve(fault, path=path))
        return value

    # -- what is rewritten -----------------------------------------------------------------------------------------

    def _with_interval(self, member: dict[str, Any], offer: Offer, at: KeyPath) -> dict[str, Any]:
        """A source whose interval stands in its options, as some pages of the original have it, as it should be."""
        config = member.get("config")
        if not isinstance(config, dict) or member.get("poll") is not None:
            return member
        known = keys_of(offer.config)
        poll = config.get("poll")
        if isinstance(poll, dict) and set(poll) == {"interval"} and "poll" not in known:
            interval, way = poll["interval"], ["config", "poll", "interval"]
        elif config.get("poll_interval") is not None and "poll_interval" not in known:
            interval, way = config["poll_interval"], ["config", "poll_interval"]
        else:
            return member
        self.gathered.moved[*at, "poll", "interval"] = (*at, *way)
        rest = {key: value for key, value in config.items() if key != way[1]}
        return {**member, "config": rest, "poll": {"interval": interval}}

    def _absolute(self, path: str) -> str:
        if _is_missing(path):
            return path
        return os.path.normpath(self.gathered.folder / self.offers.expanded(path))

    def _secrets(self, cls: Any, config: Mapping[str, Any], at: KeyPath) -> None:
        """Remember what is secret; what is written literally is told of, for it will end in version control."""
        for path, value in secrets_in(cls, config, at):
            if _is_missing(value):
                continue
            self.session.secrets.add(str(value))
            if not isinstance(value, Substituted):
                text = f'a secret stands here in plain text; write "${{{str(path[-1]).upper()}}}" and put it in .env'
                place = self.gathered.place(Fault(path, ""))
                self.session.findings.warn("OL1404", text, place=attrs.evolve(place, source=""), path=path)

    # -- routes and the bus ----------------------------------------------------------------------------------------

    def _route(self, at: KeyPath, route: Mapping[str, Any]) -> None:
        steps = route.get("transforms")
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            if not isinstance(step, dict) or not isinstance(step.get("config"), dict) or not step["config"]:
                continue
            offer, config = self._transforms.get(str(step.get("ref")), (None, {}))
            if offer is not None and offer.config is not None:
                self._value(
                    offer,
                    {**config, **step["config"]},
                    (*at, "transforms", number, "config"),
                    only=set(step["config"]) | {None},
                )
        then = route.get("then")
        delivery = then.get("delivery") if isinstance(then, dict) else None
        cls = self.offers.catalogue.delivery
        if delivery is not None and cls is not None:
            self._value(Offer(name="delivery", config=cls), delivery, (*at, "then", "delivery"))

    def _bus(self, bus: Any) -> None:
        if not isinstance(bus, str) or _is_missing(bus):
            return
        scheme, colon, _ = bus.partition("://")
        if scheme.replace("-", "").replace("+", "").isalnum():  # of anything else the codec tells
            self._offer("bus", scheme, ("bus",))
        try:
            password = urlsplit(bus).password if colon else None
        except ValueError:
            password = None
        if password:
            self.session.secrets.add(password)


# -- texts and classes -------------------------------------------------------------------------------------------------


def _is_missing(value: object) -> bool:
    return isinstance(value, Substituted) and value.is_missing


def _is_found(script: object) -> bool:
    """Whether it has been made absolute; of any other it is told already."""
    return isinstance(script, str) and os.path.isabs(script)


def _any_missing(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_any_missing, value.values()))
    return any(map(_any_missing, value)) if isinstance(value, list) else _is_missing(value)


def _written(name: str) -> str:
    return name.written if isinstance(name, Substituted) else name


def _article(kind: Kind) -> str:
    return {"source": "a source", "actor": "an actor", "transform": "a transform", "logger": "a logger"}.get(kind, "it")


def _faults_in_lines(text: str, options: Mapping[str, Any]) -> list[Fault]:
    """Of lines as ``field.key: text``, the faults; what comes before the colon is followed as far as it leads."""
    return [_fault_in_line(line, options) for line in text.splitlines() if line.strip()]


def _fault_in_line(line: str, options: Mapping[str, Any]) -> Fault:
    way, colon, text = line.partition(": ")
    steps = tuple(_steps(way, options)) if colon else ()
    return Fault(steps, text if steps else line, "OL1503")


def _steps(way: str, data: Any) -> Iterator[str | int]:
    """Keys may hold dots themselves, so the longest that is there is taken."""
    while way and isinstance(data, Mapping | list):
        keys = range(len(data)) if isinstance(data, list) else data
        fits = [key for key in keys if way == str(key) or way.startswith(f"{key}.")]
        if not fits:
            return
        step = max(fits, key=lambda key: len(str(key)))
        yield cast("str | int", step)
        way, data = way[len(str(step)) + 1 :], data[step]
