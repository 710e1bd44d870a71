"""What transforms remember: who was first, for how long, and what is left of it after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from orgloop.delivery.settler import Settler
from orgloop.runtime import marks as marks_module
from orgloop.runtime.marks import KIND, MarkBook, MarkStore
from orgloop.runtime.runtime import open_runtime
from orgloop.sdk import Admitted, Note
from orgloop.testing import FakeActor, FakePolledSource, event


@attrs.define(eq=False)
class Log:
    """Notes as a bus keeps them: JSON, the last one of a key counts."""

    notes: dict[str, bytes] = attrs.field(factory=dict)
    written: int = 0
    settler: Settler = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.settler = Settler(lambda settlements, notes: self.take(notes))

    def take(self, notes: Iterable[Note]) -> None:
        for kind, key, value in notes:
            assert kind == KIND
            self.written += 1
            if value is None:
                del self.notes[key]
            else:
                self.notes[key] = msgspec.json.encode(value)

    def note(self, kind: str, key: str) -> Any:
        return msgspec.json.decode(self.notes[key]) if key in self.notes else None

    def book(self) -> MarkBook:
        return MarkBook("m", self.note, self.settler.note_later)

    def commit(self) -> None:
        self.settler.hand_over()


@pytest.fixture
def log() -> Log:
    return Log()


def first(store: MarkStore, key: str, sequence: int, *, now_s: float = 0.0, window_s: float = 300.0) -> bool:
    return store.is_first(key, sequence, now_s=now_s, window_s=window_s)


def test_another_event_with_the_key_is_not_first_within_the_window(log: Log) -> None:
    """The same one is, however often it is delivered; and when the window is over, anyone is."""
    store = log.book().store("r", "t")

    assert [first(store, "k", 1), first(store, "k", 2), first(store, "k", 1)] == [True, False, True]
    assert not first(store, "k", 2, now_s=299)
    assert first(store, "k", 2, now_s=300)


def test_routes_and_transforms_remember_each_for_itself(log: Log) -> None:
    """The event of one is not a repetition in another."""
    book = log.book()

    places = (("r", "t"), ("r", "u"), ("s", "t"))
    assert all(first(book.store(route, transform), "k", n) for n, (route, transform) in enumerate(places))


def test_generations_of_a_route_remember_the_same(log: Log) -> None:
    """As when a route is changed while an event is under way."""
    book = log.book()
    first(book.store("r", "t"), "k", 1)

    assert not first(book.store("r", "t"), "k", 2)


def test_marks_survive_a_restart(log: Log) -> None:
    """With the sequence that has each, and its window."""
    store = log.book().store("r", "t")
    first(store, "k", 1)
    first(store, "j", 2, window_s=10)
    log.commit()
    store = log.book().store("r", "t")

    assert [first(store, "k", 1), first(store, "k", 3), first(store, "j", 4, now_s=10)] == [True, False, True]


def test_what_was_not_committed_is_forgotten(log: Log) -> None:
    """So is the end of its event, which is delivered again, and is first again."""
    first(log.book().store("r", "t"), "k", 1)

    assert first(log.book().store("r", "t"), "k", 2)


def test_all_that_is_marked_between_two_commits_is_one_note(log: Log) -> None:
    """Of however many routes; the other note says which groups there are."""
    book = log.book()
    for n in range(100):
        first(book.store(f"r{n % 10}", "t"), f"k{n}", n)
    log.commit()

    assert log.written == 2
    assert sorted(log.notes) == ["m", "m/9-0"]


def test_nothing_is_noted_for_a_repetition(log: Log) -> None:
    """It leaves things as they are."""
    store = log.book().store("r", "t")
    first(store, "k", 1)
    log.commit()
    first(store, "k", 2)
    log.commit()

    assert log.written == 2


def test_what_is_over_goes_from_the_log_too(log: Log) -> None:
    """With the next mark, also over a restart; a shelf of long windows does not keep one of short ones."""
    book = log.book()
    for n in range(10):
        first(book.store("r", "t"), f"k{n}", n, now_s=float(n), window_s=300 if n else 1e6)
        log.commit()
    book = log.book()
    first(book.store("r", "t"), "new", 11, now_s=305.5)
    log.commit()

    assert log.note(KIND, "m") == {"20": [0, 1], "9": [5, 10]}
    assert set(log.notes) == {"m", "m/20-0", *(f"m/9-{n}" for n in range(5, 10))}


def test_a_key_that_was_marked_again_is_not_forgotten_with_its_first_mark(log: Log) -> None:
    """The later one counts."""
    book = log.book()
    store = book.store("r", "t")
    first(store, "k", 1, window_s=300)
    log.commit()
    first(store, "k", 2, now_s=301, window_s=300)
    log.commit()

    assert not first(store, "k", 3, now_s=302)
    assert not first(log.book().store("r", "t"), "k", 3, now_s=302)


def test_a_module_keeps_no_more_than_it_may(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first, in memory and in the log."""
    monkeypatch.setattr(marks_module, "MAX_MARKS", 10)
    book = log.book()
    store = book.store("r", "t")
    for n in range(100):
        first(store, f"k{n}", n)
        log.commit()

    assert [first(store, f"k{n}", 1000) for n in (0, 89, 90, 99)] == [True, True, False, False]
    assert len(log.notes) == 11


