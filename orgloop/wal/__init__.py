"""The durable log: what was acknowledged survives, and comes back until it is settled. Drawn in docs/wal-format.md."""

from orgloop.wal.disk import Disk, Handle, RealDisk
from orgloop.wal.findings import Damage, Findings
from orgloop.wal.log import Wal, WalStatus, open_wal
from orgloop.wal.recovery import examine
from orgloop.wal.store import Outlived, WalLimits

__all__ = [
    "Damage",
    "Disk",
    "Findings",
    "Handle",
    "Outlived",
    "RealDisk",
    "Wal",
    "WalLimits",
    "WalStatus",
    "examine",
    "open_wal",
]
