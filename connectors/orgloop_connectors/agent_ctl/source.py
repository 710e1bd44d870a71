"""Asking agentctl, and telling what has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from orgloop.sdk import Checked, Event, Place, Polled, PollFailed, faults_of
from orgloop_connectors._command import environment
from orgloop_connectors._lifecycle import HARNESSES, now, session_event
from orgloop_connectors._query import ask, program_at
from orgloop_connectors.agent_ctl.changes import Change, Known, Listed, changes, read, written

MAX_SESSIONS = 1000
"""How many sessions are looked after."""

MAX_CHECKPOINT_CHARS = 1_000_000
"""How long what is remembered of them may be, written down."""

TIMEOUT_S = 10.0

_FLAT = (
    ("adapter", "adapter"),
    ("started_at", "startedAt"),
    ("stopped_at", "stoppedAt"),
    ("cwd", "cwd"),
    ("spec", "spec"),
    ("model", "model"),
    ("tokens", "tokens"),
    ("cost", "cost"),
    ("pid", "pid"),
    ("meta", "meta"),
)


@attrs.frozen(kw_only=True)
class AgentCtlConfig:
    """How agentctl is asked."""

    binary_path: str = "agentctl"
    """A name with a slash is looked for from the module's directory, or from ``~/``; any other in PATH."""
    timeout_s: float = attrs.field(default=TIMEOUT_S, metadata={"yaml": "timeout", "unit": "ms"})
    """How long it may take to answer; in the file, in milliseconds."""
    all: bool = False
    """Whether to ask for ended sessions too, so that it is known how they ended."""
    env: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    """What it sees beyond PATH, HOME and LANG."""


class AgentCtlSource:
    """Compares what is listed with what was, which is its checkpoint."""

    def __init__(self, config: AgentCtlConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        faults = []
        if not config.binary_path or "\0" in config.binary_path:
            faults.append("binary_path: is empty, or holds NUL; write agentctl, or the path of it")
        if not 0 < config.timeout_s <= 600:
            faults.append("timeout: must be more than 0 and at most 600000, in milliseconds")
        if faults:
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        self._argv = [program_at(config.binary_path, place.directory), "list", "--json"]
        if config.all:
            self._argv.append("--all")

    async def poll(self, checkpoint: str | None) -> Polled:
        """Look once; :class:`PollFailed` if agentctl does not answer, or not so that it can be trusted."""
        said = await ask(self._argv, timeout_s=self._config.timeout_s, cwd=self._place.directory, env=self._config.env)
        listed, whole = self._listed(said)
        before = _known(checkpoint)
        told, after = changes(before, listed, whole=whole)
        if len(after) > MAX_SESSIONS:
            raise PollFailed(f"agentctl lists {len(after)} sessions; at most {MAX_SESSIONS} are looked after")
        if checkpoint is None and self._config.all:
            # What had ended before anybody looked is no news.
            told = [change for change in told if not change.step.terminal]
        events = [self.event_of(change) for change in told]
        place = json.dumps(written(after), ensure_ascii=False, separators=(",", ":"))
        if len(place) > MAX_CHECKPOINT_CHARS:
            raise PollFailed(f"what is to be remembered of {len(after)} sessions is too long; end some of them")
        return Polled(events, None if place == checkpoint else place)

    def _listed(self, said: Any) -> tuple[list[Listed], bool]:
        """The sessions, and whether they are all: with warnings, some agents may not have been asked."""
        whole = True
        if isinstance(said, Mapping):
            whole, said = not said.get("warnings"), said.get("sessions")
        if not isinstance(said, list):
            raise PollFailed("agentctl has answered with neither a list nor an object with sessions; is it up to date?")
        try:
            listed = [Listed.of(one) for one in said]
        except ValueError as exc:
            raise PollFailed(f"agentctl has answered with what is no list of sessions: {exc}") from exc
        if len({one.id for one in listed}) < len(listed):
            raise PollFailed("agentctl lists a session twice")
        return listed, whole

    def event_of(self, change: Change) -> Event:
        """The event of a change; :class:`PollFailed` if what was listed cannot be in one."""
        said, step = change.said, change.step
        adapter = _text(said, "adapter") or "unknown"
        session: dict[str, Any] = {"cwd": _text(said, "cwd"), "started_at": _text(said, "startedAt")}
        session = {key: value for key, value in session.items() if value}
        if step.terminal:
            session["ended_at"] = _text(said, "stoppedAt") or now()
        if isinstance(said.get("meta"), Mapping):
            session["meta"] = said["meta"]
        harness = harness_of(adapter)
        event = session_event(
            self._place.id,
            step,
            platform="agent-ctl",
            harness=harness,
            session={"adapter": adapter, **session},
            flat={
                "action": change.action,
                "session_id": step.session_id,
                "status": change.status,
                **{ours: said[theirs] for ours, theirs in _FLAT if said.get(theirs) is not None},
            },
            provenance={"author": adapter, "resource_id": step.key(harness)},
        )
        if faults := faults_of(event):
            raise PollFailed(f"agentctl has answered with what no event can hold: {faults[0]}")
        return event


def harness_of(adapter: str) -> str:
    """
    The harness that an adapter is of.

    >>> harness_of("Claude")
    'claude-code'
    """
    name = adapter.lower()
    if name == "claude":
        return "claude-code"
    return name if name in HARNESSES else "other"


def _text(said: Mapping[str, Any], field: str) -> str:
    value = said.get(field)
    return value if isinstance(value, str) else ""


def _known(checkpoint: str | None) -> Known:
    if checkpoint is None:
        return {}
    try:
        plain = json.loads(checkpoint)
    except ValueError:
        # The original's was a time, which tells nothing of any session.
        return {}
    try:
        return read(plain)
    except ValueError as exc:
        raise PollFailed(
            f"the checkpoint is none of this source ({exc}); remove it, and sessions are told anew"
        ) from exc


async def check_source(config: AgentCtlConfig, place: Place) -> Sequence[Checked]:
    """Whether agentctl is there; nothing is run."""
    program = program_at(config.binary_path, place.directory)
    path = environment(config.env)["PATH"]
    found = await trio.to_thread.run_sync(lambda: shutil.which(program, path=path))
    advice = "install it (npm install -g @orgloop/agentctl), or set binary_path"
    return [Checked(name="agentctl", ok=found is not None, detail=found or f"{program} is not found; {advice}")]
