"""The files for service managers."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest
from ruamel.yaml import YAML

from orgloop.daemon.service import (
    Kind,
    default_kind,
    installed_service,
    plan_service,
    service_command,
    write_files,
)
from orgloop.daemon.units import ServiceSpec
from orgloop.errors import HomeError

KINDS: list[Kind] = ["systemd", "systemd-system", "launchd", "docker"]


@pytest.fixture
def spec(tmp_path: Path) -> ServiceSpec:
    """A project in a directory whose name needs quoting in every language."""
    project = tmp_path / "my \"org\" 100% $HOME 'x'"
    project.mkdir()
    return ServiceSpec(
        python=Path("/bin/sh"),
        home=tmp_path / "home dir",
        config=project / "orgloop.yaml",
        version="0.1.0",
        search_path="/opt/my tools:/usr/bin",
    )


def text_of(kind: Kind, spec: ServiceSpec, tmp_path: Path) -> str:
    return plan_service(kind, spec, user_home=tmp_path).files[0].text


def test_the_unit_is_ready_when_the_runtime_is_and_watched_after(spec: ServiceSpec, tmp_path: Path) -> None:
    """Type=notify, a watchdog, a restart with a limit, an absolute path."""
    lines = text_of("systemd", attrs.evolve(spec, config=Path("/srv/org/orgloop.yaml")), tmp_path).splitlines()

    assert "ExecStart=/bin/sh -m orgloop start --config /srv/org/orgloop.yaml" in lines
    assert {"Type=notify", "WatchdogSec=30", "Restart=on-failure", "StartLimitBurst=10"} <= set(lines)
    assert {"WorkingDirectory=/srv/org", "WantedBy=default.target"} <= set(lines)


def test_what_is_special_in_a_unit_is_quoted(spec: ServiceSpec, tmp_path: Path) -> None:
    """A directory may be called anything; neither ``%`` nor ``$`` is expanded."""
    text = text_of("systemd", spec, tmp_path)

    assert r"my \"org\" 100%% $$HOME 'x'/orgloop.yaml" in text
    assert f'Environment="ORGLOOP_HOME={tmp_path}/home dir" ORGLOOP_PORT=4800 "PATH=/opt/my tools:/usr/bin"' in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("kind", ["systemd", "systemd-system"])
def test_systemd_finds_no_fault(spec: ServiceSpec, tmp_path: Path, kind: Kind) -> None:
    """Every name and every value is one that it knows."""
    [unit] = plan_service(kind, attrs.evolve(spec, user="root"), user_home=tmp_path).files
    (tmp_path / "orgloop.service").write_text(unit.text)

    ended = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", tmp_path / "orgloop.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_system_unit_is_shut_in(spec: ServiceSpec, tmp_path: Path) -> None:
    """S24: it writes to its home and its project, and nowhere else."""
    lines = text_of("systemd-system", attrs.evolve(spec, user="orgloop"), tmp_path).splitlines()

    assert {"User=orgloop", "ProtectSystem=strict", "PrivateTmp=yes", "NoNewPrivileges=yes"} <= set(lines)
    assert any(line.startswith("ReadWritePaths=") and "home dir" in line for line in lines)


def test_launchd_starts_a_supervising_process(spec: ServiceSpec, tmp_path: Path) -> None:
    """It has no watchdog of its own."""
    members = plistlib.loads(text_of("launchd", spec, tmp_path).encode())

    assert members["ProgramArguments"] == spec.argv("--supervised")
    assert members["KeepAlive"] == {"SuccessfulExit": False}
    assert members["WorkingDirectory"] == str(spec.config.parent)


def test_the_container_keeps_its_home_and_no_secrets(spec: ServiceSpec, tmp_path: Path) -> None:
    """A volume for the home, the port open to this host only, .env kept out of the image."""
    compose, dockerfile, ignored = plan_service("docker", spec, user_home=tmp_path).files
    service = YAML(typ="safe").load(compose.text)["services"]["orgloop"]

    assert service["volumes"] == ["orgloop-home:/var/lib/orgloop"]
    assert service["ports"] == ["127.0.0.1:4800:4800"]
    [command] = [line for line in dockerfile.text.splitlines() if line.startswith("CMD")]
    assert json.loads(command[3:]) == ["start", "--supervised", "--config", "/project/orgloop.yaml"]
    assert ".env" in ignored.text.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_found_again(spec: ServiceSpec, tmp_path: Path, kind: Kind) -> None:
    """Written once, not again if nothing has changed, and then it can be started."""
    plan = plan_service(kind, spec, user_home=tmp_path)
    if kind == "systemd-system":
        plan = attrs.evolve(plan, files=(attrs.evolve(plan.files[0], path=tmp_path / "etc" / "orgloop.service"),))

    assert write_files(plan) == tuple(file.path for file in plan.files)
    assert write_files(plan) == ()
    if kind != "systemd-system":
        assert installed_service(user_home=tmp_path, project=spec.config.parent) == kind


def test_without_a_service_there_is_none(tmp_path: Path) -> None:
    """And nothing is assumed."""
    assert installed_service(user_home=tmp_path, project=tmp_path) is None


def test_a_file_that_says_something_else_is_not_overwritten(spec: ServiceSpec, tmp_path: Path) -> None:
    """Nor are the others of that plan written, unless it is asked for."""
    plan = plan_service("docker", spec, user_home=tmp_path)
    mine = spec.config.parent / "Dockerfile"
    mine.write_text("FROM mine\n")

    with pytest.raises(HomeError, match="use --force"):
        write_files(plan)
    assert [path.name for path in spec.config.parent.iterdir()] == ["Dockerfile"]

    assert len(write_files(plan, overwrite=True)) == 3
    assert mine.read_text() != "FROM mine\n"


@pytest.mark.parametrize("config", ["orgloop.yaml", "/srv/a\nExecStartPre=evil/orgloop.yaml"])
def test_a_path_that_could_mean_something_else_is_refused(spec: ServiceSpec, tmp_path: Path, config: str) -> None:
    """A line break in a path would be another line of the unit."""
    with pytest.raises(HomeError, match="cannot stand in a service file"):
        plan_service("systemd", attrs.evolve(spec, config=Path(config)), user_home=tmp_path)


def test_each_manager_has_its_words(tmp_path: Path) -> None:
    """For start, stop, status and logs."""

    def words(kind: Kind) -> list[str]:
        return service_command(kind, "stop", user_home=tmp_path, project=tmp_path, home=tmp_path, uid=501)

    assert words("systemd") == ["systemctl", "--user", "stop", "orgloop.service"]
    assert words("systemd-system") == ["systemctl", "stop", "orgloop.service"]
    assert words("launchd") == ["launchctl", "bootout", "gui/501/com.orgloop.daemon"]
    assert words("docker") == ["docker", "compose", "-f", f"{tmp_path}/compose.yaml", "stop"]
    assert default_kind("linux") == "systemd"
