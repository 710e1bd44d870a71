"""The frame: names, options that all commands share, exit codes, and how fast it starts."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
import pytest

from orgloop.cli.main import COMMANDS, SECTIONS, root
from tests.cli.terminal import PROGRAM, Shell, shell, shop

__all__ = ["shell", "shop"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    """The list of commands is written without importing them, so it is a copy of the first line of their help."""
    command = root.get_command(click.Context(root), name)

    assert command is not None
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name].summary
    assert COMMANDS[name].section in SECTIONS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_shared_options(name: str) -> None:
    """Before its name and after it."""
    command = root.get_command(click.Context(root), name)

    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {"--config", "--workspace", "--verbose", "--json", "--quiet", "--version"} <= known


@pytest.mark.parametrize("arguments", [["--json", "version"], ["version", "--json"], ["--json", "version", "--json"]])
def test_shared_options_stand_before_and_after_the_command(shell: Shell, arguments: list[str]) -> None:
    """Both are the same command."""
    assert set(shell.run(*arguments).document) == {"orgloop", "python", "platform"}


def test_shared_options_reach_commands_below_commands(shop: Shell) -> None:
    """``env check --json`` is JSON, as ``--json env check`` is."""
    assert shop.run("env", "check", "--json").document["missing"] == 0


FAILURES: Sequence[tuple[list[str], int, str]] = [
    (["nope"], 64, "There is no command 'nope'"),
    (["versoin"], 64, "Did you mean 'version'?"),
    (["version", "--nope"], 64, "No such option"),
    (["inspect", "banana", "x"], 64, "is not one of"),
    (["--config"], 64, "requires an argument"),
    (["workspace"], 64, "orgloop workspace needs a command: list, select"),
    (["--quiet"], 64, "Missing command"),
    (["validate"], 1, "Configuration file not found"),
    (["env"], 1, "Configuration file not found"),
    (["plan", "-c", "nowhere"], 1, "Configuration file not found"),
    (["routes"], 1, "Configuration file not found"),
    (["doctor"], 1, "Configuration file not found"),
    (["inspect", "source", "x"], 1, "Configuration file not found"),
    (["workspace", "list"], 1, "Configuration file not found"),
    (["test"], 1, "No event was given"),
    (["help", "OL9999"], 1, "There is no code OL9999"),
    (["help", "nope"], 1, "There is no command 'nope'"),
    (["init", "--connectors", "github,nope"], 1, "Unknown connector: nope"),
    (["init", "--name", "a b"], 1, "cannot be the name of a project"),
    (["schema"], 1, "No kind of file was named"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), FAILURES)
def test_a_failure_says_what_and_what_next(shell: Shell, arguments: list[str], code: int, text: str) -> None:
    """On stderr, with its exit code and a next step, and without a traceback."""
    ended = shell.run(*arguments)

    assert (ended.code, ended.out) == (code, "")
    assert text in ended.err
    assert "next: " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("arguments", "code", "text"), FAILURES)
def test_a_failure_is_one_json_document_too(shell: Shell, arguments: list[str], code: int, text: str) -> None:
    """The original said nothing at all then."""
    ended = shell.run("--json", *arguments)

    assert (ended.code, ended.out) == (code, "")
    assert text in ended.error["what"]
    assert ended.error["next"]


def test_quiet_leaves_errors_only(shop: Shell) -> None:
    """Nothing on stdout, and what is wrong on stderr."""
    assert shop.run("routes", "--quiet").out == ""
    assert "There is no source" in shop.run("inspect", "source", "nope", "--quiet").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate"],
        ["env"],
        ["env", "check"],
        ["doctor"],
        ["plan"],
        ["routes"],
        ["inspect", "route", "cart"],
        ["test", "--generate", "./door.py", "--dry-run"],
        ["add", "logger", "more"],
        ["init", "--dir", "elsewhere"],
        ["workspace", "list"],
        ["workspace", "select", "default"],
        ["schema", "Workspace"],
        ["help"],
        ["help", "validate"],
        ["help", "OL1203"],
        ["completion", "bash"],
        ["version"],
    ],
)
def test_json_is_one_document(shop: Shell, arguments: list[str]) -> None:
    """On stdout, and nothing else on either stream; -v changes nothing in that."""
    ended = shop.run("--json", "-v", *arguments)

    assert ended.document
    assert ended.err == ""


def test_the_bare_name_is_answered_by_the_list(shell: Shell) -> None:
    """As by --help."""
    ended = shell.run()

    assert (ended.code, ended.out) == (0, shell.run("--help").out)


def test_who_has_no_home_can_still_look(shop: Shell) -> None:
    """A project needs none, in a container for instance; what needs one says how to name it."""
    shop.environ |= {"HOME": None, "ORGLOOP_HOME": None}

    assert shop.run("validate").code == 0
    ended = shop.run("plan")
    assert ended.code == 1
    assert "next: set ORGLOOP_HOME to a directory" in ended.err


def test_the_version_needs_no_command(shell: Shell) -> None:
    """As -V; and as JSON if that is asked for, wherever it stands."""
    assert shell.run("-V").out.startswith("orgloop ")
    assert shell.run("-V", "--json").document["orgloop"]


# -- as a process ------------------------------------------------------------------------------------------------------


def test_the_list_of_commands_imports_nothing_of_ours() -> None:
    """Nor anything heavy: it is what people wait for most often."""
    program = "import sys; from orgloop.cli.main import run; run(['--help']); print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    imported = set(ended.stdout.splitlines()[-1].split())

    assert {name for name in imported if name.startswith("orgloop")} == {"orgloop", "orgloop.cli", "orgloop.cli.main"}
    assert not imported & {"trio", "attrs", "attr", "ruamel", "rich", "httpx2", "msgspec", "anyio", "cattrs"}


@pytest.mark.slow
def test_the_list_of_commands_is_there_at_once() -> None:
    """Far sooner than what the commands need has been imported; the best of several, as others work here too."""
    programs = ["-c pass", "-c import\ttrio", "-c import\torgloop.runtime.installed", "-m orgloop --help"]
    figures = {program: min(_took_s(program) for _ in range(5)) for program in programs}
    print(*(f"{took_s * 1000:6.0f} ms  python {program}" for program, took_s in figures.items()), sep="\n")

    assert figures["-m orgloop --help"] < figures["-c import\torgloop.runtime.installed"]


def _took_s(program: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, *program.split(" ")], stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.perf_counter() - began_s


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["schema", "Project"]])
def test_nobody_reads_is_no_error(shell: Shell, arguments: list[str]) -> None:
    """``orgloop … | head`` ends as other programs do there, and says nothing."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=shell.process_environ
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(60) == 128 + signal.SIGPIPE