def test_a_commit_with_very_many_marks_makes_several_notes(log: Log) -> None:
    """None becomes too long to be written."""
    store = log.book().store("r", "t")
    for n in range(marks_module.MAX_GROUP + 1):
        first(store, f"k{n}", n)
    log.commit()

    assert sorted(log.notes) == ["m", "m/9-0", "m/9-1"]
    assert not first(log.book().store("r", "t"), f"k{marks_module.MAX_GROUP}", 0)


@pytest.mark.parametrize("key", ["x" * 10_000, "\udcff", "ключ"])
def test_a_key_may_be_anything(log: Log, key: str) -> None:
    """What is long, or cannot be written, is kept as its hash."""
    store = log.book().store("r", "t")
    first(store, key, 1)
    log.commit()

    assert not first(log.book().store("r", "t"), key, 2)
    assert len(log.notes["m/9-0"]) < 200


@pytest.mark.parametrize("junk", [17, [], {"9": 3, "x": [0, 1], "8": [0, "a"]}, {"9": [0, 3]}])
def test_notes_that_make_no_sense_are_passed_over(log: Log, junk: Any) -> None:
    """What is in a log may have been written by anybody."""
    log.take([(KIND, "m/9-0", "junk"), (KIND, "m/9-1", [["a", 1], 3]), (KIND, "m", junk)])

    assert first(log.book().store("r", "t"), "k", 1)


def test_an_endless_window_ends_after_ten_years(log: Log) -> None:
    """Infinity is no JSON."""
    store = log.book().store("r", "t")
    first(store, "k", 1, window_s=float("inf"))
    log.commit()

    assert not first(log.book().store("r", "t"), "k", 2, now_s=300_000_000.0)


def test_a_replayed_event_is_always_first(log: Log) -> None:
    """Somebody wants it again."""
    store = log.book().store("r", "t")
    first(store, "k", 1)
    replayed = Admitted(2, event(only_for=("m", "r")))

    assert store.of(replayed, 0.0).is_first("k", window_s=300)
    assert not store.of(Admitted(3, event()), 0.0).is_first("k", window_s=300)


ONCE = {
    "metadata": {"name": "m"},
    "sources": [{"id": "s", "connector": "given"}],
    "actors": [{"id": "a", "connector": "given"}],
    "transforms": [{"name": "once", "type": "dedup", "config": {"key": ["payload"], "window": "5m"}}],
    "routes": [
        {
            "name": "r",
            "when": {"source": "s", "events": ["resource.changed"]},
            "transforms": ["once"],
            "then": {"actor": "a"},
        }
    ],
}


async def test_a_repetition_is_dropped_by_the_next_run_too(tmp_path: Path) -> None:
    """The whole way: marked, committed with what is settled, recovered."""
    actor = FakeActor()
    for payloads in ("aba", "abc"):
        async with open_runtime(home=tmp_path) as runtime:
            await runtime.load_module(ONCE, sources={"s": FakePolledSource()}, actors={"a": actor})
            await runtime.inject([event(payload, source="s") for payload in payloads])
            await runtime.drain()

    assert [delivered.payload for delivered in actor.events] == ["a", "b", "c"]
