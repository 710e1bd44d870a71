"""
One command that is asked, and answers in JSON: for sources that look through a command-line tool.

Law: an answer is whole, or it is none. What is no JSON, too long or too late is a failed poll, as is a command that
ends badly; so nothing is ever taken for the absence of something.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

from orgloop.sdk import PollFailed
from orgloop_connectors._command import Ended, environment, run
from orgloop_connectors._payload import from_json

MAX_ANSWER_BYTES = 10 * 1024 * 1024
"""How long an answer may be."""

MAX_EXCERPT_CHARS = 300
"""How much of what a command said is told on."""


class CommandFailed(PollFailed):
    """A command has ended without an answer."""

    def __init__(self, reason: str, *, words: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(reason, retry_after_s=retry_after_s)
        self.words = words
        """Its last words, on one line."""


def program_at(name: str, directory: Path) -> str:
    """The program: a name with a slash is looked for from the directory or the home, any other in PATH."""
    return str(directory / os.path.expanduser(name)) if "/" in name else name


async def ask(
    argv: Sequence[str], *, timeout_s: float, cwd: Path, env: Mapping[str, str], lenient: bool = False
) -> Any:
    """
    The JSON that a command says; :class:`CommandFailed` if it says none.

    ``lenient``: what it says counts even if it then ends with a bad status.
    """
    name = os.path.basename(argv[0])
    ended: Ended | None = None
    with trio.move_on_after(timeout_s):
        try:
            ended = await run(argv, env=environment(env), cwd=str(cwd), keep_bytes=MAX_ANSWER_BYTES)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise CommandFailed(f"{argv[0]} cannot be started in {cwd} ({why}); is it installed?") from exc
    if ended is None:
        raise CommandFailed(f"{name} has not answered within {timeout_s:g} s")
    words = " ".join(ended.stderr.text(list(env.values())).split())
    if not ended.stdout.whole:
        raise CommandFailed(f"{name} has said more than {MAX_ANSWER_BYTES} bytes; ask it for less at a time")
    if ended.status and not (lenient and ended.stdout.kept.strip()):
        how = ended.signal or f"exit {ended.status}"
        raise CommandFailed(f"{name} ended with {how}: {_excerpt(words) or 'it said nothing'}", words=words)
    try:
        return from_json(ended.stdout.kept.strip())
    except ValueError as exc:
        raise CommandFailed(f"{name} has said what is no JSON ({exc}): {_excerpt(words)}", words=words) from exc


def _excerpt(words: str) -> str:
    return words[-MAX_EXCERPT_CHARS:]
