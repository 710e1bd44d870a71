"""Values to plain data, and plain data to bytes; neither ever fails, whatever an event or a plug-in has brought."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


def builtins(value: object) -> Any:
    """Plain data: dicts, lists, texts, numbers."""
    return msgspec.to_builtins(value, enc_hook=_plainly, str_keys=True)


def _plainly(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) else repr(value)


def written(value: object) -> bytes:
    """
    Plain data as one line of JSON; what JSON does not know, as its ``repr``, and lone surrogates escaped.

    >>> written({"n": 1})
    b'{"n":1}'
    """
    try:
        return msgspec.json.encode(value, enc_hook=_plainly)
    except (TypeError, ValueError):
        return json.dumps(value, default=repr, skipkeys=True).encode()
