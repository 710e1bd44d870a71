"""
Reloads projects whose files change: ``start --watch``.

An editor writes a file in several steps, and a checkout many files at once, so a change is acted on when nothing has
changed for a moment. A file that is half-written, or wrong, is a reload that is refused: told, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from pathlib import Path

import attrs
import trio

from orgloop.errors import OrgLoopError

QUIET_S = 0.3
"""So long nothing may have changed before a reload begins."""

LOOK_S = 0.2
"""How often it is asked which files there are to watch; the watching thread takes no longer to end."""


Stamp = tuple[int, int, int] | None
"""What changes with a file's content; None if there is no file."""


@attrs.frozen(kw_only=True)
class Watched:
    """All that the watcher may touch."""

    files: Callable[[], Mapping[str, Collection[Path]]]
    """The files of each module, by its name."""
    reload: Callable[[str], Awaitable[object]]
    tell: Callable[..., None]


async def watch(watched: Watched, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Reload what changes, until cancelled."""
    stamps: dict[Path, Stamp] = {}
    task_status.started()
    while True:
        files = watched.files()
        paths = {path for own in files.values() for path in own}
        stamps = {path: stamps[path] if path in stamps else _stamp(path) for path in paths}
        async with aclosing(_hints(paths)) as hints:
            async for _ in hints:  # what has changed we see ourselves, also of while nobody was watching
                now = await _quiet(paths, stamps)
                changed = {path for path in paths if now[path] != stamps[path]}
                stamps = now
                for name in sorted(name for name, own in files.items() if changed & set(own)):
                    await _reload(watched, name)
                if watched.files() != files:
                    break


async def _quiet(paths: Collection[Path], before: Mapping[Path, Stamp]) -> dict[Path, Stamp]:
    """The stamps of files, once nothing has changed for a moment."""
    now = _stamps(paths)
    while now != before:
        before = now
        await trio.sleep(QUIET_S)
        now = _stamps(paths)
    return now


async def _reload(watched: Watched, name: str) -> None:
    try:
        await watched.reload(name)
    except OrgLoopError as exc:
        watched.tell("module.error", module=name, error=f"{name} was not reloaded, and goes on as it was: {exc}")


async def _hints(paths: Collection[Path]) -> AsyncGenerator[None]:
    """
    When something may have changed in the folders of these files; now and then in any case.

    Their folders are watched, because an editor replaces a file by another one of its name.
    """
    import watchfiles

    folders = {path.parent for path in paths if path.parent.is_dir()}
    if not folders:
        while True:
            await trio.sleep(LOOK_S)
            yield
    wanted = {str(path) for path in paths}
    watching = watchfiles.awatch(
        *folders,
        watch_filter=lambda _, path: path in wanted,
        debounce=50,
        step=10,
        rust_timeout=int(LOOK_S * 1000),
        yield_on_timeout=True,
        recursive=False,
    )
    async with aclosing(watching) as found:
        async for _ in found:
            yield


def _stamps(paths: Collection[Path]) -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
