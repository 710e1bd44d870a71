"""
How the process of a daemon is started: a value, the command line that says it, and that value again on the other side.

    python -P -m orgloop.daemon run …          a runtime
    python -P -m orgloop.daemon supervise …    a supervising process, which starts the former

Not for people, who write ``orgloop start``: a runtime of these never joins another daemon, it owns the home or fails.
What is imported here is light.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

Verb = Literal["run", "supervise"]

PORT = 4800
"""Where a daemon listens unless told otherwise."""


@attrs.frozen(kw_only=True)
class Doorway:
    """Where the front door is to be."""

    host: str = "127.0.0.1"
    port: int = PORT
    """0 takes a free one, and keeps it."""
    is_public: bool = False
    """Whether ``host`` may be an address that others can reach."""
    hosts: frozenset[str] = frozenset()
    """Values of Host that are ours too, such as the name of a proxy in front."""


@attrs.frozen(kw_only=True)
class Launch:
    """What a runtime is to serve; the home comes with the environment."""

    projects: tuple[Path, ...] = ()
    """Absolute paths."""
    workspace: str = "default"
    watches: bool = False
    """Whether projects are reloaded when their files change."""
    is_verbose: bool = False
    """Whether the log of the home hears of every step of every event."""
    group: str | None = None
    """The group of users that may talk to it."""
    doorway: Doorway = attrs.field(factory=Doorway)

    def command(self, verb: Verb) -> list[str]:
        """
        The command line of a process that does this.

        ``-P``, so that no file of the folder we are in is taken for a library.
        """
        return [sys.executable, "-P", "-m", "orgloop.daemon", verb, *self.arguments()]

    def arguments(self) -> list[str]:
        """
        What :func:`launch_of` reads.

        >>> Launch(projects=(Path("/srv/org"),), doorway=Doorway(port=0)).arguments()
        ['--project=/srv/org', '--workspace=default', '--host=127.0.0.1', '--port=0']
        """
        door = self.doorway
        flags = {"--watch": self.watches, "--verbose": self.is_verbose, "--public": door.is_public}
        return [
            *(f"--project={path}" for path in self.projects),
            f"--workspace={self.workspace}",
            f"--host={door.host}",
            f"--port={door.port}",
            *(f"--trust-host={name}" for name in sorted(door.hosts)),
            *([f"--group={self.group}"] if self.group else []),
            *(flag for flag, is_on in flags.items() if is_on),
        ]


def launch_of(arguments: Sequence[str]) -> Launch:
    """The value of these arguments; ends the process with their usage if they are none of ours."""
    parser = argparse.ArgumentParser(prog="python -m orgloop.daemon", allow_abbrev=False)
    parser.add_argument("--project", action="append", type=Path, default=[])
    parser.add_argument("--workspace", default="default")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--trust-host", action="append", default=[])
    parser.add_argument("--group")
    for flag in ("--watch", "--verbose", "--public"):
        parser.add_argument(flag, action="store_true")
    found = parser.parse_args(list(arguments))
    doorway = Doorway(host=found.host, port=found.port, is_public=found.public, hosts=frozenset(found.trust_host))
    return Launch(
        projects=tuple(found.project),
        workspace=found.workspace,
        watches=found.watch,
        is_verbose=found.verbose,
        group=found.group,
        doorway=doorway,
    )
