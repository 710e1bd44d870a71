"""``/api/v1``: parts, events, explanations, configurations and dead letters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from orgloop.http.app import given
from orgloop.http.app.events import instants, sequence_of
from orgloop.http.app.problems import Refused
from orgloop.http.app.reading import read_query
from orgloop.sdk import Delivered, Failed, Polled, Rejected
from orgloop.testing import FakeActor, FakePolledSource, event
from tests.http.app_stage import CHANGE, MODULE, SECRET, Desk, open_desk, project


async def asked_until(desk: Desk, path: str, is_there: Callable[[Any], object]) -> Any:
    """What is answered as soon as that is there, at most five seconds."""
    with trio.fail_after(5):
        while True:
            found = await desk.get(path)
            if is_there(found):
                return found


# -- parts -------------------------------------------------------------------------------------------------------------


async def load_another(desk: Desk, name: str) -> None:
    """A module with the same ids under another name."""
    module = {**MODULE, "metadata": {"name": name}}
    given = {"github": FakePolledSource()}
    await desk.runtime.load_module(module, sources=given, actors={"agent": FakeActor()})


@pytest.mark.parametrize("kind", ["sources", "actors", "routes"])
async def test_pages_follow_each_other_to_the_end(kind: str) -> None:
    """Each has its limit and leads to the next; together they are all, in order."""
    async with open_desk() as desk:
        for name in ("accounting", "zoo"):
            await load_another(desk, name)
        seen, after = [], ""
        while True:
            page = await desk.get(f"/api/v1/{kind}?limit=1{after}")
            seen += [one["module"] for one in page["items"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"

    assert seen == ["accounting", "engineering", "zoo"]


@pytest.mark.parametrize("path", ["sources/github", "actors/agent", "routes/review"])
async def test_one_of_several_of_a_name_is_found_by_its_module(path: str) -> None:
    """400 names the modules, one of which may then be named."""
    async with open_desk() as desk:
        await load_another(desk, "accounting")
        refused = await desk.get(f"/api/v1/{path}", status=400)
        got = await desk.get(f"/api/v1/{path}?module=accounting")
        await desk.get(f"/api/v1/{path}x", status=404)

    assert refused["error"]["where"] == "module"
    assert got["module"] == "accounting"


async def test_a_source_shows_where_it_goes_on_from() -> None:
    """Its checkpoint, as the bus has noted it, and the routes that listen to it."""
    source = FakePolledSource(Polled([event(source="github")], "page-7"))
    async with open_desk(source=source) as desk:
        assert await desk.post("/api/v1/sources/github/poll") == {"ok": True}
        got = await asked_until(desk, "/api/v1/sources/github", lambda found: found["checkpoint"] is not None)

    assert (got["checkpoint"], got["routes"], got["health"]["totalEventsEmitted"]) == ("page-7", ["review"], 1)


async def test_what_is_only_told_is_not_polled() -> None:
    """400, naming it."""
    async with open_desk(module=None) as desk:
        config = {"metadata": {"name": "m"}, "sources": [{"id": "told", "connector": "webhook"}]}
        await desk.post("/control/module/load", config)
        got = await desk.post("/api/v1/sources/told/poll", status=400)

    assert got["error"]["where"] == "id"


async def test_an_actor_shows_what_became_of_what_was_for_it() -> None:
    """In all, and by route."""
    async with open_desk() as desk:
        await desk.inject()
        got = await desk.get("/api/v1/actors/agent")

    assert got["counts"] == got["routes"]["review"]
    assert got["counts"]["delivered"] == 1


# -- events ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def past(home: Path | None = None) -> AsyncGenerator[Desk]:
    """Five events of two traces, one a second, of which the last has not ended."""
    async with open_desk(actor=FakeActor(*[Delivered()] * 4, 3600.0), home=home) as desk:
        for number in range(5):
            made = {"id": f"evt_{number}", "trace_id": f"trc_{number % 2}", "payload": {"pr": 7}}
            at = f"2026-03-01T09:00:0{number}.000Z"
            await desk.runtime.inject({**CHANGE, **made, "timestamp": at}, module="engineering")
            assert await desk.runtime.drain(timeout_s=5 if number < 4 else 0.0) is (number < 4)
        yield desk


async def test_events_come_newest_first_in_pages() -> None:
    """With what became of each."""
    async with past() as desk:
        first = await desk.get("/api/v1/events?limit=3")
        rest = await desk.get(f"/api/v1/events?limit=3&after={first['next']}")
        last = await desk.get(f"/api/v1/events?limit=3&after={rest['next']}")

    assert [one["event"]["id"] for one in first["items"] + rest["items"]] == [f"evt_{n}" for n in (4, 3, 2, 1, 0)]
    assert [one["open"] for one in first["items"]] == [True, False, False]
    assert first["items"][1]["ends"] == [{"module": "engineering", "route": "review", "outcome": "delivered"}]
    assert last["items"] == []
    assert last["next"] is None


@pytest.mark.parametrize("path", ["/api/v1/events?since={}&until={}", "/api/events?from={}&to={}"])
async def test_events_between_two_times(path: str) -> None:
    """Whatever offset the times have."""
    async with past() as desk:
        got = await desk.get(path.format("2026-03-01T10:00:01%2B01:00", "2026-03-01T09:00:02"))

    assert len(got if isinstance(got, list) else got["items"]) == 2


def looked_up(query: str) -> object:
    """What is asked of the history by such a query."""
    read = read_query(given.Events, query)
    assert isinstance(read, given.Events)
    return instants(read), sequence_of(read.after or "")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1000000000", "limit"),
        ("limit=abc", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=", "limit"),
        ("since=yesterday", "since"),
        ("since=99999-01-01", "since"),
        ("until=0000-01-01T00:00:00Z", "until"),
        ("after=-1", "after"),
        ("after=%C2%B2", "after"),
        ("route=", "route"),
        ("route=" + "x" * 201, "route"),
        ("route=%ff", "query"),
        ("&".join(f"a{n}=1" for n in range(60)), "query"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(query: str, where: str) -> None:
    """Before anything is looked up; never an empty answer."""
    with pytest.raises(Refused) as caught:
        looked_up(query)

    assert (caught.value.problem.status, caught.value.problem.where) == (400, where)


@pytest.mark.parametrize("id_", ["evt_1", "trc_1"])
async def test_a_trace_is_found_by_its_id_or_by_that_of_one_of_its_events(id_: str) -> None:
    """All of it, oldest first."""
    async with past() as desk:
        got = await desk.get(f"/api/v1/events/{id_}")

    assert (got["trace_id"], [one["event"]["id"] for one in got["events"]]) == ("trc_1", ["evt_1", "evt_3"])


async def test_a_trace_shows_what_was_tried_of_what_is_still_owed(tmp_path: Path) -> None:
    """From a log on disk as well; and which event followed from which."""
    actor = FakeActor(Failed("try again", retry_after_s=3600.0))
    async with open_desk(actor=actor, home=tmp_path, module={**MODULE, "routes": RETRYING}) as desk:
        await desk.runtime.inject({**CHANGE, "id": "evt_b", "ancestors": ["evt_a"]}, module="engineering")
        found = await asked_until(desk, "/api/v1/events/evt_b", lambda found: found["events"][0]["tried"])
        got = found["events"][0]

    assert (got["open"], got["parent"]) == (True, "evt_a")
    assert got["tried"][0] == {
        "module": "engineering",
        "route": "review",
        "failed": 1,
        "lost": 0,
        "last_error": "try again",
    }


RETRYING = [{**MODULE["routes"][0], "then": {"actor": "agent"}}]


async def test_the_original_s_events_have_its_names() -> None:
    """And what became of each route beside them."""
    async with past() as desk:
        got = await desk.get("/api/events?route=review&limit=1")

    (one,) = got
    assert (one["event_id"], one["matched_routes"], one["actors"]) == ("evt_3", ["review"], ["agent"])
    assert one["outcomes"] == {"review": "delivered"}


async def test_events_are_admitted_through_the_same_door() -> None:
    """Not by the application: they are durable when it is said."""
    async with open_desk() as desk:
        got = await desk.post("/api/v1/events", CHANGE, status=202)
        assert await desk.runtime.drain(timeout_s=5)
        shown = await desk.get("/api/v1/routes/review")

    assert got["accepted"] == shown["counts"]["delivered"] == 1


# -- why ---------------------------------------------------------------------------------------------------------------


async def test_an_explanation_says_which_condition_was_not_met() -> None:
    """In a sentence; nothing is delivered."""
    actor = FakeActor()
    async with open_desk(actor=actor) as desk:
        wanted = await desk.post("/api/v1/explain", {"event": CHANGE})
        other = await desk.post("/api/v1/explain", {"event": {**CHANGE, "payload": {"pr": 8}}})

    assert (wanted["matched"], other["matched"]) == (1, 0)
    failed = [one["text"] for one in other["routes"][0]["conditions"] if not one["matched"]]
    assert failed == ["payload.pr: wanted 7, found 8"]
    assert actor.events == []


async def test_an_event_of_the_past_is_explained_by_its_id() -> None:
    """As it was admitted, by the routes of today."""
    async with past() as desk:
        got = await desk.post("/api/v1/explain", {"id": "evt_2"})
        await desk.post("/api/v1/explain", {"id": "evt_9"}, status=404)

    assert (got["event"]["id"], got["matched"]) == ("evt_2", 1)


NO_EVENTS: list[dict[str, Any]] = [
    {},
    {"event": CHANGE, "id": "evt_1"},
    {"event": {}},
    {"event": {**CHANGE, "type": "x"}},
    {"event": {**CHANGE, "only_for": [1, 2, 3]}},
    {"event": {**CHANGE, "provenance": 5}},
    {"event": {**CHANGE, "payload": "\ud800"}},
]


async def test_what_is_no_event_is_not_explained() -> None:
    """400, saying what is wrong."""
    async with past() as desk:
        for body in NO_EVENTS:
            await desk.post("/api/v1/explain", body, status=400)


# -- configuration -----------------------------------------------------------------------------------------------------

DOCUMENTS = {
    "orgloop.yaml": "kind: Project\napiVersion: orgloop/v1alpha1\nmetadata: {name: m}\nroutes: [routes/a.yaml]\n",
    "routes/a.yaml": "kind: RouteGroup\napiVersion: orgloop/v1alpha1\nroutes:\n  - name: r\n"
    "    when: {source: s, events: [resource.changed]}\n    then: {actor: agnet}\n",
}


async def test_documents_are_validated_without_touching_the_disk_of_the_daemon() -> None:
    """Every fault with its code, and its place in the document; no path of ours is shown."""
    async with open_desk() as desk:
        got = await desk.post("/api/v1/config/validate", {"documents": DOCUMENTS})

    assert got["valid"] is False
    assert {fault["file"] for fault in got["faults"]} <= set(DOCUMENTS)
    assert all(fault["code"].startswith("OL") and fault["line"] for fault in got["faults"])
    assert "/orgloop-" not in str(got)


async def test_a_project_that_is_right_is_valid(tmp_path: Path) -> None:
    """File by file, with the variables that it needs but not what they hold."""
    file = project(tmp_path)
    async with open_desk() as desk:
        got = await desk.post("/api/v1/config/validate", {"path": str(file)})

    assert (got["valid"], got["faults"]) == (True, [])
    assert got["environment"] == [{"name": "SECRET", "set": True}]
    assert all(row["valid"] for row in got["results"])
    assert SECRET not in str(got)


async def test_what_documents_would_change_is_planned() -> None:
    """For programs, and as text."""
    documents = {"orgloop.yaml": "kind: Project\napiVersion: orgloop/v1alpha1\nmetadata: {name: m}\n"}
    async with open_desk() as desk:
        got = await desk.post("/api/v1/config/plan", {"documents": documents})
        refused = await desk.post("/api/v1/config/plan", {"documents": DOCUMENTS}, status=422)

    assert got["changes"] is True
    assert "m" in got["text"]
    assert "/orgloop-" not in str(refused)


async def test_a_project_is_started(tmp_path: Path) -> None:
    """As ``orgloop start`` does beside a daemon."""
    file = project(tmp_path)
    async with open_desk(module=None) as desk:
        got = await desk.post("/api/v1/config/start", {"path": str(tmp_path)})

    assert (got["name"], got["state"], got["directory"]) == ("clocks", "active", str(file.parent))


ELSEWHERE: list[dict[str, Any]] = [
    {"../orgloop.yaml": ""},
    {"/etc/passwd.yaml": ""},
    {"a/./b.yaml": ""},
    {"orgloop.yaml": "", "evil.py": "raise SystemExit"},
    {"orgloop.yaml": "", ".env": "A=1"},
    {"orgloop.yaml": "", "a.yaml": "", "a.yaml/b.yaml": ""},
    {"other.yaml": ""},
    {"a/" * 9 + "orgloop.yaml": ""},
    {"": ""},
    {},
    {"orgloop.yaml": 5},
    {f"{n}.yaml": "" for n in range(201)},
    {"orgloop.yaml": "\ud800"},
]


async def test_a_document_that_could_lie_elsewhere_is_refused() -> None:
    """400; also what is too many, is not text, or would be run."""
    async with open_desk() as desk:
        for documents in ELSEWHERE:
            await desk.post("/api/v1/config/validate", {"documents": documents}, status=400)


# -- dead letters ------------------------------------------------------------------------------------------------------


async def test_dead_letters_come_in_pages(tmp_path: Path) -> None:
    """Oldest first, with how many there are in all; from files too."""
    async with open_desk(actor=FakeActor(*[Rejected("no")] * 3), home=tmp_path) as desk:
        for number in range(3):
            await desk.inject(id=f"evt_{number}")
        first = await desk.get("/api/v1/dead-letters?limit=2")
        rest = await desk.get(f"/api/v1/dead-letters?limit=2&after={first['next']}")
        one = await desk.get(f"/api/v1/dead-letters/{first['items'][0]['id']}")

    assert [letter["event"]["id"] for letter in first["items"] + rest["items"]] == ["evt_0", "evt_1", "evt_2"]
    assert (first["count"], rest["next"], one["reason"]) == (3, None, "rejected")
    assert one == first["items"][0]


@pytest.mark.parametrize(
    ("query", "count"),
    [("module=engineering", 1), ("module=x", 0), ("route=review&actor=agent", 1), ("reason=rejected", 1)],
)
async def test_dead_letters_are_found_by_what_they_are(query: str, count: int) -> None:
    """By module, route, actor and reason, together."""
    async with open_desk(actor=FakeActor(Rejected("no"))) as desk:
        await desk.inject()
        got = await desk.get(f"/api/v1/dead-letters?{query}")

    assert len(got["items"]) == count


async def test_a_dead_letter_is_delivered_again() -> None:
    """By the route that gave it up; then it is none any more, and a second time finds none."""
    actor = FakeActor(Rejected("no"))
    async with open_desk(actor=actor) as desk:
        await desk.inject()
        (letter,) = (await desk.get("/api/v1/dead-letters"))["items"]
        path = f"/api/v1/dead-letters/{letter['id']}"
        assert await desk.post(f"{path}/replay") == {"ok": True, "replayed": 1}
        assert await desk.runtime.drain(timeout_s=5)
        await desk.post(f"{path}/replay", status=404)

    assert len(actor.events) == 2
    assert desk.actions()[0] == ("control.dead_letter.replay", "engineering", "done")


async def test_all_that_is_meant_is_delivered_again() -> None:
    """And nothing else."""
    async with open_desk(actor=FakeActor(*[Rejected("no")] * 2)) as desk:
        await desk.inject()
        await desk.inject()
        none = await desk.post("/api/v1/dead-letters/replay", {"reason": "expired"})
        both = await desk.post("/api/v1/dead-letters/replay", {"module": "engineering"})

    assert (none["replayed"], both["replayed"]) == (0, 2)


async def test_a_dead_letter_is_forgotten() -> None:
    """Once; its route need not be there."""
    async with open_desk(actor=FakeActor(Rejected("no"))) as desk:
        await desk.inject()
        (letter,) = (await desk.get("/api/v1/dead-letters"))["items"]
        path = f"/api/v1/dead-letters/{letter['id']}"
        await desk.post("/control/module/unload", {"name": "engineering"})
        await desk.post(f"{path}/replay", status=409)
        assert (await desk.send("DELETE", path)).value == {"ok": True}
        assert (await desk.send("DELETE", path)).status == 404


async def test_a_reason_that_is_none_is_refused() -> None:
    """400, with those that there are."""
    async with open_desk() as desk:
        got = await desk.get("/api/v1/dead-letters?reason=boredom", status=400)

    assert "rejected" in got["error"]["next"]
