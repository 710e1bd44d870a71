"""The examples of embedding are programs that run: one letter goes round on every loop."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "embedded"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_letter_goes_round(name: str) -> None:
    """The tree is shown, both events and both deliveries are told, and nothing complains."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search("clerk +running", ended.stdout)
    told = [line for line in ended.stdout.splitlines() if re.match("[a-z]+: ", line)]
    assert sorted(told) == [
        "archived: {'answer': 'At nine.', 'to': 'When do you open?'}",
        "closed: {'letters': 1, 'answers': 1}",
        "delivery: answers to archive delivered",
        "delivery: letters to clerk delivered",
        "event: clerk actor.stopped",
        "event: desk message.received",
    ]


def test_each_example_is_in_the_list() -> None:
    """The page beside them names them all."""
    page = (EXAMPLES / "README.md").read_text()

    assert len(PROGRAMS) == 4
    assert all(f"]({name})" in page for name in PROGRAMS)
