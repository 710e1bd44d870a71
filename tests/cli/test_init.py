"""``orgloop init`` and ``orgloop add``: what is written, and that it holds together."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from orgloop.cli.choices import CHOICES
from orgloop.cli.files import write_files
from orgloop.cli.scaffold import API_VERSION, SCHEMAS, listed, project_files
from orgloop.config.catalogue import Kind, Offer, Unusable
from orgloop.config.gather import API_VERSION as REAL_VERSION
from orgloop.config.project import Examined, examine_project
from orgloop.config.schema import KINDS, SCHEMA_FOLDER, schema_comment, schema_file
from orgloop.runtime.installed import Installed
from orgloop.runtime.plugins import Plugins
from tests.cli.terminal import PROGRAM, Shell, shell, shop

__all__ = ["shell", "shop"]


@attrs.frozen(eq=False)
class Complete:
    """What is installed here; of a connector that is not, it takes that there is one, and that it takes anything."""

    _here: Installed = attrs.field(factory=lambda: Installed(Plugins()))

    def find(self, kind: Kind, name: str) -> Offer | Unusable | None:
        found = self._here.find(kind, name)
        return Offer(name=name) if found is None and name in CHOICES else found

    def names(self, kind: Kind) -> Sequence[str]:
        return self._here.names(kind)

    def module(self, package: str) -> str | None:
        return self._here.module(package)

    @property
    def delivery(self) -> type[object]:
        return self._here.delivery


def examined(folder: Path) -> Examined:
    return examine_project(folder, environ={}, catalogue=Complete())


def begin(shell: Shell, choices: str) -> None:
    """What ``init`` writes, but for the schemas, which take their time."""
    write_files(shell.folder, project_files(name="my-org", description=None, choices=choices.split(",")))


SETS = [*CHOICES, "github,openclaw", "github,linear,claude-code,openclaw,slack", ",".join(CHOICES)]


@pytest.mark.parametrize("choices", SETS)
def test_what_is_written_holds_together(shell: Shell, choices: str) -> None:
    """No fault, and no warning but for variables that are to be set: nothing is dead, unreachable or an orphan."""
    begin(shell, choices)
    found = examined(shell.folder)

    assert found.faults == ()
    assert {warning.code for warning in found.warnings} <= {"OL1401"}
    assert found.project is not None
    assert len(found.project.config.routes) >= 1


@pytest.mark.parametrize("choices", SETS)
def test_every_variable_is_in_the_example(shell: Shell, choices: str) -> None:
    """Whoever copies .env.example and fills it in has all."""
    begin(shell, choices)
    needed = {variable.name for variable in examined(shell.folder).environment}
    example = shell.folder / ".env.example"
    lines = example.read_text().splitlines() if needed else []
    given = {line.removesuffix("=") for line in lines if line and not line.startswith("#")}

    assert given == needed


def test_each_agent_is_set_up_as_itself(shell: Shell) -> None:
    """The original wrote a webhook for codex, opencode, pi and pi-rust."""
    for agent in ("codex", "opencode", "pi", "pi-rust"):
        text = project_files(name="x", description=None, choices=[agent])[f"connectors/{agent}.yaml"].text
        assert f"  - id: {agent}\n" in text
        assert f"    connector: {agent}\n" in text


def test_a_project_for_github_alone(shell: Shell) -> None:
    """What init writes if nothing is said; it tells what to do next."""
    ended = shell.run("init", "--no-interactive")

    assert ended.code == 0
    assert [line for line in ended.out.splitlines() if line.startswith("✓")] == [
        "✓ orgloop.yaml",
        "✓ connectors/github.yaml",
        "✓ connectors/notify.yaml",
        "✓ transforms/transforms.yaml",
        "✓ loggers/default.yaml",
        "✓ routes/example.yaml",
        "✓ actors/notify.sh",
        "✓ .gitignore",
        "✓ .env.example",
    ]
    assert "cp .env.example .env       and set GITHUB_REPO, GITHUB_TOKEN" in ended.out
    assert ended.out.endswith("orgloop start\n")
    assert os.access(shell.folder / "actors/notify.sh", os.X_OK)


def test_editors_find_the_schemas(shell: Shell) -> None:
    """The first line of each file names one, and it is there."""
    shell.run("init", "--connectors", "github,openclaw")
    files = sorted(shell.folder.rglob("*.yaml"))

    assert len(files) == 6
    for file in files:
        comment = file.read_text().splitlines()[0]
        path = comment.removeprefix("# yaml-language-server: $schema=")
        schema = json.loads((file.parent / path).read_text())
        assert f"kind: {schema['title'].removeprefix('OrgLoop ')}\n" in file.read_text()


def test_the_words_of_the_scaffold_are_those_of_the_loader() -> None:
    """They are written out there, so that nothing has to be imported to write them."""
    assert (API_VERSION, SCHEMAS) == (REAL_VERSION, SCHEMA_FOLDER)
    files = project_files(name="x", description=None, choices=["github"])
    assert files["orgloop.yaml"].text.startswith(schema_comment("Project") + "\n")
    assert files["routes/example.yaml"].text.startswith(schema_comment("RouteGroup", folder=f"../{SCHEMAS}") + "\n")


def test_the_project_of_the_first_minutes_works(shell: Shell) -> None:
    """No account, no credential: an event arrives, and is there to be looked at."""
    begin(shell, "webhook")
    ended = shell.run("test", "--generate", "webhook")

    assert ended.code == 0
    [line] = (shell.folder / "received.jsonl").read_text().splitlines()
    assert json.loads(line)["source"] == "webhook"


def test_another_folder_name_and_description(shell: Shell) -> None:
    """As options; what is odd in a description is quoted."""
    ended = shell.run("init", "--dir", "deep/er", "--name", "eng", "--description", 'a: "b"\n- c', "--json")

    assert ended.document["directory"] == str(shell.folder / "deep/er")
    project = examined(shell.folder / "deep/er").project
    assert project is not None
    assert (project.name, project.config.metadata.description) == ("eng", 'a: "b"\n- c')


def test_a_project_is_not_written_over(shop: Shell) -> None:
    """Exit code 1, and all is as it was."""
    before = sorted(shop.folder.rglob("*"))
    ended = shop.run("init")

    assert ended.code == 1
    assert "orgloop.yaml already exists" in ended.err
    assert sorted(shop.folder.rglob("*")) == before


def test_all_or_nothing(shell: Shell) -> None:
    """One file in the way, and none is written."""
    shell.write("routes/example.yaml", "mine")
    ended = shell.run("init")

    assert ended.code == 1
    assert "routes/example.yaml already exists" in ended.err
    assert [path.name for path in shell.folder.iterdir()] == ["routes"]


def test_what_every_folder_may_have_stays(shell: Shell) -> None:
    """A .gitignore that is there is left, and that is said."""
    shell.write(".gitignore", "mine")
    ended = shell.run("init")

    assert ended.code == 0
    assert ".gitignore was there, and is left as it is" in ended.err
    assert (shell.folder / ".gitignore").read_text() == "mine"


def test_no_link_is_written_through(shell: Shell, tmp_path: Path) -> None:
    """A link that leads nowhere yet is in the way too."""
    (shell.folder / "orgloop.yaml").symlink_to(tmp_path / "elsewhere.yaml")

    assert shell.run("init").code == 1
    assert not (tmp_path / "elsewhere.yaml").exists()


# -- add ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(shell: Shell) -> Shell:
    """A shell in a project as ``init`` writes it."""
    begin(shell, "webhook")
    return shell


ADDITIONS = [
    (["connector", "billing"], "connectors/billing.yaml", {"OL1901"}),
    (["connector", "on-call", "--type", "actor"], "connectors/on-call.yaml", {"OL1401", "OL1902"}),
    (["connector", "slack"], "connectors/slack.yaml", {"OL1401", "OL1902"}),
    (["connector", "github"], "connectors/github.yaml", {"OL1401", "OL1901"}),
    (["transform", "tag"], "transforms/tag.yaml", {"OL1903"}),
    (["transform", "tag", "--type", "package"], "transforms/tag.yaml", {"OL1903"}),
    (["logger", "more"], "loggers/more.yaml", set()),
    (["route", "again"], "routes/again.yaml", set()),
    (["route", "loop", "--source", "notify", "--actor", "notify"], "routes/loop.yaml", set()),
]


@pytest.mark.parametrize(("arguments", "file", "codes"), ADDITIONS)
def test_what_is_added_counts(begun: Shell, arguments: list[str], file: str, codes: set[str]) -> None:
    """It is read with the project, and has no fault; the original left it to the reader to name it."""
    ended = begun.run("add", *arguments)
    found = examined(begun.folder)

    assert ended.code == 0
    assert found.faults == ()
    assert {warning.code for warning in found.warnings} == codes
    assert found.project is not None
    assert begun.folder / file in found.project.files


@pytest.mark.parametrize(("arguments", "file", "codes"), ADDITIONS)
def test_nothing_is_added_twice(begun: Shell, arguments: list[str], file: str, codes: set[str]) -> None:
    """Exit code 1, and the project is as it was."""
    begun.run("add", *arguments)
    before = (begun.folder / "orgloop.yaml").read_text()
    ended = begun.run("add", *arguments)

    assert ended.code == 1
    assert f"{file} already exists" in ended.err
    assert (begun.folder / "orgloop.yaml").read_text() == before


@pytest.mark.parametrize("kind", ["script", "package"])
def test_a_transform_that_was_added_works(begun: Shell, kind: str) -> None:
    """It is run, and passes the event on."""
    begun.run("add", "transform", "tag", "--type", kind)
    routes = begun.folder / "routes/example.yaml"
    routes.write_text(routes.read_text().replace("    then:", "    transforms: [{ref: tag}]\n    then:"))
    ended = begun.run("test", "--generate", "webhook", "--dry-run")

    assert ended.code == 0
    assert "✓ Transform: tag — PASS" in ended.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["connector", "../x"], "cannot be a name"),
        (["transform", ""], "cannot be a name"),
        (["route", "r", "--source", "nope"], 'There is no source "nope"'),
        (["route", "r", "--actor", "nope"], 'There is no actor "nope"'),
    ],
)
def test_what_cannot_be_added(begun: Shell, arguments: list[str], text: str) -> None:
    """Exit code 1, and no file."""
    before = sorted(begun.folder.rglob("*"))
    ended = begun.run("add", *arguments)

    assert ended.code == 1
    assert text in ended.err
    assert sorted(begun.folder.rglob("*")) == before


def test_a_file_that_is_written_otherwise_is_left_alone(begun: Shell) -> None:
    """What to write where is said instead."""
    file = begun.folder / "orgloop.yaml"
    file.write_text(file.read_text().replace("loggers:\n  - loggers/default.yaml", "loggers: [loggers/default.yaml]"))
    before = file.read_text()
    ended = begun.run("add", "logger", "more")

    assert ended.code == 0
    assert "next: add loggers/more.yaml to its loggers" in ended.err
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "\n\nloggers:\n  - x.yaml\n"),
        ("a: 1", "a: 1\n\nloggers:\n  - x.yaml\n"),
        ("loggers:\n- a.yaml", "loggers:\n- a.yaml\n- x.yaml\n"),
        ("loggers:\n    - a.yaml\n    # mine\nb: 1\n", "loggers:\n    - a.yaml\n    - x.yaml\n    # mine\nb: 1\n"),
        ("loggers: []  # none\nb: 1\n", "loggers:\n  - x.yaml\nb: 1\n"),
        ("loggers:\nb: 1\n", "loggers:\n  - x.yaml\nb: 1\n"),
        ("loggers:\n  - name: a\n    type: file\nb: 1\n", "loggers:\n  - name: a\n    type: file\n  - x.yaml\nb: 1\n"),
        ("loggers: [a.yaml]\n", None),
        ("loggers: &a\n  - a.yaml\n", None),
        ("loggers:\n  - a\nloggers:\n  - b\n", None),
    ],
)
def test_a_line_is_added_without_touching_others(text: str, expected: str | None) -> None:
    """Comments and indentation stay as they are."""
    assert listed(text, "loggers", "x.yaml") == expected


NAMES = st.text("abcdefgh", min_size=1, max_size=5)
ENTRIES = st.lists(NAMES.map("{}.yaml".format), max_size=3)


@given(st.dictionaries(st.sampled_from(["connectors", "loggers", "metadata", "defaults"]), ENTRIES), st.booleans())
def test_what_is_listed_is_one_more(data: dict[str, list[str]], with_remarks: bool) -> None:
    """Read as YAML, the text says what it said, and one entry more."""
    yaml = YAML()
    stream = io.StringIO()
    yaml.dump(data, stream)
    text = stream.getvalue() if data else ""
    text = text.replace("\n", "  # a remark\n\n") if with_remarks else text

    more = listed(text, "loggers", "x.yaml")

    assert more is not None
    assert yaml.load(more) == data | {"loggers": [*data.get("loggers", []), "x.yaml"]}


@pytest.mark.slow
def test_a_person_at_a_terminal_is_asked(shell: Shell) -> None:
    """Name, description and connectors; and what is well is green."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "init"],
        cwd=shell.folder,
        env=shell.process_environ | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        seen = ""
        for question, answer in (("Name of the project", "eng"), ("Description", ""), ("Connectors", "webhook")):
            while question not in seen:
                seen += os.read(person, 4096).decode()
            os.write(person, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # Linux: the end of a terminal that nobody else has
            while more := os.read(person, 4096):
                seen += more.decode()
    os.close(person)

    assert process.returncode == 0
    assert "\x1b[32m✓\x1b[0m orgloop.yaml" in seen
    project = examined(shell.folder).project
    assert project is not None
    assert (project.name, [source.id for source in project.config.sources]) == ("eng", ["webhook"])


# -- schemas -----------------------------------------------------------------------------------------------------------


def test_schemas_are_written_on_demand(begun: Shell) -> None:
    """As after a new connector was installed."""
    ended = begun.run("schema", "--write", "--json")

    assert [Path(path).name for path in ended.document["written"]] == [schema_file(kind) for kind in KINDS]
