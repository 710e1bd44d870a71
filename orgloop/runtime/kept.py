"""The bus of a home: the durable log below it, with as much of the past as anybody may ask for."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from orgloop.bus import FileBus
from orgloop.runtime.outlived import forgetting
from orgloop.wal import RealDisk, WalLimits, open_wal

KEPT_BYTES = 16 * 1024 * 1024
"""How much of the log outlives its events, over restarts too: some thirty thousand events."""


@asynccontextmanager
async def open_kept(home: Path, *, now_s: Callable[[], float] = time.time) -> AsyncGenerator[FileBus]:
    """Keep the bus of a home open around a block; errors are those of :func:`orgloop.wal.open_wal`."""
    disk, limits = RealDisk(home / "data" / "wal"), WalLimits(kept_bytes=KEPT_BYTES)
    async with open_wal(disk, limits=limits, now_s=now_s, outlived=forgetting(now_s)) as wal:
        yield FileBus(wal)
