"""Notices: telling never waits and never fails, each listener hears its own, and every loss is counted and told of."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.errors import ConfigError, PluginError
from orgloop.event import Event
from orgloop.loggers import File, FileConfig
from orgloop.runtime._logger_life import DRAIN_S, GATHER_S, LEAVE_S
from orgloop.runtime._notice_queue import QUEUE_DEPTH, LoggerStatistics
from orgloop.runtime.notices import LEVELS, MAX_AUDIENCES, Notices
from orgloop.sdk import ERROR, INFO, Notice
from orgloop_supervisors import Backoff, ChildSpec, SupervisorSpec, open_supervisor

AT = "2023-11-14T22:13:20.250Z"
EVENT = Event("github", "resource.changed", {"platform": "github"}, module="eng")


def silent_notices() -> Notices:
    return Notices(lambda: 1_700_000_000.25)


@attrs.define(eq=False)
class Listener:
    """A logger that keeps what it gets; a gate that is closed holds up its calls."""

    heard: list[Notice] = attrs.field(factory=list)
    flushes: int = 0
    gate: threading.Event = attrs.field(factory=threading.Event)
    raises: BaseException | None = None
    calls: int = 0
    at_once: int = 0
    left: bool = False

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    async def __aenter__(self) -> Listener:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left = True

    def log(self, notice: Notice) -> None:
        self.calls += 1
        self.at_once = max(self.at_once, self.calls)
        self.gate.wait(10)
        self.calls -= 1
        if self.raises is not None:
            raise self.raises
        self.heard.append(notice)

    def flush(self) -> None:
        self.flushes += 1

    @property
    def phases(self) -> list[str]:
        return [notice.phase for notice in self.heard]


class Plain:
    """The least that a logger can be."""

    def __init__(self) -> None:
        self.heard: list[Notice] = []

    def log(self, notice: Notice) -> None:
        self.heard.append(notice)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, really, until something has come true in a thread."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - a thread of a logger sets no event of Trio's
            await trio.sleep(0.001)


async def until_inside(logger: Listener) -> None:
    """Wait, in virtual time, until a thread is inside a call."""
    await trio.sleep(GATHER_S * 2)
    while not logger.calls:
        await trio.lowlevel.checkpoint()  # as long as somebody runs, the clock does not jump


@asynccontextmanager
async def served(notices: Notices, logger: Any, name: str = "log") -> AsyncGenerator[trio.Nursery]:
    """A logger that is being served; cancelled at the end."""
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.serve_logger, name, logger)
        yield nursery
        nursery.cancel_scope.cancel("the test is over")


def of(notices: Notices, name: str = "log") -> LoggerStatistics:
    return notices.statistics().loggers[name]


# -- telling -----------------------------------------------------------------------------------------------------------


def test_nobody_listens_at_first() -> None:
    """What is told to nobody is not even counted."""
    notices = silent_notices()

    notices.tell("source.emit", EVENT)

    assert notices.silent
    assert notices.statistics().told == 0


def test_a_notice_says_what_its_event_says() -> None:
    """Ids, source, type and module come from the event, the time from the clock."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(heard.append)

    notices.tell("route.match", EVENT, route="triage")

    assert heard == [
        Notice(
            timestamp=AT,
            phase="route.match",
            event_id=EVENT.id,
            trace_id=EVENT.trace_id,
            source="github",
            event_type="resource.changed",
            module="eng",
            route="triage",
        )
    ]


def test_a_field_overrules_the_event() -> None:
    """A route of one module that hears another's event speaks for its own."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(heard.append)

    notices.tell("deliver.attempt", EVENT, module="ops")

    assert heard[0].module == "ops"


def test_a_notice_without_an_event_has_empty_ids() -> None:
    """As in the original's log entries."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(heard.append)

    notices.tell("runtime.start")

    assert heard == [Notice(timestamp=AT, phase="runtime.start")]


