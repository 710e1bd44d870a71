"""
The mail room that the examples beside this file run: a small organisation that takes letters over TCP.

    mailroom               rest_for_one: each depends on those above it, so it is restarted with them
    ├── sorters            a supervisor of its own, one_for_one: a sorter that crashes concerns nobody else
    │   ├── sorter-a       takes letters from the tray; the letter "crash" is too much for it
    │   ├── sorter-b
    │   └── sorter-c
    ├── desk               notify: ready when its port is open; drain: finishes open letters before it goes
    └── poller             back-off: fetches letters elsewhere, and waits longer each time there is nobody

A letter is one line of text, and so is its answer. The tray between desk and sorters belongs to the room, not to a
child: whoever crashes, the letters in it stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import attrs
import trio

from orgloop_supervisors import (
    Backoff,
    ChildSpec,
    ChildStatus,
    Event,
    Shutdown,
    Strategy,
    Supervisor,
    SupervisorSpec,
)

HOST = "127.0.0.1"
LONGEST_LETTER_BYTES = 1_000
TRAY_LETTERS = 100


class Jammed(Exception):
    """A sorter cannot go on."""


class DeskOnFire(Exception):
    """The desk cannot go on."""


@attrs.frozen
class Letter:
    """One line of text, and where its answer goes; closed without an answer, the letter is lost."""

    text: str
    answer: trio.MemorySendChannel[str]


@attrs.frozen
class MailRoom:
    """What the room is to be, and the key by which a dependant finds the port of the desk that runs now."""

    spec: SupervisorSpec
    desk: ChildSpec[int]

    def poller(
        self, root: Supervisor, *, fetch: Callable[[], Awaitable[str]], report: Callable[[int, str], None]
    ) -> ChildSpec[None]:
        """Make the last child, added while the room runs: it needs the running supervisor to find the desk."""
        return ChildSpec(
            id="poller",
            run=poll,
            args=(root, self.desk, fetch, report),
            backoff=Backoff(initial=0.1, maximum=1.0),
        )


@contextmanager
def mail_room(on_event: Callable[[Event], None], *, intensity: float = 6, drain_s: float = 2.0) -> Iterator[MailRoom]:
    """Lay out a mail room; ``intensity`` is how many crashes in 5 s each of its two supervisors forgives."""
    post, tray = trio.open_memory_channel[Letter](TRAY_LETTERS)
    sorters = SupervisorSpec(
        name="sorters",
        children=[ChildSpec(id=name, run=sort, args=(name, tray)) for name in ("sorter-a", "sorter-b", "sorter-c")],
        intensity=intensity,
    )
    desk: ChildSpec[int] = ChildSpec(id="desk", run=serve, args=(post,), notify=True, shutdown=Shutdown(drain=drain_s))
    spec = SupervisorSpec(
        name="mailroom",
        children=[sorters.as_child(), desk],
        strategy=Strategy.REST_FOR_ONE,
        intensity=intensity,
        on_event=on_event,
    )
    with post, tray:
        yield MailRoom(spec, desk)


async def sort(name: str, tray: trio.MemoryReceiveChannel[Letter]) -> None:
    """Be a sorter: answer letters from the tray."""
    async for letter in tray:
        with letter.answer:
            if letter.text == "crash":
                raise Jammed(f"{name} jammed on the letter {letter.text!r}")
            await letter.answer.send(f"{letter.text}: sorted by {name}")


async def serve(post: trio.MemorySendChannel[Letter], *, task_status: ChildStatus[int]) -> None:
    """Be the desk: take letters until asked to finish up, then close the door and finish those that are open."""
    listeners = await trio.open_tcp_listeners(0, host=HOST)
    async with trio.open_nursery() as letters, trio.open_nursery() as door:
        handler = partial(take_letters, post, task_status.draining)
        await door.start(partial(trio.serve_listeners, handler, listeners, handler_nursery=letters))
        task_status.started(listeners[0].socket.getsockname()[1])
        await task_status.draining.wait()
        door.cancel_scope.cancel("the desk was asked to finish up")


async def take_letters(post: trio.MemorySendChannel[Letter], draining: trio.Event, stream: trio.SocketStream) -> None:
    """Serve one client: a letter a line, until it hangs up or the desk is about to close."""
    lines = Lines(stream)
    try:
        while (text := await lines.read()) is not None:
            if text == "fire":
                raise DeskOnFire(f"somebody handed in {text!r}")
            await stream.send_all(f"{await hand_in(post, text)}\n".encode())
            if draining.is_set():
                return
    except trio.BrokenResourceError:
        return  # a client that hangs up early is no reason to crash


async def hand_in(post: trio.MemorySendChannel[Letter], text: str) -> str:
    """Put a letter into the tray and wait for its answer."""
    answer, answered = trio.open_memory_channel[str](1)
    with answered:
        await post.send(Letter(text, answer))
        try:
            return await answered.receive()
        except trio.EndOfChannel:
            return f"{text}: lost, its sorter crashed"


async def poll(
    root: Supervisor,
    desk: ChildSpec[int],
    fetch: Callable[[], Awaitable[str]],
    report: Callable[[int, str], None],
) -> None:
    """Be the poller: fetch a letter, bring it to the desk that runs now, tell what it answered."""
    while True:
        text = await fetch()
        port = await root.wait_running(desk)
        report(port, await deliver(port, text))


async def deliver(port: int, text: str) -> str:
    """Hand in one letter over TCP; an empty answer means that the desk hung up."""
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(f"{text}\n".encode())
        return await Lines(stream).read() or ""


@attrs.define
class Lines:
    """Cuts what comes over a stream into lines."""

    stream: trio.SocketStream
    _rest: bytes = b""

    async def read(self) -> str | None:
        """The next line without its end; None at the end of the stream, or if the line is too long."""
        while b"\n" not in self._rest:
            received = await self.stream.receive_some()
            self._rest += received
            if not received or len(self._rest) > LONGEST_LETTER_BYTES:
                return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()
