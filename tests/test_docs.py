"""The programs in the documentation run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", ["README.md", "supervisors/README.md"])
def test_the_program_on_the_page_runs(page: str) -> None:
    """A reader who copies it gets what the page promises: an end without an error, and a tree."""
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 0, ended.stderr
    assert "root  " in ended.stdout
    assert "running" in ended.stdout
