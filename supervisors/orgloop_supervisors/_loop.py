"""
The serial loop of one supervisor: it alone starts, stops and restarts; everything else asks it.

As in OTP, one thing happens at a time: ends of children, calls and due restarts wait in one inbox, and while a child is
slow to start or to stop, so does the rest. Decisions come from ``_policy``, the crew carries them out.

Two cancellations end the loop, and both take the same way: ``stop()`` cancels ``work``, an outer scope cancels all
around it. Children see neither (each has a shielded scope); they are stopped in order before Cancelled goes on.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from orgloop_supervisors import _policy
from orgloop_supervisors._caller import being_stopped, find_caller, is_hopeless, refuse_deadlock
from orgloop_supervisors._child import Child, Life, Retry
from orgloop_supervisors._crew import Crew
from orgloop_supervisors._errors import RestartIntensityExceeded, StartError, SupervisorError
from orgloop_supervisors._events import EventKind, Teller
from orgloop_supervisors._inbox import Call, Inbox, TryAgain
from orgloop_supervisors._spec import ChildState, Restart
from orgloop_supervisors._timers import Timers

if TYPE_CHECKING:
    from orgloop_supervisors._recipe import SupervisorSpec


@attrs.define(eq=False)
class Loop:
    """What one incarnation of a supervisor does, from its first child to its last."""

    crew: Crew
    inbox: Inbox
    over: trio.Event = attrs.field(factory=trio.Event)
    end: SupervisorError | None = None
    """StartError or RestartIntensityExceeded, if that is how it ends."""
    crashes: list[Exception] = attrs.field(factory=list)
    """What children raised while everything was being stopped."""
    _work: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _window: _policy.Failures = ()
    _in_service: Call | None = None
    _closed: bool = False
    _shuts_itself_down: bool = False

    @classmethod
    def of(cls, spec: SupervisorSpec, enclosing: Life | None, teller: Teller) -> Loop:
        """Build a loop and its crew, who know each other through two functions only."""
        inbox = Inbox(Timers())
        loop = cls(Crew(spec, enclosing, teller, inbox.timers), inbox)
        loop.crew.ended, loop.crew.being_stopped = inbox.post, loop._refuse_calls_of
        return loop

    # -- from start to stop ------------------------------------------------------------------------------------------

    @enable_ki_protection
    async def run(self, nursery: trio.Nursery, *, ready: Callable[[], None]) -> None:
        """Start the children, serve until the end, stop the children; ``end``, ``crashes`` and the crew tell how."""
        self.crew.nursery = nursery
        try:
            with self._work:
                await self._start_all()
                if not self._finished:
                    ready()
                    await self._serve()
        finally:
            with trio.CancelScope(shield=True):
                await self._shut_down()

    def stop(self, reason: str) -> None:
        """Begin the ordered stop; ``over`` is set at its end."""
        self._work.cancel(reason)

    def conclude(self) -> None:
        """Tell everyone who waits that this incarnation is over."""
        self.over.set()
        self.crew.over_at_s = trio.current_time()
        for call in self._waiting_calls():
            call.refuse(self.stopped_error())
        self.crew.announce()

    @property
    def _finished(self) -> bool:
        return self.end is not None or self._shuts_itself_down or bool(self.crew.fatal)

    async def _start_all(self) -> None:
        for spec in self.crew.spec.children:
            child = self.crew.add(spec)
            failure = await self.crew.start(child)
            if failure is not None and not self._finished:
                self.end = start_error(self.crew, child, failure)
            if self._finished:
                return

    async def _serve(self) -> None:
        while not self._finished:
            message = await self.inbox.take()
            if isinstance(message, Life):
                await self._on_end(message)
            elif isinstance(message, Call):
                await self._on_call(message)
            elif isinstance(message, TryAgain):
                await self._on_try_again(message)
            else:
                await message()
            del message  # while we wait for the next, nothing shall keep what this one held

    async def _shut_down(self) -> None:
        self._closed = True
        for call in self._waiting_calls():
            if call.caller is None or not call.caller.will_be_cancelled:
                call.refuse(self.stopped_error())
        reason = f"supervisor {self.crew.spec.name!r} is stopping"
        self.crashes.extend(await self.crew.stop_all(list(self.crew.children.values()), reason))
        self.crashes.extend(self.crew.beside_fatal)

    # -- requests ----------------------------------------------------------------------------------------------------

    async def call(self, name: str, action: Callable[[], Awaitable[Any]]) -> Any:
        """Have the loop do something, and wait for what came of it; a cancelled caller withdraws what has not begun."""
        caller = find_caller(self.crew)
        refuse_deadlock(caller, f"{name}()")
        if self._closed and (self.over.is_set() or caller is None or not caller.will_be_cancelled):
            raise self.stopped_error()
        call = Call(action, caller)
        if caller is not None:
            caller.life.asking = (*caller.life.asking, call)
        self.inbox.post(call)
        try:
            await call.answered.wait()
        finally:
            call.withdrawn = True
            if caller is not None:
                caller.life.asking = tuple(other for other in caller.life.asking if other is not call)
        if call.error is not None:
            raise call.error
        return call.result

    def stopped_error(self) -> SupervisorError:
        """What every call gets once the stop has begun."""
        error = SupervisorError(f"supervisor {self.crew.spec.name!r} has stopped", reason="stopped")
        error.ended = self
        return error

    async def _on_call(self, call: Call) -> None:
        if call.withdrawn or call.answered.is_set():
            return
        self._in_service = call
        try:
            call.result = await call.action()
        except SupervisorError as error:
            call.error = error
        call.answered.set()
        self._in_service = None

    def _waiting_calls(self) -> list[Call]:
        return [*self.inbox.calls(), *([] if self._in_service is None else [self._in_service])]

    def _refuse_calls_of(self, life: Life) -> None:
        """
        Answer what a child has asked of the supervisor that now stops it: it may wait for that as long as it drains.

        One that is cancelled without being asked finds its cancellation in the call; only what a shield, or a nursery
        elsewhere, keeps from that is answered then.
        """
        for call in life.asking:
            if call is self._in_service and not (self._closed or life.scope.cancel_called):
                continue  # it asks for its own end, and that is what it gets
            if call.caller is not None and is_hopeless(call.caller, began=True):
                call.refuse(self.stopped_error() if self._closed else being_stopped(life, "a call"))
        self.crew.announce()

    def leave_retry(self, child: Child) -> None:
        """Take a child out of the restart it waits for; the others wait on, led by the first of them."""
        retry, child.retry = child.retry, None
        if retry is not None:
            waiting = retry.waiting()
            if retry.child is child and waiting:
                retry.child = waiting[0]
            self._cancel_if_empty(retry)

    # -- ends and restarts -------------------------------------------------------------------------------------------

    async def _on_end(self, life: Life) -> None:
        child = life.child
        if child.life is not life:
            return  # a stale word from a life that a stop has already buried
        failure = self.crew.bury(child)
        if self._finished:
            return
        verdict = _policy.after_exit(child.spec.restart, clean=failure is None)
        if verdict is _policy.Verdict.RESTART:
            await self._restart(child, self.crew.failure(child, failure, "is permanent and returned"))
            return
        if verdict is _policy.Verdict.FORGET:
            self.crew.forget(child)
        self._shuts_itself_down = _policy.ends_supervisor(
            self.crew.spec.auto_shutdown, significant=child.spec.significant, significant_left=self._significant_left()
        )

    def _significant_left(self) -> bool:
        return any(
            child.spec.significant and child.state is not ChildState.STOPPED for child in self.crew.children.values()
        )

    async def _on_try_again(self, message: TryAgain) -> None:
        child = message.retry.child
        if child.retry is message.retry:
            await self._restart(child, message.failure)

    async def _restart(self, child: Child, failure: Exception) -> None:
        """Charge the budget, stop the rest of the group, and start it all again, now or after a wait."""
        spec, now_s = self.crew.spec, trio.current_time()
        self._window = _policy.spend(self._window, failure, now_s=now_s, intensity=spec.intensity, period_s=spec.period)
        if _policy.exceeded(self._window, intensity=spec.intensity):
            self._give_up()
            return
        delay_s = _policy.backoff_s(child.spec.backoff, child.failures_in_a_row, chance=random.random())
        child.failures_in_a_row += 1
        members = _policy.group(spec.strategy, self.crew.children.values(), child)
        superseded = [member.retry for member in members if member.retry is not None]
        due_s = max([now_s + delay_s, *(retry.due_s for retry in superseded)])
        retry = Retry(child, due_s, await self._stop_group(members))
        if self._finished:
            return
        for member in retry.members:
            member.retry = retry
            self.crew.enter(member, ChildState.RESTARTING)
        for earlier in superseded:
            self._cancel_if_empty(earlier)
        await self._attempt_when_due(retry)

    async def _attempt_when_due(self, retry: Retry) -> None:
        wait_s = retry.due_s - trio.current_time()
        child = retry.child
        self.crew.teller.tell(EventKind.RESTARTING, child.spec.id, child.incarnation, delay=max(0.0, wait_s))
        if wait_s > 0:
            retry.timer = self.inbox.timers.set(retry.due_s, partial(self._attempt, retry))
        else:
            await self._attempt(retry)

    async def _stop_group(self, members: list[Child]) -> list[Child]:
        """Stop what still runs of a group; its members without the temporary ones, which are gone for good."""
        with trio.CancelScope(shield=True):
            running = [member for member in members if member.life is not None]
            await self.crew.stop_all(running, "its group is restarting")
        for member in members:
            if member.spec.restart is Restart.TEMPORARY:
                self.crew.forget(member)
        return [member for member in members if member.spec.restart is not Restart.TEMPORARY]

    async def _attempt(self, retry: Retry) -> None:
        """Start those that wait for this restart, in order; at the first that fails, the rest is tried again."""
        waiting = retry.waiting()
        for index, member in enumerate(waiting):
            member.restarts += 1
            failure = await self.crew.start(member)
            if self._finished:
                return
            if failure is not None:
                again = Retry(member, trio.current_time(), waiting[index:])
                for later in again.members:
                    later.retry = again
                self.crew.enter(member, ChildState.RESTARTING)
                self.inbox.post(TryAgain(again, failure))
                return

    def _cancel_if_empty(self, retry: Retry) -> None:
        if not retry.waiting():
            self.inbox.timers.cancel(retry.timer)

    def _give_up(self) -> None:
        spec, failures = self.crew.spec, [failure for _, failure in self._window]
        self.end = RestartIntensityExceeded(
            f"supervisor {spec.name!r} gave up: {len(failures)} failures within {spec.period:g} s, "
            f"its intensity is {spec.intensity:g}",
            failures,
        )
        self.crew.teller.tell(EventKind.GAVE_UP, error=self.end)


def start_error(crew: Crew, child: Child, failure: Exception) -> StartError:
    """What tells that, and why, a child failed to start."""
    error = StartError(f"child {child.spec.id!r} of supervisor {crew.spec.name!r} failed to start: {failure!r}")
    error.__cause__ = failure
    return error
