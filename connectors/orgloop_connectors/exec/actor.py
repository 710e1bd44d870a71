"""Running the command, and telling what its end means."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Mapping
from typing import Any

import trio

from orgloop.sdk import (
    Checked,
    Delivered,
    Delivery,
    EventError,
    Failed,
    OrgLoopError,
    Outcome,
    Place,
    Rejected,
    Skipped,
    encode,
)
from orgloop_connectors._command import Ended, environment, run
from orgloop_connectors._identity import identity_variables
from orgloop_connectors._template import compile_template, has_placeholder
from orgloop_connectors.exec.completion import completion
from orgloop_connectors.exec.config import ExecConfig, faults_in

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""How long one argument may be; Linux (MAX_ARG_STRLEN) takes no longer one."""

MAX_EXCERPT_CHARS = 300
"""How much of what a command said is told in a reason."""


class _Unsafe(ValueError):
    """What an event says cannot be an argument."""


class ExecActor:
    """
    Runs its command once for each attempt at a delivery.

    =============================  ==============================================
    exit 0                         delivered
    exit 75 (EX_TEMPFAIL)          failed: tried again, as the route says
    a status of ``reject_on``      rejected: to the dead letters
    a status of ``skip_on`` (78)   skipped
    any other, a signal, no start  failed
    =============================  ==============================================
    """

    def __init__(self, config: ExecConfig, place: Place) -> None:
        """ValueError, a line for each fault."""
        if faults := list(faults_in(config)):
            raise ValueError("\n".join(faults))
        self._config, self._place = config, place
        self._cwd = str(place.directory / (config.cwd or "."))
        self._program = _program(config, place)
        self._arguments = [_Argument(text) for text in config.command[1:]]

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Run the command to its end; whoever cancels the delivery ends the command."""
        started_at_s = time.time()
        try:
            ended = await run(
                self._argv(delivery),
                stdin=self._stdin(delivery),
                env=environment({**self._about(delivery), **self._config.env}),
                cwd=self._cwd,
                keep_bytes=self._config.max_output_bytes,
                grace_s=self._config.grace_s,
            )
        except (_Unsafe, EventError) as exc:
            return Rejected(str(exc))
        except OSError as exc:
            return self._not_started(exc)
        if self._config.emits:
            try:
                await self._emit(ended, delivery, started_at_s)
            except OrgLoopError as exc:
                return Failed(f"{self._program} has ended, and its end cannot be published: {exc}")
        return self._outcome(ended)

    # -- what it is given ----------------------------------------------------------------------------------------------

    def _argv(self, delivery: Delivery) -> list[str]:
        said = _said(delivery)
        options_end = self._config.command.index("--") if "--" in self._config.command else len(self._arguments) + 1
        return [
            self._program,
            *(
                argument.fill(said, number, guarded=number < options_end)
                for number, argument in enumerate(self._arguments, 1)
            ),
        ]

    def _stdin(self, delivery: Delivery) -> bytes:
        match self._config.stdin:
            case "none":
                return b""
            case "event":
                return encode(delivery.event) + b"\n"
        return json.dumps(_said(delivery), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _about(self, delivery: Delivery) -> dict[str, str]:
        prompt = {} if delivery.prompt is None else {"ORGLOOP_PROMPT_FILE": delivery.prompt.file}
        return {**identity_variables(delivery, self._place), **prompt}

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _outcome(self, ended: Ended) -> Outcome:
        if ended.status == 0:
            return Delivered()
        how = ended.signal or f"exit {ended.status}"
        said = self._last_words(ended)
        reason = f"{self._config.command[0]} ended with {how}: {said or 'it said nothing'}"
        if ended.signal is None and ended.status in self._config.reject_on:
            return Rejected(reason)
        if ended.signal is None and ended.status in self._config.skip_on:
            return Skipped(reason)
        return Failed(reason)

    def _last_words(self, ended: Ended) -> str:
        secrets = list(self._config.env.values())
        line = " ".join((ended.stderr.text(secrets) or ended.stdout.text(secrets)).split())
        return line if len(line) <= MAX_EXCERPT_CHARS else f"…{line[-MAX_EXCERPT_CHARS:]}"

    def _not_started(self, exc: OSError) -> Outcome:
        reason = f"{self._program} cannot be started in {self._cwd} ({exc.strerror})"
        if exc.errno == errno.E2BIG:
            return Rejected(f"{reason}; give it the event on standard input")
        return Failed(f"{reason}; both must exist, and the program be executable (chmod +x)")

    async def _emit(self, ended: Ended, delivery: Delivery, started_at_s: float) -> None:
        secrets = list(self._config.env.values())
        event = completion(
            actor=self._place.id,
            harness=self._config.harness,
            cwd=self._cwd,
            session_id=f"{delivery.idempotency_key}-{delivery.attempt}",
            started_at_s=started_at_s,
            ended_at_s=time.time(),
            status=ended.status,
            stdout=ended.stdout.text(secrets),
            stderr=ended.stderr.text(secrets),
        )
        await delivery.emit([event])


class _Argument:
    """One argument of the command, which stays one whatever is filled in."""

    def __init__(self, text: str) -> None:
        self._fill = compile_template(text)
        self._is_fixed = not has_placeholder(text)
        self._begins_open = text.startswith("{{")

    def fill(self, said: Mapping[str, Any], number: int, *, guarded: bool) -> str:
        value = self._fill(said)
        if self._is_fixed:
            return str(value)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if "\0" in text:
            raise _Unsafe(f"argument {number} would hold NUL")
        if guarded and self._begins_open and text.startswith("-"):
            raise _Unsafe(
                f"argument {number} would begin with '-', and be taken for an option; write -- before it in command"
            )
        if len(text.encode()) > MAX_ARGUMENT_BYTES:
            raise _Unsafe(f"argument {number} would be longer than {MAX_ARGUMENT_BYTES} bytes; take it from stdin")
        return text


def _said(delivery: Delivery) -> dict[str, Any]:
    prompt = delivery.prompt.text if delivery.prompt else ""
    return {"event": json.loads(encode(delivery.event)), "launch_prompt": prompt, "config": dict(delivery.config)}


def _program(config: ExecConfig, place: Place) -> str:
    # A name with a slash would be looked for from where the command runs, or from where the daemon does.
    name = config.command[0]
    return str(place.directory / name) if "/" in name else name


async def check_actor(config: ExecConfig, place: Place) -> list[Checked]:
    """Whether the program and its directory are there; nothing is run."""
    return await trio.to_thread.run_sync(_look, config, place)


def _look(config: ExecConfig, place: Place) -> list[Checked]:
    program = _program(config, place)
    found = shutil.which(program, path=environment(config.env)["PATH"])
    advice = "it must exist, and be executable (chmod +x)" if "/" in program else "install it, or write its whole path"
    checked = [Checked(name="command", ok=found is not None, detail=found or f"{program} is not found; {advice}")]
    cwd = place.directory / (config.cwd or ".")
    if not os.path.isdir(cwd):
        checked.append(Checked(name="cwd", ok=False, detail=f"{cwd} is no directory; make it, or correct cwd"))
    return checked
