"""
What is said when something went wrong: what, where, why, and what to do next; never a traceback without ``-v``.

    exit codes   0 well    1 failed    2 faults, or changes    64 wrong arguments    130 interrupted    141 nobody reads

64 is not 2, so that a pipeline which asks whether ``plan`` found changes is not answered by a slip of the pen.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from orgloop.cli.output import Output
from orgloop.errors import ConfigError, HomeError, HomeTaken, ModuleError, OrgLoopError

OK = 0
FAILED = 1
FAULTS = 2
"""``validate`` found faults; ``plan`` found changes; ``doctor`` found errors."""
USAGE = 64
"""EX_USAGE of sysexits.h."""
INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + signal.SIGPIPE


_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class CommandFailed(OrgLoopError):
    """A command cannot go on: what, where, why, and what to do next."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        why: str | None = None,
        next: str | None = None,
        code: str = "failed",
        exit_code: int = FAILED,
        faults: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.next = next
        self.code = code
        """For programs; stays."""
        self.exit_code = exit_code
        self.faults = tuple(faults)
        """As the control API tells them."""


@attrs.frozen(kw_only=True)
class Report:
    """What is told of an error."""

    code: str
    what: str
    where: str | None = None
    why: str | None = None
    next: str | None = None
    exit_code: int = FAILED
    faults: Sequence[dict[str, Any]] = ()
    texts: Sequence[str] = ()
    """The faults as people read them."""

    def as_json(self) -> dict[str, Any]:
        """As the control API tells errors."""
        members = {"code": self.code, "what": self.what, "where": self.where, "why": self.why, "next": self.next}
        return {"error": {**members, **({"faults": list(self.faults)} if self.faults else {})}}


def report(exc: BaseException, output: Output) -> int:
    """Tell of what was raised; the exit code that it means."""
    if isinstance(exc, BrokenPipeError):
        _let_go_of_stdout()
        return NOBODY_READS
    if _is_interrupt(exc):
        return INTERRUPTED
    found = report_of(exc)
    trace = _trace_of(exc) if output.is_verbose and not isinstance(exc, click.ClickException) else None
    if output.is_json:
        output.error_document(found.as_json() | ({"trace": trace} if trace else {}))
    else:
        _tell(found, output)
        if trace:
            output.complain(trace)
    return found.exit_code


def _is_interrupt(exc: BaseException) -> bool:
    """Whether it was Ctrl-C, which an event loop may have put into a group."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split((KeyboardInterrupt, click.Abort))[0] is not None
    return isinstance(exc, KeyboardInterrupt | click.Abort)


def report_of(exc: BaseException) -> Report:
    """What there is to tell of an exception."""
    match exc:
        case BaseExceptionGroup(exceptions=[only]):
            return report_of(only)
        case CommandFailed():
            return Report(
                code=exc.code,
                what=exc.what,
                where=exc.where,
                why=exc.why,
                next=exc.next,
                exit_code=exc.exit_code,
                faults=exc.faults,
                texts=[_line_of(fault) for fault in exc.faults],
            )
        case ConfigError():
            return _of_faults(exc)
        case OrgLoopError():
            return _of_ours(exc)
        case click.exceptions.NoArgsIsHelpError(ctx=click.Context(command=click.Group() as group) as context):
            below = ", ".join(group.list_commands(context))
            what = f"{context.command_path} needs a command: {below}"
            return Report(code="usage", what=what, next=f"{context.command_path} --help", exit_code=USAGE)
        case click.UsageError():
            command = exc.ctx.command_path if exc.ctx else "orgloop"
            return Report(code="usage", what=exc.format_message(), next=f"{command} --help", exit_code=USAGE)
        case click.ClickException():
            return Report(code="usage", what=exc.format_message(), exit_code=exc.exit_code)
        case OSError():
            where = str(exc.filename) if isinstance(exc.filename, str | Path) else None
            what = exc.strerror or str(exc) or type(exc).__name__
            return Report(code="system", what=what, where=where, why=_why_of(exc), next=_next_of(exc))
        case _:
            return Report(
                code="bug",
                what=f"{type(exc).__name__}: {exc}",
                why="OrgLoop did not expect this: it is a fault of OrgLoop, not yours",
                next="run it again with -v, and report what it prints",
            )


def _of_faults(exc: ConfigError) -> Report:
    from orgloop.config.report import plain_of, report_of

    count = len(exc.faults)
    if not count:
        return Report(code="config", what=str(exc), exit_code=FAILED)
    return Report(
        code="config",
        what=f"{count} fault{'' if count == 1 else 's'} in the configuration",
        next="orgloop validate",
        faults=[plain_of(fault) for fault in exc.faults],
        texts=[report_of(fault, base=Path.cwd()) for fault in exc.faults],
    )


def _of_ours(exc: OrgLoopError) -> Report:
    """One of ours; those about the home end in what to do about it."""
    match exc:
        case HomeError():
            what, semicolon, step = str(exc).rpartition("; ")
            code = "home_taken" if isinstance(exc, HomeTaken) else "home"
            return Report(code=code, what=what if semicolon else step, next=step if semicolon else None)
        case ModuleError():
            return Report(code="module", what=str(exc), next="orgloop module list")
        case _:
            return Report(code=_WORD.sub("_", type(exc).__name__).lower(), what=str(exc))


def _why_of(exc: OSError) -> str | None:
    if isinstance(exc, PermissionError):
        return f"user {os.geteuid()} may not do this"
    return None


def _next_of(exc: OSError) -> str | None:
    match exc:
        case FileNotFoundError():
            return "check the path"
        case PermissionError():
            return "give yourself leave to it (ls -l shows who has it), or run it as its owner"
        case ConnectionError() | TimeoutError():
            return "orgloop status"
        case _:
            return None


def _tell(found: Report, output: Output) -> None:
    output.fail(found.what)
    for label, text in (("where", found.where), ("why", found.why)):
        if text:
            output.complain(f"  {label}: {text}")
    for text in found.texts:
        output.complain(f"\n{text}")
    if found.next:
        output.complain(f"{chr(10) if found.texts else ''}  next: {found.next}")


def _line_of(fault: dict[str, Any]) -> str:
    """A fault that came over the control API, on one line."""
    where = f"{fault['file']}:{fault.get('line')}:{fault.get('column')}: " if fault.get("file") else ""
    fix = f"\n  fix: {fault['fix']}" if fault.get("fix") else ""
    return f"{where}{fault.get('code', '')} {fault.get('text', '')}{fix}"


def _trace_of(exc: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(exc)).rstrip()


def _let_go_of_stdout() -> None:
    """Whoever read has gone: what is left is written to nowhere, or the interpreter would complain at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
