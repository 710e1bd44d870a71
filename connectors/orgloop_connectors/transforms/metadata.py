"""Metadata: writes down in an event what is known of it where it passes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from orgloop.sdk import Context, Event, Offer, Place, timestamp_of
from orgloop_connectors.transforms._values import MAX_DEPTH, Path, put, refuse, writable

MAX_ADDED = 100
"""How many values may be added."""

KNOWN: Mapping[str, Callable[[Context], str]] = {
    "now": lambda context: timestamp_of(context.now_s),
    "module": lambda context: context.module,
    "route": lambda context: context.route,
    "source": lambda context: context.source,
    "target": lambda context: context.target,
    "event_type": lambda context: context.event_type,
}
"""What may stand in braces."""

_PLACEHOLDER = re.compile(r"\{\{ ?([^{}]{0,100}?) ?\}\}")


@attrs.frozen(kw_only=True)
class MetadataConfig:
    """
    ``add`` says what goes where: a name means below ``provenance``, ``payload.…`` is taken as it is.

    Values are any JSON. In a text, at any depth, ``{{ now }}``, ``{{ module }}``, ``{{ route }}``, ``{{ source }}``,
    ``{{ target }}`` and ``{{ event_type }}`` are filled in; nothing that an event says is.
    """

    add: Mapping[str, Any]


class Metadata:
    """Pure. What is there already is replaced; TransformFailed where a text or a list is in the way."""

    def __init__(self, config: MetadataConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        faults = [] if config.add else ["add: nothing is to be added; write what, as in {team: checkout}"]
        if len(config.add) > MAX_ADDED:
            faults.append(f"add: {len(config.add)} values are too many; write at most {MAX_ADDED}")
        self._added: list[tuple[Path, Any]] = []
        for name, value in config.add.items():
            try:
                self._added.append((writable(name, at=f"add.{name}"), value))
                _check(value, f"add.{name}", 0)
            except ValueError as exc:
                faults.append(str(exc))
        faults += [
            f"add: {'.'.join(one)} and {'.'.join(other)} write to one place; write it once"
            for number, (one, _) in enumerate(self._added[:MAX_ADDED])
            for other, _ in self._added[number + 1 : MAX_ADDED]
            if one[: len(other)] == other[: len(one)]
        ]
        refuse(faults)

    def apply(self, event: Event, context: Context) -> Event:
        """The event with everything added."""
        for path, value in self._added:
            event = put(event, path, _filled(value, context))
        return event


def _check(value: object, at: str, depth: int) -> None:
    if isinstance(value, str):
        for name in _PLACEHOLDER.findall(value):
            if name not in KNOWN:
                known = ", ".join(f"{{{{ {one} }}}}" for one in KNOWN)
                raise ValueError(f"{at}: '{{{{ {name} }}}}' is not known; write one of {known}")
        if not value.isascii() and value != value.encode("utf-8", "replace").decode():
            raise ValueError(f"{at}: a lone surrogate cannot be in an event; take it out")
    elif isinstance(value, Mapping | list | tuple):
        if depth > MAX_DEPTH // 2:
            raise ValueError(f"{at}: is nested too deeply; write it flatter")
        members = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, member in members:
            _check(member, f"{at}.{key}", depth + 1)
    elif not (value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))):
        raise ValueError(f"{at}: {value!r} cannot be in an event; write a JSON value")


def _filled(value: Any, context: Context) -> Any:
    """A value of its own for each event: who changes one later must not change the configuration."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: KNOWN[found[1]](context), value)
    if isinstance(value, Mapping):
        return {str(key): _filled(member, context) for key, member in value.items()}
    return [_filled(member, context) for member in value] if isinstance(value, list | tuple) else value


OFFER = Offer(config=MetadataConfig, make=Metadata)
