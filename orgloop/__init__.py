"""
Organisation as code: a durable, supervised event router, for programs on Trio and on asyncio.

    import orgloop, trio

    class Desk:                                       # a source: what it finds, and where it goes on next time
        async def poll(self, checkpoint: str | None) -> orgloop.Polled:
            return orgloop.Polled()

    class Agent:                                      # an actor: does the work, and says what came of it
        async def deliver(self, delivery: orgloop.Delivery) -> orgloop.Outcome:
            print("seen:", delivery.event.payload)
            return orgloop.Delivered()

    ORGANISATION = {
        "sources": [{"id": "desk", "connector": "given"}],
        "actors": [{"id": "agent", "connector": "given"}],
        "routes": [
            {"name": "work", "when": {"source": "desk", "events": ["message.received"]}, "then": {"actor": "agent"}},
        ],
    }

    async def main() -> None:
        async with orgloop.OrgLoop(ORGANISATION, sources={"desk": Desk()}, actors={"agent": Agent()}) as loop:
            await loop.inject({"source": "desk", "type": "message.received", "payload": "hello"})
            await loop.drain(timeout_s=5)

    trio.run(main)                                    # or asyncio.run(main())
"""

# Arrows point down only; tests/test_architecture.py holds them. A room appears here before it is built.
#
#     cli  http  daemon  embed  testing                faces
#     runtime                                          composition root
#     bus  wal  routing  delivery  transforms  loggers parts: never import each other
#     sdk  config                                      border
#     event  errors                                    values
#     orgloop_supervisors                              below everything: supervision on Trio
#
# This file only re-exports. Nothing below imports it, and it imports nothing before it is asked for a name, so that
# the command line starts fast.

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orgloop.embed import OrgLoop, Settled, on_host, open_runtime, serve
    from orgloop.errors import Closed, ConfigError, EventError, ModuleError, OrgLoopError, PluginError
    from orgloop.event import Event
    from orgloop.runtime.runtime import Runtime
    from orgloop.runtime.statistics import Statistics
    from orgloop.sdk import Delivered, Delivery, Failed, Notice, Outcome, Polled, Rejected, Skipped

    __version__: str

__all__ = [
    "Closed",
    "ConfigError",
    "Delivered",
    "Delivery",
    "Event",
    "EventError",
    "Failed",
    "ModuleError",
    "Notice",
    "OrgLoop",
    "OrgLoopError",
    "Outcome",
    "PluginError",
    "Polled",
    "Rejected",
    "Runtime",
    "Settled",
    "Skipped",
    "Statistics",
    "__version__",
    "on_host",
    "open_runtime",
    "serve",
]

_ROOMS = {
    "orgloop.embed": ("OrgLoop", "Settled", "on_host", "open_runtime", "serve"),
    "orgloop.errors": ("Closed", "ConfigError", "EventError", "ModuleError", "OrgLoopError", "PluginError"),
    "orgloop.event": ("Event",),
    "orgloop.runtime.runtime": ("Runtime",),
    "orgloop.runtime.statistics": ("Statistics",),
    "orgloop.sdk": ("Delivered", "Delivery", "Failed", "Notice", "Outcome", "Polled", "Rejected", "Skipped"),
}
"""Where each name lives."""

if not TYPE_CHECKING:  # or a type checker would believe any name

    def __getattr__(name):
        """Fetch a name from its room, the first time that somebody asks for it."""
        value = _fetch(name)
        globals()[name] = value
        return value


def _fetch(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("orgloop")
    for room, names in _ROOMS.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(room), name)
            return found
    raise AttributeError(f"module 'orgloop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
