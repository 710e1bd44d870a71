"""Notices over HTTP: followed as they are told, and asked for afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from orgloop.http.app import make_app
from orgloop.http.app.given import Follow, Logs
from orgloop.http.app.past import BLOCK_BYTES, LONGEST_LINE, Bound, Kept, lines_backwards, look_back
from orgloop.http.app.problems import Refused
from orgloop.http.app.ring import Ring
from orgloop.http.app.stream import Followers
from orgloop.http.front import FrontSpec, serve_front
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Notice
from tests.http.app_stage import following, open_desk
from tests.http.server import TOKEN


def notice(number: int, phase: str = "source.emit", **fields: Any) -> Notice:
    """The notice of a second."""
    return Notice(timestamp=f"2026-03-01T09:00:{number:02d}.000Z", phase=phase, event_id=f"evt_{number}", **fields)


def filled(count: int, *, size: int = 100) -> Ring:
    """A ring that has heard so many."""
    ring = Ring(size=size)
    for number in range(count):
        ring.hear(notice(number))
    return ring


def kept(ring: Ring) -> Kept:
    return Kept(ring.newest(), ring.is_whole)


def ids(items: list[dict[str, object]]) -> list[object]:
    return [one["event_id"] for one in items]


# -- followed ----------------------------------------------------------------------------------------------------------


async def test_notices_come_as_they_are_told() -> None:
    """Each with an id, as JSON."""
    async with open_desk() as desk, following(desk, "?phase=deliver.") as events:
        await desk.inject()
        attempt, success = await events.next(), await events.next()

    assert "content-type: text/event-stream" in events.head.lower()
    assert json.loads(attempt["data"])["phase"] == "deliver.attempt"
    assert json.loads(success["data"])["route"] == "review"
    assert attempt["id"] != success["id"]


async def test_a_client_that_comes_back_misses_nothing() -> None:
    """It says what it heard last, and gets what was told since."""
    async with open_desk() as desk:
        async with following(desk, "?phase=deliver.success") as events:
            await desk.inject(id="evt_a")
            last = await events.next()
        await desk.inject(id="evt_b")
        async with following(desk, "?phase=deliver.success", Last_Event_ID=last["id"]) as events:
            found = await events.next()

    assert json.loads(found["data"])["event_id"] == "evt_b"


async def test_what_was_told_already_comes_first_if_it_is_asked_for() -> None:
    """So many of those that are wanted, then what follows."""
    async with open_desk() as desk:
        for name in "abc":
            await desk.inject(id=f"evt_{name}")
        async with following(desk, "?recent=2&phase=deliver.success") as events:
            found = [json.loads((await events.next())["data"])["event_id"] for _ in range(2)]

    assert found == ["evt_b", "evt_c"]


async def test_a_client_that_was_away_too_long_is_told_how_much_it_lost() -> None:
    """The ring has its size; it does not grow for anybody."""
    async with open_desk(ring=Ring(size=10)) as desk:
        async with following(desk) as events:
            await desk.inject()
            last = await events.next()
        for _ in range(20):
            desk.runtime.tell("system.start")
        async with following(desk, Last_Event_ID=last["id"]) as events:
            lost = await events.next()
            first = await events.next()

    assert (lost["event"], json.loads(lost["data"])) == ("lost", {"lost": 13})
    assert first["id"].endswith("-15")


async def test_a_quiet_stream_shows_that_it_is_there() -> None:
    """By a comment, now and then."""
    async with open_desk(heartbeat_s=0.02) as desk, following(desk, "?phase=never") as events:
        assert await events.next_block() == ": still here"


async def test_a_stream_ends_with_the_server() -> None:
    """At once, with a word; nobody waits for the client to go."""
    async with open_desk() as desk, following(desk) as events:
        began_s = trio.current_time()
        desk.stop.cancel("the server stops")
        with trio.CancelScope(shield=True):
            end = await events.next()

    assert end["event"] == "end"
    assert trio.current_time() - began_s < 1


async def test_a_client_that_has_gone_makes_room() -> None:
    """There is room for so many, and for one more when one has left."""
    followers = Followers(most=1)
    async with open_desk(followers=followers, heartbeat_s=0.02) as desk:
        async with following(desk):
            got = await desk.get("/api/v1/logs", status=503)
        with trio.fail_after(5):
            while followers.count:  # noqa: ASYNC110 - that it is found to be gone is what is tested
                await trio.sleep(0.01)
        async with following(desk):
            pass

    assert got["error"]["code"] == "busy"


async def test_nothing_that_was_told_is_waited_for() -> None:
    """Also if it was told between looking and waiting."""
    ring = filled(3)
    with trio.fail_after(5):
        await ring.wait_behind(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ring.wait_behind, 3)
            await trio.testing.wait_all_tasks_blocked()
            ring.hear(notice(4))


async def test_an_application_that_has_ended_listens_no_more() -> None:
    """The runtime goes on without it, and tells nothing to nobody."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        spec = FrontSpec(token=TOKEN, port=0)

        async def serve(*, task_status: trio.TaskStatus[object]) -> None:
            await serve_front(runtime, make_app(runtime), spec, tell=runtime.tell, task_status=task_status)

        await nursery.start(serve)
        during = runtime.statistics().notices.callbacks
        nursery.cancel_scope.cancel("the front door closes")

    assert during == 1
    assert runtime.statistics().notices.callbacks == 0


