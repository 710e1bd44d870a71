"""
The filter: lets an event through, or drops it, by patterns or by a jq program.

By patterns it is a plain function of the event. With ``jq`` it owns a worker process, so it is a context manager too,
and ``apply`` has to be awaited: see docs/adr/0005-filters-that-cannot-hang.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any

import attrs
import msgspec

from orgloop.errors import EventError
from orgloop.event import Event, encode
from orgloop.sdk import Context, TransformFailed
from orgloop.transforms._fields import Path, get, readable, refuse
from orgloop.transforms._jq import Jq
from orgloop.transforms._patterns import Test, criterion
from orgloop.transforms._rewrite import rewritten


@attrs.frozen
class FilterConfig:
    """
    What may pass. ``jq`` alone decides if there is one; else any hit of ``exclude`` drops, then all of ``match`` must
    hit, then at least one of ``match_any``. Nothing given lets everything pass; an empty ``match_any`` nothing.

    The three are maps from a dot path to a pattern: text is equal or it is not, numbers and booleans too (42 is not
    "42"), null is null or missing, ``/regex/flags`` is looked for in the text of the value, a list and a text with
    commas mean any of them. **A list in the event hits if one of its members does**: ``provenance.labels: bug``.

    ``jq`` is judged like ``jq -e``: false, null, nothing and an error in the program drop. An object with an ``id``
    replaces the event (its ids, trace, module and ancestors stay); anything else lets the event pass as it is. Of
    several outputs the last decides, and the event passes as it is: write ``any(…)`` for one of several.
    """

    match: Mapping[str, Any] = attrs.field(factory=dict)
    match_any: Mapping[str, Any] | None = None
    exclude: Mapping[str, Any] = attrs.field(factory=dict)
    jq: str | None = None
    jq_timeout_s: float = attrs.field(default=5.0, metadata={"yaml": "jq_timeout", "unit": "duration"})
    """How long the program may take over one event."""


class Filter:
    """
    Passes or drops. Raises :class:`TransformFailed` only with ``jq``: when the program does not come to an end, or
    makes of the event what is none; such an event is neither passed nor dropped in silence.

    ``counts["program_errors"]`` says how often the jq program itself failed, and so dropped; ``last_error`` how.
    """

    def __init__(self, config: FilterConfig) -> None:
        """ValueError, a line for each fault, for what cannot be compiled."""
        faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.last_error: str | None = None
        self._exclude = _compiled(config.exclude, "exclude", faults)
        self._match = _compiled(config.match, "match", faults)
        self._match_any = None if config.match_any is None else _compiled(config.match_any, "match_any", faults)
        self._jq: Jq | None = None
        try:
            self._jq = None if config.jq is None else Jq(config.jq, timeout_s=config.jq_timeout_s)
        except ValueError as exc:
            faults.append(f"jq: {exc}")
        refuse(faults)

    async def __aenter__(self) -> Filter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._jq is not None:
            await self._jq.aclose()

    def apply(self, event: Event, context: Context) -> Event | Awaitable[Event | None] | None:  # noqa: ARG002
        """The event or None at once; with ``jq``, a coroutine of it."""
        if self._jq is not None:
            return self._judged(self._jq, event)
        return event if self._passes(event) else None

    @property
    def test(self) -> Callable[[Event], bool] | None:
        """What says whether an event may pass, if that can be said at once, without a context; None with ``jq``."""
        return self._passes if self._jq is None else None

    def _passes(self, event: Event) -> bool:
        for path, test in self._exclude:
            if test(get(event, path)):
                return False
        for path, test in self._match:
            if not test(get(event, path)):
                return False
        return self._match_any is None or any(test(get(event, path)) for path, test in self._match_any)

    async def _judged(self, jq: Jq, event: Event) -> Event | None:
        try:
            line = encode(event)
        except EventError as exc:
            raise TransformFailed(str(exc)) from exc
        verdict, said = await jq.ask(line)
        match verdict:
            case b"pass":
                return event
            case b"drop":
                return None
            case b"replace":
                return rewritten(event, said)
        self.counts["program_errors"] += 1
        self.last_error = msgspec.json.decode(said, type=str)
        return None


def _compiled(criteria: Mapping[str, Any], field: str, faults: list[str]) -> list[tuple[Path, Test]]:
    found = []
    for path, pattern in criteria.items():
        try:
            at = f"{field}.{path}"
            found.append((readable(path, at=at), criterion(pattern, at=at)))
        except ValueError as exc:
            faults.append(str(exc))
    return found
