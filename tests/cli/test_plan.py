"""``orgloop plan``: alone, and beside a daemon that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orgloop.config.module import ModuleConfig, read_module
from orgloop.config.plan import as_json, plan
from tests.cli.control import serve_control
from tests.cli.terminal import PROJECT, Shell, shell, shop

__all__ = ["shell", "shop"]


def source(interval: str) -> dict[str, Any]:
    return {
        "id": "github",
        "connector": "github",
        "poll": {"interval": interval},
        "config": {"token": "t0ken-of-github"},
    }


def module(**changes: Any) -> ModuleConfig:
    route = {"name": "r", "when": {"source": "github", "events": ["resource.changed"]}, "then": {"actor": "a"}}
    whole = {
        "metadata": {"name": "shop"},
        "sources": [source("5m")],
        "actors": [{"id": "a", "connector": "exec"}],
        "routes": [route],
    }
    return read_module({**whole, **changes}, where="")


def test_without_a_daemon_everything_is_new(shop: Shell) -> None:
    """Exit code 2: there are changes."""
    ended = shop.run("plan")

    assert (ended.code, ended.err) == (2, "")
    assert ended.out.startswith("OrgLoop Plan — shop\n\n  + module  loads the module\n")
    assert "\nSources\n  + deploys  starts source deploys\n" in ended.out
    assert "Plan: 5 to add, 0 to change, 0 to remove." in ended.out
    assert "OrgLoop is not running" in ended.out


def test_a_plan_shows_no_secret(shop: Shell) -> None:
    """Neither to people nor to programs."""
    shop.environ["DOOR_SECRET"] = "open-sesame"

    assert "open-sesame" not in shop.run("plan").out + shop.run("plan", "--json").out


def test_faults_are_no_plan(shop: Shell) -> None:
    """Exit code 1, and what is wrong."""
    shop.write("orgloop.yaml", PROJECT.replace("then: {actor: clerk, d", "then: {actor: clark, d"))
    ended = shop.run("plan", "--json")

    assert (ended.code, ended.error["faults"][0]["code"]) == (1, "OL1303")


@pytest.mark.parametrize(
    ("after", "code", "line"),
    [
        (module(), 0, "No changes."),
        (
            module(sources=[source("1m")]),
            2,
            "  ~ github  restarts source github (checkpoint kept)",
        ),
        (
            module(actors=[{"id": "a", "connector": "exec"}, {"id": "b", "connector": "exec"}]),
            2,
            "  + b  starts actor b",
        ),
        (module(routes=[]), 2, "  - r  "),
    ],
)
def test_beside_a_daemon_it_is_the_daemon_who_compares(
    shop: Shell, tmp_path: Path, after: ModuleConfig, code: int, line: str
) -> None:
    """With what runs, and with its own variables; symbols and exit codes are those of the original and Terraform."""
    with serve_control(tmp_path / "home") as control:
        made = as_json(plan(module(), after, secrets=frozenset({"t0ken-of-github"})))
        control.answers["POST /control/module/plan"] = (200, made)
        ended = shop.run("plan")

    request = {"configPath": str(shop.folder / "orgloop.yaml"), "projectDir": str(shop.folder), "workspace": "default"}
    assert control.asked == [("POST", "/control/module/plan", request)]
    assert ended.code == code
    assert line in ended.out
    assert "t0ken" not in ended.out
    assert "not running" not in ended.out


def test_fields_that_change_are_shown_with_both_sides(shop: Shell, tmp_path: Path) -> None:
    """What was, and what is to be; what is unchanged is one line."""
    after = module(sources=[source("1m")])
    with serve_control(tmp_path / "home") as control:
        control.answers["POST /control/module/plan"] = (200, as_json(plan(module(), after)))
        ended = shop.run("plan")

    assert "      poll.interval: 5m → 1m\n" in ended.out
    assert "  = 1 unchanged: a\n" in ended.out
    assert "Plan: 0 to add, 1 to change, 0 to remove." in ended.out


def test_the_workspace_goes_along(shop: Shell, tmp_path: Path) -> None:
    """The one that is given, or selected."""
    with serve_control(tmp_path / "home") as control:
        control.answers["POST /control/module/plan"] = (200, as_json(plan(module(), module())))
        shop.run("plan", "-w", "staging")
        shop.write(".orgloop/workspace", "production\n")
        shop.run("plan")

    assert [body["workspace"] for _, _, body in control.asked] == ["staging", "production"]


def test_a_daemon_that_refuses_is_no_plan(shop: Shell, tmp_path: Path) -> None:
    """Its reasons are ours."""
    with serve_control(tmp_path / "home") as control:
        control.answers["POST /control/module/plan"] = (422, {"error": {"code": "config", "what": "1 fault"}})
        ended = shop.run("plan")

    assert ended.code == 1
    assert "✗ 1 fault" in ended.err


def test_a_daemon_that_is_not_ready_is_not_taken_for_none(shop: Shell, tmp_path: Path) -> None:
    """What is not known is not guessed."""
    with serve_control(tmp_path / "home", says_port=False):
        ended = shop.run("plan")

    assert ended.code == 1
    assert "OrgLoop is starting" in ended.err
