"""
Notices to OpenTelemetry, by OTLP over HTTP: each as a log record, and, if that is wanted, a span for each hop.

Records are gathered, sent in batches, and tried again while the collector is not there, or asks for it (429, 502, 503,
504); meanwhile more may wait, up to ``max_queue_size``, the oldest going first. What it refuses is lost, and counted.
OTLP is spoken without its SDK, which would bring threads and a client of its own: docs/loggers/otel.md has figures.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

import attrs
import msgspec
import trio

from orgloop.sdk import Checked, Notice, Offer, Place, timestamp_of
from orgloop_connectors._http import Client, Limits, NoAnswer, Reply, open_client, retry_after_s, url_faults
from orgloop_connectors.loggers._otlp import SCOPE, Hops, attributes, log_record
from orgloop_connectors.loggers._outbox import Outbox, emptied, waits_s

RETRIED = frozenset({429, 502, 503, 504})
"""Answers after which the same is sent again; any other refusal is final (OTLP, "Retryable Response Codes")."""

GIVE_UP_S = 300.0
"""How long a batch is tried, once it has failed."""

MAX_ATTRIBUTES = 128
"""How many attributes a resource may be given."""

_LOGS, _TRACES = "logs", "traces"
_RECORDS = {_LOGS: ("resourceLogs", "scopeLogs", "logRecords"), _TRACES: ("resourceSpans", "scopeSpans", "spans")}


@attrs.frozen(kw_only=True)
class Batch:
    """How records are gathered."""

    max_queue_size: int = 2048
    """How many may wait; of each kind."""
    scheduled_delay_s: float = attrs.field(default=5.0, metadata={"yaml": "scheduled_delay_ms", "unit": "ms"})
    """How long the first of a batch waits for others."""
    max_export_batch_size: int = 512


@attrs.frozen(kw_only=True)
class Export:
    """What is sent."""

    logs: bool = True
    traces: bool = False
    """A span for each hop. Give the logger ``level: debug``, or a hop's beginning is not heard of."""
    metrics: bool = False
    """Never: they are fetched, from ``/metrics``."""


@attrs.frozen(kw_only=True)
class OtelConfig:
    """Where to, and what records say of who sends them."""

    endpoint: str = "http://localhost:4318/v1/logs"
    """The whole URL, for log records."""
    traces_endpoint: str | None = None
    """The whole URL, for spans; by itself ``endpoint`` with ``traces`` for ``logs`` at its end."""
    protocol: Literal["http/json", "http/protobuf", "grpc"] = "http/json"
    """Taken, and without effect: it is always JSON over HTTP, as in the original."""
    headers: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    service_name: str = "orgloop"
    service_version: str | None = None
    resource_attributes: Mapping[str, str | int | float | bool] = attrs.field(factory=dict)
    batch: Batch = attrs.field(factory=Batch)
    export: Export = attrs.field(factory=Export)

    def url(self, kind: str) -> str:
        """Where the records of a kind go."""
        if kind == _LOGS:
            return self.endpoint
        if self.traces_endpoint is not None:
            return self.traces_endpoint
        parts = urlsplit(self.endpoint)
        return urlunsplit(parts._replace(path=f"{parts.path.removesuffix('/').removesuffix('/logs')}/traces"))

    def resource(self) -> dict[str, Any]:
        """Who sends, as OTLP has it."""
        said = {"service.name": self.service_name, "service.version": self.service_version}
        return {"attributes": attributes({**said, **self.resource_attributes})}

    @property
    def kinds(self) -> list[str]:
        """What is sent."""
        return [kind for kind in (_LOGS, _TRACES) if getattr(self.export, kind)]


