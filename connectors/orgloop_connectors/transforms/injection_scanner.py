"""
The injection scanner: finds text in an event that is meant for the agent which will read it.

It lessens what strangers can do, and does not end it: a phrase that nobody has thought of passes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import attrs

from orgloop.sdk import Context, Event, Offer, Place, TransformFailed
from orgloop_connectors.transforms._phrases import HIDDEN, HIDDEN_PATTERN, NAMES, PHRASES, SEPARATOR, folded
from orgloop_connectors.transforms._values import MAX_VALUES, put, refuse

MAX_CHARS = 1024 * 1024
"""How much text of an event is looked through."""

MAX_CUSTOM = 100
MAX_PATTERN_CHARS = 4096

_TOO_MUCH = f"there is more text than is looked through: {MAX_CHARS} characters, or {MAX_VALUES} values"
_WITH_SLASHES = re.compile(r"/(.+)/([ims]*)", re.DOTALL)

Look = Callable[[str, str], bool]
"""Whether something is in a text, given as it came and folded."""


@attrs.frozen(kw_only=True)
class InjectionScannerConfig:
    """
    What to look for, and what to do when it is found.

    ``tag`` sets ``provenance.security``: ``injection_risk: true`` and ``injection_patterns``, the names of what was
    found; a filter further on, or the agent, decides. ``drop`` drops the event.
    """

    action: Literal["tag", "drop"] = "tag"
    patterns: Sequence[str] = NAMES
    """Which of ours: ``override``, ``role``, ``reveal``, ``markup``, ``exfiltration``, ``hidden``."""
    custom_patterns: Sequence[str] = ()
    """Regular expressions (RE2), as they are or as ``/…/flags``; without slashes, upper and lower case are alike."""


class InjectionScanner:
    """
    Looks at every text in the payload, and at the names of its members. ``counts`` says how often each was found.

    Raises TransformFailed for an event with more text than is looked through: it is neither passed nor dropped in
    silence.
    """

    def __init__(self, config: InjectionScannerConfig, place: Place) -> None:  # noqa: ARG002
        """ValueError, a line for each fault."""
        faults = [
            f"patterns.{number}: there is no {name!r}; write one of {', '.join(NAMES)}"
            for number, name in enumerate(config.patterns)
            if name not in NAMES
        ]
        if not config.patterns and not config.custom_patterns:
            faults.append("patterns: nothing is looked for; leave it out to look for all")
        if len(config.custom_patterns) > MAX_CUSTOM:
            faults.append(f"custom_patterns: {len(config.custom_patterns)} are too many; at most {MAX_CUSTOM}")
        self._looks: dict[str, Look] = {name: _ours(name) for name in config.patterns if name in NAMES}
        for number, pattern in enumerate(config.custom_patterns[:MAX_CUSTOM]):
            try:
                self._looks[f"custom_patterns.{number}"] = _custom(pattern)
            except ValueError as exc:
                faults.append(f"custom_patterns.{number}: {exc}")
        refuse(faults)
        self._drops = config.action == "drop"
        self.counts: Counter[str] = Counter()

    def apply(self, event: Event, context: Context) -> Event | None:  # noqa: ARG002
        """The event as it was, marked, or None."""
        found = self._found_in(event.payload)
        if not found:
            return event
        self.counts.update(found)
        if self._drops:
            return None
        marked = put(event, ("provenance", "security", "injection_risk"), True)
        return put(marked, ("provenance", "security", "injection_patterns"), found)

    def _found_in(self, payload: Any) -> list[str]:
        # As one, so that a thousand short texts cost one search, and not a thousand.
        text = f"\n{SEPARATOR}\n".join(_texts(payload))
        plain = folded(text)
        if plain is None:
            raise TransformFailed(_TOO_MUCH)
        return [name for name, look in self._looks.items() if look(text, plain)]


def _texts(payload: Any) -> Iterator[str]:
    """Every text, and every name of a member."""
    waiting, values, chars = [payload], 0, 0
    while waiting:
        value = waiting.pop()
        values += 1
        if isinstance(value, str):
            chars += len(value)
            yield value.replace(SEPARATOR, " ")
        elif isinstance(value, dict):
            waiting.extend(value.values())
            waiting.extend(value.keys())
        elif isinstance(value, list):
            waiting.extend(value)
        if values + len(waiting) > 2 * MAX_VALUES or chars > MAX_CHARS:
            raise TransformFailed(_TOO_MUCH)


def _ours(name: str) -> Look:
    if name == HIDDEN:
        hidden = _compiled(HIDDEN_PATTERN)
        return lambda text, _: not text.isascii() and hidden(text)
    pattern = _compiled(f"(?i){PHRASES[name]}")
    return lambda _, plain: pattern(plain)


def _custom(pattern: str) -> Look:
    """Looked for in both: who writes one may mean what cannot be seen."""
    with_slashes = _WITH_SLASHES.fullmatch(pattern)
    body, flags = (with_slashes[1], with_slashes[2]) if with_slashes else (pattern, "i")
    if not body or len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"a pattern of {len(pattern)} characters; write one of 1 to {MAX_PATTERN_CHARS}")
    inline = "".join(sorted(set(flags)))
    looks = _compiled(f"(?{inline}){body}" if inline else body)
    return lambda text, plain: looks(plain) or (plain is not text and looks(text))


def _compiled(pattern: str) -> Callable[[str], bool]:
    """Whether a text has the pattern. RE2: the time is linear in the text, whoever wrote it."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        search = re2.compile(pattern.encode(), options).search
    except (re2.error, UnicodeEncodeError) as exc:
        said = exc.args[0].decode("utf-8", "replace") if isinstance(exc.args[0], bytes) else str(exc)
        raise ValueError(
            f"{pattern!r} is no regular expression of RE2 ({said}); look-around and backreferences are none"
        ) from exc
    return lambda text: search(text.encode("utf-8", "replace")) is not None


OFFER = Offer(config=InjectionScannerConfig, make=InjectionScanner)
