"""The arrows between our rooms, and proof that the reader of arrows sees each kind of fault."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture import LAYERS, OURS, ROOMS, violations

ROOT = Path(__file__).resolve().parent.parent


def plant(root: Path, files: dict[str, str]) -> Path:
    """A source tree below ``root`` that holds ``files``, path to source."""
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return root


def test_every_arrow_of_this_project_points_down() -> None:
    """The table holds for the source tree as it is."""
    assert violations(ROOT) == []


def test_the_source_tree_is_really_read() -> None:
    """The check above is about files that exist: each of the three packages is there, under its own name."""
    for package, folder in OURS.items():
        assert (ROOT / folder / package / "__init__.py").is_file()


def test_a_wheel_carries_our_three_names_only() -> None:
    """Nothing generic lands in a user's site-packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(path.rpartition("/")[2] for path in packages) == sorted(OURS)


def test_a_room_has_one_place() -> None:
    """No room stands in two layers."""
    assert sum(map(len, LAYERS)) == len(ROOMS)


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        # The foundation.
        ("supervisors/orgloop_supervisors/_child.py", "import anyio", "trio and attrs, nothing else"),
        ("supervisors/orgloop_supervisors/_child.py", "import outcome", "trio and attrs, nothing else"),
        (
            "supervisors/orgloop_supervisors/_child.py",
            "from orgloop import errors",
            "trio and attrs, nothing",
        ),
        # Down only.
        ("orgloop/errors.py", "import orgloop.event", "of one layer"),
        ("orgloop/event.py", "from orgloop.config import Config", "arrows point down only"),
        ("orgloop/sdk.py", "from orgloop.runtime.module import Module", "arrows point down only"),
        ("orgloop/runtime/module.py", "import orgloop.cli", "arrows point down only"),
        ("orgloop/config/__init__.py", "import orgloop", "arrows point down only"),
        ("orgloop/wal/log.py", "from orgloop import OrgLoop", "arrows point down only"),
        ("orgloop/wal/log.py", "from orgloop import runtime", "arrows point down only"),
        ("orgloop/cli/__init__.py", "import orgloop.__main__", "arrows point down only"),
        # Never beside.
        ("orgloop/wal/log.py", "import orgloop.bus", "of one layer"),
        ("orgloop/http/control.py", "import orgloop.cli", "of one layer"),
        ("orgloop/config/plan.py", "import orgloop.sdk", "of one layer"),
        ("orgloop/http/control.py", "import orgloop.wal", "public methods only"),
        # However it is written.
        ("orgloop/wal/log.py", "from ..bus import memory", "of one layer"),
        ("orgloop/wal/log.py", "from .. import bus", "of one layer"),
        ("orgloop/wal/__init__.py", "from ..bus import memory", "of one layer"),
        ("orgloop/wal/deep/log.py", "from ...bus import memory", "of one layer"),
        ("orgloop/wal/log.py", "def late():\n    import orgloop.bus", "of one layer"),
        ("orgloop/wal/log.py", "async def late():\n    import orgloop.bus", "of one layer"),
        ("orgloop/wal/log.py", "class Log:\n    from orgloop import bus", "of one layer"),
        ("orgloop/wal/log.py", "try:\n    pass\nexcept OSError:\n    import orgloop.bus", "of one layer"),
        (
            "orgloop/wal/log.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from orgloop.bus import Bus",
            "log.py:3: .*of one layer",
        ),
        (
            "orgloop/wal/log.py",
            "import importlib\nimportlib.import_module('orgloop.bus')",
            "log.py:2: .*of one",
        ),
        ("orgloop/wal/log.py", "import os, orgloop.event, orgloop.bus", "imports orgloop.bus"),
        ("orgloop/wal/log.py", "bus = __import__('orgloop.bus')", "of one layer"),
        (
            "orgloop/wal/log.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    import orgloop.bus",
            "log.py:4: .*of one layer",
        ),
        # The doors.
        ("orgloop/runtime/plugins.py", "import orgloop_connectors.github", "found by entry point"),
        ("orgloop/__init__.py", "from orgloop_connectors import github", "found by entry point"),
        ("connectors/orgloop_connectors/github.py", "import orgloop", "orgloop.sdk only"),
        ("connectors/orgloop_connectors/github.py", "from orgloop import event", "orgloop.sdk only"),
        ("connectors/orgloop_connectors/github.py", "import orgloop_supervisors", "orgloop.sdk only"),
        ("connectors/orgloop_connectors/github.py", "from . import linear", "never import each other"),
        ("connectors/orgloop_connectors/github.py", "from .linear import Linear", "never import each other"),
        ("connectors/orgloop_connectors/_http.py", "from .linear import Linear", "never import each other"),
        # One owner, and purity.
        ("orgloop/runtime/module.py", "import ruamel.yaml", "ruamel belongs to config"),
        ("orgloop/daemon/__init__.py", "from quart_trio import QuartTrio", "quart_trio belongs to http"),
        ("orgloop/routing/index.py", "import trio", "routing is pure"),
        ("orgloop/event.py", "from anyio import Event", "event is pure"),
        # Names.
        ("orgloop/wal/utils.py", "", "utils says nothing"),
        ("orgloop/wal/_base.py", "", "_base says nothing"),
        ("orgloop/wal/common/__init__.py", "", "common says nothing"),
        ("supervisors/orgloop_supervisors/manager.py", "", "manager says nothing"),
        ("connectors/orgloop_connectors/helpers.py", "", "helpers says nothing"),
        ("orgloop/attic.py", "", "attic has no place in the table"),
        ("orgloop/attic/box.py", "", "attic has no place in the table"),
        # Neighbours.
        (
            "connectors/github/poll.py",
            "",
            "^connectors/github: only orgloop_connectors may stand in connectors/",
        ),
        ("supervisors/tree.py", "", "only orgloop_supervisors may stand in supervisors/"),
        ("connectors/__init__.py", "", "connectors a package of that generic name"),
        ("tests/__init__.py", "", "tests a package of that generic name"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, source: str, rule: str) -> None:
    """Each rule fires once, and names the file."""
    (only,) = violations(plant(tmp_path, {file: source}))

    assert file.startswith(only.partition(":")[0])
    assert re.search(rule, only)