@pytest.mark.slow
def test_ctrl_c_ends_a_command_without_words(shop: Shell, tmp_path: Path) -> None:
    """130, as shells have it, and no traceback."""
    fifo = tmp_path / "event"
    subprocess.run(["mkfifo", fifo], check=True)
    with subprocess.Popen(
        [*PROGRAM, "test", str(fifo)], cwd=shop.folder, stderr=subprocess.PIPE, env=shop.process_environ
    ) as process:
        try:
            with fifo.open("wb", buffering=0) as pipe:
                pipe.write(b"{")
                _wait_until_read(pipe)
                process.send_signal(signal.SIGINT)
                _, stderr = process.communicate(timeout=60)
        finally:
            process.kill()

    assert (process.returncode, stderr) == (130, b"")


def _wait_until_read(pipe: BinaryIO) -> None:
    """Until the far end has taken all of it, and so waits for more."""
    left = array.array("i", [1])
    while left[0]:
        fcntl.ioctl(pipe.fileno(), termios.FIONREAD, left)
        os.sched_yield()


@pytest.mark.slow
def test_the_program_is_the_command(shop: Shell) -> None:
    """What tests call here in one process is what people call."""
    ended = shop.spawn("routes", "--json")

    assert (ended.code, ended.document["project"], ended.err) == (0, "shop", "")


@pytest.mark.slow
def test_a_terminal_that_knows_no_signs_gets_words(shop: Shell) -> None:
    """ASCII is enough for everything that is said."""
    ended = shop.spawn("validate", variables={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    assert ended.code == 0
    assert "OK orgloop.yaml \\u2014 valid project manifest" in ended.out