class Otel:
    """
    Sends to one collector; an async context manager.

    ``lost`` counts the records that were given up, ``last_error`` is the last reason for one, or for a batch that has
    to be sent again. When something arrives again, a record says how many are lost.
    """

    def __init__(self, config: OtelConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        if faults := _faults(config):
            raise ValueError("\n".join(faults))
        self._config = config
        self._posts: dict[str, _Post] = {}
        self._hops = Hops()
        self._stack = AsyncExitStack()
        self._lost_before = 0
        self._last_error: str | None = None

    @property
    def lost(self) -> int:
        """How many records have been given up."""
        return self._lost_before + sum(post.outbox.lost for post in self._posts.values())

    @property
    def last_error(self) -> str | None:
        """Why, at the last time."""
        posts = self._posts.values()
        errors = [error for post in posts for error in (post.outbox.last_error, post.last_error) if error is not None]
        return errors[-1] if errors else self._last_error

    async def __aenter__(self) -> Self:
        self._lost_before, self._last_error = self.lost, self.last_error
        batch = self._config.batch
        client = await self._stack.enter_async_context(_client(self._config))
        self._posts = {kind: _Post(kind, self._config, client) for kind in self._config.kinds}
        for post in self._posts.values():
            sending = emptied(
                post.outbox, post.send, most=batch.max_export_batch_size, gather_s=batch.scheduled_delay_s
            )
            await self._stack.enter_async_context(sending)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what waits, if that is quickly done."""
        for post in self._posts.values():
            post.outbox.close()
        await self._stack.__aexit__(kind, exc, traceback)

    def log(self, notice: Notice) -> None:
        """Take a notice; it is sent with the next batch."""
        if not self._posts:
            self._lost_before += 1
            return
        observed_ns = time.time_ns()
        if (logs := self._posts.get(_LOGS)) is not None:
            logs.outbox.put(log_record(notice, observed_ns=observed_ns))
        if (traces := self._posts.get(_TRACES)) is not None:
            span = self._hops.span(notice, observed_ns=observed_ns)
            if span is not None:
                traces.outbox.put(span)


class _Post:
    """The way of the records of one kind, to one URL."""

    def __init__(self, kind: str, config: OtelConfig, client: Client) -> None:
        self.outbox = Outbox(config.batch.max_queue_size)
        self.last_error: str | None = None
        self._kind, self._url, self._client = kind, config.url(kind), client
        self._headers = {"content-type": "application/json", **config.headers}
        self._head, self._tail = _envelope(kind, config.resource())
        self._told_of = 0
        self._wait_s = waits_s(random.random)

    async def send(self, records: Sequence[bytes]) -> None:
        """Send a batch until it is taken, refused, or too old."""
        lost, told = self.outbox.lost, self._confession()
        body = b"".join([self._head, b",".join([*told, *records]), self._tail])
        failures, until_s = 0, trio.current_time() + GIVE_UP_S
        while True:
            reply = await self._client.request("POST", self._url, headers=self._headers, content=body)
            reason = _refusal(reply, self._url)
            if reason is None:
                self._told_of = lost if told else self._told_of
                self._take_note(reply, len(records))
                return
            self.last_error = reason
            failures += 1
            wait_s = _asked_s(reply) or self._wait_s(failures)
            if not _is_passing(reply) or trio.current_time() + wait_s > until_s:
                self.outbox.lose(len(records), reason)
                return
            await trio.sleep(wait_s)

    def _confession(self) -> list[bytes]:
        if self._kind != _LOGS or self.outbox.lost <= self._told_of:
            return []
        reason = self.outbox.last_error
        text = f"{self.outbox.lost} records to {self._url} have been lost so far, last because of: {reason}"
        now_ns = time.time_ns()
        notice = Notice(timestamp=timestamp_of(now_ns / 1e9), phase="system.error", error=text)
        return [log_record(notice, observed_ns=now_ns)]

    def _take_note(self, reply: Reply, sent: int) -> None:
        """Count what a collector that took the batch has left out of it."""
        try:
            said = msgspec.json.decode(b"" if isinstance(reply, NoAnswer) else reply.body, type=_Taken).partial
        except msgspec.MsgspecError:
            return  # most say nothing at all
        if said is not None and (rejected := min(max(said.rejected, 0), sent)):
            words = " ".join(said.message.split())[:300]
            self.outbox.lose(rejected, f"{self._url} has rejected {rejected} of {sent}: {words or 'no reason given'}")


class _Partial(msgspec.Struct):
    logs: int | str = msgspec.field(default=0, name="rejectedLogRecords")
    spans: int | str = msgspec.field(default=0, name="rejectedSpans")
    message: str = msgspec.field(default="", name="errorMessage")

    @property
    def rejected(self) -> int:
        """Of either kind; the JSON mapping writes 64-bit numbers as texts."""
        return sum(int(one) for one in (self.logs, self.spans) if str(one).isascii() and str(one).isdecimal())


class _Taken(msgspec.Struct):
    partial: _Partial | None = msgspec.field(default=None, name="partialSuccess")


def _envelope(kind: str, resource: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """What stands before the records of a request, and behind them."""
    outer, inner, records = _RECORDS[kind]
    whole = msgspec.json.encode({outer: [{"resource": resource, inner: [{"scope": SCOPE, records: []}]}]})
    at = whole.rindex(b"[]") + 1
    return whole[:at], whole[at:]


def _client(config: OtelConfig) -> Any:
    limits = Limits(read_s=10.0, total_s=20.0, body_bytes=64 * 1024, connections=2)
    return open_client(limits=limits, secrets=[secret for secret in config.headers.values() if secret])


def _refusal(reply: Reply, url: str) -> str | None:
    """Why a batch was not taken; None if it was."""
    if isinstance(reply, NoAnswer):
        return f"{url}: {reply.reason}"
    return None if 200 <= reply.status < 300 else f"{url} answers {reply.status}: {reply.excerpt or 'without a word'}"


def _is_passing(reply: Reply) -> bool:
    return not reply.final if isinstance(reply, NoAnswer) else reply.status in RETRIED


def _asked_s(reply: Reply) -> float | None:
    return None if isinstance(reply, NoAnswer) else retry_after_s(reply)


def _faults(config: OtelConfig) -> list[str]:
    faults = [f"endpoint: {fault}" for fault in url_faults(config.endpoint)]
    faults += [f"traces_endpoint: {fault}" for fault in url_faults(config.traces_endpoint or config.endpoint)]
    if config.traces_endpoint is None:
        faults = [fault for fault in faults if not fault.startswith("traces_endpoint")]
        if config.export.traces and not urlsplit(config.endpoint).path.rstrip("/").endswith("/logs"):
            faults.append("traces_endpoint: endpoint does not end in /logs, so write the URL for spans, too")
    if config.export.metrics:
        faults.append("export.metrics: metrics are not sent; let your collector fetch them from /metrics of the daemon")
    if not config.kinds:
        faults.append("export: nothing is to be sent; write logs: true, or take the logger out")
    batch = config.batch
    for name in ("max_queue_size", "max_export_batch_size"):
        if getattr(batch, name) < 1:
            faults.append(f"batch.{name}: {getattr(batch, name)} holds nothing; write one above 0, as in 512")
    if len(config.resource_attributes) > MAX_ATTRIBUTES:
        faults.append(f"resource_attributes: {len(config.resource_attributes)} are too many; at most {MAX_ATTRIBUTES}")
    return faults


async def check(config: OtelConfig, _: Place) -> Sequence[Checked]:
    """Send an empty export to each URL, which changes nothing there."""
    checked = []
    async with _client(config) as client:
        for kind in config.kinds:
            nothing: dict[str, list[object]] = {_RECORDS[kind][0]: []}
            reply = await client.request("POST", config.url(kind), headers=config.headers, json=nothing)
            refusal = _refusal(reply, config.url(kind))
            detail = f"{config.url(kind)} takes {kind}" if refusal is None else f"{refusal}; is a collector there?"
            checked.append(Checked(name=f"OTLP {kind}", ok=refusal is None, detail=detail))
    return checked


OFFER = Offer(config=OtelConfig, make=Otel, check=check)
