"""
``orgloop``: the commands there are, and what all of them have in common.

Law: ``orgloop --help`` imports click and nothing of ours beyond this module; a command's module is imported when the
command is asked for. Options that all commands share are taken before and after the command's name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

COMPLETE_VARIABLE = "_ORGLOOP_COMPLETE"
"""Set by a shell that asks for completions."""

SECTIONS = ("Begin", "Look", "Run", "Work", "Modules", "More")


class Lazy(NamedTuple):
    """A command that is not imported yet."""

    where: str
    """``module:attribute``, which is a :class:`click.Command`."""
    section: str
    summary: str
    """The first line of its help; a test holds them together."""


COMMANDS: Mapping[str, Lazy] = {
    "init": Lazy("orgloop.cli.init:init", "Begin", "Write a project that works, to begin from."),
    "add": Lazy("orgloop.cli.add:add", "Begin", "Add a file to a project: a connector, transform, logger or route."),
    "doctor": Lazy("orgloop.cli.doctor:doctor", "Begin", "Check variables, credentials, services and configuration."),
    "validate": Lazy("orgloop.cli.validate:validate", "Look", "Check every file of a project; all faults at once."),
    "env": Lazy("orgloop.cli.env:env", "Look", "Show the variables that a project needs."),
    "plan": Lazy("orgloop.cli.plan:plan", "Look", "Show what a start or a reload would change."),
    "routes": Lazy("orgloop.cli.routes:routes", "Look", "Draw which source leads to which actor."),
    "inspect": Lazy("orgloop.cli.inspect:inspect", "Look", "Show one source, actor, route or transform."),
    "test": Lazy("orgloop.cli.test:test", "Look", "Send one event through the project, and show its way."),
    "demo": Lazy("orgloop.cli.demo:demo", "Begin", "Show it at work, without accounts and without a project."),
    "start": Lazy("orgloop.cli.start:start", "Run", "Start the project: as a daemon, or in the daemon that runs."),
    "serve": Lazy("orgloop.cli.start:serve", "Run", "Start the daemon without a project; modules are loaded later."),
    "stop": Lazy("orgloop.cli.ending:stop", "Run", "Stop this folder's module, or the daemon with the last of them."),
    "shutdown": Lazy("orgloop.cli.ending:shutdown", "Run", "Stop the daemon; load nothing again at the next start."),
    "status": Lazy("orgloop.cli.status:status", "Run", "Show whether OrgLoop runs, what is loaded, and how it is."),
    "logs": Lazy("orgloop.cli.logs:logs", "Run", "Show what happens, and what happened."),
    "explain": Lazy("orgloop.cli.looking:explain", "Work", "Say why each route wants an event, or does not."),
    "dlq": Lazy("orgloop.cli.dlq:dlq", "Work", "List, show, replay and discard dead letters."),
    "inbox": Lazy("orgloop.cli.inbox:inbox", "Work", "Fetch what waits for a session."),
    "hook": Lazy("orgloop.cli.hook:hook", "Work", "Tell a source what an agent says: hook claude-code-stop."),
    "module": Lazy("orgloop.cli.module:module", "Modules", "Load, unload, reload and list modules of the daemon."),
    "tree": Lazy(
        "orgloop.cli.looking:tree",
        "Modules",
        "Show the supervision tree; with -v, where each task stands.",
    ),
    "token": Lazy("orgloop.cli.looking:token", "More", "Print the token that opens the control API."),
    "install-service": Lazy(
        "orgloop.cli.service:install_service",
        "More",
        "Write the files by which the host starts OrgLoop and keeps it running.",
    ),
    "service": Lazy(
        "orgloop.cli.service:service", "More", "Start, stop, look at the installed service, or read its log."
    ),
    "workspace": Lazy("orgloop.cli.workspace:workspace", "More", "List the workspaces of a project, or select one."),
    "schema": Lazy("orgloop.cli.schema:schema", "More", "Print the JSON Schema of a kind of file."),
    "help": Lazy("orgloop.cli.help:help_", "More", "Explain a command, or the code of an error."),
    "completion": Lazy("orgloop.cli.completion:completion", "More", "Print the completion script of a shell."),
    "version": Lazy("orgloop.cli.version:version", "More", "Print the versions of OrgLoop and of Python."),
}
"""Every command: its name, where it lives, and what the list of commands says of it."""


# -- options of all commands -------------------------------------------------------------------------------------------


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    # The same option may stand before the command: that it does not stand after it again takes nothing back.
    if value and isinstance(context.obj, dict):
        context.obj[parameter.name] = value


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        found = version("orgloop")
        click.echo(f'{{"orgloop": "{found}"}}' if context.obj and context.obj.get("json") else f"orgloop {found}")
        context.exit()


class _Unlisted(click.Option):
    """An option that is taken and completed, and left out of the help: one line there speaks of all of them."""

    def get_help_record(self, ctx: click.Context) -> None:
        """None."""


def _shared_options(*, is_shown: bool) -> list[click.Option]:
    """The options of all commands; in the help of a single command only a line speaks of them."""
    kind = click.Option if is_shown else _Unlisted
    flags = [
        (("-c", "--config"), {"metavar": "PATH", "help": "The project: its folder or its orgloop.yaml. [here]"}),
        (("-w", "--workspace"), {"metavar": "NAME", "help": "The workspace of the project. [the selected one]"}),
        (("-v", "--verbose"), {"is_flag": True, "help": "Say more; of an error, where in OrgLoop it came from."}),
        (("--json",), {"is_flag": True, "help": "Print one JSON document, and nothing else; errors too."}),
        (("--quiet",), {"is_flag": True, "help": "Print errors only."}),
    ]
    made = [
        kind(names, expose_value=False, callback=_remember, **options)  # type: ignore[arg-type] # a table of options has no one type
        for names, options in flags
    ]
    version = kind(
        ("-V", "--version"),
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version.",
    )
    return [*made, version]


_SHARED_LINE = "-c, -w, -v, --json and --quiet are for every command: see orgloop --help."


def with_shared_options(command: click.Command) -> click.Command:
    """A command, and those below it, with the options that all commands share; once only."""
    if command.epilog != _SHARED_LINE:
        command.params.extend(_shared_options(is_shown=False))
        command.epilog = _SHARED_LINE
        if isinstance(command, click.Group):
            for below in command.commands.values():
                with_shared_options(below)
    return command


# -- the root ----------------------------------------------------------------------------------------------------------


class Root(click.Group):
    """The group of all commands, which imports none of them before it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Import a command; None if there is none of that name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module, _, attribute = lazy.where.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return with_shared_options(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but a slip gets the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            advice = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """The list of commands, from the table alone."""
        for section in SECTIONS:
            rows = [(name, lazy.summary) for name, lazy in COMMANDS.items() if lazy.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command: its exit code, which ends the process if ``standalone_mode``."""
        if COMPLETE_VARIABLE in os.environ:
            return super().main(args, "orgloop", complete_var, standalone_mode, **extra)
        code = run(list(sys.argv[1:] if args is None else args), prog_name=prog_name or "orgloop", **extra)
        if standalone_mode:
            sys.exit(code)
        return code


def run(arguments: list[str], *, prog_name: str = "orgloop", **extra: Any) -> int:
    """Run a command; its exit code. Whatever it raises has been reported."""
    flags: dict[str, Any] = {"json": _asks_for_json(arguments)}
    try:
        with root.make_context(prog_name, list(arguments), obj=flags, **extra) as context:
            code = root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except click.exceptions.NoArgsIsHelpError as exc:
        code = _asked_for_nothing(exc, flags, arguments)
    except SystemExit:
        raise
    except BaseException as exc:  # the end of the program, and so the place where everything is told
        code = _reported(exc, flags, arguments)
    return code if isinstance(code, int) else 0


def _asked_for_nothing(exc: click.exceptions.NoArgsIsHelpError, flags: Mapping[str, Any], given: Sequence[str]) -> int:
    """The bare name is answered by the list of commands; a group of them is only a part of what was meant."""
    if given:
        return _reported(exc, flags, given)
    click.echo(exc.message)
    return 0


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Seen before anything is parsed: a mistake may stand before the flag that says how to report it."""
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def _reported(exc: BaseException, flags: Mapping[str, Any], arguments: Sequence[str]) -> int:
    from orgloop.cli.errors import report
    from orgloop.cli.output import open_output

    output = open_output(
        is_json=bool(flags.get("json")),
        is_quiet=bool(flags.get("quiet")),
        is_verbose=bool(flags.get("verbose")) or "-v" in arguments or "--verbose" in arguments,
        environ=os.environ,
    )
    return report(exc, output)


root = Root(
    name="orgloop",
    params=[*_shared_options(is_shown=True)],
    help="Organisation as code: sources emit events, routes lead them to actors, and what actors do is an event again.",
    epilog="orgloop help COMMAND tells more, orgloop help CODE explains an error such as OL1203.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    subcommand_metavar="COMMAND …",
)


def main() -> None:
    """The program: run what its arguments say, and exit."""
    root.main(prog_name="orgloop")
