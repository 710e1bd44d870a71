"""
What is flagged in what goes to an actor, and in what comes from it. Pure: a value in, flags out.

    instruction_content   text that speaks to an agent as its operator would             critical, or warning
    scope_violation       an address that is not allowed; a command for a shell          warning
    input_echo            what an actor emits is what it was given                       warning, or critical
    chain_depth           an event that follows from many others                         warning
    unchecked             more text than is looked at                                    critical

Patterns are those of the original; those that ordinary text has as well (a line of dashes, a long run of base64) are
warnings. Flags are for a person to look at: nothing here proves that a text is harmless.

Law: what is looked at comes from outside. The operator's own prompt and configuration are never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal
from urllib.parse import urlsplit

import attrs

from orgloop.config.audit import AuditConfig
from orgloop.event import Event

MAX_CHECKED_CHARS = 128 * 1024
"""How much text of one event is looked at; nobody is to hide something behind a wall of it unseen."""

MAX_ECHO_CHARS = 32 * 1024
"""How much of two texts is compared."""

MIN_ECHO_CHARS = 20
"""Shorter texts are alike by chance."""

ECHO_WARNING, ECHO_CRITICAL = 0.7, 0.9
"""How much of their pairs of characters two texts have in common."""

Severity = Literal["info", "warning", "critical"]

_GRAVITY = ("info", "warning", "critical")


@attrs.frozen
class Flag:
    """Something to look at."""

    type: Literal["instruction_content", "input_echo", "scope_violation", "chain_depth", "unchecked"]
    severity: Severity
    message: str


def is_at_least(flags: Iterable[Flag], severity: Severity) -> bool:
    """
    Whether any flag is as grave as that.

    >>> is_at_least([Flag("chain_depth", "warning", "deep")], "critical")
    False
    """
    return any(_GRAVITY.index(flag.severity) >= _GRAVITY.index(severity) for flag in flags)


def flags_of(event: Event, config: AuditConfig) -> tuple[Flag, ...]:
    """What is to be flagged in an event: in its payload and its provenance, and in how it came about."""
    flags = [*_flags_in((event.payload, event.provenance), config)]
    depth = len(event.ancestors)
    if depth > config.max_chain_depth:
        flags.append(Flag("chain_depth", "warning", f"follows from {depth} events, more than {config.max_chain_depth}"))
    return tuple(flags)


def echo_of(emitted: Event, given: Event) -> Flag | None:
    """Whether an event that an actor emits says what it was given."""
    ours, theirs = (_text(one.payload) for one in (emitted, given))
    if min(len(ours), len(theirs)) < MIN_ECHO_CHARS:
        return None
    likeness = _likeness(ours, theirs)
    if likeness < ECHO_WARNING:
        return None
    severity: Severity = "critical" if likeness >= ECHO_CRITICAL else "warning"
    return Flag("input_echo", severity, f"{likeness:.0%} of what it was given")


_IGNORE = (
    r"\b(?:ignore|disregard|forget)\s{1,8}(?:all\s{1,8})?(?:of\s{1,8})?(?:the\s{1,8}|your\s{1,8}|my\s{1,8})?"
    r"(?:previous|prior|above|earlier)\s{1,8}(?:instruction|prompt|rule|direction)"
)
_TEXTS: tuple[tuple[Severity, str, str], ...] = (
    ("critical", "tells to ignore instructions", _IGNORE),
    ("critical", "assigns a role", r"\byou\s{1,8}are\s{1,8}now\b"),
    ("critical", "speaks as the system", r"^[ \t]{0,8}(?:<\|?)?system(?:\|?>)?[ \t]{0,8}:"),
    ("critical", "brings instructions", r"\b(?:new|override|updated)\s{1,8}instructions\b"),
    (
        "critical",
        "tells to run something",
        r"\b(?:execute|run)\s{1,8}(?:this|the\s{1,8}following)\s{1,8}(?:command|code|script)",
    ),
    (
        "critical",
        "tells to change its behaviour",
        r"\b(?:modify|change)\s{1,8}your\s{1,8}(?:instructions|behaviou?r|prompt)\b",
    ),
    ("critical", "has marks of a prompt", r"\[/?INST\]|<</?SYS>>|<\|im_start\|>"),
    ("warning", "has a line of dashes", r"^-{3,}[ \t]{0,8}$"),
    ("warning", "has a long run of base64", r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{200}"),
)
_INSTRUCTIONS = tuple(
    (severity, what, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) for severity, what, pattern in _TEXTS
)

_COMMANDS = re.compile(
    r"\b(?:curl|wget|ssh|scp|rsync)\s{1,8}\S|\brm\s{1,8}-[a-z]{0,8}r[a-z]{0,8}f|\brm\s{1,8}-[a-z]{0,8}f[a-z]{0,8}r"
    r"|\bsudo\s{1,8}\S|\bchmod\s{1,8}[0-7]{3,4}\b|\|\s{0,8}(?:bash|sh|zsh)\b"
)
_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'`\\)\]}]{1,2048}", re.IGNORECASE)


def _flags_in(values: Iterable[object], config: AuditConfig) -> Iterator[Flag]:
    text, is_whole = _gathered(values)
    for severity, what, pattern in _INSTRUCTIONS:
        if (found := pattern.search(text)) is not None:
            yield Flag("instruction_content", severity, f"{what}: {_quoted(found)}")
    if (found := _COMMANDS.search(text)) is not None:
        yield Flag("scope_violation", "warning", f"has a command for a shell: {_quoted(found)}")
    if config.allowed_domains:
        for found in _ADDRESS.finditer(text):
            host = _host_of(found[0])
            if not any(host == domain or host.endswith(f".{domain}") for domain in config.allowed_domains):
                yield Flag("scope_violation", "warning", f"leads to {host!r}, which is not allowed")
                break
    if not is_whole:
        yield Flag("unchecked", "critical", f"has more than {MAX_CHECKED_CHARS} characters of text; the rest is unseen")


def _gathered(values: Iterable[object]) -> tuple[str, bool]:
    """The texts in nested values, keys too, a line each, and whether that is all of them."""
    texts, left, waiting = list[str](), MAX_CHECKED_CHARS, list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str):
            texts.append(value[:left])
            left -= len(value)
            if left < 0:
                return "\n".join(texts), False
    return "\n".join(texts), True


def _text(value: object) -> str:
    return value if isinstance(value, str) else _gathered([value])[0]


def _likeness(one: str, other: str) -> float:
    """How many of the pairs of characters of two texts are in both."""
    pairs, others = (set(pairwise(text[:MAX_ECHO_CHARS])) for text in (one, other))
    return len(pairs & others) / len(pairs | others)


def _host_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return "?"


def _quoted(found: re.Match[str]) -> str:
    return repr(found[0][:60])
