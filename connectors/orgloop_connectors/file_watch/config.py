"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs

from orgloop_connectors.file_watch.globs import Glob

MAX_FILES = 10_000
"""How many files one source may watch: all of them stand in its checkpoint."""

MAX_GLOBS = 100

MIN_DEBOUNCE_S = 0.1
"""Within less, some file systems give two writes the same time."""

Kind = Literal["created", "changed", "removed"]


@attrs.frozen(kw_only=True)
class FileWatchConfig:
    """Which files, and what about them."""

    paths: Sequence[str]
    """Globs, from the module's directory; ``**`` is any number of directories."""
    ignore: Sequence[str] = ()
    """Globs of files and directories that are not looked at."""
    events: Sequence[Kind] = ("created", "changed", "removed")
    compare: Literal["content", "stat"] = "content"
    """``stat``: what was written again has changed, even if it says the same; no file is read."""
    debounce_s: float = attrs.field(default=1.0, metadata={"yaml": "debounce", "unit": "duration"})
    """How long a file must have been left alone."""
    report_existing: bool = False
    """Whether the first look makes events of what is there already."""
    max_files: int = 2000


def faults_in(config: FileWatchConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    if not config.paths:
        yield 'paths: is empty; write globs, as in ["inbox/**/*.md"]'
    for name in ("paths", "ignore"):
        globs = getattr(config, name)
        if len(globs) > MAX_GLOBS:
            yield f"{name}: has {len(globs)} globs; at most {MAX_GLOBS} are allowed"
        for index, text in enumerate(globs[:MAX_GLOBS]):
            try:
                Glob(text)
            except ValueError as exc:
                yield f"{name}.{index}: {exc}"
    if not config.events:
        yield "events: is empty; leave the key out, or choose of created, changed, removed"
    if not MIN_DEBOUNCE_S <= config.debounce_s <= 300:
        yield "debounce: must be from 100ms to 5m"
    if not 0 < config.max_files <= MAX_FILES:
        yield f"max_files: must be from 1 to {MAX_FILES}"
