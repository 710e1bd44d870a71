"""Transforms one after the other: what goes on, what is dropped, and what on_error makes of a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import attrs
import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.pipeline import Broken, Dropped, OnError, Step, crash_in, run, words
from orgloop.event import Event
from orgloop.sdk import Admitted, TransformFailed
from orgloop.testing import FakeMarks, event
from tests.delivery.stage import Doing, context, step

ADMITTED = Admitted(1, event(0))


@attrs.define
class Heard:
    """The notices of a run."""

    phases: list[tuple[str, str]] = attrs.field(factory=list)

    def tell(self, phase: str, event: Event, *, transform: str, **_: Any) -> None:
        self.phases.append((phase.removeprefix("transform."), transform))


def adding(number: int) -> Doing:
    return Doing(lambda event: attrs.evolve(event, payload=event.payload + number))


def failing(error: BaseException) -> Doing:
    def fail(event: Event) -> Event:
        raise error

    return Doing(fail)


async def through(*steps: Step) -> tuple[Any, Sequence[tuple[str, str]]]:
    heard = Heard()
    return await run(steps, ADMITTED, tell=heard.tell), heard.phases


async def test_without_transforms_the_event_is_the_one_admitted() -> None:
    """The very same."""
    assert (await through())[0] is ADMITTED.event


async def test_each_transform_gets_what_the_one_before_has_left() -> None:
    """In the order of the route."""
    double = Doing(lambda event: attrs.evolve(event, payload=event.payload * 2))
    result, phases = await through(step(adding(3), name="add"), step(double, name="double"))

    assert result.payload == 6
    assert phases == [("start", "add"), ("pass", "add"), ("start", "double"), ("pass", "double")]


async def test_a_transform_may_wait() -> None:
    """What it returns is awaited if it can be."""

    async def later(event: Event) -> Event:
        await trio.lowlevel.checkpoint()
        return attrs.evolve(event, payload="later")

    assert (await through(step(Doing(later))))[0].payload == "later"


async def test_a_dropped_event_goes_no_further() -> None:
    """It says which transform has dropped it."""
    result, phases = await through(step(Doing(lambda event: None), name="filter"), step(adding(1), name="add"))

    assert result == Dropped("filter")
    assert phases == [("start", "filter"), ("drop", "filter")]


@pytest.mark.parametrize(
    ("on_error", "ended", "phase"),
    [
        ("dead_letter", Broken("t", "TransformFailed: no jq", halt=False), "error"),
        ("drop", Dropped("t"), "error_drop"),
        ("halt", Broken("t", "TransformFailed: no jq", halt=True), "error_halt"),
    ],
)
async def test_on_error_says_how_a_failure_ends(on_error: OnError, ended: object, phase: str) -> None:
    """And the notice is as loud as that."""
    result, phases = await through(step(failing(TransformFailed("no jq")), on_error=on_error), step(adding(1)))

    assert result == ended
    assert phases == [("start", "t"), (phase, "t")]


async def test_with_pass_the_event_goes_on_as_it_was() -> None:
    """The next transform gets what the failed one was given."""
    steps = step(adding(3)), step(failing(ValueError("bug")), on_error="pass"), step(adding(4))
    result, phases = await through(*steps)

    assert result.payload == 7
    assert [phase for phase, _ in phases] == ["start", "pass", "start", "error", "start", "pass"]


@pytest.mark.parametrize("garbage", [0, "event", {}, [event()], Event], ids=repr)
async def test_what_is_no_event_is_a_failure(garbage: object) -> None:
    """Also what is false, which must not be taken for a drop."""
    result, _ = await through(step(Doing(lambda event: garbage)))

    assert result.error == f"TypeError: transform 't' returned {type(garbage).__name__}, not an event or None"


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), BaseExceptionGroup("", [SystemExit(3)])], ids=repr
)
async def test_a_transform_cannot_end_the_process(error: BaseException) -> None:
    """What it raises is a failure of it, whatever it is."""
    result, _ = await through(step(failing(error)))

    assert isinstance(result, Broken)


@pytest.mark.parametrize("on_error", get_args(OnError))
async def test_cancellation_is_no_failure(on_error: OnError) -> None:
    """Who cancels a transform ends the run, whatever on_error says."""
    heard = Heard()

    async def never(event: Event) -> None:
        await trio.sleep_forever()

    with trio.move_on_after(0) as scope:
        await run([step(Doing(never), on_error=on_error)], ADMITTED, tell=heard.tell)

    assert scope.cancelled_caught
    assert heard.phases == [("start", "t")]


@pytest.mark.parametrize(
    ("on_error", "ended"),
    [
        ("dead_letter", Broken("t", "TransformFailed: no answer within 2 s", halt=False)),
        ("halt", Broken("t", "TransformFailed: no answer within 2 s", halt=True)),
        ("drop", Dropped("t")),
        ("pass", ADMITTED.event),
    ],
)
async def test_a_transform_that_never_answers_has_failed(
    on_error: OnError, ended: object, autojump_clock: MockClock
) -> None:
    """When its time is over, and not before; what its route says about failures holds."""

    async def never(event: Event) -> None:
        await trio.sleep_forever()

    result, _ = await through(attrs.evolve(step(Doing(never), on_error=on_error), timeout_s=2.0))

    assert result == ended
    assert trio.current_time() == 2.0


async def test_a_transform_that_takes_its_time_is_in_time(autojump_clock: MockClock) -> None:
    """The next one has all of its own."""

    async def slowly(event: Event) -> Event:
        await trio.sleep(1.5)
        return event

    slow = attrs.evolve(step(Doing(slowly)), timeout_s=2.0)

    assert (await through(slow, slow))[0] is ADMITTED.event


async def test_a_place_that_cannot_be_told_is_a_failure_too() -> None:
    """The context is made for each event, so it may fail on one."""

    def no_context(admitted: Admitted) -> Any:
        raise KeyError("marks")

    result, _ = await through(Step(name="t", transform=adding(1), context=no_context))

    assert result == Broken("t", "KeyError: 'marks'", halt=False)


async def test_a_transform_is_told_where_it_stands() -> None:
    """And may remember what this event has shown."""
    seen = []

    class Looking:
        def apply(self, event: Event, context: Any) -> Event:
            seen.append((context.route, context.target, context.marks.is_first("k", window_s=1)))
            return event

    await through(step(Looking()))

    assert seen == [("r", "a", True)]
    assert context(ADMITTED).event_type == "resource.changed"


def test_an_exception_that_cannot_say_what_it_is_has_a_name() -> None:
    """Words for it are found all the same."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert words(Mute()) == "Mute: it cannot say what it is"
    assert words(ValueError()) == "ValueError"


