"""
The text of one YAML file becomes plain data, behind walls; and, when somebody asks, the place of each part of it.

Law: the events of the scanner are folded with a stack of our own, one by one. So nothing is recursive, no tag runs
anything, and every limit is reached before it costs anything. Scalars are those of YAML 1.2 (core schema), as in the
original: ``no`` is text, ``012`` is twelve, a date is text.

The scanner in C is five to twenty times as fast as the one in Python, and gives the same events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from orgloop.config._flaws import FORBIDDEN, Flaw, Path, Places, forbidden, span_of, syntax_flaw
from orgloop.config._scalars import Scalar, scalar

try:
    from _ruamel_yaml import CParser  # type: ignore[import-not-found]  # in C, without stubs
except ImportError:  # no wheel for this platform
    CParser = None

MAX_DEPTH = 64
"""How deep lists and mappings may lie in each other."""

MAX_NODES = 200_000
"""How many values a file may have."""

MAX_MEMBERS = 10_000
"""How many keys a mapping, or values a list, may have."""

MAX_ALIASED_NODES = 1_000
"""How many values aliases may repeat, all together: nine aliases in ten levels are a billion."""

MAX_FLAWS = 50
"""After so many, a file is not read any further."""


_CORE = "tag:yaml.org,2002:"


def compose(text: str, *, places: Places | None = None) -> tuple[Any, list[Flaw]]:
    """
    The data of the one document in a text, and all that is wrong with it; ``places`` is filled if it is given.

    The data is None where reading had to end before the text did; with other flaws it is there, to be looked at too.
    """
    bad = FORBIDDEN.search(text)
    if bad is not None:
        line = text.count("\n", 0, bad.start())
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1)
        return None, [forbidden(bad[0], (line, column, 1))]
    if CParser is not None:
        data, flaws = _folded(_events_in_c(text), text, places)
        if not (flaws and _C_ONLY in flaws[-1].text and len(text) <= MAX_SLOW_CHARACTERS):
            return data, flaws
        if places is not None:
            places.values.clear()
            places.keys.clear()
    return _folded(YAML(typ="safe", pure=True).parse(text), text, places)


_C_ONLY = "found unexpected ':'"
"""What the scanner in C says of ``{a: b:c}``, which YAML 1.2 allows, and the scanner in Python reads."""

MAX_SLOW_CHARACTERS = 256 * 1024
"""Up to here such a text is given to the scanner in Python, which takes about a second for it."""


def _folded(events: Iterator[Any], text: str, places: Places | None) -> tuple[Any, list[Flaw]]:
    fold = _Fold(places)
    try:
        for event in events:
            fold.take(event)
    except _Enough:
        return None, fold.flaws
    except YAMLError as exc:
        return None, [*fold.flaws, syntax_flaw(exc, text)]
    except (ValueError, RecursionError, OverflowError) as exc:
        return None, [*fold.flaws, Flaw("OL1101", f"cannot be read as YAML: {exc}", (0, 0, 1))]
    return fold.root, fold.flaws


def _events_in_c(text: str) -> Iterator[Any]:
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        yield event


class _Enough(Exception):
    """Nothing more is to be learned from this file."""


_NO_KEY = object()


class _Open:
    """A list or mapping whose end has not come."""

    __slots__ = ("anchor", "expanded", "key", "value")

    def __init__(self, value: Any, anchor: str | None, expanded: int) -> None:
        self.value = value
        self.anchor = anchor
        self.expanded = expanded  # how many nodes there were before it
        self.key: Any = _NO_KEY


class _Fold:
    """The stack, and what has come of the events so far."""

    def __init__(self, places: Places | None) -> None:
        self.root: Any = None
        self.flaws: list[Flaw] = []
        self._places = places
        self._stack: list[_Open] = []
        self._path: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._aliased = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Fold one event."""
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent:
            self._begin(event, {})
        elif kind is SequenceStartEvent:
            self._begin(event, [])
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self._end()
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._flaw("OL1104", "a second document begins here; a file holds one", event)
                raise _Enough

    # -- values ----------------------------------------------------------------------------------------------------

    def _scalar(self, event: Any) -> None:
        self._count(event)
        if event.tag is not None:
            value = self._tagged(event)
        elif event.style is None or event.style == "":
            value = self._plain(event)
        else:
            value = event.value
            bad = FORBIDDEN.search(value) if event.style == '"' else None
            if bad is not None:
                self.flaws.append(forbidden(bad[0], span_of(event)))
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, event)

    def _plain(self, event: Any) -> Scalar:
        text: str = event.value
        try:
            return scalar(text)
        except ValueError as exc:
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            self._flaw("OL1112", f"{shown} {exc}; if it is text, put it in quotes", event)
            return text

    def _tagged(self, event: Any) -> Any:
        tag = str(event.tag)
        if tag in ("!", f"{_CORE}str"):
            return event.value
        self._tag_flaw(event)
        return event.value

    def _tag_flaw(self, event: Any) -> None:
        self._flaw("OL1110", f"the tag {str(event.tag)[:80]!r} is not allowed; nothing here is made by a tag", event)

    def _begin(self, event: Any, value: Any) -> None:
        self._count(event)
        if event.tag is not None and event.tag not in ("!", f"{_CORE}map", f"{_CORE}seq"):
            self._flaw(
                "OL1110", f"the tag {str(event.tag)[:80]!r} is not allowed; nothing here is made by a tag", event
            )
        if len(self._stack) >= MAX_DEPTH:
            self._flaw("OL1107", f"lists and mappings lie more than {MAX_DEPTH} deep in each other", event)
            raise _Enough
        self._put(value, event)
        self._stack.append(_Open(value, event.anchor, self._nodes + self._aliased - 1))

    def _end(self) -> None:
        done = self._stack.pop()
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, self._nodes + self._aliased - done.expanded)
        if self._places is not None and self._stack:
            self._path.pop()

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if any(place.anchor == name for place in self._stack):
            self._flaw("OL1109", f"*{name} stands inside what it repeats", event)
            raise _Enough
        if name not in self._anchors:
            self._flaw("OL1101", f"there is no &{name} above for *{name} to repeat", event)
            raise _Enough
        value, size = self._anchors[name]
        self._aliased += size
        if self._aliased > MAX_ALIASED_NODES:
            self._flaw("OL1108", f"aliases repeat more than {MAX_ALIASED_NODES:,} values", event)
            raise _Enough
        self._put(value, event)
        if self._places is not None and isinstance(value, dict | list) and self._path:
            self._path.pop()

    # -- where they go ---------------------------------------------------------------------------------------------

    def _put(self, value: Any, event: Any) -> None:
        """Hand a value to the list or mapping that is open; a mapping takes keys and values in turn."""
        if not self._stack:
            self.root = value
            self._note(event, ())
            return
        top = self._stack[-1]
        if len(top.value) >= MAX_MEMBERS and top.key is _NO_KEY:
            self._flaw("OL1115", f"a list or a mapping may have {MAX_MEMBERS:,} members; divide it into several", event)
            raise _Enough
        if isinstance(top.value, list):
            top.value.append(value)
            self._descend(value, event, len(top.value) - 1)
        elif top.key is _NO_KEY:
            top.key = self._key(value, event, top.value)
        else:
            top.value[top.key] = value
            self._descend(value, event, top.key)
            top.key = _NO_KEY

    def _key(self, value: Any, event: Any, mapping: dict[Any, Any]) -> str:
        if isinstance(value, dict | list):
            self._flaw("OL1114", "a key must be text, not a list or a mapping; {{…}} must stand in quotes", event)
            raise _Enough
        if type(value) is not str:
            written = event.value if isinstance(event, ScalarEvent) else value
            self._flaw("OL1114", f'a key must be text; write "{written}", in quotes', event)
            return str(written)
        if value == "<<" and not getattr(event, "style", None):
            self._flaw("OL1111", "merge keys are not taken: what is merged would not show where it came from", event)
        elif value in mapping:
            line = "" if self._places is None else self._first_line(value)
            shown = value if len(value) <= 60 else f"{value[:60]}…"
            self._flaw("OL1103", f'the key "{shown}" is there already{line}; only one of the two can count', event)
        if self._places is not None:
            self._places.keys.setdefault((*self._path, value), span_of(event))
        return value

    def _first_line(self, key: str) -> str:
        first = self._places.keys.get((*self._path, key)) if self._places is not None else None
        return "" if first is None else f", in line {first[0] + 1}"

    def _descend(self, value: Any, event: Any, step: str | int) -> None:
        if self._places is None:
            return
        self._note(event, (*self._path, step))
        if isinstance(value, dict | list):
            self._path.append(step)

    def _note(self, event: Any, path: Path) -> None:
        if self._places is not None:
            self._places.values[path] = span_of(event)

    # -- limits ----------------------------------------------------------------------------------------------------

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._flaw("OL1115", f"a file may hold {MAX_NODES:,} values; divide it into several", event)
            raise _Enough

    def _flaw(self, code: str, text: str, event: Any) -> None:
        self.flaws.append(Flaw(code, text, span_of(event)))
        if len(self.flaws) >= MAX_FLAWS:
            raise _Enough
