"""How much memory this process holds: the measure of the leak tests and of the benchmark."""

from __future__ import annotations

import gc
import os
import resource
import sys
from pathlib import Path

STATM = Path("/proc/self/statm")


def rss_bytes() -> int:
    """Resident memory now, garbage collected first; where there is no ``/proc``, the highest it ever was."""
    gc.collect()
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def tracked_objects() -> int:
    """How many objects the garbage collector follows, after a collection."""
    gc.collect()
    return len(gc.get_objects())
