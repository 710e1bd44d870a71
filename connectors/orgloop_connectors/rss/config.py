"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import attrs

from orgloop_connectors._http import url_faults

MAX_ENTRIES = 1000
"""How many entries of one feed are read: the first ones, which are the newest."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,8192}")
_OURS = ("connection", "content-length", "host", "if-modified-since", "if-none-match", "transfer-encoding")


@attrs.frozen(kw_only=True)
class RssConfig:
    """Which feed, and where to begin."""

    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    """Sent along, as ``Authorization``."""
    initial_entries: int = 0
    """How many of the newest entries the first poll makes events of."""


def faults_in(config: RssConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    yield from (f"url: {fault}" for fault in url_faults(config.url))
    for name, value in config.headers.items():
        if not _HEADER.fullmatch(name):
            yield f"headers: {name[:60]!r} is no name of a header"
        elif name.lower() in _OURS:
            yield f"headers.{name}: is set by the source itself"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"headers.{name}: must be printable ASCII, at most 8192 characters"
    if not 0 <= config.initial_entries <= MAX_ENTRIES:
        yield f"initial_entries: must be from 0 to {MAX_ENTRIES}"
