"""The event that a trial is given: from a file, from stdin, or a sample of a connector."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.cli.context import Context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.events import MAX_EVENT_BYTES, parse_object
from orgloop.config.project import Project
from orgloop.errors import EventError, PluginError
from orgloop.event import Event, decode, faults_of
from orgloop.runtime.plugins import Plugins
from orgloop.sdk import Connector

_FIELDS = frozenset(field.name for field in attrs.fields(Event)) - {"module", "ancestors", "only_for"}


def event_in_file(context: Context, file: str) -> Event:
    """The event in a file, or on stdin if it is ``-``; raises :class:`CommandFailed` if there is none."""
    if file != "-":
        with (context.directory / file).open("rb") as stream:
            return event_of(parse_object(stream.read(MAX_EVENT_BYTES + 1), where=file), where=file)
    if sys.stdin is None:
        raise _no_event("stdin", "it is closed")
    return event_of(parse_object(sys.stdin.buffer.read(MAX_EVENT_BYTES + 1), where="stdin"), where="stdin")


def event_of(found: Mapping[str, Any], *, where: str) -> Event:
    """An event from plain data with at least ``source`` and ``type``; raises :class:`CommandFailed` with its faults."""
    unknown = sorted(set(found) - _FIELDS)
    missing = sorted({"source", "type"} - set(found))
    if unknown or missing:
        lines = [f"unknown field {key!r}; the sender's own belong into payload" for key in unknown]
        raise _no_event(where, "; ".join([*lines, *(f"{key} is missing" for key in missing)]))
    fields = {"provenance": {"platform": str(found["source"])}, **found}
    try:
        event = decode(json.dumps(fields, allow_nan=False).encode())
    except (EventError, ValueError) as exc:
        raise _no_event(where, str(exc).removeprefix("not an event: ")) from exc
    if faults := faults_of(event):
        raise _no_event(where, "; ".join(faults))
    return event


def _no_event(where: str, why: str) -> CommandFailed:
    return CommandFailed(
        "This is not an event",
        where=where,
        why=why,
        next='an event is {"source": "github", "type": "resource.changed", "payload": {…}}',
        code="not_an_event",
    )


def event_sample(context: Context, project: Project, name: str, number: int) -> Event:
    """A sample of a connector, as an event of the source that uses it here."""
    plugins = Plugins()
    connector = _connector(plugins, name, project)
    samples = list(connector.samples())
    if number > len(samples):
        raise CommandFailed(
            f"Connector {name} has no sample {number}",
            why=f"it has {len(samples)}",
            next="leave out --sample" if samples else "write the event into a file: orgloop test event.json",
            code="no_sample",
        )
    event = samples[number - 1]
    ids = [one.id for one in project.config.sources if _is_of(connector, plugins, one.connector, project)]
    if ids and event.source not in ids:
        event = attrs.evolve(event, source=ids[0])  # a sample does not know what its source is called here
    context.out.say(f"Sample {number} of {len(samples)} of {name}")
    return event


def _is_of(connector: Connector, plugins: Plugins, name: str, project: Project) -> bool:
    try:
        return plugins.load("source", name, project.directory) is connector
    except PluginError:
        return False


def _connector(plugins: Plugins, name: str, project: Project) -> Connector:
    try:
        found = plugins.load("source", name, project.directory)
    except PluginError as exc:
        raise CommandFailed(f"Connector {name} cannot be used", why=str(exc), code="OL1502") from exc
    if isinstance(found, Connector):
        return found
    known = ", ".join(plugins.names("source")) or "none"
    raise CommandFailed(f"There is no connector {name}", next=f"name one that is installed: {known}", code="OL1501")
