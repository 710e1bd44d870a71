"""``install-service``, ``service`` and ``demo``: what needs no daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Shell, shell, shop

__all__ = ["shell", "shop"]


def user_home(shell: Shell) -> Path:
    path = Path(str(shell.environ["HOME"]))
    path.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize(
    ("flag", "file"),
    [
        ("--systemd", ".config/systemd/user/orgloop.service"),
        ("--launchd", "Library/LaunchAgents/com.orgloop.daemon.plist"),
    ],
)
def test_a_service_is_installed_by_its_file(shop: Shell, flag: str, file: str) -> None:
    """It names the project and the home; what comes next is said, and done by nobody."""
    home = user_home(shop)
    ended = shop.run("install-service", flag, "--port", "4801")

    text = (home / file).read_text()
    assert ended.code == 0
    assert all(word in text for word in (str(shop.folder / "orgloop.yaml"), str(shop.environ["ORGLOOP_HOME"]), "4801"))
    assert "Next:" in ended.out


def test_a_file_that_is_there_and_differs_is_left_alone(shop: Shell) -> None:
    """Unless it may be replaced; one that says the same is as it should be."""
    unit = user_home(shop) / ".config/systemd/user/orgloop.service"
    assert shop.run("install-service", "--systemd").code == 0
    assert "is as it should be" in shop.run("install-service", "--systemd").out
    unit.write_text("mine")

    assert shop.run("install-service", "--systemd").code == 1
    assert unit.read_text() == "mine"
    assert shop.run("install-service", "--systemd", "--force").code == 0
    assert unit.read_text() != "mine"


def test_a_dry_run_writes_nothing(shop: Shell) -> None:
    """It prints what would be written."""
    found = shop.run("install-service", "--docker", "--dry-run", "--json").document

    assert (found["platform"], found["written"]) == ("docker", [])
    assert "FROM python" in "".join(file["text"] for file in found["files"])
    assert not (shop.folder / "Dockerfile").exists()


def test_without_a_service_there_is_nothing_to_start(shop: Shell) -> None:
    """But to ask for its status is no failure."""
    user_home(shop)
    assert shop.run("service", "start").code == 1
    assert (shop.run("service", "status").code, shop.run("service", "status", "--json").document) == (
        0,
        {"installed": False},
    )


def test_a_service_manager_that_is_not_there_is_named(shop: Shell) -> None:
    """With another way to run it."""
    (user_home(shop) / "Library/LaunchAgents").mkdir(parents=True)
    (user_home(shop) / "Library/LaunchAgents/com.orgloop.daemon.plist").write_text("")
    shop.environ["PATH"] = "/nowhere"
    ended = shop.run("service", "start", "--json")

    assert (ended.code, ended.error["code"]) == (1, "service")


@pytest.mark.slow
def test_the_demo_shows_a_whole_loop(shell: Shell) -> None:
    """An event, a delivery, the event that follows from it, and the tree; nothing is left on disk."""
    found = shell.run("demo", "--seconds", "2.5", "--json").document

    phases = {notice["phase"] for notice in found["notices"]}
    assert {"source.emit", "route.match", "deliver.success"} <= phases
    assert found["routes"]["hand-over"]["delivered"] >= 1
    assert not Path(str(shell.environ["ORGLOOP_HOME"])).exists()
