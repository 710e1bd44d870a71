"""
A supervision tree inside an anyio program: ``run`` speaks the ``task_status`` protocol that anyio shares with Trio.

    anyio task group
    └── mailroom               rest_for_one
        ├── sorters            one_for_one
        │   ├── sorter-a
        │   ├── sorter-b
        │   └── sorter-c
        └── desk               notify, drain

The anyio program runs on the Trio backend; its own code uses anyio only.
"""

from __future__ import annotations

import anyio
from mailroom import HOST, mail_room

from orgloop_supervisors import Event, Supervisor


def tell(event: Event) -> None:
    """Print an event."""
    print(f"* {'/'.join(event.path)} {event.kind}")


async def main() -> None:
    """Start the tree as one task of a task group, use it, stop it."""
    with mail_room(tell) as room:
        async with anyio.create_task_group() as tg:
            root: Supervisor = await tg.start(room.spec.run)
            port = await root.wait_running(room.desk)
            async with await anyio.connect_tcp(HOST, port) as desk:
                await desk.send(b"greetings from anyio\n")
                print((await desk.receive()).decode().strip())
            await root.stop()
    print("the task group is over")


if __name__ == "__main__":
    anyio.run(main, backend="trio")
