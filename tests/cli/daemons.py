"""A shell whose commands start real daemons, on a home of their own; whatever still runs at the end is killed."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from orgloop.daemon import Home, Owner, find_owner, stop_owner
from orgloop.daemon.identity import Identity, pin
from orgloop.daemon.owner import is_free
from tests.cli.terminal import PROGRAM, Ended, Shell
from tests.runtime.test_projects import out, project

PATIENCE_S = 30.0


def until(fact: Callable[[], bool], *, what: str) -> float:
    """Wait for a fact; how long it took."""
    began_s = time.monotonic()
    while not fact():
        assert time.monotonic() - began_s < PATIENCE_S, what
        time.sleep(0.005)
    return time.monotonic() - began_s


@attrs.define
class Desk:
    """Where commands are given, and what they have started."""

    shell: Shell
    home: Home

    def run(self, *arguments: str, folder: Path | None = None) -> Ended:
        """Run a command as a process of its own, in this folder or in the project's."""
        return attrs.evolve(self.shell, folder=folder or self.shell.folder).spawn(*arguments)

    def start(self, *options: str) -> Owner:
        """Start the project in the background."""
        ended = self.run("start", "--daemon", "--force", "--port", "0", *options)
        assert ended.code == 0, ended.err
        return self.owner

    @property
    def owner(self) -> Owner:
        found = find_owner(self.home)
        assert isinstance(found, Owner), found
        return found

    @property
    def lines(self) -> list[str]:
        """What the actor of the project has written down."""
        return out(self.shell.folder) if (self.shell.folder / "out.txt").exists() else []

    def post(self, text: str) -> bool:
        """Send an event to the project's webhook; whether it was acknowledged."""
        found = find_owner(self.home)
        if not isinstance(found, Owner) or found.port is None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=5)
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", "/webhook/told", json.dumps(text), headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def send(self, process: Identity | None, number: int) -> None:
        """Signal that very process."""
        assert process is not None
        with pin(process) as pinned:
            assert pinned is not None
            pinned.signal(number)

    def is_back(self, after: Identity | None) -> bool:
        """Whether there is a runtime that is ready, and another one than that."""
        found = find_owner(self.home)
        if not isinstance(found, Owner) or found.runtime in {None, after} or found.port is None:
            return False
        assert found.runtime is not None
        return self.home.read(self.home.pid) == f"{found.runtime.pid}\n".encode()

    def status(self) -> Any:
        """What the daemon says of itself."""
        return self.run("status", "--json").document

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.shell.folder,
            env=self.shell.process_environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def written(text: str) -> str:
    """The line that the actor writes for an event."""
    return f'hello "{text}"'


@pytest.fixture
def desk(shell: Shell, tmp_path: Path) -> Iterator[Desk]:
    """A desk with a project whose actor writes down what it is given, each time the same file anew but appended."""
    project(shell.folder)
    plugin = shell.folder / "greeter.py"
    plugin.write_text(
        plugin.read_text().replace(
            'out.write_text(f"{self.config.greeting} {delivery.event.payload}\\n")',
            'with out.open("a") as file: file.write(f"{self.config.greeting} {delivery.event.payload}\\n")',
        )
    )
    home = Home(tmp_path / "home")
    yield Desk(shell, home)
    found = find_owner(home)
    if isinstance(found, Owner):
        stop_owner(home, found, force=True, timeout_s=0.1)
        until(lambda: is_free(home), what="it cannot be killed")


def python_s() -> float:
    """How long this machine takes just now for what every runtime begins with."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import trio"], check=True)
    return time.monotonic() - began_s


__all__ = ["Desk", "desk", "python_s", "until", "written"]