def test_of_a_group_only_what_is_not_cancellation_is_a_crash() -> None:
    """A nursery inside a plug-in raises both together."""
    crash = crash_in(BaseExceptionGroup("", [ValueError("bug"), GeneratorExit()]))

    assert isinstance(crash, ExceptionGroup)
    assert crash_in(GeneratorExit()) is None


def test_marks_of_a_fake_belong_to_the_event_that_showed_them() -> None:
    """The same event stays first, another is not, until the window is over."""
    marks = FakeMarks("evt_1")
    firsts = [marks.is_first("k", window_s=10), marks.is_first("k", window_s=10)]
    marks.event_id = "evt_2"
    firsts.append(marks.is_first("k", window_s=10))
    marks.now_s = 10.0
    firsts.append(marks.is_first("k", window_s=10))

    assert firsts == [True, True, False, True]


async def test_a_step_with_a_test_is_not_applied() -> None:
    """It needs no context, and says no more than whether the event passes."""

    def refuse(admitted: Admitted) -> Any:
        raise AssertionError("nobody needs a context")

    def asking(answer: bool) -> Step:
        return Step(name="t", transform=failing(ValueError()), context=refuse, test=lambda event: answer)

    assert await through(asking(True)) == (ADMITTED.event, [("start", "t"), ("pass", "t")])
    assert await through(asking(False)) == (Dropped("t"), [("start", "t"), ("drop", "t")])


async def test_who_has_a_deadline_hears_that_a_transform_waits() -> None:
    """Before it does, and only if it does."""
    waits = list[str]()

    async def later(event: Event) -> Event:
        waits.append("applied")
        await trio.lowlevel.checkpoint()
        return event

    for what in (later, lambda event: event):
        await run([step(Doing(what))], ADMITTED, tell=None, before_waiting=lambda: waits.append("told"))

    assert waits == ["told", "applied"]
