"""``orgloop test``: one event through the project, for real; with ``--dry-run`` up to the doors of the actors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import FAULTS, OK, CommandFailed
from orgloop.cli.given import event_in_file, event_sample
from orgloop.cli.projects import load, read
from orgloop.cli.trial import Happening, Trial, durations_ms, try_event
from orgloop.config.masking import Masker
from orgloop.event import encode

TIMEOUT_S = 60.0
_MAX_PROMPT = 400
"""How much of a prompt is shown without ``-v``."""


@click.command()
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option("--generate", metavar="CONNECTOR", help="Take a sample event of a connector instead of a file.")
@click.option("--sample", type=click.IntRange(1), default=1, help="Which of its samples; the first if not given.")
@click.option("--dry-run", is_flag=True, help="Deliver to nobody; show what each actor would be given.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=TIMEOUT_S, help="Seconds to wait for the end. [60]"
)
@pass_context
def test(context: Context, file: str | None, generate: str | None, sample: int, dry_run: bool, timeout: float) -> int:
    """
    Send one event through the project, and show its way.

    FILE is JSON with at least source and type; - reads it from stdin. Filters and transforms are the real ones, and
    deliveries too, unless --dry-run. Exit code 2 if something was given up.
    """
    if (file is None) == (generate is None):
        raise CommandFailed(
            "Say which event: a file, or --generate, and not both" if file else "No event was given",
            next="orgloop test event.json, orgloop test - < event.json, or orgloop test --generate webhook",
            code="no_event",
        )
    project = read(context).project if dry_run else load(context)
    if project.modules:
        context.out.detail("modules that the project names are left out of the trial")
    event = event_sample(context, project, generate, sample) if generate else event_in_file(context, file or "-")
    trial = try_event(project, event, dry_run=dry_run, timeout_s=timeout)
    masker = Masker(project.secrets)
    _tell(context, trial, masker, dry_run=dry_run)
    context.out.document(masker.plain(as_json(trial, dry_run=dry_run)))
    return OK if trial.is_good else FAULTS


# -- for people --------------------------------------------------------------------------------------------------------


def _tell(context: Context, trial: Trial, masker: Masker, *, dry_run: bool) -> None:
    out = context.out
    took = zip(trial.happenings, durations_ms(trial.happenings), strict=True)
    for one, ms in sorted(took, key=_place_in(trial)):
        for line in _lines(context, one, ms, dry_run=dry_run):
            out.say(masker.text(line))
    for refusal in trial.refusals:
        out.say(f"  {out.paint('=', 'grey')} Route {refusal.route} — does not want it")
        for clause in refusal.clauses:
            out.say(f"      {masker.text(str(clause))}")
    for offered in trial.offers:
        out.say(f"\n{out.paint(f'{offered.actor} would be given', 'bold')}")
        out.say(f"  config: {masker.text(json.dumps(offered.config, ensure_ascii=False, default=str))}")
        if offered.prompt is not None:
            text = (
                offered.prompt
                if out.is_verbose or len(offered.prompt) <= _MAX_PROMPT
                else f"{offered.prompt[:_MAX_PROMPT]}…"
            )
            out.say("  prompt: " + masker.text(text.rstrip()).replace("\n", "\n    "))
    out.say()
    if not trial.is_finished:
        out.fail("not all has ended in time; --timeout waits longer")
    if not trial.matched:
        out.say("No route wants this event.")
    elif trial.is_good:
        out.good("Nothing was delivered: this was a dry run." if dry_run else "All of it went well.")
    else:
        out.fail("Something was given up.")


def _place_in(trial: Trial) -> Callable[[tuple[Happening, float | None]], tuple[int, int]]:
    """Events one after the other, and of each its routes; as it happened, they go side by side."""
    events = _numbered(one.notice.event_id for one in trial.happenings)
    routes = _numbered(one.notice.route for one in trial.happenings)

    def place(told: tuple[Happening, float | None]) -> tuple[int, int]:
        notice = told[0].notice
        return events[notice.event_id], routes[notice.route]

    return place


def _numbered(names: Iterable[str | None]) -> dict[str | None, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _lines(context: Context, one: Happening, ms: float | None, *, dry_run: bool) -> Iterator[str]:
    notice, out = one.notice, context.out
    good, bad = out.paint(out.mark("ok"), "green"), out.paint(out.mark("bad"), "red")
    again = out.paint(out.mark("warn"), "yellow")
    time = "" if ms is None else f" ({ms:.1f} ms)"
    error = f": {notice.error}" if notice.error else ""
    match notice.phase:
        case "source.emit":
            yield f"Event {notice.event_id}  {notice.event_type} from {notice.source}"
        case "route.match":
            yield f"  {good} Route match: {notice.route} → {notice.target}"
        case "transform.pass":
            yield f"      {good} Transform: {notice.transform} — PASS{time}"
        case "transform.drop" | "transform.error_drop":
            yield f"      {out.paint('-', 'yellow')} Transform: {notice.transform} — DROP{time}{error}"
        case "transform.error" | "transform.error_halt":
            yield f"      {bad} Transform: {notice.transform} — ERROR{time}{error}"
        case "deliver.success":
            how = "OK (dry run)" if dry_run else notice.result or "OK"
            yield f"      {good} Delivery: {notice.target} — {how}{time}"
        case "deliver.retry":
            yield f"      {again} Delivery: {notice.target} — will be tried again{time}{error}"
        case "deliver.failure":
            yield f"      {bad} Delivery: {notice.target} — {notice.result or 'given up'}{time}{error}"
        case "transform.start" | "deliver.attempt" | "route.no_match":
            return
        case phase:
            yield f"      {bad} {phase}{error}"


# -- for programs ------------------------------------------------------------------------------------------------------

_STATUS = {
    "route.match": "matched",
    "route.no_match": "not_found",
    "transform.pass": "pass",
    "transform.drop": "drop",
    "transform.error_drop": "drop",
    "deliver.retry": "retry",
    "deliver.success": "ok",
}


def as_json(trial: Trial, *, dry_run: bool) -> dict[str, Any]:
    """The original's shape, and beside it what did not match, and what would have been delivered."""
    results = []
    for one, ms in zip(trial.happenings, durations_ms(trial.happenings), strict=True):
        notice = one.notice
        if notice.phase in ("transform.start", "deliver.attempt", "source.emit"):
            continue
        status = _STATUS.get(notice.phase, "error")
        result: dict[str, Any] = {
            "step": notice.transform or (notice.target if notice.phase.startswith("deliver.") else notice.route),
            "kind": notice.phase.partition(".")[0],
            "status": "dry_run" if dry_run and notice.phase == "deliver.success" else status,
            "event": notice.event_id,
            "route": notice.route,
            "duration_ms": None if ms is None else round(ms, 3),
        }
        results.append(result | ({"error": notice.error} if notice.error else {}))
    return {
        "event": json.loads(encode(trial.event)),
        "matched_routes": list(trial.matched),
        "results": results,
        "not_matched": [
            {"route": refusal.route, "why": [str(clause) for clause in refusal.clauses]} for refusal in trial.refusals
        ],
        "offered": [attrs.asdict(offered) for offered in trial.offers],
        "finished": trial.is_finished,
        "ok": trial.is_good,
        "dry_run": dry_run,
    }
