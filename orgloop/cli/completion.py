"""``orgloop completion``: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from orgloop.cli.context import Context, pass_context

SHELLS = ("bash", "zsh", "fish")

_HOW = {
    "bash": 'eval "$(orgloop completion bash)"                              in ~/.bashrc',
    "zsh": 'eval "$(orgloop completion zsh)"                               in ~/.zshrc',
    "fish": "orgloop completion fish > ~/.config/fish/completions/orgloop.fish",
}


@click.command(epilog=None)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(current: click.Context, shell: str) -> None:
    """
    Print the completion script of a shell.

    bash and zsh: eval "$(orgloop completion bash)" in ~/.bashrc or ~/.zshrc.
    fish: orgloop completion fish > ~/.config/fish/completions/orgloop.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # click has the three
    script = made(current.find_root().command, {}, "orgloop", "_ORGLOOP_COMPLETE").source()
    _print(shell, script)


@pass_context
def _print(context: Context, shell: str, script: str) -> None:
    context.out.detail(_HOW[shell])
    if context.is_json:
        context.out.document({"shell": shell, "script": script})
    else:
        context.out.raw(script.rstrip())
