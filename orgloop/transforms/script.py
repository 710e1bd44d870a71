"""The script: an executable that reads an event, and writes what is to become of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

import attrs
import trio

from orgloop.errors import EventError
from orgloop.event import Event, encode
from orgloop.sdk import Context, TransformFailed
from orgloop.transforms._command import LIMIT_BYTES, Ended, environment, run
from orgloop.transforms._fields import refuse
from orgloop.transforms._rewrite import rewritten

DROPS = (1, 78)
"""Exit statuses that drop the event: the original's, and the one that its documentation names."""


@attrs.frozen
class ScriptConfig:
    """
    Which program, for how long, and what it may know.

    ``executable`` is an absolute path to a file that may be executed and says by what (``#!``). It runs without a
    shell and without arguments, in ``cwd`` or else in its own folder. Of the daemon's environment it sees PATH, HOME
    and LANG; ``env`` gives it more, by name. The deadline covers its start as well.
    """

    executable: str = attrs.field(metadata={"yaml": "script"})
    timeout_s: float = attrs.field(default=30.0, metadata={"yaml": "timeout_ms", "unit": "ms"})
    env: Mapping[str, str] = attrs.field(factory=dict)
    cwd: str | None = None


class Script:
    """
    Hands the event to the script, as one line of JSON on its standard input.

    ====================================  ==========================================================
    exit 0, JSON on standard output       the event it wrote, with the identity of the one it read
    exit 0, nothing on standard output    dropped
    exit 1 or 78                          dropped
    any other end                         :class:`TransformFailed`: ``on_error`` decides
    ====================================  ==========================================================

    Any other end is: another status, a signal, the deadline, no start, output that is not an event or is longer than
    10 MiB. Afterwards nothing of it runs: its process group is killed, whatever it left behind.
    """

    def __init__(self, config: ScriptConfig) -> None:
        """ValueError, a line for each fault."""
        faults = []
        if not os.path.isabs(config.executable):
            faults.append(f"script: {config.executable!r} is not absolute; write '/the/way/to/{config.executable}'")
        if not config.timeout_s > 0:
            faults.append(f"timeout_ms: {config.timeout_s!r} s is no time; write one above 0, as in 30000")
        for name, value in config.env.items():
            if not name or "=" in name or "\0" in name + value:
                faults.append(f"env.{name}: {name!r} cannot be set; write a name without '=' and a text without NUL")
        refuse(faults)
        self._config = config

    async def apply(self, event: Event, context: Context) -> Event | None:
        """What the script made of the event; None if it dropped it."""
        config = self._config
        with trio.move_on_after(config.timeout_s):
            return self._outcome(event, await self._run(event, context))
        raise TransformFailed(f"{config.executable} took longer than {config.timeout_s:g} s and was killed")

    async def _run(self, event: Event, context: Context) -> Ended:
        executable = self._config.executable
        try:
            return await run(
                [executable],
                stdin=encode(event) + b"\n",
                env=environment({**_about(event, context), **self._config.env}),
                cwd=self._config.cwd or os.path.dirname(executable),
            )
        except EventError as exc:
            raise TransformFailed(str(exc)) from exc
        except (OSError, ValueError) as exc:
            raise TransformFailed(
                f"{executable} cannot be started ({exc}); it must exist, be executable (chmod +x) and begin with '#!'"
            ) from exc

    def _outcome(self, event: Event, ended: Ended) -> Event | None:
        if ended.overflowed:
            raise TransformFailed(f"{self._config.executable} wrote more than {LIMIT_BYTES} bytes and was ended")
        if ended.status in DROPS or (ended.status == 0 and not ended.stdout.strip()):
            return None
        if ended.status != 0:
            how = f"exit {ended.status}" if ended.status > 0 else _name_of(-ended.status)
            raise TransformFailed(f"{self._config.executable} ended with {how}: {ended.stderr or 'it said nothing'}")
        try:
            return rewritten(event, ended.stdout)
        except TransformFailed as exc:
            raise TransformFailed(f"{self._config.executable}: {exc}") from exc


def _about(event: Event, context: Context) -> dict[str, str]:
    """What a script is told beside the event; its documentation has the names without the prefix too."""
    told = {"SOURCE": context.source, "TARGET": context.target, "EVENT_TYPE": context.event_type}
    more = {**told, "EVENT_ID": event.id, "ROUTE": context.route}
    return told | {f"ORGLOOP_{name}": value for name, value in more.items()}


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
