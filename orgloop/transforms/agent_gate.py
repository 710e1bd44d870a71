"""The agent gate: drops events while a coding agent is at work."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec
import trio

from orgloop.event import Event
from orgloop.sdk import Context
from orgloop.transforms._command import environment, run
from orgloop.transforms._fields import refuse


@attrs.frozen
class AgentGateConfig:
    """
    Whom to ask (``<binary_path> list --json``), and who counts as being at work.

    ``binary_path`` is a path, with ``~`` for the home, or a name to be found on PATH. ``adapter_filter`` leaves only
    the sessions of one adapter to count.
    """

    binary_path: str = "agent-ctl"
    adapter_filter: str | None = None
    active_statuses: Sequence[str] = ("running",)
    timeout_s: float = attrs.field(default=5.0, metadata={"yaml": "timeout", "unit": "ms"})


class AgentGate:
    """
    Drops the event if a session is active; it is gone, not put off.

    It fails open: if the answer does not come in time, or cannot be read, the event passes, ``counts["failures"]``
    goes up and ``last_failure`` says why.
    """

    def __init__(self, config: AgentGateConfig) -> None:
        """ValueError, a line for each fault."""
        faults = []
        if not config.binary_path:
            faults.append("binary_path: '' names no program; write 'agent-ctl' or the path to it")
        if isinstance(config.active_statuses, str) or not config.active_statuses:
            faults.append(
                f"active_statuses: {config.active_statuses!r} is not a list of statuses; write one, as in [running]"
            )
        if not config.timeout_s > 0:
            faults.append(f"timeout: {config.timeout_s!r} s is no time; write one above 0, as in 5000")
        refuse(faults)
        self._config = config
        self._argv = [os.path.expanduser(config.binary_path), "list", "--json"]
        self.counts: Counter[str] = Counter()
        self.last_failure: str | None = None

    async def apply(self, event: Event, context: Context) -> Event | None:  # noqa: ARG002
        """The event, or None while an agent is at work."""
        failure = f"no answer within {self._config.timeout_s:g} s"
        with trio.move_on_after(self._config.timeout_s):
            try:
                return None if await self._is_busy() else event
            except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
                failure = str(exc)
        self.counts["failures"] += 1
        self.last_failure = f"{self._argv[0]}: {failure}"
        return event

    async def _is_busy(self) -> bool:
        """Whether a session is active; ValueError for an answer that does not say."""
        ended = await run(self._argv, stdin=b"", env=environment({}))
        if ended.status != 0 or ended.overflowed:
            raise ValueError(f"ended with status {ended.status}: {ended.stderr}")
        answer: Any = msgspec.json.decode(ended.stdout)
        sessions = answer.get("sessions") if isinstance(answer, dict) else answer
        if not isinstance(sessions, list):
            raise ValueError("its answer is neither a list nor an object with a list of sessions")
        return any(self._is_active(session) for session in sessions if isinstance(session, dict))

    def _is_active(self, session: dict[str, Any]) -> bool:
        wanted = self._config.adapter_filter
        return session.get("status") in self._config.active_statuses and wanted in (None, session.get("adapter"))
