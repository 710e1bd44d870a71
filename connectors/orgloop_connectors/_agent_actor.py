"""
A headless agent as an actor: a process for each delivery, its session, its limits, and its end as an event.

Law: an event is read by the agent, from standard input, and by nothing else: program, options, permissions, directory
and environment are the operator's. Two deliveries of one session key never run at once. What ends a delivery ends the
agent, with all that it has started.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import attrs
import trio

from orgloop.sdk import Delivery, EventError, Failed, OrgLoopError, Outcome, Place, Rejected
from orgloop_connectors._agent_config import HeadlessConfig, program_of
from orgloop_connectors._agent_end import Run, Teller, end_of
from orgloop_connectors._agent_prompt import prompt_for
from orgloop_connectors._agent_words import Lines, Report, object_in
from orgloop_connectors._command import environment, run


@attrs.frozen(kw_only=True)
class Thread:
    """Which conversation a run belongs to."""

    id: str | None
    """None if the agent will choose it."""
    resume: bool
    """Whether it has been begun before."""


class Dialect(Protocol):
    """What differs between agents."""

    @property
    def harness(self) -> str: ...

    @property
    def program(self) -> str: ...

    def argv(self, thread: Thread) -> list[str]:
        """Options for one run; what the agent is told comes on standard input."""
        ...

    def hear(self, said: Mapping[str, Any], report: Report) -> None:
        """Note what a line says."""
        ...

    def is_unknown(self, report: Report, stderr: str) -> bool:
        """Whether a run has ended because the agent does not know the session that it was to resume."""
        ...

    async def thread(self, key: str | None, delivery: Delivery) -> Thread:
        """The conversation for a session key; OSError or ValueError if it cannot be looked up."""
        ...

    async def remember(self, key: str, session_id: str) -> None:
        """Keep which session a key has; OSError or ValueError if it cannot be kept."""
        ...


class Headless:
    """Runs an agent once for each attempt at a delivery."""

    def __init__(self, config: HeadlessConfig, place: Place, dialect: Dialect, *, max_steps: int | None = None) -> None:
        self._config, self._place, self._dialect, self._max_steps = config, place, dialect, max_steps
        self._cwd = str(place.directory / (config.cwd or "."))
        self._program = program_of(dialect.program, place)
        self._teller = Teller(
            place=place,
            program=dialect.program,
            harness=dialect.harness,
            cwd=self._cwd,
            secrets=list(config.env.values()),
            max_words=config.max_output_bytes,
        )
        self._locks: dict[str, trio.Lock] = {}

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Let the agent work on it; whoever cancels the delivery ends the agent."""
        try:
            stdin = prompt_for(delivery, nonce=secrets.token_hex(12)).encode()
        except EventError as exc:
            return Rejected(str(exc))
        if len(stdin) > self._config.max_event_bytes:
            limit = self._config.max_event_bytes
            return Rejected(f"the event and the prompt have {len(stdin)} bytes, more than max_event ({limit}) allows")
        key = _session_key(delivery)
        try:
            async with self._alone(key):
                run = await self._converse(key, stdin, delivery)
        except OSError as exc:
            return Failed(
                f"{self._program} cannot be started in {self._cwd} ({exc.strerror or exc}); "
                "both must exist, and the program be executable (chmod +x)"
            )
        except ValueError as exc:
            return Failed(str(exc))
        end = end_of(run)
        if self._config.emits:
            try:
                await delivery.emit([self._teller.event(run, end, key=key, delivery=delivery)])
            except OrgLoopError as exc:
                return Failed(f"{self._program} has ended, and its end cannot be published: {exc}")
        return self._teller.outcome(run, end)

    @asynccontextmanager
    async def _alone(self, key: str | None) -> AsyncGenerator[None]:
        """For as long as no other delivery of the same key is under way."""
        if key is None:
            yield
            return
        lock = self._locks.setdefault(key, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            # A lock that somebody waits for has passed on to them already.
            if not lock.locked():
                self._locks.pop(key, None)

    async def _converse(self, key: str | None, stdin: bytes, delivery: Delivery) -> Run:
        thread = await self._dialect.thread(key, delivery)
        run = await self._run(thread, stdin, delivery)
        words = run.ended.stderr.text() if run.ended else ""
        if thread.resume and self._dialect.is_unknown(run.report, words):
            thread = attrs.evolve(thread, resume=False)
            run = await self._run(thread, stdin, delivery)
        if run.report.session_id is None:
            run.report.session_id = thread.id
        if key is not None and run.report.session_id is not None:
            try:
                await self._dialect.remember(key, run.report.session_id)
            except (OSError, ValueError) as exc:
                # The work is done, and would be done again for nothing; the event of its end says what is lost.
                run.report.unkept = str(exc)
        return run

    async def _run(self, thread: Thread, stdin: bytes, delivery: Delivery) -> Run:
        report, lines, ended = Report(), Lines(), None
        started_at_s = time.time()

        def hear(piece: bytes) -> None:
            self._hear(lines.of(piece), report)
            if report.asked is not None:
                scope.cancel("the agent waits for a permission that nobody is there to give")
            elif self._is_over(report):
                scope.cancel("the agent has taken all the steps that it may")

        with trio.move_on_after(self._config.max_time_s) as scope:
            ended = await run(
                [self._program, *self._dialect.argv(thread)],
                stdin=stdin,
                env=environment({**self._about(delivery), **self._config.env}),
                cwd=self._cwd,
                grace_s=self._config.grace_s,
                hear=hear,
            )
        self._hear(lines.last(), report)
        report.garbage += lines.dropped
        return Run(
            report=report,
            ended=ended,
            started_at_s=started_at_s,
            ended_at_s=time.time(),
            max_steps=ended is None and self._is_over(report),
        )

    def _hear(self, lines: Iterator[bytes], report: Report) -> None:
        for line in lines:
            said = object_in(line)
            if said is not None:
                self._dialect.hear(said, report)
            elif line.strip():
                report.garbage += 1

    def _is_over(self, report: Report) -> bool:
        return self._max_steps is not None and report.steps > self._max_steps and report.final is None

    def _about(self, delivery: Delivery) -> dict[str, str]:
        event = delivery.event
        told = {
            "EVENT_ID": event.id,
            "TRACE_ID": event.trace_id,
            "MODULE": self._place.module,
            "ACTOR": self._place.id,
            "ATTEMPT": str(delivery.attempt),
            "IDEMPOTENCY_KEY": delivery.idempotency_key,
        }
        return {f"ORGLOOP_{name}": value.replace("\0", "") for name, value in told.items()}


def _session_key(delivery: Delivery) -> str | None:
    """The ``session_key`` of the route's config; None if it has none, or an empty one."""
    key = delivery.config.get("session_key")
    return str(key) if key not in (None, "") else None
