"""
Files: what is created, changed and removed among those that globs below the module's directory name.

    sources:
      - id: inbox
        connector: file-watch
        config: {paths: ["inbox/**/*.md"], events: [created]}
        poll: {interval: 10s}

Law: the checkpoint is the last look. What happened while nobody looked is found by the next one, as one change; a file
that is still being written is left until it is not, and one that only was touched has not changed.
"""

from __future__ import annotations

from orgloop.sdk import Connector, Event, Offer
from orgloop_connectors.file_watch.config import FileWatchConfig
from orgloop_connectors.file_watch.look import Found
from orgloop_connectors.file_watch.source import FileWatchSource, check_source, event_of


def samples() -> list[Event]:
    """One of each kind."""
    found = Found(path="inbox/report.md", sign="6b86b273ff34fce1", size_bytes=1204, modified_ms=1_772_355_600_000)
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    return [
        event_of("inbox", "created", found.path, found.sign, found=found, digest=digest),
        event_of("inbox", "changed", found.path, found.sign, found=found, digest=digest),
        event_of("inbox", "removed", found.path, found.sign),
    ]


CONNECTOR = Connector(
    id="file-watch",
    summary="Tells of files that are created, changed and removed.",
    source=Offer(config=FileWatchConfig, make=FileWatchSource, check=check_source),
    samples=samples,
)
