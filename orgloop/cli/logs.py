"""``orgloop logs``: what happened, and what happens, one line for each notice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import click

from orgloop.cli.client import Client, NotRunning
from orgloop.cli.context import Context, pass_context
from orgloop.cli.logfiles import Entry, Tail, backwards, entry_of
from orgloop.cli.output import Colour, Output
from orgloop.cli.shown import clock

LAST = 50
"""How many of the past come first while following, unless a time is given."""

MOST = 10_000
"""How many of the past are shown at most; ``--since`` and the filters narrow it down."""

MOST_ASKED = 1000
"""How many the daemon gives at once."""

RESULTS: Mapping[str, tuple[str, ...]] = {
    "deliver": ("deliver.success",),
    "drop": ("transform.drop", "route.no_match"),
    "pass": ("transform.pass",),
    "error": (
        *("transform.error", "transform.error_drop", "transform.error_halt", "deliver.failure", "deliver.retry"),
        *("source.error", "system.error", "module.error"),
    ),
}
"""What the documented values of ``--result`` mean."""

LEVELS = ("debug", "info", "warn", "error")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_COLOURS: Mapping[str, Colour] = {"error": "red", "failure": "red", "retry": "yellow", "success": "green"}


@attrs.frozen(kw_only=True)
class Wanted:
    """Which notices."""

    module: str | None = None
    source: str | None = None
    route: str | None = None
    event_type: str | None = None
    result: str | None = None
    event: str | None = None
    phase: str | None = None
    level: str = "debug"
    since: str | None = None
    """A timestamp, as the log has them."""

    def __call__(self, entry: Mapping[str, Any]) -> bool:
        """Whether a notice is among them."""
        for key in ("module", "source", "route", "event_type"):
            wanted = getattr(self, key)
            if wanted is not None and entry.get(key) != wanted:
                return False
        phase = str(entry.get("phase", ""))
        if (
            self.phase is not None
            and phase != self.phase
            and not (self.phase.endswith(".") and phase.startswith(self.phase))
        ):
            return False
        if self.event is not None and self.event not in (entry.get("event_id"), entry.get("trace_id")):
            return False
        if self.since is not None and str(entry.get("timestamp", "")) < self.since:
            return False
        return _is_grave_enough(phase, self.level) and self._has_result(entry, phase)

    def _has_result(self, entry: Mapping[str, Any], phase: str) -> bool:
        if self.result is None:
            return True
        return phase in RESULTS.get(self.result, ()) or entry.get("result") == self.result

    def query(self) -> dict[str, str | None]:
        """What the daemon can look for by itself."""
        return {key: getattr(self, key) for key in ("module", "source", "route", "phase", "event", "level")}


def _is_grave_enough(phase: str, level: str) -> bool:
    if level == "debug":
        return True
    from orgloop.sdk.loggers import INFO, SEVERITY_OF

    return SEVERITY_OF.get(phase, INFO) >= LEVELS.index(level)


@click.command()
@click.option("--module", help="Of this module.")
@click.option("--source", help="Of this source.")
@click.option("--route", help="Of this route.")
@click.option("--event-type", help="Of events of this type.")
@click.option("--result", help="deliver, drop, pass or error; or the text of a result.")
@click.option("--event", metavar="ID", help="Of this event, or of this trace.")
@click.option("--phase", help="Of this phase, or family of phases: `deliver.`")
@click.option("--level", type=click.Choice(LEVELS), help="The least severity.  [info]")
@click.option("--since", metavar="TIME", help="From then on: 30m, 2h, 7d, or 2026-03-01T09:00:00Z.")
@click.option("--limit", type=click.IntRange(1, MOST), default=None, help="How many of the past at most.")
@click.option("--format", "form", type=click.Choice(["human", "json"]), default=None, help="How each is printed.")
@click.option("--follow/--no-follow", default=True, help="Go on with what comes.  [--follow]")
@pass_context
def logs(
    context: Context, /, *, since: str | None, limit: int | None, form: str | None, follow: bool, **of: Any
) -> int:
    """Show what happens, and what happened."""
    # Who names a phase, an event or a result wants it, however small it is.
    level = of.pop("level") or ("debug" if of["phase"] or of["event"] or of["result"] else "info")
    wanted = Wanted(since=None if since is None else moment(since, now_s=time.time()), level=level, **of)
    past = limit or (MOST if since is not None or not follow else LAST)
    is_json = form == "json" or (form is None and context.is_json)
    if not follow:
        _print_past(context, wanted, limit=past, is_json=is_json)
    elif context.is_json and form == "human":
        raise click.UsageError("--json and --format human exclude each other")
    else:
        _follow(context, wanted, limit=past, show=_json_line if is_json else _shown(context.out))
    return 0


def moment(text: str, *, now_s: float) -> str:
    """
    A time as the log writes it: some time ago, or a timestamp; :class:`click.BadParameter` if it is neither.

    >>> moment("5m", now_s=1769850300.0)
    '2026-01-31T09:00:00.000Z'
    """
    from datetime import UTC, datetime

    number, unit = text[:-1], text[-1:]
    try:
        at = datetime.fromisoformat(text) if unit not in _UNITS or not _is_number(number) else None
        if at is None:
            at = datetime.fromtimestamp(now_s - float(number) * _UNITS[unit], UTC)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        why = f"{text!r} is no time; write 30m, 2h, 7d, or 2026-03-01T09:00:00Z"
        raise click.BadParameter(why, param_hint="--since") from exc
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()


# -- what is printed ---------------------------------------------------------------------------------------------------


def _print_past(context: Context, wanted: Wanted, *, limit: int, is_json: bool) -> None:
    out = context.out
    found = past_of(context, wanted, limit=limit)
    if context.is_json:
        out.document(found)
        return
    show = _json_line if is_json else _shown(out)
    for entry in found:
        out.raw(show(entry))
    if not found:
        out.say("Nothing of that has happened, as far as the log goes.")


def _json_line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _shown(out: Output) -> Callable[[Entry], str]:
    def show(entry: Entry) -> str:
        phase = str(entry.get("phase", ""))
        colour = _COLOURS.get(phase.rpartition(".")[2])
        shown_phase = f"{phase:<18}"
        parts = [
            clock(str(entry.get("timestamp", ""))),
            out.paint(shown_phase, colour) if colour else shown_phase,
            f"{entry.get('source') or '—':<12}",
            f"{entry.get('event_id') or '—':<20}",  # whole: what two of one moment share is their beginning
            _detail(entry),
        ]
        return " ".join(parts).rstrip()

    return show


def _detail(entry: Mapping[str, Any]) -> str:
    """What is left to say, in a line."""
    module, route, target = (entry.get(key) for key in ("module", "route", "target"))
    way = "/".join(str(part) for part in (module, route) if part)
    took = entry.get("duration_ms")
    parts = [
        way,
        f"→ {target}" if target else "",
        str(entry.get("transform") or ""),
        str(entry.get("result") or ""),
        f"{took:.0f}ms" if isinstance(took, int | float) else "",
        str(entry.get("error") or ""),
    ]
    return " ".join(part for part in parts if part).replace("\n", " ⏎ ")


# -- where they come from ----------------------------------------------------------------------------------------------


def past_of(context: Context, wanted: Wanted, *, limit: int) -> list[Entry]:
    """The last of what is wanted, oldest first, of the log file and of those that were put aside."""
    found: list[Entry] = []
    try:
        for entry in backwards(context.home.log):
            if wanted.since is not None and str(entry.get("timestamp", "")) < wanted.since:
                break
            if wanted(entry):
                found.append(entry)
                if len(found) == limit:
                    break
    except PermissionError:  # the log is its owner's; the daemon may still show it, with what is secret masked
        query = {**wanted.query(), "since": wanted.since, "limit": min(limit, MOST_ASKED)}
        items = context.client().get("/api/v1/logs/query", **query)["items"]
        found = [entry for entry in items if wanted(entry)]
    return found[::-1]


@attrs.define
class Seen:
    """What was shown of the past, so that nothing is shown twice."""

    until: str
    """Nothing older than this is shown again."""
    _keys: set[str] = attrs.field(factory=set)

    def add(self, entry: Entry) -> None:
        """One more was shown."""
        at = str(entry.get("timestamp", ""))
        if at > self.until:
            self.until, self._keys = at, set()
        if at == self.until:
            self._keys.add(json.dumps(entry, sort_keys=True))

    def is_new(self, entry: Entry) -> bool:
        """Whether an entry was not among them."""
        at = str(entry.get("timestamp", ""))
        return at > self.until or (at == self.until and json.dumps(entry, sort_keys=True) not in self._keys)


def _follow(context: Context, wanted: Wanted, *, limit: int, show: Callable[[Entry], str]) -> None:
    """The past, then what comes: from the daemon if one runs, and from the file when none does."""
    out = context.out
    # What was told a moment ago may not be in the file yet.
    seen = Seen(moment("2s", now_s=time.time()))

    def tell(entry: Entry) -> None:
        out.raw(show(entry))
        out.out.flush()
        seen.add(entry)

    with Tail(context.home.log) as tail:
        past = past_of(context, wanted, limit=limit)
        if past:
            seen.until = ""
        for entry in past:
            tell(entry)
        for entry in _from_now_on(context, tail, wanted):
            if wanted(entry) and seen.is_new(entry):
                tell(entry)


def _from_now_on(context: Context, tail: Tail, wanted: Wanted) -> Iterator[Entry]:
    try:
        yield from _of_daemon(context.client(), wanted)
    except NotRunning as exc:
        context.out.detail(exc.what)
    context.out.detail(f"Following {tail.path}")
    yield from tail.follow()


def _of_daemon(client: Client, wanted: Wanted) -> Iterator[Entry]:
    """What the daemon tells, until it ends; what it told while we were looking at the past too."""
    for message in client.stream("/api/v1/logs", **wanted.query(), recent=MOST_ASKED):
        if message.event == "end":
            return
        if message.event == "message" and (entry := entry_of(message.data.encode())) is not None:
            yield entry
