"""
Speaking to people and to programs.

    say        ✓ good        plain and good lines go to stdout      … detail    only with -v, to stderr
    warn  !    fail  ✗       go to stderr; --quiet leaves fail
    document                 the one JSON document of --json; nothing else is printed then

Law: what comes from elsewhere (names, events, answers) cannot move the cursor or paint over a line: every control
character but newline and tab is written out. Colour only on a terminal, and not with NO_COLOR; no meaning is in colour
alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import attrs

Colour = Literal["green", "red", "yellow", "blue", "grey", "bold"]

_CODES: Mapping[Colour, str] = {"green": "32", "red": "31", "yellow": "33", "blue": "36", "grey": "2", "bold": "1"}
_MARKS = {"ok": "✓", "bad": "✗", "warn": "!", "more": "…"}
_PLAIN_MARKS = {"ok": "OK", "bad": "ERROR", "warn": "!", "more": "..."}
_PAINT = "\x1b[{}m{}\x1b[0m"
_CONTROL = re.compile(
    r"(?P<paint>\x1b\[[0-9]{1,2}m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


@attrs.frozen(eq=False)
class Output:
    """Where a command speaks to."""

    out: TextIO
    err: TextIO
    is_json: bool = False
    is_quiet: bool = False
    is_verbose: bool = False
    no_colour: bool = False

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at what goes to stdout."""
        return self.out.isatty()

    def say(self, text: str = "") -> None:
        """A line for people."""
        if not (self.is_json or self.is_quiet):
            self._write(self.out, text)

    def good(self, text: str) -> None:
        """What went well, or is so."""
        self.say(f"{self.paint(self.mark('ok'), 'green')} {text}")

    def warn(self, text: str, *, next: str | None = None) -> None:
        """What is likely a slip, and allowed; and what to do about it."""
        if not (self.is_json or self.is_quiet):
            self._write(self.err, f"{self.paint(self.mark('warn'), 'yellow', on=self.err)} {text}")
            if next is not None:
                self._write(self.err, f"  next: {next}")

    def fail(self, text: str) -> None:
        """What went wrong."""
        if not self.is_json:
            self._write(self.err, f"{self.paint(self.mark('bad'), 'red', on=self.err)} {text}")

    def complain(self, text: str) -> None:
        """A line that belongs to what went wrong."""
        if not self.is_json:
            self._write(self.err, text)

    def detail(self, text: str) -> None:
        """What only ``--verbose`` tells."""
        if self.is_verbose and not (self.is_json or self.is_quiet):
            self._write(self.err, f"{self.paint(self.mark('more'), 'grey', on=self.err)} {text}")

    def document(self, value: Any) -> None:
        """The result as plain data; printed in JSON mode only, and to be called once."""
        if self.is_json:
            self.raw(json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def error_document(self, value: Any) -> None:
        """What went wrong as plain data, to stderr; in JSON mode only."""
        if self.is_json:
            self._write(self.err, json.dumps(value, ensure_ascii=False, indent=2, default=str))

    def raw(self, text: str) -> None:
        """What was asked for itself: a script, a schema, a token; also with ``--quiet``."""
        self._write(self.out, text)

    # -- looks ---------------------------------------------------------------------------------------------------------

    def paint(self, text: str, colour: Colour, *, on: TextIO | None = None) -> str:
        """Text in a colour, where colours are shown."""
        stream = on or self.out
        if self.no_colour or not stream.isatty():
            return text
        return _PAINT.format(_CODES[colour], text)

    def mark(self, which: Literal["ok", "bad", "warn", "more"]) -> str:
        """A mark, as a word where it cannot be drawn."""
        encoding = (self.out.encoding or "utf-8").lower().replace("-", "")
        return (_MARKS if encoding.startswith("utf") else _PLAIN_MARKS)[which]

    def _write(self, stream: TextIO, text: str) -> None:
        is_painted = not self.no_colour and stream.isatty()
        if stream is self.err:
            self.out.flush()  # or what is said in between would come first where both go to one place
        clean = _CONTROL.sub(lambda found: _written_out(found, is_painted=is_painted), text)
        try:
            stream.write(f"{clean}\n")
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(f"{clean.encode(encoding, 'backslashreplace').decode(encoding)}\n")


def open_output(*, is_json: bool, is_quiet: bool, is_verbose: bool, environ: Mapping[str, str]) -> Output:
    """Speak to the streams of this process."""
    return Output(
        out=sys.stdout,
        err=sys.stderr,
        is_json=is_json,
        is_quiet=is_quiet,
        is_verbose=is_verbose,
        no_colour=bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb",
    )


def _written_out(found: re.Match[str], *, is_painted: bool) -> str:
    if found["paint"] and is_painted:
        return found[0]
    return "".join(_escape(character) for character in found[0])


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
