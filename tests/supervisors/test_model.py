"""The supervisor does what its executable specification says, step by step, over random histories with time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from trio.testing import wait_all_tasks_blocked

from orgloop_supervisors import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildStatus,
    Restart,
    RestartIntensityExceeded,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
)
from tests.supervisors import model
from tests.supervisors.harness import SEEDS, run_virtual

IDS = ("a", "b", "c", "d")
FAILS = st.sampled_from([0, 0, 0, 1, 2])


@attrs.frozen
class Seen:
    """What can be seen of a supervisor after a step."""

    actions: tuple[str, ...]
    answer: str
    children: dict[str, str] | None
    """State by id, in start order; None once it is dead."""


class Histories(RuleBasedStateMachine):
    """Grows a history along the model, then plays it to the real supervisor and compares every step."""

    @initialize(
        strategy=st.sampled_from(Strategy),
        intensity=st.sampled_from([3, math.inf, 5, 2, 0]),
        auto_shutdown=st.sampled_from(AutoShutdown),
        restarts=st.lists(st.tuples(st.sampled_from(Restart), st.booleans()), min_size=1, max_size=4),
        backoff=st.sampled_from([0.37, 0.0]),
        watchdogs=st.booleans(),
        seed=st.integers(0, 1000),
    )
    def begin(
        self,
        strategy: Strategy,
        intensity: float,
        auto_shutdown: AutoShutdown,
        restarts: list[tuple[Restart, bool]],
        backoff: float,
        watchdogs: bool,
        seed: int,
    ) -> None:
        """Choose a supervisor; its first children are part of the history."""
        self.seed, self.backoff, self.watchdogs = seed, backoff, watchdogs
        self.state = model.State(strategy.value, intensity, period=9.0, auto_shutdown=auto_shutdown.value)
        self.first = self.state
        self.history: list[tuple[model.Event, Seen]] = []
        for id, (restart, significant) in zip(IDS, restarts, strict=False):
            self.do("start", id, self._child(id, restart, significant))

    def _child(self, id: str, restart: Restart, significant: bool) -> model.Child:
        # Times that never fall on one instant: which of two things at once comes first is Trio's to choose.
        own = IDS.index(id) * 0.2107
        return model.Child(
            restart=restart.value,
            significant=significant and restart is not Restart.PERMANENT and self.state.auto_shutdown != "never",
            initial=self.backoff + own if self.backoff else 0.0,
            maximum=1.3 + own,
            reset_after=2.9 + own,
            watchdog=4.1 + own if self.watchdogs else math.inf,
        )

    def do(self, *event: Any) -> None:
        """Advance the model, and note what must be seen."""
        if event[0] == "fail":
            self.state = attrs.evolve(self.state, fails={**self.state.fails, event[1]: event[2]})
            self.history.append((event, Seen((), "ok", _states(self.state))))
            return
        self.state, actions = model.step(self.state, event)
        self.history.append((event, Seen(actions, self.state.answer, _states(self.state))))

    def fail(self, id: str, times: int) -> None:
        """The coming starts of a child will fail."""
        if times:
            self.do("fail", id, times)

    def states(self) -> dict[str, str]:
        """Where the model has each child."""
        return _states(self.state) or {}

    def those(self, state: str) -> list[str]:
        """The children in one state."""
        return [id for id, its in self.states().items() if its == state]

    @precondition(lambda self: "running" in self.states().values())
    @rule(data=st.data(), clean=st.sampled_from([False, False, True]), fails=FAILS)
    def end(self, data: st.DataObject, clean: bool, fails: int) -> None:
        """A running child raises or returns; perhaps its coming starts will fail."""
        id = data.draw(st.sampled_from(self.those("running")))
        self.fail(id, fails)
        self.do("ended", id, clean)

    @precondition(lambda self: len(self.those("running")) > 1)
    @rule(data=st.data(), fails=FAILS)
    def end_two(self, data: st.DataObject, fails: int) -> None:
        """Two running children raise, one right after the other, the later of the list perhaps first."""
        first, second = data.draw(st.permutations(self.those("running")))[:2]
        self.fail(second, fails)
        self.do("ended", first, False)
        if self.states().get(second) == "running":
            self.do("ended", second, False)

    @precondition(lambda self: "restarting" in self.states().values())
    @rule(data=st.data())
    def terminate_one_that_waits(self, data: st.DataObject) -> None:
        """Somebody takes a child out of a restart to come."""
        self.do("terminate", data.draw(st.sampled_from(self.those("restarting"))))

    @rule(verb=st.sampled_from(["terminate", "restart", "delete"]), id=st.sampled_from(IDS), fails=FAILS)
    def call(self, verb: str, id: str, fails: int) -> None:
        """Somebody calls the supervisor."""
        self.fail(id, fails)
        self.do(verb, id)

    @precondition(lambda self: not self.state.dead)
    @rule(id=st.sampled_from(IDS), restart=st.sampled_from(Restart), significant=st.booleans(), fails=FAILS)
    def start(self, id: str, restart: Restart, significant: bool, fails: int) -> None:
        """Somebody starts another child."""
        self.fail(id, fails)
        self.do("start", id, self._child(id, restart, significant))

    @precondition(lambda self: not self.state.dead)
    @rule(seconds=st.sampled_from([0.10003, 0.50003, 1.70003, 10.30003]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.do("time", seconds)

    def teardown(self) -> None:
        """Play the history to the real supervisor, under one of Trio's schedules."""
        if hasattr(self, "history"):
            run_virtual(Play(self.first).all, self.history, seed=self.seed)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=8 * SEEDS,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def _states(state: model.State) -> dict[str, str] | None:
    return None if state.dead else {id: child.state for id, child in state.children.items()}


