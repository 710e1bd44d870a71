"""
The loggers that come with OrgLoop, one module each, and the table of their names.

    console      a person at a terminal     _escape      one notice is one line, whatever is in it
    file         machines                   _target      the open file     _rotation   the files put aside
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from orgloop.loggers._rotation import Rotated, rotated_files
from orgloop.loggers.console import Console, ConsoleConfig
from orgloop.loggers.file import File, FileConfig
from orgloop.sdk import Logger

__all__ = ["BUILT_IN", "BuiltIn", "Console", "ConsoleConfig", "File", "FileConfig", "Rotated", "rotated_files"]


@attrs.frozen
class BuiltIn:
    """A logger of ours: the class, and the class of the one argument that it takes."""

    logger: type[Logger]
    config: type[attrs.AttrsInstance]

    def make(self, config: Any) -> Logger:
        """The logger; it may be an async context manager too."""
        return self.logger(config)  # type: ignore[call-arg]


_PACKAGES = {
    "console": BuiltIn(Console, ConsoleConfig),
    "file": BuiltIn(File, FileConfig),
}

BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {**_PACKAGES, **{f"@orgloop/logger-{name}": built_in for name, built_in in _PACKAGES.items()}}
)
"""By short name, and by the name of the original's package."""
