"""
The token that opens the control API: 256 bits, made once for a home, read by the command line by itself.

Law: it is never shorter, never half written, and never used if others could have read or written it.
"""

from __future__ import annotations

import os
import re
import secrets
import stat

from orgloop.daemon.home import Home
from orgloop.errors import HomeError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def ensure_token(home: Home) -> str:
    """The token of a home that one owns, made if there is none; raises :class:`HomeError` if it cannot be trusted."""
    found = read_token(home)
    if found is None:
        found = secrets.token_urlsafe(32)
        home.write(home.token, found.encode() + b"\n")
    return found


def read_token(home: Home) -> str | None:
    """The token of a home; None if it has none. Raises :class:`HomeError` if it cannot be read or trusted."""
    try:
        content = home.read(home.token)
        if content is None:
            return None
        mode = home.token.lstat().st_mode
    except OSError as exc:
        raise HomeError(f"{home.token} cannot be read: {exc.strerror}; its owner may give it to you") from exc
    if mode & (stat.S_IRWXO | stat.S_IWGRP) or (mode & stat.S_IRWXG and not _is_open_to_a_group(home)):
        raise HomeError(
            f"others may have read {home.token} (mode {stat.S_IMODE(mode):04o}); "
            "remove it and start the daemon again, which makes a new one"
        )
    text = content.decode("ascii", "replace").removesuffix("\n")
    if not _TOKEN.fullmatch(text):
        raise HomeError(f"{home.token} holds no token; remove it and start the daemon again, which makes a new one")
    return text


def _is_open_to_a_group(home: Home) -> bool:
    """By the directory, because a client is not told which group it was."""
    return bool(os.stat(home.path).st_mode & stat.S_ISGID)
