"""``orgloop status``: who runs, what is loaded, how it is, and what happened last."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import click

from orgloop.cli.client import Client, NotRunning, Refused
from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed
from orgloop.cli.output import Output
from orgloop.cli.shown import age, clock, duration, table
from orgloop.daemon.home import Home
from orgloop.daemon.launch import PORT
from orgloop.daemon.owner import Owner, Stale, Unseen, find_owner

ASK_S = 2.0
"""How long the daemon may take to answer: who asks how it is wants to know that, too."""

KNOCK_S = 0.1
"""How long it may take to find out whether anybody listens on a port."""

RECENT = 5
"""How many events are shown."""


@click.command()
@pass_context
def status(context: Context) -> int:
    """Show whether OrgLoop runs, what is loaded, and how it is."""
    home = context.home
    found = find_owner(home)
    if isinstance(found, Owner):
        _tell_of_running(context, found)
    else:
        _tell_of_nobody(context, home, found)
    return 0


# -- nobody runs -------------------------------------------------------------------------------------------------------


def _tell_of_nobody(context: Context, home: Home, found: Stale | Unseen | None) -> None:
    out = context.out
    if isinstance(found, Unseen):
        out.warn(f"OrgLoop cannot be reached: {found.reason}")
        out.document({"running": None, "reason": found.reason})
        return
    document: dict[str, Any] = {"running": False}
    out.say("OrgLoop is not running.")
    if found is not None:
        out.say(f"  {found.reason}")
        document["stale"] = found.reason
    port = _port_of(home, context)
    if port is not None and _is_answered(port):
        out.warn(f"Port {port} is answered all the same: by the daemon of another home, or by another program.")
        out.say("  A daemon of another home: set ORGLOOP_HOME. Otherwise: orgloop start --port 0")
        document |= {"orphanPort": port, "portResponding": True}
    else:
        out.say("  Start it: orgloop start --daemon")
    out.document(document)


def _port_of(home: Home, context: Context) -> int | None:
    written = context.environ.get("ORGLOOP_PORT", "")
    try:
        left = (home.read(home.port) or b"").decode("ascii", "replace").strip()
    except OSError:
        left = ""
    text = left or written or str(PORT)
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536 else None


def _is_answered(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(KNOCK_S)
        return caller.connect_ex(("127.0.0.1", port)) == 0


# -- somebody runs -----------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Seen:
    """What a daemon says of itself."""

    status: Mapping[str, Any]
    events: list[dict[str, Any]]


def _tell_of_running(context: Context, owner: Owner) -> None:
    out = context.out
    who = {
        "pid": (owner.runtime or owner.process).pid,
        "supervised": owner.is_supervised,
        "supervisorPid": owner.process.pid if owner.is_supervised else None,
        "restarts": owner.restarts,
    }
    try:
        seen = _look(context.client(timeout_s=ASK_S))
    except (NotRunning, Refused) as exc:
        _tell_of_silence(out, owner, exc, who)
        return
    for line in _lines(seen, owner, out):
        out.say(line)
    directories = {module["name"]: module["directory"] for module in seen.status["modules"]}
    recent = {"recentEvents": seen.events}
    out.document({**seen.status, **who, "moduleDirectories": directories, **recent})


def _look(client: Client) -> Seen:
    status = client.get("/control/status")
    try:
        page = client.get("/api/v1/events", limit=RECENT)
    except Refused:
        page = {"items": []}
    return Seen(status=status, events=page["items"])


def _tell_of_silence(out: Output, owner: Owner, exc: CommandFailed, who: Mapping[str, Any]) -> None:
    """It has a process, and no API that answers."""
    out.say("Runtime")
    what = "between two lives: it is being started again" if owner.runtime is None else exc.what
    out.say(f"  Status:   running (PID {who['pid']}), {what}")
    if exc.why:
        out.warn(f"{exc.why}; see: orgloop logs, or end it: orgloop stop --all --force")
    out.document({"running": True, **who, "answers": False, "reason": exc.why or exc.what})


def _lines(seen: Seen, owner: Owner, out: Output) -> Iterator[str]:
    status = seen.status
    modules = status["modules"]
    kept = f", kept running by PID {owner.process.pid}" if owner.is_supervised else ""
    lives = f", restarts: {owner.restarts}" if owner.restarts else ""
    yield out.paint("Runtime", "bold")
    yield f"  Status:       running (PID {status['pid']}{kept}{lives})"
    yield f"  Uptime:       {duration(status['uptime_ms'] / 1000)}"
    yield f"  Control API:  http://127.0.0.1:{status['httpPort']}"
    yield f"  Modules:      {len(modules)}"
    yield from _trouble(status, out)
    now_s = time.time()
    for module in modules:
        yield from ("", *_module(module, out, now_s=now_s))
    if seen.events:
        yield from ("", out.paint(f"Recent Events (last {len(seen.events)})", "bold"))
        rows = [row for event in seen.events for row in _rows(event)]
        yield from (f"  {line}" for line in table(["TIME", "SOURCE", "TYPE", "ROUTE", "STATUS"], rows))


def _trouble(status: Mapping[str, Any], out: Output) -> Iterator[str]:
    """What somebody should look at."""
    bus = status["bus"]
    if bus.get("state", "ok") != "ok":
        yield f"  {out.paint(out.mark('warn'), 'yellow')} Event log:  {bus['state']}; see: orgloop status --json"
    for name, number in status.get("parked", {}).items():
        yield f"  {out.paint(out.mark('warn'), 'yellow')} {number} events wait for module {name!r}, which is not loaded"
    for name, logger in status.get("notices", {}).get("loggers", {}).items():
        if logger["dropped"] or logger["failed"]:
            lost = logger["dropped"] + logger["failed"]
            yield f"  {out.paint(out.mark('warn'), 'yellow')} logger {name} has lost {lost} notices"


def _module(module: Mapping[str, Any], out: Output, *, now_s: float) -> Iterator[str]:
    counts = module["counts"]
    yield out.paint(f"Module: {module['name']}", "bold")
    yield f"  Directory:  {module['directory']}"
    up = duration(module["uptime_ms"] / 1000)
    yield f"  State:      {module['state']}, generation {module['generation']}, up {up}"
    if module.get("cause"):
        yield f"  {out.paint(out.mark('bad'), 'red')} {module['cause']}"
    yield f"  Sources: {module['sources']} | Actors: {module['actors']} | Routes: {module['routes']}"
    yield f"  Deliveries: {', '.join(f'{number} {name}' for name, number in counts.items() if name != 'admitted')}"
    if module["health"]:
        rows = [
            [
                one["sourceId"],
                "circuit open" if one["circuitOpen"] else one["status"],
                age(one["lastSuccessfulPoll"], now_s=now_s),
                one["consecutiveErrors"],
                one["totalEventsEmitted"],
            ]
            for one in module["health"]
        ]
        yield from (f"  {line}" for line in table(["SOURCE", "HEALTH", "LAST POLL", "ERRORS", "EVENTS"], rows))
    for one in module["health"]:
        if one["lastError"]:
            yield f"  {out.paint(out.mark('warn'), 'yellow')} {one['sourceId']}: {one['lastError']}"


def _rows(recorded: Mapping[str, Any]) -> Iterator[list[object]]:
    """A line for each end of an event, or for its being under way."""
    event = recorded["event"]
    begin = [clock(event["timestamp"]), event["source"], event["type"]]
    for end in recorded["ends"]:
        yield [*begin, end["route"], end["outcome"]]
    if recorded["open"]:
        yield [*begin, None, "in flight"]
