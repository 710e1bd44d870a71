"""Takes events, hands them on, and keeps each until it is settled. The contract is ``orgloop.sdk.EventBus``."""

from orgloop.bus.file import FileBus
from orgloop.bus.memory import MemoryBus

__all__ = ["FileBus", "MemoryBus"]
