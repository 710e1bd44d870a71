"""Whole runtimes, killed at random in real processes; ``KILLS`` says how often, two homes are killed at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("KILLS", "40"))
HOMES = 2
PLANTED_KILLS = 40

pytestmark = pytest.mark.slow


def begin(*options: object) -> subprocess.Popen[str]:
    """One home, and who kills on it."""
    command = [sys.executable, "-m", "tests.runtime.crash.kill", *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_nothing_is_lost_by_a_runtime_that_is_killed() -> None:
    """I1, I6, I7, I8, I11, I12: every admitted obligation has its end, once, but for what was not yet durable."""
    killers = [begin("--cycles", KILLS // HOMES) for _ in range(HOMES)]
    said = [killer.communicate(timeout=280)[0] for killer in killers]
    print(*said)

    assert [killer.returncode for killer in killers] == [0] * HOMES, said
    assert all(" 0 lost, 0 acknowledged in vain" in each for each in said)


@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("early", "which is in no log"),
        ("ahead", "is ahead of its events"),
        ("whole", "lost: "),
        ("forgetful", "came to no end"),
    ],
)
def test_a_planted_fault_is_found(bug: str, found: str) -> None:
    """Acknowledged too early, checkpoint first, one end taken for all, no end ever written. (No sync: power cuts.)"""
    killer = begin("--cycles", PLANTED_KILLS, "--bug", bug)
    said, _ = killer.communicate(timeout=280)

    assert killer.returncode == 0, said
    assert found in said
