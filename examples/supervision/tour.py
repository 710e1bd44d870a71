"""
A tour in a few seconds: a mail room is started, crashed, repaired, drained and driven to give up, and each claim that
is printed is checked. Run it with ``python examples/supervision/tour.py``.

    mailroom               rest_for_one
    ├── sorters            one_for_one
    │   ├── sorter-a
    │   ├── sorter-b
    │   └── sorter-c
    ├── desk               notify, drain; a TCP listener on the loopback
    └── poller             back-off; added while the room runs

Exit code 0: everything printed was true. 1: the last line says what was not.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator

import attrs
import trio
from mailroom import HOST, DeskOnFire, Jammed, Lines, MailRoom, deliver, mail_room

from orgloop_supervisors import (
    ChildInfo,
    Event,
    EventKind,
    RestartIntensityExceeded,
    Supervisor,
    SupervisorError,
    open_supervisor,
)

LIMIT_S = 30.0
"""The tour takes about 2 s; a machine so slow that it takes longer than this is told so."""


class Untrue(Exception):
    """A claim of the tour does not hold."""


def say(text: str) -> None:
    """Print a paragraph."""
    print(f"\n{text}", flush=True)


def check(claim: str, holds: bool) -> None:
    """Print a claim that holds; end the tour at one that does not."""
    if not holds:
        raise Untrue(claim)
    print(f"  ok  {claim}", flush=True)


@attrs.define
class Journal:
    """The event hook: writes down every event, and lets others wait for one."""

    events: list[Event] = attrs.field(factory=list)
    _news: trio.Event = attrs.field(factory=trio.Event)

    def write(self, event: Event) -> None:
        """Note an event and wake those who wait."""
        self.events.append(event)
        self._news.set()
        self._news = trio.Event()

    def ids(self, kind: EventKind, *, since: int = 0) -> list[str]:
        """To whom a kind of event happened, in order, from event number ``since`` on."""
        return [event.path[-1] for event in self.events[since:] if event.kind is kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the event that makes a condition true."""
        while not condition():
            await self._news.wait()


@attrs.define
class PostOffice:
    """Where the poller fetches letters; shut, it turns the poller away with an ordinary OSError."""

    shut: bool = False
    fetched: int = 0

    async def fetch(self) -> str:
        """Give out the next letter."""
        await trio.sleep(0.02)
        if self.shut:
            raise ConnectionRefusedError("the post office is shut")
        self.fetched += 1
        return f"parcel {self.fetched}"


@attrs.define
class Scene:
    """What the acts of the tour look at."""

    room: MailRoom
    root: Supervisor
    journal: Journal
    office: PostOffice = attrs.field(factory=PostOffice)
    ports: list[int] = attrs.field(factory=list)
    """The port of the desk at each visit of the poller; 0 if its letter was not sorted."""
    _visited: trio.Event = attrs.field(factory=trio.Event)

    def info(self, id: str) -> ChildInfo:
        """One child of the root."""
        return next(info for info in self.root.which_children() if info.id == id)

    def sorters(self) -> dict[str, int]:
        """The incarnation of each sorter; the value of a subtree is its supervisor."""
        subtree = self.info("sorters").value
        assert isinstance(subtree, Supervisor)
        return {info.id: info.incarnation for info in subtree.which_children()}

    def report(self, port: int, answer: str) -> None:
        """Note a visit of the poller."""
        self.ports.append(port if "sorted by" in answer else 0)
        self._visited.set()
        self._visited = trio.Event()

    async def visit(self) -> int:
        """Wait for the next visit of the poller; the port that it went to."""
        await self._visited.wait()
        return self.ports[-1]


async def tour() -> None:
    """Play all acts."""
    with trio.fail_after(LIMIT_S):
        journal = Journal()
        with mail_room(journal.write) as room:
            async with open_supervisor(room.spec) as root:
                scene = Scene(room, root, journal)
                await start(scene)
                await crash_a_sorter(scene)
                await burn_the_desk(scene)
                await shut_the_post_office(scene)
                await stop_in_order(scene)
        await give_up()


async def start(scene: Scene) -> None:
    """Act 1: start order, readiness, a child added at run time."""
    say("1  The mail room opens: children start in order, each ready before the next.")
    ready = ["sorter-a", "sorter-b", "sorter-c", "sorters", "desk"]
    check("the desk opened last, when its sorters were ready", scene.journal.ids(EventKind.READY) == ready)
    await scene.root.start_child(scene.room.poller(scene.root, fetch=scene.office.fetch, report=scene.report))
    port = await scene.root.wait_running(scene.room.desk)
    check(f"the desk tells its address to whoever depends on it: {HOST}:{port}", port > 0)
    check("a letter over TCP is sorted", "sorted by sorter-" in await deliver(port, "dear all"))
    check("the poller, added while the room runs, finds the desk too", await scene.visit() == port)
    print(scene.root.tree())


async def crash_a_sorter(scene: Scene) -> None:
    """Act 2: one_for_one."""
    say('2  The letter "crash" crashes the sorter that takes it. one_for_one: nobody else notices.')
    port = await scene.root.wait_running(scene.room.desk)
    since = len(scene.journal.events)
    answer = await deliver(port, "crash")
    await scene.journal.until(lambda: EventKind.READY in [event.kind for event in scene.journal.events[since:]])
    check(f"the client hears of it: {answer!r}", "lost" in answer)
    check(f"one sorter of three is new: {scene.sorters()}", sorted(scene.sorters().values()) == [1, 1, 2])
    check("the desk stayed, and so did its port", await scene.root.wait_running(scene.room.desk) == port)
    check("the next letter is sorted", "sorted by sorter-" in await deliver(port, "dear all"))
    print(scene.root.tree())