@pytest.mark.parametrize(
    "source",
    [
        "import trio",
        "from trio import run",
        "import orgloop.runtime",
        "from orgloop.runtime import open_runtime",
        "from orgloop import runtime",
        "from . import runtime",
        "import orgloop.runtime.notices",
    ],
)
def test_what_must_start_fast_reaches_nothing_heavy(tmp_path: Path, source: str) -> None:
    """A heavy import is found on the way, through the rooms between."""
    tree = plant(
        tmp_path,
        {
            "orgloop/__init__.py": source,
            "orgloop/runtime/__init__.py": "import trio",
            "orgloop/cli/__init__.py": "",
        },
    )

    (only,) = violations(tree)

    assert only.startswith("orgloop must start fast, and imports trio: orgloop -> ")


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    """Downward, within a room, late where it is heavy: none of it is a fault."""
    tree = plant(
        tmp_path,
        {
            "orgloop/__init__.py": "from .errors import Fault\ndef late():\n    import trio",
            "orgloop/__main__.py": "if typing.TYPE_CHECKING:\n    from orgloop import runtime",
            "orgloop/errors.py": "class Fault(Exception): ...",
            "orgloop/event.py": "import attrs\nfrom .errors import EventError",
            "orgloop/sdk.py": "from .event import Event",
            "orgloop/config/__init__.py": "import cattrs\nimport ruamel.yaml\nfrom ._codec import decode",
            "orgloop/config/_codec.py": "from __future__ import annotations\nfrom ..errors import Fault",
            "orgloop/wal/log.py": "import trio\nfrom . import frame\nfrom orgloop.wal.frame import Frame",
            "orgloop/wal/frame.py": "from ..sdk import Event",
            "orgloop/runtime/__init__.py": "import trio\nfrom ..wal import log\nimport orgloop_supervisors",
            "orgloop/http/__init__.py": "import quart\nfrom ..runtime import Runtime",
            "orgloop/daemon/__init__.py": "from ..http import serve",
            "orgloop/cli/call.py": "async def call():\n    import trio",
            "orgloop/cli/start.py": "if TYPE_CHECKING:\n  import trio\ndef go():\n  from .. import daemon",
            "orgloop/cli/__init__.py": "import click\nfrom . import call, start",
            "supervisors/orgloop_supervisors/__init__.py": "import attrs, trio\nfrom ._child import Child",
            "supervisors/orgloop_supervisors/_child.py": "import math\nfrom . import _spec",
            "supervisors/orgloop_supervisors/README.md": "",
            "connectors/orgloop_connectors/github/__init__.py": "import httpx2\nfrom .poll import poll",
            "connectors/orgloop_connectors/github/poll.py": "from orgloop.sdk import Source\nfrom .._http import get",
            "connectors/orgloop_connectors/_http.py": "from orgloop_connectors._verdict import outcome_of",
            "tests/helpers.py": "import orgloop, orgloop_connectors",
        },
    )

    assert violations(tree) == []
