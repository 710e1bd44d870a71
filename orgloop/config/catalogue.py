"""
What the loader asks about plug-ins: which there are, and what each says of its own configuration.

The runtime answers, from what is built in, from entry points and from files; the loader imports no plug-in. Of a
field in an :attr:`Offer.config` class the metadata counts that ``orgloop.config`` honours everywhere (``yaml``,
``unit``, ``aliases``), and these:

    secret   True: its value is masked everywhere, and written literally it is a warning
    path     True: a file; the loader makes it absolute, from the project's folder, with ``~`` for the home
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import attrs

Kind = Literal["source", "actor", "transform", "logger", "bus"]


@attrs.frozen
class EnvironmentVariable:
    """A variable that a plug-in is usually configured with."""

    name: str
    description: str | None = None
    url: str | None = None
    """Where a value is to be had."""


@attrs.frozen(kw_only=True)
class Offer:
    """What a plug-in says of itself, without being started."""

    name: str
    """Its short name."""
    config: type[Any] | None = None
    """The attrs class of its configuration; None: it takes any mapping, and reads it itself."""
    environment: Sequence[EnvironmentVariable] = ()
    help: str | None = None
    check: Callable[[Any], object] | None = None
    """
    For what belongs to OrgLoop itself: given the value of ``config``, raises ValueError with a line for each fault
    (``field: text``) that the class alone cannot tell of, such as a pattern that is none. Opens nothing.
    """


@attrs.frozen
class Unusable:
    """There is a plug-in of that name, and it cannot be used: its file cannot be imported, or it has no such side."""

    reason: str
    fix: str | None = None


class Catalogue(Protocol):
    """All plug-ins that there are."""

    def find(self, kind: Kind, name: str) -> Offer | Unusable | None:
        """
        The plug-in of a name: short, of the original's package, ``package.module:attr``, or the absolute path of a
        file. None if there is none.
        """
        ...

    def names(self, kind: Kind) -> Sequence[str]:
        """The short names that there are, to suggest one."""
        ...

    def module(self, package: str) -> str | None:
        """The folder of an installed package of modules, by its name or the original's; None if there is none."""
        ...

    @property
    def delivery(self) -> type[Any] | None:
        """The attrs class of a route's ``then.delivery``; None: it is not checked here."""
        ...


@attrs.frozen
class AnyCatalogue:
    """Takes every name and every configuration: for those who only want the values."""

    def find(self, kind: Kind, name: str) -> Offer:  # noqa: ARG002
        """An offer that takes anything."""
        return Offer(name=name)

    def names(self, kind: Kind) -> Sequence[str]:  # noqa: ARG002
        """None."""
        return ()

    def module(self, package: str) -> None:  # noqa: ARG002
        """None is installed."""
        return

    @property
    def delivery(self) -> None:
        """Not checked."""
        return
