"""The command line of a daemon's process: written here, read there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orgloop.daemon.launch import Doorway, Launch, launch_of

LAUNCHES = [
    Launch(),
    Launch(projects=(Path("/srv/a b"), Path("/srv/-c")), workspace="staging", watches=True, is_verbose=True),
    Launch(group="wheel", doorway=Doorway(host="0.0.0.0", port=0, is_public=True, hosts=frozenset({"a:1", "b:2"}))),
    Launch(workspace="--port=1", projects=(Path("/srv/--watch"),)),
]


@pytest.mark.parametrize("launch", LAUNCHES)
def test_what_is_written_is_read_as_it_was(launch: Launch) -> None:
    """Whatever a folder is called."""
    assert launch_of(launch.arguments()) == launch


def test_a_process_takes_no_library_from_the_folder_it_is_in(tmp_path: Path) -> None:
    """A file trio.py beside a project is not Trio."""
    (tmp_path / "argparse.py").write_text("raise SystemExit('taken from here')")
    command = [*Launch().command("run")[:4], "neither"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (2, "usage: python -m orgloop.daemon run|supervise …\n")
    assert command[0] == sys.executable
