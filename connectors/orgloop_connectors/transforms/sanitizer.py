"""The sanitizer: takes out of an event what must not go on: values by path, markup, and what is too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import msgspec

from orgloop.sdk import Context, Event, Offer, Place, TransformFailed
from orgloop_connectors.transforms._html import without_tags
from orgloop_connectors.transforms._values import changed, refuse, written

REDACTED = "[REDACTED]"
"""What stands where something was taken out."""

MAX_GLOBS = 100
MAX_GLOB_CHARS = 256


@attrs.frozen(kw_only=True)
class SanitizerConfig:
    """
    What is taken out, in this order: what ``redact`` names, markup, and of long texts the end.

    ``redact`` takes dot paths; ``*`` stands for any text, with dots in it or not, ``?`` for one character, and upper
    and lower case are alike: ``*.password``, ``payload.customer.*``. A name without a dot means that key wherever it
    is. What is named is replaced as a whole by ``[REDACTED]``, in payload and in provenance (but for ``platform``).
    """

    redact: Sequence[str] = ()
    strip_html: bool = False
    """Take tags, comments, scripts and styles out of every text in the payload."""
    max_payload_size_bytes: int | None = attrs.field(
        default=None, metadata={"yaml": "max_payload_size", "unit": "size"}
    )
    """How long the payload may be, as JSON. Its longest texts are cut until it is not longer."""


class Sanitizer:
    """
    Pure. Raises TransformFailed for a payload that stays too large with all of its texts cut, or has too many values to
    be looked through: what could not be sanitized does not go on in silence.
    """

    def __init__(self, config: SanitizerConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        most = config.max_payload_size_bytes
        faults = [fault for number, glob in enumerate(config.redact) for fault in _faults_in(glob, f"redact.{number}")]
        if len(config.redact) > MAX_GLOBS:
            faults.append(
                f"redact: {len(config.redact)} are too many; write at most {MAX_GLOBS}, with '*' for what differs"
            )
        if most is not None and most < 2:
            faults.append(f"max_payload_size: {most} bytes hold no payload; write more, as in 64KB")
        refuse(faults)
        self._config = config
        self._is_named = _compiled(config.redact) if config.redact else None

    def apply(self, event: Event, context: Context) -> Event:  # noqa: ARG002
        """The event without all that."""
        payload, provenance = event.payload, event.provenance
        if self._is_named is not None:
            provenance = self._redacted(provenance, "provenance")
            payload = self._redacted(payload, "payload")
        if self._config.strip_html:
            payload = changed(payload, _stripped, at="payload")
        if (most := self._config.max_payload_size_bytes) is not None:
            payload = _cut(payload, most)
        return written(event, payload=payload, provenance=provenance)

    def _redacted(self, value: Any, root: str) -> Any:
        is_named = self._is_named
        assert is_named is not None

        def change(path: str, value: Any) -> Any:
            if path in (root, "provenance.platform") or not is_named(path):
                return value
            return value if value == REDACTED else REDACTED

        return changed(value, change, at=root)


def _faults_in(glob: str, at: str) -> list[str]:
    if not glob.strip() or len(glob) > MAX_GLOB_CHARS:
        return [f"{at}: {glob[:40]!r} is no path; write one of at most {MAX_GLOB_CHARS} characters, as in '*.password'"]
    head = glob.lower().split(".")[0]
    if "." in glob and "*" not in head and "?" not in head and head not in ("payload", "provenance"):
        return [f"{at}: {glob!r} is never found, for it is in neither payload nor provenance; write '*.{glob}'"]
    return []


def _compiled(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether one of them names a path. RE2, because the path is a stranger's: linear time, whatever it is."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.never_capture = True
    options.dot_nl = True
    forms = "|".join(_regex(glob if "." in glob else f"*.{glob}") for glob in globs)
    compiled = re2.compile(f"(?i:{forms})".encode(), options)
    return lambda path: compiled.fullmatch(path.encode("utf-8", "replace")) is not None


def _regex(glob: str) -> str:
    import re2

    parts = {"*": ".*", "?": "."}
    return "".join(parts.get(character) or re2.escape(character) for character in glob)


def _stripped(_: str, value: Any) -> Any:
    if not isinstance(value, str) or "<" not in value:
        return value
    stripped = without_tags(value)
    return value if stripped == value else stripped


def _cut(payload: Any, most: int) -> Any:
    size = _size(payload)
    if size <= most:
        return payload
    least = _size(changed(payload, partial(_shortened, limit=0), at="payload"))
    if least > most:
        raise TransformFailed(f"the payload has {size} bytes, and {least} with all its texts cut: more than {most}")
    cut, limit = payload, most
    while _size(cut) > most:
        # A half each time, so that there are few; and of the texts as they came, so that the last of them is the least.
        limit //= 2
        cut = changed(payload, partial(_shortened, limit=limit), at="payload")
    return cut


def _shortened(_: str, value: Any, *, limit: int) -> Any:
    return f"{value[:limit]}…" if isinstance(value, str) and len(value) > limit + 3 else value


def _size(payload: Any) -> int:
    try:
        return len(msgspec.json.encode(payload))
    except (TypeError, ValueError, RecursionError) as exc:
        raise TransformFailed(f"the payload cannot be written as JSON: {exc}") from exc


OFFER = Offer(config=SanitizerConfig, make=Sanitizer)