@attrs.define
class Play:
    """The real supervisor, and children that do as the history says."""

    first: model.State
    actions: list[str] = attrs.field(factory=list)
    fails: dict[str, int] = attrs.field(factory=dict)
    cues: dict[str, Callable[[bool], None]] = attrs.field(factory=dict)
    supervisor: Supervisor = attrs.field(init=False)

    async def all(self, history: list[tuple[model.Event, Seen]]) -> None:
        """Play every event and compare what is seen after it."""
        spec = SupervisorSpec(
            name="real",
            strategy=Strategy(self.first.strategy),
            intensity=self.first.intensity,
            period=self.first.period,
            auto_shutdown=AutoShutdown(self.first.auto_shutdown),
            on_event=lambda event: None,
        )
        async with trio.open_nursery() as nursery:
            over = trio.Event()
            self.supervisor = await nursery.start(self._host, spec, over)
            for number, (event, expected) in enumerate(history):
                self.actions.clear()
                answer = await self._play(*event)
                await wait_all_tasks_blocked()
                children = None if over.is_set() else self._states()
                seen = Seen(tuple(self.actions), answer, children)
                assert seen == expected, f"step {number}, {event}: expected {expected}, saw {seen}"
                assert children is None or list(children) == list(expected.children or ())
            nursery.cancel_scope.cancel("the history is over")

    async def _host(self, spec: SupervisorSpec, over: trio.Event, *, task_status: trio.TaskStatus[Supervisor]) -> None:
        with contextlib.suppress(RestartIntensityExceeded):
            await spec.run(task_status=task_status)
        over.set()

    async def _play(self, verb: str, *arguments: Any) -> str:
        if verb == "fail":
            self.fails[arguments[0]] = arguments[1]
        elif verb == "time":
            await trio.sleep(arguments[0])
        elif verb == "ended":
            self.cues[arguments[0]](arguments[1])
        elif verb == "start":
            return await self._answer(self.supervisor.start_child, self._spec(*arguments))
        else:
            return await self._answer(getattr(self.supervisor, f"{verb}_child"), arguments[0])
        return "ok"

    async def _answer(self, call: Callable[[Any], Awaitable[object]], argument: object) -> str:
        try:
            await call(argument)
        except SupervisorError as error:
            return error.reason
        return "ok"

    def _spec(self, id: str, child: model.Child) -> ChildSpec[Any]:
        return ChildSpec(
            id=id,
            run=self._act,
            args=(id,),
            restart=Restart(child.restart),
            significant=child.significant,
            watchdog=child.watchdog,
            backoff=Backoff(initial=child.initial, maximum=child.maximum, reset_after=child.reset_after),
            notify=True,
        )

    async def _act(self, id: str, *, task_status: ChildStatus[None]) -> None:
        self.actions.append(f"up {id}")
        if self.fails.get(id, 0):
            self.fails[id] -= 1
            raise OSError("told to fail")
        task_status.started()
        told: list[bool] = []
        cue = trio.Event()

        def tell(clean: bool) -> None:
            told.append(clean)
            cue.set()

        self.cues[id] = tell
        try:
            await cue.wait()
        finally:
            # A watchdog's cancellation is the child's own end; only the supervisor's is an action of the supervisor.
            if not told and self._stopping(id):
                self.actions.append(f"down {id}")
        if not told[0]:
            raise OSError("told to crash")

    def _stopping(self, id: str) -> bool:
        return self._states()[id] == "stopping"

    def _states(self) -> dict[str, str]:
        return {info.id: info.state.value for info in self.supervisor.which_children()}


def test_the_guide_prints_the_model_as_it_is() -> None:
    """The specification in the documentation is the code that the tests run, to the letter."""
    root = Path(__file__).parents[2]

    assert (root / "tests/supervisors/model.py").read_text() in (root / "docs/supervision.md").read_text()
