"""
``orgloop hook NAME``: what a coding agent calls when something happens, with JSON on standard input.

    admitted by the daemon                    exit 0
    no daemon, or none that answers in time   left in the home for the next daemon: exit 0
    refused for what it is                    exit 1, which no agent takes for "do not go on"

Law: it ends within a few seconds, whatever the daemon, the disk or standard input do; an agent waits for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import select
import sys
import time
from collections.abc import Mapping
from typing import Any

import attrs
import click

from orgloop.cli.client import NotRunning, Refused
from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import USAGE, CommandFailed
from orgloop.cli.events import MAX_EVENT_BYTES, parse_object
from orgloop.daemon.home import Home
from orgloop.daemon.spool import Spooled, leave

READ_S = 2.0
"""How long what calls us may take to write all."""

POST_S = 2.5
"""How long the daemon may take to answer."""

_PHASES = ("start", "stop")
_HOOK_KEYS = {"hook_event_name", "hook_type", "type"}
"""A body with one of these says itself what has happened."""


@click.command()
@click.argument("name")
@click.argument("body", required=False)
@click.option("--source", metavar="ID", help="The source that is told.  [NAME, without -start or -stop]")
@click.option("--module", metavar="NAME", help="The module of that source, if several have one.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where the daemon listens, if not where its home says.")
@click.option("--secret-env", metavar="VAR", help="The variable with the secret of the source, to sign with.")
@pass_context
def hook(
    context: Context,
    /,
    *,
    name: str,
    body: str | None,
    source: str | None,
    module: str | None,
    port: int | None,
    secret_env: str | None,
) -> int:
    """
    Tell a source what an agent says: hook claude-code-stop.

    The JSON comes on standard input, or as BODY. Without a daemon it is kept for the next one.
    """
    id_, phase = _source_and_phase(name)
    content = _read_stdin() if body is None else body.encode("utf-8", "surrogateescape")
    told = _with_phase(parse_object(content, where="standard input" if body is None else "BODY"), phase)
    written = json.dumps(told).encode()
    request = Spooled(source=source or id_, module=module, headers=_headers(context, written, secret_env), body=written)
    try:
        answer = _post(context, request, port=port)
    except (NotRunning, Refused) as exc:
        if isinstance(exc, Refused) and exc.status < 500 and exc.status not in {404, 408, 429}:
            context.out.complain(f"orgloop hook: webhook returned {exc.status}: {exc.what}")
            raise
        return _keep(context, request, why=exc)
    context.out.document({"admitted": True, "answer": answer})
    return 0


def _source_and_phase(name: str) -> tuple[str, str | None]:
    """
    The source that a hook speaks to, and what has happened.

    >>> _source_and_phase("claude-code-stop"), _source_and_phase("codex")
    (('claude-code', 'stop'), ('codex', None))
    """
    for phase in _PHASES:
        if name.endswith(f"-{phase}") and name != f"-{phase}":
            return name.removesuffix(f"-{phase}"), phase
    return name, None


def _with_phase(told: dict[str, Any], phase: str | None) -> dict[str, Any]:
    """What has happened stands in the name of the hook, for agents that do not say it themselves."""
    return told if phase is None or _HOOK_KEYS & told.keys() else {**told, "hook_type": phase}


def _headers(context: Context, body: bytes, secret_env: str | None) -> Mapping[str, str]:
    headers = {"content-type": "application/json"}
    if secret_env is not None:
        secret = context.environ.get(secret_env)
        if not secret:
            raise CommandFailed(
                f"{secret_env} is not set, so nothing can be signed with it",
                next=f"set {secret_env} where the agent runs its hooks",
                exit_code=USAGE,
            )
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["x-hub-signature-256"] = f"sha256={signature}"
    return headers


def _post(context: Context, request: Spooled, *, port: int | None) -> Any:
    client = context.client(timeout_s=POST_S)
    if port is not None:
        client = attrs.evolve(client, port=port, socket=None)
    way = [request.module, request.source] if request.module else [request.source]
    return client.ask("POST", f"/webhook/{'/'.join(way)}", content=request.body, headers=request.headers)


def _keep(context: Context, request: Spooled, *, why: CommandFailed) -> int:
    """Leave it for the next daemon, if there ever was one on this home."""
    home: Home = context.home
    if not home.path.is_dir():
        context.out.detail(f"{home.path} is not there: no daemon has run on it, and nothing was kept")
        context.out.document({"admitted": False, "kept": False})
        return 0
    path = leave(home, request)
    context.out.detail(f"{why.what}; it is kept in {path} for the next daemon")
    context.out.document({"admitted": False, "kept": str(path)})
    return 0


def _read_stdin() -> bytes:
    """What is written to us until its end, or until there is too much, or it takes too long."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise CommandFailed(
            "Nothing to tell: standard input is a terminal",
            next='pipe the JSON into it: echo \'{"session_id": "s1"}\' | orgloop hook claude-code-stop',
            exit_code=USAGE,
        )
    try:
        descriptor = sys.stdin.fileno()
    except OSError:  # no file: what is there is there at once
        return sys.stdin.buffer.read(MAX_EVENT_BYTES + 1)
    until_s, parts, size = time.monotonic() + READ_S, list[bytes](), 0
    while size <= MAX_EVENT_BYTES:
        if not select.select([descriptor], [], [], max(0.0, until_s - time.monotonic()))[0]:
            raise CommandFailed(
                f"Standard input has not ended within {READ_S:g} s", next="close it after the JSON", code="late"
            )
        part = os.read(descriptor, 65536)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)
