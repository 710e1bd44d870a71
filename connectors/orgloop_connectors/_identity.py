"""What the far side is told of the delivery that it is given: the same names to whatever takes it. Pure."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from orgloop.sdk import Delivery, Place

MAX_HEADER_CHARS = 256
"""How long a value in a header may be; OpenClaw, for one, passes over a longer idempotency key."""


def identity_headers(delivery: Delivery) -> dict[str, str]:
    """Which delivery a request is, and which attempt; the key is the same for every attempt."""
    return {
        "idempotency-key": _for_header(delivery.idempotency_key),
        "x-orgloop-event-id": delivery.event.id,
        "x-orgloop-trace-id": _for_header(delivery.event.trace_id),
        "x-orgloop-attempt": str(delivery.attempt),
    }


def identity_variables(delivery: Delivery, place: Place) -> dict[str, str]:
    """The same, and more, for the environment of a program."""
    event = delivery.event
    told = {
        "EVENT_ID": event.id,
        "EVENT_TYPE": event.type,
        "SOURCE": event.source,
        "TRACE_ID": event.trace_id,
        "MODULE": place.module,
        "ACTOR": place.id,
        "ATTEMPT": str(delivery.attempt),
        "IDEMPOTENCY_KEY": delivery.idempotency_key,
    }
    return {f"ORGLOOP_{name}": value.replace("\0", "") for name, value in told.items()}


def _for_header(text: str) -> str:
    """A text as a header can carry it: as it is, if it is short graphic ASCII."""
    written = quote(text, safe="!#$&'()*+,/:;=?@[]~")
    # Cut short, two keys could become one.
    return written if len(written) <= MAX_HEADER_CHARS else hashlib.sha256(text.encode()).hexdigest()
