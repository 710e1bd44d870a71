"""
Sees the attempts of one route, and puts them on record.

    begin ──▶ the actor, which may emit ──▶ end ──▶ record ──▶ trail, notices
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec
import trio

from orgloop.config.audit import AuditConfig
from orgloop.event import Event, timestamp_of
from orgloop.runtime.audit import AuditRecord, Output, Trail
from orgloop.runtime.checks import Flag, echo_of, flags_of
from orgloop.sdk import Admitted, Delivered, Delivery, Failed, Outcome, Prompt, Rejected, Skipped

MAX_OUTPUTS = 100
"""How many events that an actor emits are in one record."""

_STATUS: Mapping[type, str] = {Delivered: "delivered", Rejected: "rejected", Failed: "error", Skipped: "skipped"}


@attrs.define(eq=False)
class _Attempt:
    began_s: float
    outputs: list[Output] = attrs.field(factory=list)
    is_over: bool = False


@attrs.define(eq=False, kw_only=True)
class Auditor:
    """Puts the deliveries of one route on record."""

    module: str
    route: str
    actor: str
    config: AuditConfig
    prompt: Prompt | None
    trail: Trail
    tell: Callable[..., None]
    now_s: Callable[[], float]
    hide: Callable[[str], str]
    """Takes out what is secret."""
    _open: dict[int, _Attempt] = attrs.field(factory=dict, init=False)

    def begin(self, admitted: Admitted, delivery: Delivery) -> Delivery:
        """Note that an attempt begins; the delivery with which it is made."""
        attempt = self._open[admitted.sequence] = _Attempt(trio.current_time())

        async def emit(events: Sequence[Event]) -> None:
            emitted = list(events)
            await delivery.emit(emitted)
            outputs = [self._emitted(event, delivery.event) for event in emitted[:MAX_OUTPUTS]]
            if attempt.is_over:
                self._put(admitted, delivery, "emitted", outputs=outputs)
            else:
                attempt.outputs += outputs[: MAX_OUTPUTS - len(attempt.outputs)]

        return attrs.evolve(delivery, emit=emit)

    def end(self, admitted: Admitted, delivery: Delivery, outcome: Outcome | None) -> None:
        """Note how an attempt ended; None: it was cut off, or the actor crashed."""
        attempt = self._open.pop(admitted.sequence, None)
        if attempt is None:
            return
        attempt.is_over = True
        status = _STATUS.get(type(outcome), "error")
        content = [delivery.event.payload, delivery.config, None if delivery.prompt is None else delivery.prompt.text]
        delivered = self._output(f"deliver.{status}", self.actor, content)
        duration_ms = round((trio.current_time() - attempt.began_s) * 1000, 2)
        self._put(admitted, delivery, status, outputs=[delivered, *attempt.outputs], duration_ms=duration_ms)

    def held(self, admitted: Admitted, event: Event, flags: Sequence[Flag]) -> None:
        """Note that a delivery waits for a person."""
        self._keep(admitted, event, "held", flags=flags, attempt=0)

    def _put(self, admitted: Admitted, delivery: Delivery, status: str, **fields: Any) -> None:
        flags = flags_of(delivery.event, self.config)
        self._keep(admitted, delivery.event, status, flags=flags, attempt=delivery.attempt, **fields)

    def _keep(
        self,
        admitted: Admitted,
        delivered: Event,
        status: str,
        *,
        flags: Sequence[Flag],
        attempt: int,
        outputs: Sequence[Output] = (),
        duration_ms: float = 0.0,
    ) -> None:
        event = admitted.event
        record = AuditRecord(
            id=self.trail.new_id(),
            timestamp=timestamp_of(self.now_s()),
            trace_id=event.trace_id,
            input_event_id=event.id,
            input_source=event.source,
            input_type=event.type,
            input_content_hash=_hash_of(event.payload),
            module=self.module,
            route=self.route,
            actor=self.actor,
            sop_file=None if self.prompt is None else self.prompt.file,
            delivery_status=status,
            attempt=attempt,
            duration_ms=duration_ms,
            outputs=tuple(outputs),
            chain_depth=len(event.ancestors),
            parent_event_id=event.ancestors[-1] if event.ancestors else None,
            held_for_review=status == "held",
            flags=self._hidden(flags),
        )
        self.trail.put(record)
        self._tell_of(record, delivered)

    def _emitted(self, event: Event, given: Event) -> Output:
        flags = list(flags_of(event, self.config))
        echo = echo_of(event, given)
        if echo is not None:
            flags.append(echo)
        return self._output(f"emit.{event.type}", event.id, event.payload, flags)

    def _output(self, type_: str, target: str, content: object, flags: Sequence[Flag] = ()) -> Output:
        at = timestamp_of(self.now_s())
        return Output(
            type=type_, target=target, content_hash=_hash_of(content), timestamp=at, flags=self._hidden(flags)
        )

    def _hidden(self, flags: Sequence[Flag]) -> tuple[Flag, ...]:
        return tuple(attrs.evolve(flag, message=self.hide(flag.message)) for flag in flags)

    def _tell_of(self, record: AuditRecord, event: Event) -> None:
        where = {"module": self.module, "route": self.route, "target": self.actor}
        flags = [*record.flags, *(flag for output in record.outputs for flag in output.flags)]
        for flag in flags:
            metadata = {"audit_id": record.id, "flag_type": flag.type, "severity": flag.severity}
            self.tell("audit.flag", event, error=flag.message, metadata=metadata, **where)
        facts: dict[str, Any] = {
            "audit_id": record.id,
            "delivery_status": record.delivery_status,
            "chain_depth": record.chain_depth,
            "flag_count": len(flags),
            "held": record.held_for_review,
        }
        self.tell("audit.record", event, duration_ms=record.duration_ms, metadata=facts, **where)


def _hash_of(content: object) -> str:
    """SHA-256 of a value in JSON; of what JSON does not know, by what it says of itself."""
    try:
        text = msgspec.json.encode(content, enc_hook=repr, order="sorted")
    except (TypeError, ValueError, RecursionError):
        text = repr(content).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()