def test_metadata_is_as_it_was_when_it_was_told() -> None:
    """The teller may go on using its dict while a thread reads the notice."""
    notices, heard, metadata = silent_notices(), list[Notice](), {"attempt": 1}
    notices.subscribe(heard.append)

    notices.tell("deliver.retry", EVENT, metadata=metadata)
    metadata.clear()

    assert heard[0].metadata == {"attempt": 1}


# -- callbacks ---------------------------------------------------------------------------------------------------------


def test_who_unsubscribes_hears_no_more() -> None:
    """And if nobody is left, it is silent again; a second time does nothing."""
    notices, heard = silent_notices(), list[Notice]()
    unsubscribe = notices.subscribe(heard.append)

    unsubscribe()
    unsubscribe()
    notices.tell("source.emit", EVENT)

    assert (heard, notices.silent) == ([], True)


@pytest.mark.parametrize("phase", ["deliver.retry", "deliver.", "*"])
def test_a_callback_hears_what_it_asks_for(phase: str) -> None:
    """One phase, a family of phases, or all."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(heard.append, phase)

    notices.tell("deliver.retry", EVENT)

    assert [notice.phase for notice in heard] == ["deliver.retry"]


@pytest.mark.parametrize("phase", ["deliver.attempt", "deliver", "source.", "source.emitted"])
def test_what_no_callback_asks_for_is_told_to_nobody(phase: str) -> None:
    """It is not even made a notice of."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(heard.append, phase)

    notices.tell("deliver.retry", EVENT)

    assert (heard, notices.statistics().told) == ([], 0)


def test_who_comes_later_hears_what_nobody_has_heard_before() -> None:
    """Who hears a phase is remembered until a listener comes or goes."""
    notices, heard = silent_notices(), list[Notice]()
    notices.attach("log", level=ERROR)
    notices.tell("source.emit", EVENT)
    notices.subscribe(heard.append)
    notices.tell("source.emit", EVENT)
    notices.attach("second")
    notices.tell("source.emit", EVENT)

    assert (len(heard), of(notices).waiting, of(notices, "second").waiting) == (2, 0, 1)


def test_what_is_remembered_of_hearers_is_bounded() -> None:
    """Phases and modules are whatever somebody says."""
    notices = silent_notices()
    notices.attach("log")

    for number in range(MAX_AUDIENCES + 2):
        notices.tell("source.emit", module=str(number))

    assert len(notices._audiences) == 2


def test_the_same_callback_may_listen_twice() -> None:
    """Each subscription ends by itself."""
    notices, heard = silent_notices(), list[Notice]()
    unsubscribe = notices.subscribe(heard.append)
    notices.subscribe(heard.append)

    unsubscribe()
    notices.tell("source.emit", EVENT)

    assert len(heard) == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), BaseExceptionGroup("", [SystemExit()])])
