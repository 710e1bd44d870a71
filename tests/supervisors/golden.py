"""Replay of what real Erlang/OTP did: the same script, step by step, against our supervisor."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from orgloop_supervisors import (
    AutoShutdown,
    ChildSpec,
    ChildStatus,
    Restart,
    StartError,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
)
from tests.supervisors.harness import first_in_line, run_virtual

Step = dict[str, Any]


def read_traces(path: Path) -> Iterator[dict[str, Any]]:
    """One case a line; the format is in the README beside the file."""
    with path.open() as lines:
        yield from map(json.loads, lines)


def replay(case: dict[str, Any]) -> list[tuple[Step, Step]]:
    """The steps in which ours differs from OTP: (what OTP answered, what we did)."""
    return run_virtual(Theatre(case).play)


@attrs.define
class Theatre:
    """A supervisor whose children do what the script says."""

    case: dict[str, Any]
    log: list[list[str]] = attrs.field(factory=list)
    failing: dict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    cues: dict[str, tuple[trio.Event, list[Exception]]] = attrs.field(factory=dict)
    supervisor: Supervisor = attrs.field(init=False)

    async def play(self) -> list[tuple[Step, Step]]:
        differences = []
        ended: list[BaseException | None] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.host, ended)
            await wait_all_tasks_blocked()
            for expected in self.case["steps"]:
                self.log.clear()
                result = "dead" if ended and expected["result"] == "dead" else await self.do(*expected["op"])
                await wait_all_tasks_blocked()
                children = "dead" if ended else self.states()
                seen = {"op": expected["op"], "result": result, "children": children, "log": list(self.log)}
                in_order = ended or list(expected["children"]) == list(children)
                if seen != expected or not in_order:
                    differences.append((expected, seen))
            nursery.cancel_scope.cancel("the script is over")
        return differences

    async def host(self, ended: list[BaseException | None]) -> None:
        spec = SupervisorSpec(
            name="golden",
            children=[self.child(**child) for child in self.case["children"]],
            strategy=Strategy(self.case["strategy"]),
            intensity=self.case["intensity"],
            period=self.case["period_s"],
            auto_shutdown=AutoShutdown(self.case["auto_shutdown"]),
            on_event=lambda event: None,
        )
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                self.supervisor = await nursery.start(spec.run)
        except* Exception as group:
            error = group
        ended.append(error)

    def child(self, id: str, restart: str, significant: bool) -> ChildSpec[None]:
        return ChildSpec(
            id=id,
            run=self.act,
            args=(id,),
            restart=Restart(restart),
            significant=significant,
            notify=True,
        )

    async def act(self, id: str, *, task_status: ChildStatus[None]) -> None:
        self.log.append(["up", id])
        if self.failing[id] > 0:
            self.failing[id] -= 1
            raise RuntimeError(f"{id} was told to fail")
        cue, orders = self.cues[id] = trio.Event(), []
        task_status.started()
        told = False
        try:
            await cue.wait()
            told = True
        finally:
            del self.cues[id]
            if not told:
                self.log.append(["down", id])
        for order in orders:
            raise order

    def states(self) -> dict[str, str]:
        return {info.id: info.state.value for info in self.supervisor.which_children()}

    async def do(self, verb: str, id: str, *more: Any) -> str:
        if verb == "fail":
            self.failing[id] += more[0]
            return "sent"
        if verb == "both":
            first_in_line(id)
            self.cue(id, RuntimeError("first"))
            self.cue(more[0], RuntimeError("second"))
            return "sent"
        if verb in ("crash", "normal"):
            return self.cue(id, *([RuntimeError("crash")] if verb == "crash" else []))
        return await self.ask(verb, id, *more)

    def cue(self, id: str, *orders: Exception) -> str:
        if id not in self.cues:
            return "none"
        event, waiting = self.cues[id]
        waiting.extend(orders)
        event.set()
        return "sent"

    async def ask(self, verb: str, id: str, *more: Any) -> str:
        try:
            if verb == "start":
                await self.supervisor.start_child(self.child(id, *more))
            else:
                await getattr(self.supervisor, f"{verb}_child")(id)
        except StartError:
            return "error"
        except SupervisorError as error:
            return "dead" if error.reason == "stopped" else error.reason
        return "ok"
