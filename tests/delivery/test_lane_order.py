"""In which order a lane delivers, one at a time and several at once."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from orgloop.delivery.retry import RetryConfig
from orgloop.event import Event
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected
from orgloop.testing import FakeActor
from tests.delivery.stage import Around, lane, offer, work_off, working


def key(event: Event) -> object:
    return event.payload["key"]


class Timed:
    """Takes as long as the payload says, and keeps what began and what ended, when."""

    def __init__(self) -> None:
        self.began: list[tuple[float, str]] = []
        self.ended: list[str] = []
        self.at_once = self.most = 0

    async def deliver(self, delivery: Delivery) -> Outcome:
        payload = delivery.event.payload
        name = f"{payload['key']}{payload['n']}"
        self.began.append((trio.current_time(), name))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await trio.sleep(payload.get("takes_s", 1))
        finally:
            self.at_once -= 1
        self.ended.append(name)
        return Failed("again") if delivery.attempt <= payload.get("fails", 0) else Delivered()


def payloads(*names: str, **more: float) -> list[dict[str, object]]:
    return [{"key": name[0], "n": int(name[1:]), **more} for name in names]


async def test_one_at_a_time_keeps_the_order_of_all(autojump_clock: MockClock) -> None:
    """However many there are."""
    around, actor = Around(), FakeActor()
    one = lane(around, overflow="block")
    await offer(around, one, *range(1000))
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == list(range(1000))


async def test_a_retry_holds_up_those_behind_it(autojump_clock: MockClock) -> None:
    """Order counts for more than speed where one at a time is asked for."""
    around, actor = Around(), FakeActor(Failed("503"), Failed("503"))
    one = lane(around)
    await offer(around, one, "x", "y")
    await work_off(one, actor)

    assert [event.payload for event in actor.events] == ["x", "x", "x", "y"]


async def test_several_at_once_are_as_many_as_asked_for(autojump_clock: MockClock) -> None:
    """No fewer while there is work, and never more."""
    around, actor = Around(), Timed()
    one = lane(around, concurrency=4)
    await offer(around, one, *payloads(*(f"a{n}" for n in range(12))))
    await work_off(one, actor)

    assert actor.most == 4
    assert trio.current_time() == 3


async def test_events_of_one_key_never_overtake_each_other(autojump_clock: MockClock) -> None:
    """The first of them takes longest, and the others wait for it."""
    around, actor = Around(), Timed()
    one = lane(around, concurrency=4, order_key=key)
    await offer(around, one, *payloads("a0", takes_s=9), *payloads("a1", "b0", "a2", "b1", "c0"))
    await work_off(one, actor)

    for name in "ab":
        assert [n for n in actor.ended if n[0] == name] == sorted(n for n in actor.ended if n[0] == name)
    assert actor.ended[:3] == ["b0", "c0", "b1"] or actor.ended[:3] == ["c0", "b0", "b1"]


async def test_a_retry_blocks_only_its_own_key(autojump_clock: MockClock) -> None:
    """Other keys overtake while it waits."""
    around, actor = Around(), Timed()
    one = lane(around, concurrency=4, order_key=key, retry=RetryConfig(jitter=0, initial_delay_s=10))
    await offer(around, one, *payloads("a0", fails=1), *payloads("a1", "b0", "b1"))
    await work_off(one, actor)

    assert actor.ended == ["a0", "b0", "b1", "a0", "a1"] or actor.ended == ["b0", "a0", "b1", "a0", "a1"]


async def test_what_is_given_up_lets_the_next_of_its_key_go_on(autojump_clock: MockClock) -> None:
    """A poison event delays the others of its key by its own attempts, and no longer."""
    around, actor = Around(), FakeActor(Rejected("poison"))
    one = lane(around, concurrency=2, order_key=key)
    await offer(around, one, *payloads("a0", "a1"))
    await work_off(one, actor)

    assert around.outcomes() == {1: "dead_letter(rejected)", 2: "delivered"}


@pytest.mark.parametrize("odd", [[1, 2], {"a": 1}, None], ids=repr)
async def test_any_value_may_be_a_key(odd: object, autojump_clock: MockClock) -> None:
    """An event says what it likes at the path of order_by; it must not crash the actor."""
    around, actor = Around(), FakeActor()
    one = lane(around, concurrency=2, order_key=key)
    await offer(around, one, {"key": odd, "n": 0}, {"key": odd, "n": 1})
    await work_off(one, actor)

    assert [event.payload["n"] for event in actor.events] == [0, 1]


async def test_what_is_taken_behind_a_key_is_bounded(autojump_clock: MockClock) -> None:
    """One key that is stuck does not pull all that waits into memory."""
    around = Around()
    one = lane(around, concurrency=2, order_key=key, timeout_s=10_000)
    await offer(around, one, *payloads(*(f"a{n}" for n in range(100)), takes_s=5000))
    async with working(one, Timed()):
        await trio.sleep(1)
        assert len(one._taken) == 8


async def test_no_key_is_kept_longer_than_its_events(autojump_clock: MockClock) -> None:
    """A lane that has seen a million keys remembers none."""
    around, actor = Around(), Timed()
    one = lane(around, concurrency=8, order_key=key, overflow="block")
    await offer(around, one, *({"key": str(n), "n": 0, "takes_s": 0} for n in range(500)))
    await work_off(one, actor)

    assert len(actor.ended) == 500
    assert (one._taken, one._tries._kept) == ({}, {})
