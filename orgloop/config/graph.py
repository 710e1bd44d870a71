"""What is allowed and looks like a slip: the four warnings of the original, over a whole module. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orgloop.config.module import ModuleConfig
from orgloop.errors import Fault


def graph_warnings(config: ModuleConfig) -> Iterator[Fault]:
    """Each warning, with the path of what it is about; its code tells the kind."""
    heard = {route.when.source for route in config.routes} | set(config.exports)
    for number, source in enumerate(config.sources):
        if source.id not in heard:
            yield _unreferenced("Source", source.id, ("sources", number, "id"), "OL1901")
    asked = {route.then.actor for route in config.routes}
    for number, actor in enumerate(config.actors):
        if actor.id not in asked:
            yield _unreferenced("Actor", actor.id, ("actors", number, "id"), "OL1902")
    used = {step.ref for route in config.routes for step in route.transforms}
    for number, transform in enumerate(config.transforms):
        if transform.name not in used:
            yield _unreferenced("Transform", transform.name, ("transforms", number, "name"), "OL1903")
    emits = {source.id: source.emits for source in config.sources if source.emits}
    for number, route in enumerate(config.routes):
        known = emits.get(route.when.source, ())
        for place, event in enumerate(route.when.events):
            if known and event not in known:
                text = f'Route "{route.name}" listens for "{event}" but source "{route.when.source}"'
                text += f" only emits [{', '.join(known)}]"
                yield Fault(("routes", number, "when", "events", place), text, "OL1904")


KINDS = {
    "OL1901": "dead-source",
    "OL1902": "unreachable-actor",
    "OL1903": "orphan-transform",
    "OL1904": "event-type-mismatch",
}
"""The original's word for each."""


def _unreferenced(what: str, name: str, path: tuple[str | int, ...], code: str) -> Fault:
    return Fault(path, f'{what} "{name}" is defined but not referenced by any route', code)