def test_what_a_callback_raises_reaches_nobody(error: BaseException) -> None:
    """Neither the teller, nor the next callback."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(lambda _: _raise(error))
    notices.subscribe(heard.append)

    notices.tell("source.emit", EVENT)

    assert heard[0].phase == "source.emit"


def test_a_failing_callback_is_counted_each_time_and_told_of_once() -> None:
    """So that a bug in a callback does not fill the logs; it fails at the telling, too."""
    notices, heard = silent_notices(), list[Notice]()
    notices.subscribe(lambda _: _raise(ValueError("no")))
    notices.subscribe(heard.append)

    notices.tell("source.emit", EVENT)
    notices.tell("source.emit", EVENT)

    assert [(notice.phase, notice.error) for notice in heard] == [
        ("source.emit", None),
        ("system.error", "a callback for notices raised ValueError('no'); told of once"),
        ("source.emit", None),
    ]
    assert notices.statistics().failed_callbacks == 3


def test_ctrl_c_in_a_callback_is_not_the_callbacks() -> None:
    """It may come at any moment, and must not be lost."""
    notices = silent_notices()
    notices.subscribe(lambda _: _raise(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        notices.tell("source.emit", EVENT)


def test_a_callback_that_tells_is_not_called_for_that() -> None:
    """Or it would never end; the loggers get it."""
    notices = silent_notices()
    notices.attach("log")
    notices.subscribe(lambda _: notices.tell("source.emit", EVENT))

    notices.tell("route.match", EVENT)

    assert (of(notices).waiting, notices.statistics().failed_callbacks) == (2, 0)


def test_a_callback_may_end_its_own_subscription() -> None:
    """While it is being called."""
    notices, heard = silent_notices(), list[Notice]()

    def once(notice: Notice) -> None:
        heard.append(notice)
        unsubscribe()

    unsubscribe = notices.subscribe(once)
    notices.tell("source.emit", EVENT)
    notices.tell("source.emit", EVENT)

    assert len(heard) == 1


def test_a_notice_cannot_be_changed() -> None:
    """What one listener hears, the next one hears too."""
    notices = silent_notices()
    notices.subscribe(lambda notice: setattr(notice, "phase", "forged"))

    notices.tell("source.emit", EVENT)

    assert notices.statistics().failed_callbacks == 2


def _raise(error: BaseException) -> None:
    raise error


# -- who hears what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "hearers"),
    [
        ("eng", {"all", "eng/a", "eng/b"}),
        ("ops", {"all", "ops/a"}),
        ("unknown", {"all"}),
        (None, {"all", "eng/a", "eng/b", "ops/a"}),
    ],
)
def test_a_logger_hears_of_its_own_module(module: str | None, hearers: set[str]) -> None:
    """And of what concerns none; one that belongs to no module hears everything."""
    notices = silent_notices()
    for name in ("all", "eng/a", "eng/b", "ops/a"):
        notices.attach(name)

    notices.tell("source.emit", module=module)

    assert {name for name, counts in notices.statistics().loggers.items() if counts.waiting} == hearers


@pytest.mark.parametrize(("phase", "waiting"), [("deliver.attempt", 0), ("source.emit", 1), ("system.error", 1)])
def test_a_logger_hears_of_nothing_below_its_level(phase: str, waiting: int) -> None:
    """It is not even made a notice of, if nobody else listens."""
    notices = silent_notices()
    notices.attach("log", level=INFO)

    notices.tell(phase)

    assert (of(notices).waiting, notices.statistics().told) == (waiting, waiting)


def test_levels_have_the_names_of_the_operator() -> None:
    """Both spellings of a warning."""
    assert LEVELS["warn"] == LEVELS["warning"] < LEVELS["error"] == ERROR


def test_a_name_is_attached_once() -> None:
    """Two loggers of one name could not be told apart."""
    notices = silent_notices()
    notices.attach("log")

    with pytest.raises(ValueError, match="'log' is attached already"):
        notices.attach("log")


def test_the_oldest_are_dropped_when_too_many_wait() -> None:
    """And counted: nobody waits for a logger."""
    notices = silent_notices()
    notices.attach("log")

    for _ in range(QUEUE_DEPTH + 3):
        notices.tell("source.emit")

    assert (of(notices).waiting, of(notices).dropped) == (QUEUE_DEPTH, 3)


# -- serving -----------------------------------------------------------------------------------------------------------


async def test_a_logger_gets_everything_in_order() -> None:
    """More than one batch of it."""
    notices, logger = silent_notices(), Listener()
    async with served(notices, logger):
        for number in range(5000):
            notices.tell("source.emit", queue_depth=number)
        await until(lambda: len(logger.heard) == 5000)

    assert [notice.queue_depth for notice in logger.heard] == list(range(5000))


async def test_it_is_flushed_when_nothing_waits_any_more() -> None:
    """Once for a hundred notices, which a thread got in one go."""
    notices, logger = silent_notices(), Listener()
    async with served(notices, logger):
        for _ in range(100):
            notices.tell("source.emit")
        await until(lambda: of(notices).written == 100)

    assert logger.flushes == 1


async def test_its_calls_are_not_made_in_the_thread_of_trio() -> None:
    """They may block."""
    notices, threads = silent_notices(), list[threading.Thread]()

    class Watching:
        def log(self, notice: Notice) -> None:
            threads.append(threading.current_thread())

    async with served(notices, Watching()):
        notices.tell("source.emit")
        await until(lambda: bool(threads))

    assert threads != [threading.current_thread()]


async def test_a_logger_without_more_than_log_will_do() -> None:
    """No flush, nothing to enter."""
    notices, logger = silent_notices(), Plain()
    async with served(notices, logger):
        notices.tell("source.emit")
        await until(lambda: len(logger.heard) == 1)

    assert notices.silent


async def test_what_waits_is_written_before_it_is_left() -> None:
    """Also when it is cancelled at once."""
    notices, logger = silent_notices(), Listener()
    async with served(notices, logger):
        notices.tell("runtime.stop")

    assert (logger.phases, logger.left) == (["runtime.stop"], True)


async def test_it_is_ready_when_it_has_been_entered() -> None:
    """Who starts it may rely on an open file, and sees why there is none."""
    notices = silent_notices()

    class Locked(Plain):
        async def __aenter__(self) -> None:
            raise ConfigError("no such directory")

        async def __aexit__(self, *_: object) -> None: ...

    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="no such directory")):
        async with served(notices, Locked()):
            pytest.fail("it was ready")

    assert notices.silent


async def test_a_plain_context_manager_is_entered_and_left_too() -> None:
    """In a thread, as it may block."""
    notices, steps = silent_notices(), list[tuple[str, bool]]()

    class Blocking(Plain):
        def __enter__(self) -> None:
            steps.append(("entered", threading.current_thread() is trio_thread))

        def __exit__(self, *_: object) -> None:
            steps.append(("left", threading.current_thread() is trio_thread))

    trio_thread = threading.current_thread()
    async with served(notices, Blocking()):
        pass

    assert steps == [("entered", False), ("left", False)]


async def test_leaving_may_wait() -> None:
    """A logger that does not shield itself is shielded, so that it can close what it has open."""
    notices, steps = silent_notices(), list[str]()

    class Unshielded(Plain):
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            await trio.lowlevel.checkpoint()
            steps.append("closed")

    async with served(notices, Unshielded()):
        pass

    assert steps == ["closed"]


async def test_leaving_takes_no_longer_than_it_may(autojump_clock: MockClock) -> None:
    """One that hangs there is cancelled."""
    notices = silent_notices()

    class Clinging(Plain):
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            await trio.sleep_forever()

    async with served(notices, Clinging()):
        pass

    assert trio.current_time() == pytest.approx(LEAVE_S)


async def test_what_leaving_raises_changes_nothing() -> None:
    """It is over anyway."""
    notices = silent_notices()
    notices.attach("log")

    class Stubborn(Plain):
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            raise OSError("the disk is full")

    async with served(notices, Stubborn()):
        pass

    assert of(notices).last_error == "OSError('the disk is full')"


@pytest.mark.parametrize("error", [OSError("full"), SystemExit(1), KeyboardInterrupt()])
async def test_what_a_logger_raises_is_counted_and_it_stays(error: BaseException) -> None:
    """The next notice may fare better."""
    notices, logger = silent_notices(), Listener(raises=error)
    notices.attach("log", level=INFO)
    async with served(notices, logger):
        notices.tell("source.emit")
        await until(lambda: of(notices).failed >= 1)
        logger.raises = None
        notices.tell("route.match")
        await until(lambda: "route.match" in logger.phases)

    assert of(notices).last_error == repr(error)


async def test_a_failing_logger_is_told_of_once() -> None:
    """To everybody who listens, and with a count in the statistics."""
    notices, errors = silent_notices(), list[str | None]()
    async with served(notices, Listener(raises=OSError("full")), "eng/log"):
        notices.subscribe(lambda notice: errors.append(notice.error))
        for number in range(3):
            notices.tell("source.emit", EVENT)
            await until(lambda number=number: of(notices, "eng/log").failed > number)  # type: ignore[misc]

    told = "logger 'eng/log' raised OSError('full'); told of once, its statistics count the rest"
    assert [error for error in errors if error is not None] == [told]


async def test_a_flush_that_fails_is_counted_apart() -> None:
    """The notices were taken."""
    notices = silent_notices()

    class Unflushable(Plain):
        def flush(self) -> None:
            raise OSError("full")

    notices.attach("log", level=ERROR)
    async with served(notices, Unflushable()):
        notices.tell("module.error")
        await until(lambda: of(notices).failed_flushes > 0)

    assert of(notices).failed == 0


async def test_a_slow_logger_holds_up_no_other() -> None:
    """Each has its own queue, and its own thread."""
    notices, slow, quick = silent_notices(), Listener(), Listener()
    slow.gate.clear()
    async with served(notices, slow, "slow"), served(notices, quick, "quick"):
        notices.tell("source.emit")
        await until(lambda: len(quick.heard) == 1 and slow.calls == 1)
        slow.gate.set()

    assert len(slow.heard) == 1


async def test_a_hanging_logger_takes_no_thread_from_the_others() -> None:
    """The log's own threads come from Trio's common limit, which it leaves alone."""
    notices, logger = silent_notices(), Listener()
    logger.gate.clear()
    async with served(notices, logger):
        notices.tell("source.emit")
        await until(lambda: logger.calls == 1)

        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        logger.gate.set()


async def test_one_call_at_a_time() -> None:
    """However much is told meanwhile."""
    notices, logger = silent_notices(), Listener()
    async with served(notices, logger):
        for _ in range(50):
            notices.tell("source.emit")
            await trio.lowlevel.checkpoint()
        await until(lambda: of(notices).waiting == 0)

    assert logger.at_once == 1


async def test_losses_are_told_of_when_it_has_caught_up() -> None:
    """By one notice, however many they are; the lost ones are the oldest."""
    notices, logger = silent_notices(), Listener()
    notices.attach("log")
    for number in range(QUEUE_DEPTH + 3):
        notices.tell("source.emit", queue_depth=number)
    async with served(notices, logger):
        await until(lambda: of(notices).written == QUEUE_DEPTH + 1)

    assert logger.heard[0].queue_depth == 3
    assert [notice.error for notice in logger.heard if notice.phase == "system.error"] == [
        "3 notices were lost to logger 'log', which could not keep up"
    ]


# -- one that hangs ----------------------------------------------------------------------------------------------------


async def test_a_logger_that_hangs_is_let_go(autojump_clock: MockClock) -> None:
    """Within its time, and unleft: it is still inside a call, which another might tread on."""
    notices, logger = silent_notices(), Listener()
    logger.gate.clear()
    async with served(notices, logger):
        notices.tell("source.emit")
        await until_inside(logger)
        began_s = trio.current_time()

    assert not logger.left
    assert trio.current_time() - began_s == pytest.approx(DRAIN_S)
    logger.gate.set()


async def test_a_hanging_call_costs_one_notice(autojump_clock: MockClock) -> None:
    """The others wait for its next life; nothing is counted twice."""
    notices, logger = silent_notices(), Listener()
    notices.attach("log")
    logger.gate.clear()
    for _ in range(5):
        notices.tell("source.emit")
    async with served(notices, logger):
        await until_inside(logger)
    logger.gate.set()

    assert attrs.evolve(of(notices), last_error=None) == LoggerStatistics(
        written=0, failed=0, dropped=1, waiting=4, failed_flushes=0, last_error=None, is_served=False
    )


async def test_the_next_life_begins_when_the_hanging_call_has_returned(autojump_clock: MockClock) -> None:
    """Two lives may have the same file."""
    notices, first, second = silent_notices(), Listener(), Listener()
    notices.attach("log")
    first.gate.clear()
    async with served(notices, first):
        notices.tell("source.emit")
        await until_inside(first)
    async with served(notices, second):
        notices.tell("route.match")
        await trio.sleep(60)
        heard_too_early = list(second.heard)
        first.gate.set()
        while "route.match" not in second.phases:
            await trio.lowlevel.checkpoint()

    assert heard_too_early == []


# -- attaching and detaching -------------------------------------------------------------------------------------------


async def test_detaching_writes_what_waits_and_ends_the_service() -> None:
    """When it returns, the logger is closed, and another may have its file."""
    notices, logger = silent_notices(), Listener()
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.serve_logger, "log", logger)
        notices.tell("module.removed")
        await notices.detach("log")

        assert (logger.phases, logger.left, notices.silent) == (["module.removed"], True, True)


async def test_detaching_takes_no_longer_than_it_may(autojump_clock: MockClock) -> None:
    """Whatever the logger does."""
    notices, logger = silent_notices(), Listener()
    logger.gate.clear()
    async with served(notices, logger):
        notices.tell("source.emit")
        await until_inside(logger)
        await notices.detach("log")

        assert trio.current_time() < DRAIN_S + LEAVE_S + 1
    logger.gate.set()


async def test_what_detaching_leaves_is_told_of() -> None:
    """To those that still listen."""
    notices, heard = silent_notices(), list[Notice]()
    notices.attach("log")
    notices.tell("source.emit")
    notices.subscribe(heard.append)

    await notices.detach("log")

    assert [notice.error for notice in heard] == ["1 notices were lost to logger 'log', which could not keep up"]


async def test_detaching_a_stranger_does_nothing() -> None:
    """So that an undo need not know how far it came."""
    await silent_notices().detach("log")


async def test_others_of_the_module_stay_when_one_is_detached() -> None:
    """They still hear of it."""
    notices = silent_notices()
    notices.attach("eng/a")
    notices.attach("eng/b")

    await notices.detach("eng/a")
    notices.tell("source.emit", EVENT)

    assert of(notices, "eng/b").waiting == 1


async def test_notices_wait_from_one_life_to_the_next() -> None:
    """While a supervisor waits to start it again."""
    notices, second = silent_notices(), Listener()
    notices.attach("log")
    async with served(notices, Listener()):
        pass
    notices.tell("source.emit")
    async with served(notices, second):
        await until(lambda: len(second.heard) == 1)

    assert notices.statistics().loggers.keys() == {"log"}


async def test_a_logger_is_served_once_at_a_time() -> None:
    """Two could not share what waits."""
    notices = silent_notices()
    async with served(notices, Plain()):
        with pytest.raises(ValueError, match="'log' is served already"):
            await notices.serve_logger("log", Plain())

        assert of(notices).is_served


@pytest.mark.parametrize("method", ["log", "flush"])
async def test_an_async_logger_is_refused(method: str) -> None:
    """In a thread it would only make coroutines that nobody runs."""

    class Mistaken(Plain): ...

    async def wrong(self: object, *_: object) -> None: ...

    setattr(Mistaken, method, wrong)

    with pytest.raises(PluginError, match=f"{method} is async; make it a plain function"):
        await silent_notices().serve_logger("log", Mistaken())


async def test_a_supervisor_gives_a_logger_its_next_life(autojump_clock: MockClock) -> None:
    """One whose file cannot be opened at first gets what was told meanwhile."""
    notices, logger = silent_notices(), Listener()
    notices.attach("log")
    starts: list[float] = []

    async def life(*, task_status: trio.TaskStatus[None]) -> None:
        starts.append(trio.current_time())
        if len(starts) == 2:
            raise ConfigError("no such directory")
        async with trio.open_nursery() as nursery:
            await nursery.start(notices.serve_logger, "log", logger if len(starts) == 3 else Plain())
            task_status.started()
            if len(starts) == 1:
                raise OSError("a crash")

    child: ChildSpec[None] = ChildSpec(id="log", run=life, notify=True, backoff=Backoff(initial=1.0))
    async with open_supervisor(SupervisorSpec(name="loggers", children=[child], intensity=5, period=60)):
        await trio.sleep(0.5)
        notices.tell("source.emit")
        await trio.sleep(10)
        while not logger.heard:
            await trio.lowlevel.checkpoint()

    assert (len(starts), logger.phases) == (3, ["source.emit"])


async def test_a_log_file_is_written(tmp_path: Path) -> None:
    """With the real thing."""
    notices, path = silent_notices(), tmp_path / "orgloop.log"
    async with served(notices, File(FileConfig(path=str(path)))):
        notices.tell("runtime.start")

    assert path.read_text() == f'{{"timestamp":"{AT}","phase":"runtime.start","event_id":"","trace_id":""}}\n'
