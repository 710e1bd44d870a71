"""What the loader of configurations asks about plug-ins, answered from what is built in, installed, or in a file."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs

from orgloop.config import catalogue
from orgloop.config.catalogue import EnvironmentVariable, Kind, Unusable
from orgloop.delivery.config import DeliveryConfig
from orgloop.errors import PluginError
from orgloop.runtime.plugins import BUILT_IN, Plugins, short
from orgloop.sdk import Connector, EnvVar, Offer, Place

BUSES = ("file", "memory")
"""Where events may be kept; others are installed under ``orgloop.buses``."""

_ORIGINAL_MODULE = re.compile(r"@orgloop/module-(.+)")


@attrs.frozen(eq=False)
class Installed:
    """:class:`orgloop.config.catalogue.Catalogue` of this process; asked for a plug-in, it imports it, and no more."""

    _plugins: Plugins

    def find(self, kind: Kind, name: str) -> catalogue.Offer | Unusable | None:
        """What a plug-in says of itself; None if there is none of that name."""
        if kind == "bus":
            return catalogue.Offer(name=name) if name in self.names("bus") else None
        try:
            offer = self._plugins.find(kind, name, Path())
            environment = self._environment(kind, name)
        except PluginError as exc:
            return Unusable(str(exc))
        if offer is None:
            return None
        return catalogue.Offer(
            name=short(name),
            config=offer.config,
            environment=environment,
            help=offer.config.__doc__,
            check=_maker(kind, name, offer),
        )

    def _environment(self, kind: Kind, name: str) -> Sequence[EnvironmentVariable]:
        if kind == "bus" or (kind, short(name)) in BUILT_IN:
            return ()
        found = self._plugins.load(kind, name, Path())
        variables: Sequence[EnvVar] = found.env if isinstance(found, Connector) else ()
        return [EnvironmentVariable(one.name, one.description, one.url) for one in variables]

    def names(self, kind: Kind) -> Sequence[str]:
        """The short names that there are."""
        if kind == "bus":
            return sorted({*BUSES, *(entry.name for entry in entry_points(group="orgloop.buses"))})
        return self._plugins.names(kind)

    def module(self, package: str) -> str | None:
        """The folder of an installed package of modules; None if there is none."""
        original = _ORIGINAL_MODULE.fullmatch(package)
        for entry in entry_points(group="orgloop.modules", name=package if original is None else original[1]):
            spec = importlib.util.find_spec(entry.value)
            if spec is not None and spec.submodule_search_locations:
                return spec.submodule_search_locations[0]
        return None

    @property
    def delivery(self) -> type[DeliveryConfig]:
        """What may stand under a route's ``then.delivery``."""
        return DeliveryConfig


def _maker(kind: Kind, name: str, offer: Offer) -> Callable[[Any], object] | None:
    """What refuses a configuration that the class alone cannot, for what is OrgLoop's own; nothing else is run."""
    if kind == "bus" or (kind, short(name)) not in BUILT_IN:
        return None
    nowhere = Place(module="-", id=name, directory=Path())
    return lambda values: offer.make(values, nowhere)
