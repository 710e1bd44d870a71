"""What the documentation shows is so: programs run, sessions print what they show, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orgloop.cli.main import root
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Notice, Polled
from tests.pages import PAGES, ROOT, Terminal, anchors, blocks, links, named_commands, steps

NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


def run_program(page: str) -> subprocess.CompletedProcess[str]:
    """Run the one Python program of a page."""
    [(_, program)] = blocks((ROOT / page).read_text(encoding="utf-8"), "python")
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


class Desk:
    """A source that finds nothing."""

    async def poll(self, checkpoint: str | None) -> Polled:
        return Polled()


class Ear:
    """A logger that forgets what it hears."""

    def log(self, notice: Notice) -> None:
        pass


def linked_from(page: Path) -> set[Path]:
    """The files that a page leads to."""
    return {(page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text(encoding="utf-8"))}


def unknown(words: list[str]) -> str | None:
    """What of a command's words means nothing: a command, one of a group, or an option; None if all is known."""
    command: click.Command = root
    options = _options(root)
    with click.Context(root) as context:
        for word in words:
            word = word.strip("[]'\",:")
            if word.startswith("--") and word != "--":
                named = word.partition("=")[0]
                if named not in options:
                    return f"{named} in orgloop {' '.join(words)}"
            elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
                found = command.get_command(context, word)
                if found is None:
                    return f"{word} in orgloop {' '.join(words)}"
                command, options = found, options | _options(found)
    return None


def _options(command: click.Command) -> set[str]:
    return {"--help"} | {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


# -- programs and sessions ---------------------------------------------------------------------------------------------


def test_the_program_of_the_supervisors_runs() -> None:
    """A reader who copies it gets what the page promises: an end without an error, and a tree."""
    ended = run_program("supervisors/README.md")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"^root  .*running", ended.stdout, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_program_of_the_readme_runs() -> None:
    """An event goes from the source to the actor, and the program ends."""
    ended = run_program("README.md")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "seen: hello\n", "")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in an empty folder; a daemon that it has started is gone at the end."""
    folder = tmp_path / "work"
    folder.mkdir()
    terminal = Terminal(folder, tmp_path / "home")
    yield terminal
    terminal.bash("orgloop shutdown --force")


@pytest.mark.slow
def test_the_tour_of_the_readme_is_as_printed(terminal: Terminal) -> None:
    """From an empty folder to a stopped daemon: each command prints what the page shows, in that order."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = page.partition("\n## A tour")[2].partition("\n## ")[0]

    played = 0
    for language, block in blocks(tour, "console", "yaml"):
        if language == "yaml":
            terminal.write(block)
            continue
        for step in steps(block):
            terminal.play(step)
            played += 1

    assert played == 16


@pytest.mark.slow
def test_the_commands_of_operation_are_as_written(terminal: Terminal) -> None:
    """In the folder of a project beside another: each command that the README has for operators ends well."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    [(_, session)] = blocks(page.partition("\n## In operation")[2], "console")
    for name in ("tour", "other-team"):
        terminal.bash(f"orgloop init --connectors webhook --name {name} --dir {name} --no-interactive")
    terminal.folder /= "tour"

    for step in steps(session):
        is_service = step.command.startswith("orgloop install-service")  # which wants a port that stays
        ended = terminal.bash(("unset ORGLOOP_PORT; " if is_service else "") + terminal.as_here(step.command))
        assert ended.returncode == 0, f"$ {step.command}\n{ended.stdout}"
        assert "✗" not in ended.stdout
        assert "error" not in ended.stdout.splitlines()[0]


async def test_the_tree_of_the_architecture_is_the_one_that_runs(tmp_path: Path) -> None:
    """What is drawn stands in the tree, in that order, and nothing else but the members of a module and the faces."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall("[├└]── (\\S+)", page.partition("## The tree")[2].partition("\n## ")[0])
    faces = drawn.index("faces")

    async with open_runtime(home=tmp_path, loggers={"ear": Ear()}) as runtime:
        config = {"metadata": {"name": "module"}, "sources": [{"id": "desk", "connector": "given"}]}
        await runtime.load_module(config, sources={"desk": Desk()})
        running = re.findall("[├└]── (\\S+)", str(runtime.tree()))

    assert drawn[faces:] == ["faces", "http", "spool", "watcher"]
    assert [name for name in running if name not in {"desk", "ear"}] == [name.strip("<>") for name in drawn[:faces]]


# -- what is named -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_link_leads_somewhere(name: str) -> None:
    """A link within the repository names a file, or a folder, that is there, and a heading that it has."""
    page = ROOT / name
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{name}: {link}"
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{name}: {link}"


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_there(name: str) -> None:
    """A page names only commands that there are, with options that they take."""
    text = (ROOT / name).read_text(encoding="utf-8")

    assert [found for words in named_commands(text) if (found := unknown(words))] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_make_target_is_there(name: str) -> None:
    """What a page says `make` can do, the Makefile can."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / name).read_text(encoding="utf-8")
    named = {
        target for line in re.findall(r"`make ([a-z-]+)|^    make ([a-z-]+)", text, re.MULTILINE) for target in line
    }

    assert named - {""} <= targets


def test_each_page_is_on_the_map() -> None:
    """``docs/index.md`` leads to every page of the documentation; those of a folder are on the page of that folder."""
    docs = ROOT / "docs"
    folders = list(docs.glob("*/README.md"))
    pages = {*docs.glob("*.md"), *folders} - {docs / "index.md"}

    assert pages - linked_from(docs / "index.md") == set()
    for page in folders:
        assert set(page.parent.glob("*.md")) - {page} - linked_from(page) == set()


def test_each_file_that_the_architecture_names_is_there() -> None:
    """A path, or a name with its room, that the page shows as code is one of the source tree."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:orgloop|supervisors|connectors|tests)/[\w./]*)`", text))

    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