async def burn_the_desk(scene: Scene) -> None:
    """Act 3: rest_for_one, and a dependant that gets the address of the new incarnation."""
    say('3  The letter "fire" crashes the desk. rest_for_one: the poller, which depends on it, is restarted too.')
    since, old = len(scene.journal.events), await scene.root.wait_running(scene.room.desk)
    answer = await deliver(old, "fire")
    await scene.journal.until(lambda: "poller" in scene.journal.ids(EventKind.READY, since=since))
    new = await scene.root.wait_running(scene.room.desk)
    burnt = next(event.error for event in scene.journal.events[since:] if event.kind is EventKind.CRASHED)
    check("the client was hung up on", answer == "")
    check(f"the cause is kept: {leaf(burnt)!r}", isinstance(leaf(burnt), DeskOnFire))
    started = scene.journal.ids(EventKind.STARTED, since=since)
    check("started again: the desk, then the poller; not the sorters", started == ["desk", "poller"])
    check(f"wait_running gives the address of the new desk: {HOST}:{new}, not {old}", new != old)
    check("the poller visits the new desk", await scene.visit() == new)
    print(scene.root.tree())


async def shut_the_post_office(scene: Scene) -> None:
    """Act 4: back-off."""
    say("4  The post office shuts; the poller crashes on it and is restarted after longer and longer waits.")
    since = len(scene.journal.events)
    scene.office.shut = True
    await scene.journal.until(lambda: len(list(waits(scene.journal.events[since:]))) == 3)
    check(f"it is {scene.info('poller').state.value}, not running", scene.info("poller").state.value == "restarting")
    print(f"      {scene.root.tree().splitlines()[-1]}")
    first, second, third = waits(scene.journal.events[since:])
    check(f"the waits grow: {first:.1f} s, {second:.1f} s, {third:.1f} s", first < second < third)
    scene.office.shut = False
    check("it opens again, and letters flow", await scene.visit() > 0)


async def stop_in_order(scene: Scene) -> None:
    """Act 5: drain, and the reverse order."""
    say("5  The mail room closes while a client is in the middle of a letter.")
    port, since = await scene.root.wait_running(scene.room.desk), len(scene.journal.events)
    async with await trio.open_tcp_stream(HOST, port) as client, trio.open_nursery() as nursery:
        lines = Lines(client)
        await client.send_all(b"first\nseco")
        check("the first letter is sorted", "first: sorted" in (await lines.read() or ""))
        nursery.start_soon(scene.root.stop)
        await scene.journal.until(lambda: "desk" in scene.journal.ids(EventKind.STOPPING, since=since))
        check("the desk takes no new client", await is_refused(port))
        check("the open letter keeps it", scene.info("desk").state.value == "stopping")
        await client.send_all(b"nd\n")
        check("and is sorted, although the room is closing", "second: sorted" in (await lines.read() or ""))
    stopped = scene.journal.ids(EventKind.STOPPED, since=since)
    expected = ["poller", "desk", "sorter-c", "sorter-b", "sorter-a", "sorters"]
    check(f"gone in reverse order: {', '.join(stopped)}", stopped == expected)


async def give_up() -> None:
    """Act 6: escalation, with its causes."""
    say("6  A mail room that forgives one crash in 5 s, at each of two levels, gets one crash after the other.")
    journal, caught = Journal(), None
    with mail_room(journal.write, intensity=1, drain_s=0.1) as room:
        try:
            async with open_supervisor(room.spec) as root:
                await deliver_crashes(root, room)
        except RestartIntensityExceeded as error:
            caught = error
    check(
        "the sorters gave up twice, then the root did", journal.ids(EventKind.GAVE_UP) == [*["sorters"] * 2, "mailroom"]
    )
    check("the error names the first cause of each", caught is not None and len(list(jams(caught))) == 4)
    say("   What the caller sees; the causes are in the traceback:")
    traceback.print_exception(caught, file=sys.stdout)


async def deliver_crashes(root: Supervisor, room: MailRoom) -> None:
    """Hand in the letter that crashes sorters until the room is gone."""
    while True:
        try:
            await deliver(await root.wait_running(room.desk), "crash")
        except OSError:
            await trio.sleep(0.01)  # the desk is just being restarted
        except SupervisorError:
            await trio.sleep_forever()  # it is over; the block is about to be cancelled


def waits(events: list[Event]) -> Iterator[float]:
    """The delays before the restarts of the poller."""
    for event in events:
        if event.kind is EventKind.RESTARTING and event.delay is not None:
            yield event.delay


def leaf(error: BaseException | None) -> BaseException | None:
    """The innermost exception of nested groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def jams(error: BaseException) -> Iterator[Jammed]:
    """What sorters raised, through every level of giving up."""
    if isinstance(error, Jammed):
        yield error
    for failure in error.failures if isinstance(error, RestartIntensityExceeded) else ():
        yield from jams(failure)


async def is_refused(port: int) -> bool:
    """Whether a port refuses connections, or soon will."""
    with trio.move_on_after(5):
        while True:
            try:
                await (await trio.open_tcp_stream(HOST, port)).aclose()
            except OSError:
                return True
            await trio.sleep(0.01)
    return False


def main() -> str | None:
    """Give the tour; what was not true, if anything."""
    fault = None
    try:
        trio.run(tour)
    except* Untrue as group:
        fault = f"not true: {leaf(group)}"
    except* trio.TooSlowError:
        fault = f"not finished after {LIMIT_S:g} s"
    if fault is None:
        say("All of it was true.")
    return fault


if __name__ == "__main__":
    sys.exit(main())
