"""What a route, or all routes of a module, may say under ``audit``."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs
from attrs.validators import ge

from orgloop.config._refused import Refused
from orgloop.config._units import shown

MAX_DOMAINS = 200
"""How many domains a route may allow."""

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _domains(_instance: object, _field: object, value: Any) -> None:
    if len(value) > MAX_DOMAINS:
        raise Refused("OL1210", f"must be at most {MAX_DOMAINS} domains, got {len(value)}")
    for domain in value:
        if not _DOMAIN.fullmatch(domain):
            raise Refused("OL1210", f'must be domains in lower case, as in "github.com", got {shown(domain)}')


@attrs.frozen(kw_only=True)
class AuditConfig:
    """What is put on record of the deliveries of a route, and which of them wait for a person."""

    record: bool = True
    """Whether each attempt to deliver is put on record."""
    hold_on: Literal["warning", "critical"] | None = None
    """What is held for a person, and not delivered, if the event is flagged with it, or with worse; None: nothing."""
    allowed_domains: tuple[str, ...] = attrs.field(default=(), validator=_domains)
    """Where addresses in texts may lead, with all that is below; an address elsewhere is flagged. None: anywhere."""
    max_chain_depth: int = attrs.field(default=3, validator=ge(0))
    """From how many events one may follow before that is flagged."""
