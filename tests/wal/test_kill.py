"""Real processes, killed at random; ``KILLS`` says how many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = os.environ.get("KILLS", "60")

pytestmark = pytest.mark.slow


def kill(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.wal.kill", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_what_a_killed_process_had_said_is_true() -> None:
    """C2-1: nothing is lost, nothing settled for good comes back, and every start finds a whole log."""
    ended = kill("--cycles", KILLS)
    print(ended.stdout)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{KILLS} kills in" in ended.stdout


@pytest.mark.parametrize("bug", ["early", "remove"])
def test_a_planted_fault_is_found(bug: str) -> None:
    """Acknowledged before it was written; removed before it was carried. (A missing sync cannot be seen this way.)"""
    ended = kill("--cycles", KILLS, "--bug", bug)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "found: " in ended.stdout
