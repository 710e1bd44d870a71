"""A shell: runs the command here or as a process of its own, in a folder and with variables that a test chooses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from orgloop.cli.main import root

PROGRAM = [sys.executable, "-m", "orgloop"]

PROJECT = """\
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: shop}
sources:
  - id: deploys
    connector: ./door.py
    config: {secret: "${DOOR_SECRET:-nothing-secret}"}
    emits: [resource.changed]
actors:
  - id: clerk
    connector: ./door.py
transforms:
  - name: only-ok
    type: filter
    config: {match: {payload.ok: true}}
routes:
  - name: checkout
    when: {source: deploys, events: [resource.changed], filter: {payload.service: checkout}}
    transforms: [{ref: only-ok}]
    then: {actor: clerk, config: {who: "{{ payload.service }}"}}
    with: {prompt_file: sop.md}
  - name: cart
    when: {source: deploys, events: [resource.changed], filter: {payload.service: cart}}
    then: {actor: clerk, delivery: {retry: {max_attempts: 1}}}
"""

DOOR = '''\
"""A connector: its source is told, its actor writes down what it was given, or fails if the event says so."""

import os
from pathlib import Path

import attrs
import trio

from orgloop.sdk import Checked, Connector, Delivered, EnvVar, Event, Failed, Offer, Received


@attrs.frozen(kw_only=True)
class Config:
    """What it can be told."""

    secret: str | None = attrs.field(default=None, metadata={"secret": True})
    checked: str = "ok"


class Source:
    async def receive(self, request):
        return Received()


class Actor:
    def __init__(self, directory):
        self._file = directory / "delivered.txt"

    async def deliver(self, delivery):
        if "fails" in delivery.event.payload:
            return Failed(delivery.event.payload["fails"])
        with self._file.open("a") as file:
            file.write(f"{delivery.event.id} {dict(delivery.config)}\\n")
        return Delivered()


async def check(config, place):
    if config.checked == "raises":
        raise RuntimeError("no such thing")
    if config.checked == "hangs":
        await trio.sleep_forever()
    fine = config.checked == "ok"
    detail = "it is there" if fine else f"refused {config.secret}"
    return [Checked(name="DOOR_SECRET", ok=fine, detail=detail, identity="ada", scopes=("read",)),
            Checked(name="bell", ok=True, detail="rings")]


CONNECTOR = Connector(
    id="door",
    summary="A door.",
    source=Offer(config=Config, make=lambda config, place: Source(), check=check),
    actor=Offer(config=Config, make=lambda config, place: Actor(place.directory)),
    env=(EnvVar(name="DOOR_SECRET", description="what opens it", url="https://example.org/door"),),
    samples=lambda: [
        Event("door", "resource.changed", {"platform": "door"}, {"service": "checkout", "ok": True}),
        Event("door", "resource.changed", {"platform": "door"}, {"service": "nowhere"}),
    ],
)
'''


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """What it said in JSON of what went wrong."""
        return json.loads(self.err)["error"]


@attrs.define
class Shell:
    """Where commands are given."""

    folder: Path
    environ: dict[str, str | None]

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Ended:
        """Run a command in this process."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            ended = CliRunner().invoke(root, arguments, input=stdin, env=self.environ)
        finally:
            os.chdir(before)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Ended(ended.exit_code, ended.stdout, ended.stderr)

    def spawn(self, *arguments: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> Ended:
        """Run a command in a process of its own."""
        ended = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self.process_environ | dict(variables or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    @property
    def process_environ(self) -> dict[str, str]:
        """The variables of a process of its own."""
        changed = {key: value for key, value in self.environ.items() if value is not None}
        return {key: value for key, value in os.environ.items() if key not in self.environ} | changed

    def write(self, path: str, text: str) -> Path:
        """A file in the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in an empty folder, with a home in which nothing is yet."""
    folder = tmp_path / "work"
    folder.mkdir()
    environ: dict[str, str | None] = {"ORGLOOP_HOME": str(tmp_path / "home"), "HOME": str(tmp_path / "user")}
    unset = ("DOOR_SECRET", "NO_COLOR", "ORGLOOP_HOST", "ORGLOOP_PORT", "ORGLOOP_WORKSPACE", "FORCE_COLOR")
    return Shell(folder, {**environ, **dict.fromkeys(unset)})


@pytest.fixture
def shop(shell: Shell) -> Shell:
    """A shell in a project with one source, two routes and one actor."""
    shell.write("orgloop.yaml", PROJECT)
    shell.write("door.py", DOOR)
    shell.write("sop.md", "Look after it.\n")
    return shell
