"""
A notice as OTLP has it, in JSON: one log record, and what it says about spans. Plain functions over values.

    trace   trc_…  ─▶ 16 bytes, a hash       all that follows from one event is one trace
    root    evt_…  ─▶ 8 bytes, a hash        ``event.pipeline``, from ``source.emit``
    hops           ─▶ 8 bytes of chance      ``route.match``, ``transform.<name>``, ``deliver.<actor>``, below the root

Law: what a notice says is a text in an attribute, and nothing else; ids are hexadecimal, and 64-bit numbers are texts,
as the JSON mapping of OTLP asks. Nothing here fails, whatever is in a notice.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from orgloop.sdk import DEBUG, ERROR, INFO, SEVERITY_OF, WARNING, Notice

MAX_TEXT_CHARS = 4096
"""Of an attribute, and of a text in a body that would be too long."""

MAX_BODY_CHARS = 64 * 1024
"""Of a body; a longer one goes without the metadata of its notice, and with its texts cut."""

MAX_OPEN_HOPS = 10_000
"""How many hops may have begun and not ended; the oldest are forgotten."""

SCOPE = {"name": "orgloop", "version": "0.1.0"}
"""What made the records, as the original says it."""

_SEVERITIES: Mapping[int, tuple[int, str]] = {
    DEBUG: (5, "DEBUG"),
    INFO: (9, "INFO"),
    WARNING: (13, "WARN"),
    ERROR: (17, "ERROR"),
}
_FIELDS = Notice.__struct_fields__
_ATTRIBUTES = tuple(name for name in _FIELDS if name not in ("timestamp", "metadata"))
_OK, _ERROR = {"code": 1}, 2
_INTERNAL, _CLIENT, _CONSUMER = 1, 3, 5
_BEGINS = {"transform.start": "transform", "deliver.attempt": "deliver"}
_ENDS = {
    **dict.fromkeys(["transform.pass", "transform.drop"], ("transform", False)),
    **dict.fromkeys(["transform.error", "transform.error_drop", "transform.error_halt"], ("transform", True)),
    "deliver.success": ("deliver", False),
    **dict.fromkeys(["deliver.failure", "deliver.retry"], ("deliver", True)),
}


def log_record(notice: Notice, *, observed_ns: int) -> bytes:
    """The record of a notice."""
    number, text = _SEVERITIES[SEVERITY_OF.get(notice.phase, INFO)]
    record: dict[str, Any] = {
        "timeUnixNano": str(_time_ns(notice.timestamp) or observed_ns),
        "observedTimeUnixNano": str(observed_ns),
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": _body(notice)},
        "attributes": attributes(_said(notice)),
    }
    if notice.trace_id:
        record["traceId"] = trace_id(notice.trace_id)
        if notice.event_id:
            record["spanId"] = root_id(notice.event_id)
    return msgspec.json.encode(record)


class Hops:
    """Makes spans of notices: remembers when a hop began, up to :data:`MAX_OPEN_HOPS` of them."""

    def __init__(self) -> None:
        self._began_ns: OrderedDict[tuple[str | None, ...], int] = OrderedDict()

    def span(self, notice: Notice, *, observed_ns: int) -> bytes | None:
        """The span that ends with this notice; None if none does."""
        if not (notice.trace_id and notice.event_id):
            return None
        at_ns = _time_ns(notice.timestamp) or observed_ns
        if notice.phase == "source.emit":
            return _span(notice, "event.pipeline", at_ns, at_ns, kind=_CONSUMER, is_root=True)
        if notice.phase in ("route.match", "route.no_match"):
            return _span(notice, notice.phase, at_ns, at_ns)
        if (begun := _BEGINS.get(notice.phase)) is not None:
            self._began_ns[_hop(notice, begun)] = at_ns
            if len(self._began_ns) > MAX_OPEN_HOPS:
                self._began_ns.popitem(last=False)
            return None
        if notice.phase not in _ENDS:
            return None
        hop, failed = _ENDS[notice.phase]
        began_ns = self._began_ns.pop(_hop(notice, hop), None)
        if began_ns is None:
            lasted_ms = notice.duration_ms or 0.0
            began_ns = at_ns - int(lasted_ms * 1e6) if math.isfinite(lasted_ms) and lasted_ms > 0 else at_ns
        what = notice.transform if hop == "transform" else notice.target
        kind = _INTERNAL if hop == "transform" else _CLIENT
        return _span(notice, f"{hop}.{what}", min(began_ns, at_ns), at_ns, kind=kind, failed=failed)


def _hop(notice: Notice, hop: str) -> tuple[str | None, ...]:
    return hop, notice.event_id, notice.module, notice.route, notice.transform if hop == "transform" else notice.target


def _span(
    notice: Notice,
    name: str,
    began_ns: int,
    ended_ns: int,
    *,
    kind: int = _INTERNAL,
    failed: bool = False,
    is_root: bool = False,
) -> bytes:
    root = root_id(notice.event_id)
    span: dict[str, Any] = {
        "traceId": trace_id(notice.trace_id),
        "spanId": root if is_root else secrets.token_hex(8),
        "name": _plain(name)[:256],
        "kind": kind,
        "startTimeUnixNano": str(began_ns),
        "endTimeUnixNano": str(ended_ns),
        "attributes": attributes(_said(notice)),
        "status": {"code": _ERROR, "message": _plain(notice.error or "")[:MAX_TEXT_CHARS]} if failed else _OK,
    }
    if not is_root:
        span["parentSpanId"] = root
    return msgspec.json.encode(span)


def trace_id(text: str) -> str:
    """The id of a trace, which is the same wherever it is asked for."""
    return _hash(text, 16)


def root_id(event_id: str) -> str:
    """The id of an event's first span, to which its hops can refer without having seen it."""
    return _hash(event_id, 8)


def _hash(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def attributes(said: Mapping[str, object]) -> list[dict[str, Any]]:
    """A mapping as OTLP has it, in order; what is None or empty, and numbers that are none, are left out."""
    return [{"key": _plain(key), "value": value} for key, one in said.items() if (value := _value(one)) is not None]


def _value(one: object) -> dict[str, Any] | None:
    match one:
        case bool():
            return {"boolValue": one}
        case int() if abs(one) < 2**63:
            return {"intValue": str(one)}
        case float() if math.isfinite(one):
            return {"doubleValue": one}
        case str() if one:
            return {"stringValue": _plain(one[:MAX_TEXT_CHARS])}
    return None


def _said(notice: Notice) -> Mapping[str, object]:
    return {f"orgloop.{name}": getattr(notice, name) for name in _ATTRIBUTES}


def _body(notice: Notice) -> str:
    """The notice as JSON; what JSON does not know is written as its ``repr``."""
    said = {name: value for name in _FIELDS if (value := getattr(notice, name)) is not None}
    try:
        body = msgspec.json.encode(said, enc_hook=_repr).decode()
        if len(body) <= MAX_BODY_CHARS:
            return body
    except Exception:  # lone surrogates, circles, keys that are no text, and whatever somebody's values raise
        pass
    said.pop("metadata", None)
    plain = {name: _plain(one[:MAX_TEXT_CHARS]) if isinstance(one, str) else one for name, one in said.items()}
    return msgspec.json.encode(plain, enc_hook=_repr).decode()


def _plain(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _repr(value: object) -> str:
    try:
        return _plain(repr(value))
    except Exception:
        return f"<{type(value).__name__}>"


def _time_ns(timestamp: str) -> int | None:
    try:
        return round(datetime.fromisoformat(timestamp).timestamp() * 1000) * 1_000_000
    except (ValueError, OverflowError):
        return None
