"""
What a process of ours says to the one that started it, and by which descriptors.

    {"word": "beat"}                             it gets on
    {"word": "ready", "pid": 42, "port": 4800}   everything is up
    {"word": "reloading"}                        it applies a new configuration; then ready again
    {"word": "failed", "reason": "…"}            it did not start, and will not
    {"word": "stopping"}                         it was asked to end, and does

One JSON object a line. Two kinds of listener: a supervising process listens for life, by a socket, whose end means that
it is gone; the command that starts a daemon in the background listens by a pipe, for the one word that says whether the
start has succeeded. Their descriptors are named in the environment, from which they are taken out, so that nothing that
is started later has them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator, MutableMapping

import attrs

from orgloop.errors import HomeError

LOCK_FD = "ORGLOOP_LOCK_FD"
PARENT_FD = "ORGLOOP_PARENT_FD"
READY_FD = "ORGLOOP_READY_FD"

LINE_BYTES = 64 * 1024
"""A longer line is not read; a longer reason is cut."""

REASON_CHARS = 8000
"""What is kept of a reason, so that its line is never too long, whatever JSON makes of it."""


@attrs.frozen
class Word:
    """One line."""

    word: str
    pid: int | None = None
    port: int | None = None
    reason: str | None = None


def encode_word(word: Word) -> bytes:
    """
    The line for a word.

    >>> encode_word(Word("beat"))
    b'{"word": "beat"}\\n'
    """
    members = {key: value for key, value in attrs.asdict(word).items() if value is not None}
    return json.dumps(members).encode() + b"\n"


def decode_word(line: bytes) -> Word | None:
    """The word of a line; None if it is none of ours, which then says nothing."""
    try:
        members = json.loads(line)
        reason = members.get("reason")
        return Word(
            str(members["word"]),
            pid=_whole(members.get("pid")),
            port=_whole(members.get("port")),
            reason=reason if isinstance(reason, str) else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@attrs.define
class Words:
    """Bytes in, whole words out."""

    _rest: bytes = b""

    def feed(self, received: bytes) -> Iterator[Word]:
        """The words that are complete now."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        self._rest = self._rest[-LINE_BYTES:]
        for line in lines:
            if (word := decode_word(line)) is not None:
                yield word


@attrs.define
class Ties:
    """What a process was handed by the one that started it; all None if that was a person."""

    lock: int | None = None
    parent: socket.socket | None = None
    _ready: int | None = None
    is_orphan: bool = False
    """Set once the supervising process is gone: what it would have tidied up is then ours to."""

    @property
    def is_supervised(self) -> bool:
        """Whether a supervising process listens."""
        return self.parent is not None

    def say(self, word: Word) -> None:
        """Tell whoever listens; one who does not read, or is gone, holds nobody up."""
        if word.reason is not None:
            word = attrs.evolve(word, reason=word.reason[:REASON_CHARS])
        if self.parent is not None:
            with contextlib.suppress(OSError):  # not read, or gone: then so is what there was to be told
                self.parent.send(encode_word(word))
        if self._ready is not None and word.word in {"ready", "failed"}:
            with contextlib.suppress(OSError):
                os.write(self._ready, encode_word(word))
            os.close(self._ready)
            self._ready = None

    def close(self) -> None:
        """Fall silent."""
        if self.parent is not None:
            self.parent.close()
        if self._ready is not None:
            os.close(self._ready)
        self.parent = self._ready = None


def take_ties(environ: MutableMapping[str, str]) -> Ties:
    """Take what was handed down out of the environment; raises :class:`HomeError` if it is not what it should be."""
    lock = _taken(environ, LOCK_FD, stat.S_ISREG)
    parent = _taken(environ, PARENT_FD, stat.S_ISSOCK)
    ready = _taken(environ, READY_FD, stat.S_ISFIFO)
    if parent is None:
        return Ties(lock, None, ready)
    listener = socket.socket(fileno=parent)
    listener.setblocking(False)
    return Ties(lock, listener, ready)


def _taken(environ: MutableMapping[str, str], name: str, is_such: Callable[[int], bool]) -> int | None:
    text = environ.pop(name, None)
    if text is None:
        return None
    try:
        descriptor = int(text)
        fits = is_such(os.fstat(descriptor).st_mode)
    except (ValueError, OSError, OverflowError):
        fits = False
        descriptor = -1
    if not fits:
        raise HomeError(f"{name}={text!r} is no descriptor that was handed down; it is not for people: unset it")
    os.set_inheritable(descriptor, False)
    return descriptor
