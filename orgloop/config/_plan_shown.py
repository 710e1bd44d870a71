"""
How a value looks to people and programs: as the file has it, with nothing in it that is secret.

Law: hidden is what its class flags as secret, what stands under a key that is flagged or whose name says so, and any
text with a known secret inside. What is hidden is ``***``, whatever it was, so that not even its length shows.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, get_args

import attrs

from orgloop.config._plan_diff import fields_of, hints_of, whole
from orgloop.config._plan_values import FieldChange, Plan
from orgloop.config.masking import MASK, Masker

MAX_TEXT = 10_000
"""How many characters of a text are told, as of a prompt; of a longer one its length and a hash."""

_SAYS_SECRET = re.compile(
    r"token|secret|passw|passphrase|credential|authori[sz]ation|(api|private|access)[-_]?key", re.IGNORECASE
)

_DURATIONS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_SIZES = {"GB": 2**30, "MB": 2**20, "KB": 2**10, "B": 1}
_PERIODS_S = {"s": 1, "m": 60, "h": 3600}


@attrs.frozen
class Mask:
    """What must not be shown."""

    secrets: frozenset[str] = attrs.field(repr=False)
    keys: frozenset[str]
    masker: Masker
    """Finds the secrets inside of texts, where they are long enough not to stand there by chance."""

    @classmethod
    def of(cls, plan: Plan) -> Mask:
        """That of a plan."""
        secrets = frozenset(secret for secret in plan.secrets if secret)
        return cls(secrets, plan.secret_keys, Masker(secrets))

    def sides(self, field: FieldChange) -> tuple[Any, Any]:
        """What was before and what comes after, for JSON; ABSENT becomes nothing."""
        return self._member(field, field.before), self._member(field, field.after)

    def _member(self, field: FieldChange, value: object) -> Any:
        if field.secret or not self.keys.isdisjoint(field.path):
            return None if value is None else MASK
        if not isinstance(value, bool | int | float | None) and any(map(_says_secret, field.path)):
            return MASK
        return self.plain(value, unit=field.unit)

    def plain(self, value: Any, *, unit: str | None = None) -> Any:
        """A value as JSON."""
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return with_unit(value, unit)
        if isinstance(value, Mapping):
            return {self._text(str(key)): self._member(FieldChange((key,), None, None), value[key]) for key in value}
        if isinstance(value, list | tuple):
            return [self.plain(member) for member in value]
        if isinstance(value, frozenset | set):
            return sorted((self.plain(member) for member in value), key=str)
        if attrs.has(type(value)):
            return {str(field.path[0]): self._member(field, field.after) for field in whole(value)}
        return self._text(str(value))

    def _text(self, value: str) -> str:
        text = MASK if value in self.secrets else self.masker.text(value)
        if len(text) <= MAX_TEXT:
            return text
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return f"{text[:MAX_TEXT]}… ({len(text):,} characters, {digest})"


@functools.lru_cache(maxsize=4096)
def _says_secret(step: Hashable) -> bool:
    return isinstance(step, str) and _SAYS_SECRET.search(step) is not None


def secret_keys_of(classes: Iterable[type]) -> frozenset[str]:
    """The keys that classes of configuration flag as secret, at any depth, under each of their names."""
    keys: set[str] = set()
    waiting, seen = list(classes), set[type]()
    while waiting:
        cls = waiting.pop()
        if cls in seen or not attrs.has(cls):
            continue
        seen.add(cls)
        for field in fields_of(cls):
            if field.secret:
                keys |= {field.key, *field.attribute.metadata.get("aliases", ())}
        waiting += [inner for hint in hints_of(cls).values() for inner in _classes_in(hint)]
    return frozenset(keys)


def _classes_in(type_: Any) -> Iterator[type]:
    if isinstance(type_, type):
        yield type_
    for inner in get_args(type_):
        yield from _classes_in(inner)


def with_unit(value: float, unit: str | None) -> str | float | None:
    """
    A number as the file has it; None for one that the file says by leaving it out.

    >>> with_unit(90.0, "duration"), with_unit(1.5, "rate"), with_unit(2**20, "size")
    ('90s', '90/m', '1MB')
    """
    if not math.isfinite(value):
        return None if unit else str(value)
    if unit == "ms":
        return value * 1000
    if unit == "duration":
        return _in_units(value * 1000, _DURATIONS) or f"{value!r}s"
    if unit == "size":
        return _in_units(value, _SIZES) or f"{value!r}B"
    if unit == "rate":
        whole_rates = (
            f"{value * period:.0f}/{word}" for word, period in _PERIODS_S.items() if (value * period).is_integer()
        )
        return next(whole_rates, f"{value!r}/s")
    return value


def _in_units(number: float, units: Mapping[str, int]) -> str | None:
    """A whole number of the largest unit that leaves nothing over."""
    if number != round(number):
        return None
    if not number:
        return "0" + list(units)[-1]
    return next(f"{round(number) // size}{unit}" for unit, size in units.items() if round(number) % size == 0)