@pytest.mark.parametrize("id_", ["", "x", "-1", "abc-", "abc-1e9", "abc-" + "9" * 19])
async def test_an_id_that_is_none_of_ours_is_refused(id_: str) -> None:
    """Instead of being taken for the beginning."""
    assert Ring().number_of(id_) is None


def test_an_id_of_another_process_means_all_that_there_is() -> None:
    """Its numbers say nothing here, and what was told since is not known."""
    ring = filled(3)

    assert ring.number_of("0000beef-999") == 0
    assert ring.number_of(ring.id_of(2)) == 2
    assert ring.number_of(ring.id_of(99)) == 3


def test_a_follower_begins_behind_the_last_that_it_asks_for() -> None:
    """By what is wanted, not by what there is."""
    ring = filled(4)
    ring.hear(notice(9, "deliver.success"))

    assert ring.before_newest(Follow(), 0) == 5
    assert ring.before_newest(Follow(), 2) == 3
    assert ring.before_newest(Follow(phase="source."), 1) == 3
    assert ring.before_newest(Follow(), 100) == 0


# -- asked for ---------------------------------------------------------------------------------------------------------


async def test_the_past_is_found_by_what_is_wanted() -> None:
    """By each of the filters, and by all of them together."""
    async with open_desk() as desk:
        await desk.inject(id="evt_1", trace_id="trc_1")
        await desk.inject(id="evt_2")
        found = {}
        for query in ("event=evt_1", "event=trc_1", "phase=deliver.", "module=x", "level=error", "source=github"):
            found[query] = len((await desk.get(f"/api/v1/logs/query?{query}"))["items"])
        both = await desk.get("/api/v1/logs/query?route=review&phase=deliver.success&level=info&limit=1")

    assert found == {
        "event=evt_1": 4,
        "event=trc_1": 4,
        "phase=deliver.": 4,
        "module=x": 0,
        "level=error": 0,
        "source=github": 8,
    }
    assert ids(both["items"]) == ["evt_2"]
    assert both["next"]


def test_pages_of_the_past_leave_nothing_out() -> None:
    """Also where many notices are of one moment."""
    ring = Ring()
    for number in range(10):
        ring.hear(notice(number // 4, source=str(number)))
    seen, after = [], None
    while True:
        page = look_back(kept(ring), None, Logs(limit=3, after=after))
        seen += [one["source"] for one in page.items]
        after = page.next
        if after is None:
            break

    assert seen == [str(number) for number in reversed(range(10))]


def test_what_has_left_the_ring_is_found_in_the_log_file(tmp_path: Path) -> None:
    """None twice, none left out; what is no entry is passed over."""
    file = tmp_path / "orgloop.log"
    lines = [
        json.dumps({"timestamp": one.timestamp, "phase": one.phase, "event_id": one.event_id})
        for one in (notice(number) for number in range(20))
    ]
    file.write_text("\n".join(["{broken", "[1]", *lines]) + "\n")
    page = look_back(kept(filled(20, size=5)), file, Logs(limit=30))

    assert ids(page.items) == [f"evt_{number}" for number in reversed(range(20))]
    assert page.is_complete


def test_the_log_of_an_earlier_process_follows_that_of_this_one(tmp_path: Path) -> None:
    """What this one wrote is in the ring already."""
    file = tmp_path / "orgloop.log"
    told = [{"timestamp": f"2026-03-01T08:00:{n:02d}.000Z", "phase": "x", "event_id": f"old_{n}"} for n in range(2)]
    told += [{"timestamp": notice(0).timestamp, "phase": "source.emit", "event_id": "evt_0"}]
    file.write_text("".join(json.dumps(one) + "\n" for one in told))

    assert ids(look_back(kept(filled(1)), file, Logs()).items) == ["evt_0", "old_1", "old_0"]


def test_the_file_is_read_backwards_within_a_bound(tmp_path: Path) -> None:
    """A page says when there was more than could be looked at."""
    file = tmp_path / "orgloop.log"
    line = json.dumps({"timestamp": "2026-03-01T08:00:00.000Z", "phase": "x", "filler": "y" * 1000}) + "\n"
    file.write_text(line * (3 * BLOCK_BYTES // len(line)))
    bound = Bound(left_bytes=BLOCK_BYTES)
    page = look_back(kept(Ring()), file, Logs(limit=1000, phase="never"), bound=bound)

    assert (page.items, page.is_complete, page.next) == ([], False, None)


def test_lines_are_whole_wherever_a_block_ends(tmp_path: Path) -> None:
    """Also the first, one without its end, and the neighbours of one that is too long to be ours."""
    file = tmp_path / "orgloop.log"
    short = [json.dumps({"n": n, "filler": "é" * (n % 97)}) for n in range(3000)]
    long = json.dumps({"n": -1, "filler": "x" * (LONGEST_LINE + BLOCK_BYTES)})
    file.write_text("\n".join([*short[:1500], long, *short[1500:]]))

    found = [one["n"] for one in lines_backwards(file, Bound())]

    assert found == list(reversed(range(3000)))


def test_a_file_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    """A daemon may log nowhere."""
    assert list(lines_backwards(tmp_path / "none", Bound())) == []


@pytest.mark.parametrize("query", [Logs(after="x"), Logs(after="2026~x"), Logs(since="soon"), Logs(until="0000-00-00")])
def test_a_time_or_cursor_that_is_none_is_refused(query: Logs) -> None:
    """By its name."""
    with pytest.raises(Refused) as caught:
        look_back(kept(Ring()), None, query)

    assert caught.value.problem.where in ("after", "since", "until")
