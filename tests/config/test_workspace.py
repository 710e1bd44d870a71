"""Workspaces: one project, several environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from orgloop.config.workspace import merged
from tests.config.disk import CONNECTORS, examine, lines, load, small


def test_a_workspace_is_laid_over_definitions_by_their_ids(tmp_path: Path) -> None:
    """To any depth; what it does not speak of stays, and what is new is added."""
    overlay = """\
kind: Workspace
defaults: {poll_interval: 30s}
sources:
  - {id: github, config: {repo: a/staging}, poll: {interval: 10s}}
  - {id: second, connector: webhook}
actors:
  - {id: agent, description: of staging}
"""
    config = load(small(tmp_path, workspaces__staging_yaml=overlay), workspace="staging").config

    assert config.defaults.poll_interval_s == 30
    assert [source.id for source in config.sources] == ["github", "second"]
    assert config.sources[0].config == {"repo": "a/staging", "token": ""}
    assert config.actors[0].config == {"url": "https://example.org/"}


def test_a_workspace_has_variables(tmp_path: Path) -> None:
    """The process's own still win."""
    folder = small(tmp_path, workspaces__prod_yaml="variables: {TOKEN: of-the-workspace}\n")

    assert load(folder, workspace="prod").config.sources[0].config["token"] == "of-the-workspace"
    of_process = load(folder, workspace="prod", environ={"TOKEN": "of-the-process"})
    assert of_process.config.sources[0].config["token"] == "of-the-process"


def test_the_default_workspace_needs_no_file(tmp_path: Path) -> None:
    """But has one if there is one."""
    assert load(small(tmp_path / "without")).workspace == "default"
    folder = small(tmp_path / "with", workspaces__default_yaml="defaults: {log_level: debug}\n")
    assert load(folder).config.defaults.log_level == "debug"


def test_other_workspaces_have_another_digest(tmp_path: Path) -> None:
    """So that a change of the workspace is a change."""
    folder = small(tmp_path, workspaces__a_yaml="", workspaces__b_yaml="")

    assert load(folder, workspace="a").digest != load(folder, workspace="b").digest


@pytest.mark.parametrize(
    ("overlay", "fault"),
    [
        ("source: []\n", "w.yaml:1 OL1203"),
        ("connectors: [x.yaml]\n", "w.yaml:1 OL1203"),
        ("kind: Project\n", "w.yaml:1 OL1211"),
        ("sources: {}\n", "w.yaml:1 OL1201"),
        ("variables: [a]\n", "w.yaml:1 OL1201"),
        ("variables:\n  A: 5\n", "w.yaml:2 OL1201"),
        ("- a\n", "w.yaml:1 OL1106"),
        ("sources:\n  - id: githb\n", "w.yaml:2 OL1202"),
        ("defaults:\n  log_level: loud\n", "w.yaml:2 OL1208"),
        ("sources:\n  - id: github\n    config:\n      per_page: x\n", "w.yaml:4 OL1201"),
    ],
)
def test_what_is_wrong_in_a_workspace(tmp_path: Path, overlay: str, fault: str) -> None:
    """Is told at its line."""
    assert lines(examine(small(tmp_path, workspaces__w_yaml=overlay), workspace="w").faults) == [fault]


@pytest.mark.parametrize(("name", "code"), [("nowhere", "OL1801"), ("../x", "OL1802"), ("", "OL1802")])
def test_a_workspace_that_is_not_there(tmp_path: Path, name: str, code: str) -> None:
    """And one that cannot be."""
    (fault,) = examine(small(tmp_path), workspace=name).faults

    assert fault.code == code


def test_nothing_after_a_key_takes_the_value_away() -> None:
    """So that the default counts."""
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}


def test_the_project_is_not_changed(tmp_path: Path) -> None:
    """Another workspace sees it as it was written."""
    folder = small(tmp_path, workspaces__w_yaml="sources: [{id: github, config: {repo: x/y}}]\n")
    load(folder, workspace="w")

    assert load(folder).config.sources[0].config["repo"] == "a/b"
    assert (folder / "connectors.yaml").read_text() == CONNECTORS
