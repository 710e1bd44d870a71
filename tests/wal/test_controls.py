"""Builds with a known fault: the crash tests find every one of them, or their silence would mean nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import msgspec
import pytest

from orgloop.event import Event
from orgloop.sdk import Note, Settlement
from orgloop.wal import Wal, segment, store
from orgloop.wal.batch import Batch
from orgloop.wal.findings import Segment
from orgloop.wal.store import Store
from tests.wal.crash import finds
from tests.wal.disk import MemoryDisk, refused
from tests.wal.oracle import flipped, recover, replay, sample
from tests.wal.stage import Ledger, play, story

pytestmark = pytest.mark.slow


def test_nothing_is_found_in_the_real_one() -> None:
    """The other tests here would pass for a harness that always cries."""
    assert not finds(story)


def test_a_disk_that_does_not_sync_is_found() -> None:
    """It says that it has."""
    assert finds(story, disk=MemoryDisk(syncs=False))


def test_a_build_that_does_not_sync_the_directory_is_found() -> None:
    """The files are safe, their names are not."""

    class Nameless(MemoryDisk):
        def sync_directory(self) -> None:
            self._operation()

    assert finds(story, disk=Nameless())


def test_a_build_that_acknowledges_before_the_sync_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one step of the loop."""
    commit = Wal._commit

    async def early(self: Wal) -> None:
        self._batch.done.set()
        await commit(self)

    monkeypatch.setattr(Wal, "_commit", early)

    assert finds(story)


def test_a_build_that_writes_the_checkpoint_before_its_events_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Durably, one commit ahead."""
    append = Wal.append

    async def ahead(self: Wal, events: Iterable[Event], *, notes: Iterable[Note] = ()) -> list[int]:
        await append(self, [], notes=notes)
        return await append(self, events)

    monkeypatch.setattr(Wal, "append", ahead)

    assert finds(story)


def test_a_build_that_trusts_the_checkpoint_of_a_broken_batch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of one write reach the medium in any order."""
    init = Store.__init__

    def trusting(self: Store, disk: Any, limits: Any, findings: Any, now_s: Any, outlived: Any) -> None:
        findings.doubtful = False
        init(self, disk, limits, findings, now_s, outlived)

    monkeypatch.setattr(Store, "__init__", trusting)

    assert finds(story)


def test_a_build_that_settles_events_instead_of_obligations_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One route's delivery is taken for everyone's."""
    settle = Wal.settle

    def whole(self: Wal, settlements: Iterable[Settlement], *, notes: Iterable[Note] = ()) -> None:
        settle(self, [msgspec.structs.replace(one, still_open=[]) for one in settlements], notes=notes)

    monkeypatch.setattr(Wal, "settle", whole)

    assert finds(story)


def test_a_build_that_removes_before_it_carries_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old segments are gone when what lived in them is not yet durable."""
    finish, remove = Store._finish_compaction, Store._remove

    def eager(self: Store, done: list[Segment], moved: dict[int, int]) -> None:
        remove(self, done)
        finish(self, done, moved)

    monkeypatch.setattr(Store, "_remove", lambda self, done: None)
    monkeypatch.setattr(Store, "_finish_compaction", eager)

    assert finds(story)


def test_a_build_that_forgets_what_was_flushed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settlements that are not written come back."""
    lines = Batch.lines

    def forgetful(self: Batch, *args: Any) -> Any:
        return lines(attrs.evolve(self, settlements=[]), *args)

    monkeypatch.setattr(Batch, "lines", forgetful)

    assert finds(story)


def test_a_build_that_believes_every_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a bit that is flipped."""
    for module in (segment, store):
        monkeypatch.setattr(module, "is_whole", lambda line, salt: line.endswith(b'"}'))
    contents = sample()
    name = min(contents)
    found = recover(flipped(contents, name, 8 * contents[name].index(b'0},"provenance"')))

    assert not found.noticed
    assert found.state != replay(contents)


def test_a_build_that_goes_on_with_a_failed_handle_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """I3: a second sync of it may succeed on nothing."""
    monkeypatch.setattr(Store, "let_go", lambda self: None)
    monkeypatch.setattr(Wal, "_fail", lambda self, batch, error: setattr(batch, "error", error))
    broken = []
    for at in range(8, 16):  # writes and syncs, whichever it is whose turn comes there
        disk = MemoryDisk()
        disk.fail(at=at, error=refused())
        play(story, disk, Ledger())
        broken.append(disk.broken_rules)

    assert any(broken)
