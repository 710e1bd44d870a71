"""
What a command is given: which project, workspace and home are meant, and an output to speak through.

    @click.command()
    @pass_context
    def plan(context: Context) -> int: ...          returns its exit code; None is 0

Nothing is looked up before it is asked for, and nothing heavy is imported here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import attrs
import click

from orgloop.cli.errors import CommandFailed
from orgloop.cli.output import Output, open_output

if TYPE_CHECKING:
    from orgloop.cli.client import Client
    from orgloop.daemon.home import Home

PROJECT_FILES = ("orgloop.yaml", "orgloop.yml", "orgloop-module.yaml")
"""What a folder is asked for, in this order."""

SELECTED = Path(".orgloop") / "workspace"
"""Where a project remembers the workspace that was selected."""

DEFAULT_WORKSPACE = "default"
_LONGEST_NAME = 256


@attrs.frozen(kw_only=True)
class Context:
    """What the shared options say, and where this process is."""

    out: Output
    environ: Mapping[str, str]
    directory: Path
    """Where the command was given."""
    config: Path | None = None
    """``--config``, as it was written."""
    workspace_given: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether one JSON document is to be printed, and nothing else."""
        return self.out.is_json

    @property
    def home(self) -> Home:
        """The home that is meant; it may not be there. Raises :class:`orgloop.errors.HomeError`."""
        from orgloop.daemon.home import home_of

        return home_of(self.environ)

    @property
    def project_directory(self) -> Path:
        """The folder of the project that is meant, whether or not there is one."""
        path = self._project_path
        return path if path.is_dir() else path.parent

    @property
    def project_file(self) -> Path:
        """The file of the project that is meant; raises :class:`CommandFailed` if there is none."""
        path = self._project_path
        if path.is_dir():
            path = next((path / name for name in PROJECT_FILES if (path / name).exists()), path / PROJECT_FILES[0])
        if not path.exists():
            raise CommandFailed(
                f"Configuration file not found: {path}",
                why="a project is a folder with an orgloop.yaml",
                next="run `orgloop init` to create a new project, or use --config to specify a path",
                code="OL1001",
            )
        return path

    @property
    def _project_path(self) -> Path:
        return Path(os.path.abspath(self.directory / (self.config or "")))

    @property
    def workspace(self) -> str:
        """The workspace that is meant: the one given, else the one selected for the project, else ``default``."""
        if self.workspace_given:
            return self.workspace_given
        return selected_workspace(self.project_directory) or DEFAULT_WORKSPACE

    def client(self, *, timeout_s: float | None = None) -> Client:
        """What talks to the daemon of the home; raises :class:`orgloop.cli.client.NotRunning` if none runs."""
        from orgloop.cli.client import ANSWER_S, client_of

        return client_of(self.home, environ=self.environ, timeout_s=timeout_s or ANSWER_S)


def selected_workspace(project: Path) -> str | None:
    """The workspace that was selected for a project; None if none was. Raises ``OSError`` if that cannot be read."""
    try:
        with (project / SELECTED).open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_NAME).strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


P = ParamSpec("P")
R = TypeVar("R")


def pass_context(command: Callable[Concatenate[Context, P], R]) -> Callable[P, R]:
    """Give a command its :class:`Context` as its first argument."""

    def given(*args: P.args, **kwargs: P.kwargs) -> R:
        return command(context_of(click.get_current_context()), *args, **kwargs)

    return update_wrapper(given, command)


def context_of(current: click.Context) -> Context:
    """The context of the command that click is running."""
    flags = current.obj if isinstance(current.obj, dict) else {}
    environ = dict(os.environ)
    return Context(
        out=open_output(
            is_json=bool(flags.get("json")),
            is_quiet=bool(flags.get("quiet")),
            is_verbose=bool(flags.get("verbose")),
            environ=environ,
        ),
        environ=environ,
        directory=Path.cwd(),
        config=Path(flags["config"]).expanduser() if flags.get("config") else None,
        workspace_given=flags.get("workspace"),
    )
