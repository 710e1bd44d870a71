"""``orgloop help``: the page of a command, or what the code of an error means; works offline."""

from __future__ import annotations

import click

from orgloop.cli.context import Context, pass_context
from orgloop.cli.errors import CommandFailed


@click.command(name="help")
@click.argument("topic", nargs=-1)
@click.pass_context
def help_(current: click.Context, topic: tuple[str, ...]) -> None:
    """Explain a command, or the code of an error."""
    if not topic:
        _page(current.find_root().get_help())
        return
    if topic[0].upper().startswith("OL") and topic[0][2:].isdigit():
        _code(topic[0].upper())
        return
    _command(current.find_root(), topic)


@pass_context
def _code(context: Context, code: str) -> None:
    from orgloop.config.codes import CODES, explain

    text = explain(code)
    if text is None:
        from difflib import get_close_matches

        near = get_close_matches(code, CODES, n=3)
        step = f"orgloop help {near[0]}" if near else "the codes stand in the texts of errors, as OL1203"
        raise CommandFailed(f"There is no code {code}", next=step, code="not_found")
    found = CODES[code]
    if context.is_json:
        context.out.document({"code": code, "title": found.title, "why": found.why, "fix": found.fix})
    else:
        context.out.raw(text.rstrip())


def _command(root: click.Context, topic: tuple[str, ...]) -> None:
    """The page of a command, or of one below it."""
    context, command = root, root.command
    for name in topic:
        found = command.get_command(context, name) if isinstance(command, click.Group) else None
        if found is None:
            raise CommandFailed(
                f"There is no command {' '.join(topic)!r}", next="orgloop --help lists them", code="not_found"
            )
        command = found
        context = click.Context(found, info_name=name, parent=context)
    _page(command.get_help(context))


@pass_context
def _page(context: Context, text: str) -> None:
    if context.is_json:
        context.out.document({"help": text})
    else:
        context.out.raw(text)
