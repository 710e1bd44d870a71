"""
The mail room in the foreground, its tree every 2 s, until Ctrl-C. Run it with ``python examples/supervision/live.py``,
and crash something from another terminal.

    mailroom               rest_for_one
    ├── sorters            one_for_one
    │   ├── sorter-a       echo crash | nc 127.0.0.1 PORT     crashes one of the three
    │   ├── sorter-b
    │   └── sorter-c
    ├── desk               echo fire | nc 127.0.0.1 PORT      crashes this one; the next has another port
    └── poller             back-off; brings a letter every second

Ctrl-C stops it in order, last child first, and exits 0. Crash it more than six times in 5 s, and it gives up: exit
code 1, and the causes.
"""

from __future__ import annotations

import itertools
import signal
import sys

import attrs
import trio
from mailroom import HOST, MailRoom, mail_room

from orgloop_supervisors import Event, EventKind, RestartIntensityExceeded, Supervisor, open_supervisor

EVERY_S = 2.0
TOLD = {EventKind.CRASHED, EventKind.RESTARTING, EventKind.GAVE_UP, EventKind.STOPPED, EventKind.STUCK}


@attrs.define
class Terminal:
    """The event hook: prints what a person wants to see, and has the tree printed when a child is back."""

    back: trio.Event = attrs.field(factory=trio.Event)

    def tell(self, event: Event) -> None:
        """Print an event."""
        if event.kind in TOLD:
            cause = "" if event.error is None else f": {event.error!r}"
            print(f"* {'/'.join(event.path)} {event.kind}{cause}", flush=True)
        if event.kind is EventKind.READY and event.incarnation > 1:
            self.back.set()

    async def show(self, root: Supervisor) -> None:
        """Print the tree, and how to crash it, again and again."""
        while True:
            port = next(info.value for info in root.which_children() if info.id == "desk")
            print(f"\n{root.tree()}")
            if port is not None:
                print(f"crash a sorter: echo crash | nc {HOST} {port}    the desk: echo fire | nc {HOST} {port}")
            print("stop: Ctrl-C", flush=True)
            with trio.move_on_after(EVERY_S):
                await self.back.wait()
            self.back = trio.Event()


async def main() -> None:
    """Run the mail room until a signal asks for its end."""
    terminal = Terminal()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, mail_room(terminal.tell) as room:
        async with open_supervisor(room.spec) as root, trio.open_nursery() as nursery:
            await start_poller(root, room)
            nursery.start_soon(terminal.show, root)
            number = await anext(signals)
            print(f"\n{signal.Signals(number).name}: stopping in order", flush=True)
            nursery.cancel_scope.cancel("a signal asked for the end")
    print("stopped", flush=True)


async def start_poller(root: Supervisor, room: MailRoom) -> None:
    """Add the poller; what it fetches is one numbered letter a second."""
    numbers = itertools.count(1)

    async def fetch() -> str:
        await trio.sleep(1)
        return f"parcel {next(numbers)}"

    await root.start_child(room.poller(root, fetch=fetch, report=lambda *_: None))


if __name__ == "__main__":
    try:
        trio.run(main)
    except RestartIntensityExceeded as error:
        sys.exit(f"{error}; its causes: {', '.join(map(repr, error.failures))}")
