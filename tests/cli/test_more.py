"""Workspaces, schemas, help, completion."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import click
import pytest

from orgloop.cli import schema
from orgloop.cli.completion import SHELLS
from orgloop.cli.context import PROJECT_FILES
from orgloop.cli.main import COMMANDS, SECTIONS, root
from orgloop.config import _loading, codes
from orgloop.config.schema import Kind
from tests.cli.terminal import Shell, shell, shop

__all__ = ["shell", "shop"]

# -- workspaces --------------------------------------------------------------------------------------------------------


@pytest.fixture
def staged(shop: Shell) -> Shell:
    """A shell in a project with two workspaces beside the default one."""
    for name in ("production", "staging"):
        shop.write(f"workspaces/{name}.yaml", f"kind: Workspace\nvariables: {{DOOR_SECRET: of-{name}}}\n")
    shop.write("workspaces/notes.txt", "not one")
    return shop


def test_the_workspace_in_force_has_a_star(staged: Shell) -> None:
    """The default one, until another is selected."""
    assert staged.run("workspace", "list").out.splitlines() == ["* default", "  production", "  staging"]


def test_a_workspace_that_was_selected_stays(staged: Shell) -> None:
    """For this project, and all commands; one that is given wins."""
    ended = staged.run("workspace", "select", "staging")

    assert ended.out == 'Switched to workspace "staging"\n'
    assert staged.run("--json", "workspace", "list").document == {
        "workspaces": ["default", "production", "staging"],
        "active": "staging",
    }
    assert staged.run("--json", "env").document["variables"]["DOOR_SECRET"]["origin"] == "workspace"
    assert staged.run("--json", "env", "-w", "default").document["variables"]["DOOR_SECRET"]["origin"] == "default"


def test_a_workspace_that_is_not_there_is_not_selected(staged: Shell) -> None:
    """Exit code 1, with those that there are, and the other stays in force."""
    staged.run("workspace", "select", "staging")
    ended = staged.run("workspace", "select", "../etc")

    assert ended.code == 1
    assert "there are: default, production, staging" in ended.err
    assert "* staging" in staged.run("workspace", "list").out


def test_a_selected_workspace_that_is_gone_is_told(staged: Shell) -> None:
    """And every command that needs it fails, rather than to take another."""
    staged.run("workspace", "select", "staging")
    (staged.folder / "workspaces/staging.yaml").unlink()

    assert 'workspace "staging" is selected' in staged.run("workspace", "list").err
    ended = staged.run("validate")
    assert ended.code == 2
    assert "OL1801" in ended.err


def test_the_default_workspace_can_be_selected_again(staged: Shell) -> None:
    """It needs no file."""
    staged.run("workspace", "select", "staging")

    assert staged.run("workspace", "select", "default").code == 0
    assert "* default" in staged.run("workspace", "list").out


# -- schemas, help, completion -----------------------------------------------------------------------------------------


def test_the_kinds_are_those_of_the_loader() -> None:
    """They are written out here, so that --help does not have to import them; so are the names of project files."""
    assert get_args(Kind) == schema.KINDS
    assert set(_loading.PROJECT_FILES) == set(PROJECT_FILES)


@pytest.mark.parametrize("kind", schema.KINDS)
def test_a_schema_is_printed(shell: Shell, kind: str) -> None:
    """JSON Schema, also with --quiet; the case of the kind does not matter."""
    ended = shell.run("schema", kind.lower(), "--quiet")

    assert ended.code == 0
    assert json.loads(ended.out)["title"] == f"OrgLoop {kind}"


@pytest.mark.parametrize("code", codes.CODES)
def test_every_code_has_a_page(shell: Shell, code: str) -> None:
    """Offline, in either case."""
    assert shell.run("help", code.lower()).out.startswith(f"{code}  ")
    assert shell.run("--json", "help", code).document["code"] == code


def test_help_has_the_page_of_a_command(shell: Shell) -> None:
    """Of one below another too; without a name it is the list of all."""
    assert shell.run("help", "validate").out.startswith("Usage: orgloop validate [OPTIONS]\n")
    assert shell.run("help", "env", "check").out.startswith("Usage: orgloop env check [OPTIONS]\n")
    assert shell.run("help").out == shell.run("--help").out
    assert shell.run("help", "test").out == shell.run("test", "-h").out


@pytest.mark.parametrize("name", SHELLS)
def test_a_completion_script_is_one(shell: Shell, name: str) -> None:
    """It asks the program itself; a shell that is here takes it."""
    ended = shell.run("completion", name)

    assert "_ORGLOOP_COMPLETE" in ended.out
    if shutil.which(name):
        subprocess.run([name, "-n"], input=ended.out, text=True, check=True, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "found"),
    [("orgloop wor", "workspace"), ("orgloop workspace sel", "select"), ("orgloop validate --js", "--json")],
)
def test_a_shell_completes(shell: Shell, words: str, found: str) -> None:
    """Commands, those below them, and the options of all."""
    count = str(words.count(" "))
    variables = {"_ORGLOOP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}

    assert shell.spawn(variables=variables).out == f"plain,{found}\n"


# -- the page ----------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_lists_all_commands() -> None:
    """As the program does, word for word, and in that order."""
    rows = [
        f"| `{name}` | {lazy.summary} |"
        for section in SECTIONS
        for name, lazy in COMMANDS.items()
        if lazy.section == section
    ]

    assert "\n".join(["| command | |", "|---|---|", *rows, ""]) in PAGE.read_text(encoding="utf-8")


def test_the_page_names_every_option() -> None:
    """Of the commands that it describes, and those that all have."""
    text = PAGE.read_text(encoding="utf-8")
    described = ["init", "add", "test", "schema", "workspace"]
    commands = [command for name in described for command in _all(root.get_command(click.Context(root), name))]
    options = {
        option for command in [root, *commands] for one in command.params for option in one.opts if "--" in option
    }

    assert {option for option in options if option not in text} == set()


def _all(command: click.Command | None) -> list[click.Command]:
    assert command is not None
    return [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
