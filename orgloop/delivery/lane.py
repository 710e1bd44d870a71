"""
One route's way to its actor: a queue, and what is done with each obligation until it ends.

    offered ──▶ waiting ──▶ transforms ──▶ attempts ──▶ delivered
       │ too many             │ dropped      │ given up
       ▼                      ▼              ▼
    dead letters           settled      dead letters

A route may keep what it does not deliver at once, behind the transforms: see kept.py.

The queue outlives its actor: when that crashes, what was under way goes back to the front with one attempt more, and
the actor's next life goes on from there. Offering never waits, so a slow actor holds up nobody.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from orgloop.delivery import breaker as breakers
from orgloop.delivery import pipeline, rate
from orgloop.delivery.dead_letters import DeadLetter
from orgloop.delivery.kept import Kept
from orgloop.delivery.lane_spec import Auditor, LaneSpec, Surroundings
from orgloop.delivery.queue import Queue
from orgloop.delivery.several import Several
from orgloop.delivery.tries import AllTries, Tries
from orgloop.delivery.turn import YIELD_AFTER, Turn
from orgloop.errors import OrgLoopError, PluginError
from orgloop.event import Event, timestamp_of
from orgloop.sdk import Actor, Admitted, Delivered, Delivery, Failed, Outcome, Rejected, Skipped

__all__ = ["Auditor", "Lane", "LaneSpec", "Surroundings"]

_OUTCOMES = (Delivered, Rejected, Failed, Skipped)

READ_AGAIN_S, READ_AGAIN_MAX_S = 0.5, 30.0
"""How long to wait when the bus cannot be read; each time twice as long, up to the second."""

BURY_AGAIN_S = 5.0
"""How long an obligation waits that cannot even be given up, because its dead letter cannot be written."""


@attrs.define(eq=False)
class Lane:
    """The obligations of one route, and how they end."""

    spec: LaneSpec
    _around: Surroundings
    counts: Counter[str] = attrs.field(factory=Counter)
    """Obligations since this lane began: ``admitted``, ``delivered``, ``dropped``, ``dead``, ``expired``."""
    ready: Callable[[Lane], None] | None = None
    """Told whenever something is offered."""
    breaker: breakers.Breaker = attrs.field(init=False)
    queue: Queue = attrs.field(init=False)
    kept: Kept = attrs.field(init=False)
    """What waits for somebody else than the actor."""
    _surplus: deque[int] = attrs.field(factory=deque)
    _taken: dict[int, Admitted] = attrs.field(factory=dict)
    _tries: AllTries = attrs.field(init=False)
    _bucket: rate.Bucket | None = attrs.field(init=False)
    _too_many: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _breaker_changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _until_none_is_left: trio.CancelScope | None = None
    _transformed: dict[int, Event] = attrs.field(factory=dict)
    """What the transforms have made of what a deadline has cut short, so that they are not asked again."""
    _key: str = attrs.field(init=False)
    _expired: int = 0
    """What has a lower number than this has waited for too long."""

    def __attrs_post_init__(self) -> None:
        """Start with a closed breaker and a full bucket."""
        spec, delivery = self.spec, self.spec.delivery
        self.breaker = breakers.Breaker(delivery.circuit_breaker)
        self.queue = Queue(
            self._read,
            lambda sequence: self._end(sequence, "dead", "dead_letter(unreadable)"),
            math.inf if delivery.overflow == "block" else delivery.queue_depth,
            drop_oldest=delivery.overflow == "drop_oldest",
            room=self._around.room,
        )
        self.kept = Kept(self._around.settler)
        per_s = delivery.max_rate_per_s
        self._bucket = None if per_s == math.inf else rate.full(per_s, trio.current_time())
        self._key = hashlib.blake2b(f"{spec.module}\0{spec.route}".encode(), digest_size=8).hexdigest()
        self._tries = AllTries(self._around, delivery.retry, self._key)
        self._expired = self._around.ages.expired(spec.retention_s, trio.current_time())

    @property
    def in_flight(self) -> int:
        """How many obligations have not ended: always those admitted, less those that have."""
        return len(self.queue) + len(self._taken) + len(self._surplus) + len(self.kept)

    @property
    def in_motion(self) -> int:
        """How many of these wait for the actor, and not for somebody else."""
        return len(self.queue) + len(self._taken) + len(self._surplus)

    @property
    def is_still(self) -> bool:
        """Whether none of them waits for the actor."""
        return not (self.queue or self._taken or self._surplus)

    @property
    def may_expire(self) -> bool:
        """Whether anything ends here because it has waited for too long."""
        return self.spec.retention_s is not None or any(keeper.ttl_s is not None for keeper in self.spec.keepers)

    def offer(self, admitted: Admitted) -> None:
        """Take an obligation; never waits."""
        self.counts["admitted"] += 1
        if admitted.sequence < self._expired:
            self._expire(admitted)
            return
        surplus = self.queue.offer(admitted)
        if surplus is not None:
            self._surplus.append(surplus)
            self._too_many.unpark()
            depth = self.spec.delivery.queue_depth
            self._tell("pipeline.backpressure", admitted.event, queue_depth=depth)
        if self.ready is not None:
            self.ready(self)

    def look_for_expired(self) -> None:
        """End what has waited here for too long; what is under way ends before its next attempt."""
        now_s, retention_s = trio.current_time(), self.spec.retention_s
        self._expired = self._around.ages.expired(retention_s, now_s)
        expired = dict.fromkeys(self.queue.expire(self._expired), retention_s or 0.0)
        expired |= self.kept.expired(self._around.ages, retention_s, now_s)
        for sequence in expired:
            if sequence in self.kept:
                self.kept.remove(self, sequence, has_ended=True)
            self._end(sequence, "expired", "expired")
        if expired:
            metadata = {"count": len(expired), "first": min(expired), "last": max(expired)}
            self._tell_expired(None, min(expired.values()), metadata=metadata)

    def _expire(self, admitted: Admitted) -> None:
        self._end(admitted.sequence, "expired", "expired")
        self._tell_expired(admitted.event, self.spec.retention_s or 0.0)

    def _tell_expired(self, event: Event | None, limit_s: float, **fields: Any) -> None:
        waited = f"not ended within {limit_s:g} s of its admission"
        self._tell("deliver.expired", event, result="expired", error=waited, **fields)

    def tries_of(self, sequence: int) -> Tries | None:
        """What was tried without success of an obligation that has not ended."""
        return self._tries.noted(sequence)

    def leave(self) -> list[int]:
        """Give up every claim on what has not ended; its sequences. For a lane on which nobody works any more."""
        left = [*self._taken, *self._surplus, *self.kept.empty(self), *self.queue.empty()]
        self._taken.clear()
        self._surplus.clear()
        self._transformed.clear()
        self.counts["admitted"] -= len(left)
        return left

    def hand_on(self, heir: Lane) -> None:
        """
        Leave what waits here to another lane of the same route, ahead of what waits there, and share its counts.

        What is under way stays, and what is too much, for as long as this lane is in a mailbox: they may end here.
        """
        waiting = [*self.kept.empty(self), *self.queue.empty()]
        self._transformed.clear()
        heir.queue.put_first(waiting)
        self._tries.hand_on(heir._tries, waiting)
        if self.ready is None:
            heir._surplus.extend(self._surplus)
            self._surplus.clear()
            heir._too_many.unpark()
        if heir.counts is not self.counts:
            self.counts.update(heir.counts)
            heir.counts = self.counts
        if heir.in_motion and heir.ready is not None:
            heir.ready(heir)

    async def work(self, actor: Actor) -> None:
        """Carry obligations to an actor until cancelled; what the actor raises ends this, and nothing is lost."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._bury_surplus)
                delivery = self.spec.delivery
                if delivery.concurrency == 1:
                    await self._one_by_one(actor)
                else:
                    carry = partial(self.carry, actor=actor)
                    await Several(self.take, carry, self.spec.order_key, delivery.concurrency).run()
        finally:
            self.queue.put_back(self._taken.values())
            self._taken.clear()

    async def work_off(self, actor: Actor, turn: Turn | None = None) -> None:
        """
        Work, as :meth:`work` does, but only until nothing is left.

        With a turn, in its scope; when that is over, this ends, and there may be something left.
        """
        while turn is None and self.in_motion:
            own = Turn()
            with own.scope:
                await self.work_off(actor, own)
        if turn is None:
            return
        if self.spec.delivery.concurrency == 1:
            await self._work_off_alone(actor, turn)
        if not self.is_still and not turn.is_over:
            turn.clear()
            with trio.CancelScope() as self._until_none_is_left:
                await self.work(actor)

    async def _work_off_alone(self, actor: Actor, turn: Turn) -> None:
        """Do without tasks of one's own for as long as nothing is too much: most lanes have one event at a time."""
        queue, taken = self.queue, self._taken
        try:
            while queue and not self._surplus and not turn.is_over:
                admitted = queue.take_held()
                if admitted is None:
                    turn.clear()
                    admitted = await queue.take_if_any()
                    if admitted is None:
                        break
                taken[admitted.sequence] = admitted
                await self.carry(admitted, actor, turn)
                if turn.count():
                    turn.clear()
                    await trio.lowlevel.checkpoint()
        finally:
            if taken:
                queue.put_back(taken.values())
                taken.clear()

    async def _one_by_one(self, actor: Actor) -> None:
        while True:
            for _ in range(YIELD_AFTER):
                await self.carry(await self.take(), actor)
            await trio.lowlevel.checkpoint()

    async def take(self) -> Admitted:
        """The next obligation; it is this lane's to end, or to put back."""
        admitted = await self.queue.take()
        self._taken[admitted.sequence] = admitted
        return admitted

    # -- one obligation ------------------------------------------------------------------------------------------------

    async def carry(self, admitted: Admitted, actor: Actor, turn: Turn | None = None) -> None:
        """Do everything for one obligation until it ends; with a turn, its scope cuts the attempts short."""
        tries = self._tries.of(admitted)
        if admitted.sequence < self._expired and not tries.given_up:
            self._expire(admitted)
            return
        if not tries.given_up:
            result = await self._transform(admitted, turn) if self.spec.steps else admitted.event
            if isinstance(result, pipeline.Dropped):
                self._end(admitted.sequence, "dropped", f"dropped({result.by})")
                return
            if isinstance(result, pipeline.Broken):
                reason = "transform_halt" if result.halt else "transform"
                self._tries.give_up(admitted.sequence, tries, reason, result.error)
            else:
                if self.spec.keepers and self._is_kept(admitted, result):
                    return
                if await self._try(admitted, result, tries, actor, turn):
                    return
        if turn is not None:
            turn.clear()
        await self._bury(admitted, tries.given_up, tries)
        self._end(admitted.sequence, "dead", f"dead_letter({tries.given_up})")

    async def _transform(self, admitted: Admitted, turn: Turn | None) -> Event | pipeline.Dropped | pipeline.Broken:
        if self._transformed and admitted.sequence in self._transformed:
            return self._transformed.pop(admitted.sequence)
        if self.spec.is_own is not None and self.spec.is_own(admitted.event):
            return admitted.event
        tell = None if self._around.silent else self._tell
        clear = None if turn is None else turn.clear
        return await pipeline.run(self.spec.steps, admitted, tell=tell, before_waiting=clear)

    async def _try(self, admitted: Admitted, event: Event, tries: Tries, actor: Actor, turn: Turn | None) -> bool:
        """Attempt until it ends; whether it did, or else is to be given up."""
        while not tries.given_up:
            if self._bucket is not None or self.breaker.state != "closed" or tries.due_s > -math.inf:
                if turn is not None:
                    turn.clear()
                await self._wait_for_a_turn(tries)
                if admitted.sequence < self._expired:
                    self._give_turn_back()
                    self._expire(admitted)
                    return True
            outcome = await self._attempt(admitted, event, tries, actor, turn)
            if self._is_ended_by(outcome, admitted, event, tries):
                return True
        return False

    def _is_ended_by(self, outcome: Outcome, admitted: Admitted, event: Event, tries: Tries) -> bool:
        """Take note of what came of an attempt; whether the obligation has ended by that."""
        if isinstance(outcome, Delivered):
            if not self._around.silent:
                self._tell("deliver.success", event)
            self._end(admitted.sequence, "delivered", "delivered")
            return True
        if isinstance(outcome, Skipped):
            self._tell("deliver.success", event, result=f"skipped: {outcome.reason}")
            self._end(admitted.sequence, "dropped", "dropped(skipped)")
            return True
        if isinstance(outcome, Failed):
            self._fail(admitted, event, tries, outcome)
        else:
            tries.failed += 1
            self._tries.give_up(admitted.sequence, tries, "rejected", outcome.reason)
            self._tell("deliver.failure", event, error=tries.last_error, result="rejected")
        return False

    async def _attempt(
        self, admitted: Admitted, event: Event, tries: Tries, actor: Actor, turn: Turn | None
    ) -> Outcome:
        opening = self.breaker.openings
        outcome: Outcome | None = None
        delivery: Delivery | None = None
        try:
            delivery = self._delivery(admitted, event, tries)
            if self.spec.auditor is not None:
                delivery = self.spec.auditor.begin(admitted, delivery)
            if not self._around.silent:
                self._tell("deliver.attempt", event)
            if turn is not None:
                turn.move(self.spec.delivery.timeout_s)
                outcome = self._checked(await actor.deliver(delivery))
            else:
                outcome = await self._within_own_scope(actor, delivery)
            return outcome
        except BaseException as exc:
            # A crash of the actor is its supervisor's business; that it was tried is ours, or it would be for ever.
            crash = pipeline.crash_in(exc)
            if crash is not None:
                outcome = Failed(f"the actor crashed: {pipeline.words(crash)}")
                self._fail(admitted, event, tries, outcome)
            elif turn is not None and turn.has_expired:
                # Nothing can be waited for under this scope; the obligation goes on from here under the next.
                outcome = self._no_answer()
                self._fail(admitted, event, tries, outcome)
                self._transformed[admitted.sequence] = event
            else:
                self._tries.lose(admitted.sequence, tries)
            raise
        finally:
            self._tell_breaker(outcome, opening)
            if self.spec.auditor is not None and delivery is not None:
                self.spec.auditor.end(admitted, delivery, outcome)

    async def _within_own_scope(self, actor: Actor, delivery: Delivery) -> Outcome:
        outcome: Outcome | None = None
        with trio.move_on_after(self.spec.delivery.timeout_s) as deadline:
            outcome = self._checked(await actor.deliver(delivery))
        return self._no_answer() if outcome is None or deadline.cancelled_caught else outcome

    def _no_answer(self) -> Failed:
        return Failed(f"no answer within {self.spec.delivery.timeout_s:g} s")

    def _delivery(self, admitted: Admitted, event: Event, tries: Tries) -> Delivery:
        return Delivery(
            event,
            self.spec.config(event),
            self.spec.prompt,
            tries.failed + tries.lost + 1,
            f"{self._key}-{admitted.sequence}-{admitted.event.id}",
            self._around.emit_for(admitted.event),
        )

    def _checked(self, outcome: object) -> Outcome:
        if isinstance(outcome, _OUTCOMES):
            return outcome
        raise PluginError(f"actor {self.spec.actor!r} returned {type(outcome).__name__}, which is no outcome")

    def _tell_breaker(self, outcome: Outcome | None, opening: int) -> None:
        if outcome.__class__ is Delivered and self.breaker.state == "closed" and not self.breaker.failures:
            return  # as it is, nearly always
        if outcome is None:
            self.breaker = breakers.abandoned(self.breaker, since=opening)
        elif isinstance(outcome, Failed):
            self.breaker = breakers.failed(self.breaker, trio.current_time(), since=opening)
        else:
            self.breaker = breakers.succeeded(self.breaker, since=opening)
        self._breaker_changed.unpark_all()

    async def _wait_for_a_turn(self, tries: Tries) -> None:
        """Wait for the retry to be due, for the breaker to allow it, and for the rate."""
        if tries.due_s > -math.inf:
            await trio.sleep_until(tries.due_s)
        while True:
            now_s = trio.current_time()
            if (open_until_s := breakers.when_s(self.breaker)) > now_s:
                with trio.move_on_at(open_until_s):
                    await self._breaker_changed.park()
            elif (wait_s := self._take_token(now_s)) > 0:
                await trio.sleep(wait_s)
            else:
                # Last, and nothing waits behind it: who has the one trial of a breaker must come to an attempt.
                self.breaker, _ = breakers.allows(self.breaker, now_s)
                return

    def _give_turn_back(self) -> None:
        """Make no attempt after all; another one may have the trial of the breaker."""
        self.breaker = breakers.abandoned(self.breaker, since=self.breaker.openings)
        self._breaker_changed.unpark_all()

    def _take_token(self, now_s: float) -> float:
        if self._bucket is None:
            return 0.0
        self._bucket, wait_s = rate.take(self._bucket, now_s)
        return wait_s

    # -- what is kept --------------------------------------------------------------------------------------------------

    def _is_kept(self, admitted: Admitted, event: Event) -> bool:
        """Whether somebody keeps an obligation; what is too much then is given up as in the queue."""
        sequence = admitted.sequence
        for keeper in self.spec.keepers:
            if keeper.wants(self, admitted, event):
                self._taken.pop(sequence, None)
                self.kept.add(sequence, keeper)
                if len(self.kept) > self.queue.depth:
                    self._give_up_surplus(next(iter(self.kept)) if self.queue.drop_oldest else sequence)
                self._look_whether_any_is_left()
                return True
        return False

    def _give_up_surplus(self, sequence: int) -> None:
        self.kept.remove(self, sequence, has_ended=True)
        self._surplus.append(sequence)
        self._too_many.unpark()
        self._tell("pipeline.backpressure", None, queue_depth=self.spec.delivery.queue_depth)

    def end_kept(self, sequence: int, count: str, outcome: str) -> None:
        """End an obligation that is kept."""
        self.kept.remove(self, sequence, has_ended=True)
        self._end(sequence, count, outcome)

    def resume(self, sequence: int) -> None:
        """Have an obligation that is kept come to its turn again, before what waits."""
        self.kept.remove(self, sequence, has_ended=False)
        self.queue.put_first([sequence])
        if self.ready is not None:
            self.ready(self)

    def give_up(self, sequence: int, reason: str, error: str) -> None:
        """Have an obligation that is kept become a dead letter, now or after a restart."""
        self._tries.give_up(sequence, self._tries.noted(sequence) or Tries(), reason, error)
        self.resume(sequence)

    async def look(self, admitted: Admitted) -> Event | pipeline.Dropped | pipeline.Broken:
        """What the transforms make of an event that is kept, once more; it is told to nobody."""
        return await pipeline.run(self.spec.steps, admitted, tell=None)

    def tell(self, phase: str, event: Event | None, **fields: Any) -> None:
        """Notice something about an event of this route."""
        self._tell(phase, event, **fields)

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _fail(self, admitted: Admitted, event: Event, tries: Tries, failed: Failed) -> None:
        wait_s = self._tries.fail(admitted.sequence, tries, failed)
        phase = "deliver.failure" if wait_s is None else "deliver.retry"
        metadata = {"attempt": tries.failed, "wait_s": round(wait_s or 0.0, 3)}
        self._tell(phase, event, error=tries.last_error, metadata=metadata)

    async def _bury(self, admitted: Admitted, reason: str, tries: Tries) -> None:
        """Write the dead letter; only behind it may the obligation end, or it would be lost in between."""
        spec = self.spec
        letter = DeadLetter(
            reason=reason,
            module=spec.module,
            route=spec.route,
            actor=spec.actor,
            sequence=admitted.sequence,
            attempts=tries.failed,
            first_error=tries.first_error,
            last_error=tries.last_error,
            at=timestamp_of(self._around.now_s()),
            event=admitted.event,
        )
        while True:
            try:
                await self._around.bury(letter)
                return
            except OSError as exc:
                self._tell("system.error", admitted.event, error=f"the dead letter cannot be written: {exc}")
                await trio.sleep(BURY_AGAIN_S)

    async def _bury_surplus(self) -> None:
        """Give up what was too much."""
        while True:
            while not self._surplus:
                await self._too_many.park()
            sequence = self._surplus[0]
            found = await self._read([sequence])
            for admitted in found:
                await self._bury(admitted, "backpressure", self._tries.of(admitted))
            self._surplus.popleft()
            self._end(sequence, "dead", "dead_letter(backpressure)" if found else "dead_letter(unreadable)")

    async def _read(self, sequences: Sequence[int]) -> list[Admitted]:
        """Events from the bus, however long it takes until it can be read: that is nothing the actor has done."""
        wait_s = READ_AGAIN_S
        while True:
            try:
                return await self._around.read(sequences)
            except OrgLoopError as exc:
                self._tell("system.error", None, error=f"what waits cannot be read back: {exc}")
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, READ_AGAIN_MAX_S)

    def _end(self, sequence: int, count: str, outcome: str) -> None:
        spec = self.spec
        self.counts[count] += 1
        self._taken.pop(sequence, None)
        if self._transformed:
            self._transformed.pop(sequence, None)
        self._tries.forget(sequence)
        self._around.settler.end(sequence, outcome, module=spec.module, route=spec.route)
        if self._until_none_is_left is not None:
            self._look_whether_any_is_left()

    def _look_whether_any_is_left(self) -> None:
        if self._until_none_is_left is not None and not self.in_motion:
            self._until_none_is_left.cancel("nothing is left")

    def _tell(self, phase: str, event: Event | None, **fields: Any) -> None:
        self._around.tell(
            phase, event, module=self.spec.module, route=self.spec.route, target=self.spec.actor, **fields
        )
