"""
What a package of connectors shows of itself: what it is called, what it can be told, and how to make it.

An entry point of the group ``orgloop.connectors`` leads to a :class:`Connector`, one of ``orgloop.transforms`` or
``orgloop.loggers`` to an :class:`Offer`. Reading one executes nothing of it; only ``make`` and ``check`` do.

A config class is a frozen attrs class. Its fields say by ``metadata`` what the file has for them: ``yaml`` (the key, if
it is not the field's name), ``aliases`` (other keys taken for it), ``unit`` (``"duration"``, ``"size"`` or ``"rate"``:
text with a unit in the file, a number here) and ``secret`` (True: never shown).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from orgloop.event import Event


@attrs.frozen(kw_only=True)
class EnvVar:
    """An environment variable that a config usually draws on, for whoever has to set it."""

    name: str
    description: str
    url: str | None = None
    """Where one gets it."""
    command: str | None = None
    """What prints it, if something does."""
    required: bool = True


@attrs.frozen(kw_only=True)
class Place:
    """Where a plug-in stands."""

    module: str
    id: str
    """Of the source or the actor, or the name of the transform or the logger."""
    directory: Path
    """Where relative paths in its config begin: that of the module."""


@attrs.frozen(kw_only=True)
class Checked:
    """What came of looking at one credential or service."""

    name: str
    """Of the environment variable, or of the service."""
    ok: bool
    detail: str
    """What is so; if it is not well, why, and what to do."""
    identity: str | None = None
    """Whose credential it is."""
    scopes: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Offer:
    """One thing that can be made."""

    config: type[attrs.AttrsInstance]
    make: Callable[[Any, Place], Any]
    """Takes a ``config`` and a place; ValueError, a line for each fault, if it cannot be so. Opens nothing yet."""
    check: Callable[[Any, Place], Awaitable[Sequence[Checked]]] | None = None
    """Looks whether the credentials and services of a config work. Changes nothing outside, and wakes nobody."""


@attrs.frozen(kw_only=True)
class Connector:
    """What leads to one outside system."""

    id: str
    summary: str
    """One sentence."""
    source: Offer | None = None
    actor: Offer | None = None
    env: Sequence[EnvVar] = ()
    samples: Callable[[], Sequence[Event]] = list
    """Events of the very shape that its source, or its actor, emits."""
