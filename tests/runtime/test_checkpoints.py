"""Where checkpoints are kept, and what is not taken for one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from orgloop.bus import MemoryBus
from orgloop.runtime import checkpoint_files
from orgloop.runtime.checkpoint_files import EVERY_S, CheckpointFiles, Copy, decode_copy, encode_copy, file_name
from orgloop.runtime.checkpoints import BusPlace, MemoryPlace, fingerprint_of, note_key
from tests.runtime.sources_stage import AT_S, Notices

OURS = Copy("17", "m", "github", "f")
TEXT = st.text(st.characters(codec="utf-8"))


async def at_once(call: Callable[[], Any]) -> Any:
    """Call without a thread, so that virtual time stays exact."""
    await trio.lowlevel.checkpoint()
    return call()


@attrs.define
class Home:
    """A directory, a bus and a source's place."""

    directory: Path
    bus: MemoryBus = attrs.field(factory=MemoryBus)
    tell: Notices = attrs.field(factory=Notices)
    files: CheckpointFiles = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.files = CheckpointFiles(self.directory, tell=self.tell, in_thread=at_once, now_s=lambda: AT_S)

    def place(self, source: str = "github", fingerprint: str = "f") -> BusPlace:
        return BusPlace(
            module="m", source=source, fingerprint=fingerprint, note=self.bus.note, tell=self.tell, files=self.files
        )

    async def publish(self, checkpoint: str) -> None:
        await self.bus.publish([], notes=self.place().notes(checkpoint))

    def path(self, source: str = "github") -> Path:
        return self.directory / f"{source}.json"

    def written(self) -> str | None:
        return decode_copy(self.path().read_bytes()).checkpoint if self.path().exists() else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "checkpoints")


# -- the bus -----------------------------------------------------------------------------------------------------------


async def test_a_place_begins_where_the_configuration_says(home: Home) -> None:
    """With nothing noted and no file, and nobody is alarmed."""
    assert await home.place().load() is None
    assert home.tell.told == []


async def test_a_noted_checkpoint_is_loaded(home: Home) -> None:
    """By another life of the source."""
    await home.publish("17")
    assert await home.place().load() == "17"


async def test_the_note_is_what_the_document_says(home: Home) -> None:
    """Kind, key and value; other programs read it in the log."""
    assert home.place().notes("17") == (("checkpoint", "m/github", {"checkpoint": "17", "fingerprint": "f"}),)


async def test_a_checkpoint_that_is_noted_is_not_noted_again(home: Home) -> None:
    """A source that stands still writes nothing."""
    await home.publish("17")
    assert home.place().notes("17") == ()


async def test_the_bus_is_believed_before_the_file(home: Home) -> None:
    """A crash between the publish and the copy leaves the file behind, never ahead."""
    write(home.path(), encode_copy(OURS, now_s=AT_S))
    await home.publish("18")
    assert await home.place().load() == "18"


async def test_another_configuration_does_not_inherit_the_place(home: Home) -> None:
    """The same id may mean another repository now."""
    await home.publish("17")
    assert await home.place(fingerprint="other").load() is None
    assert "another connector or configuration" in home.tell.errors[0]


@pytest.mark.parametrize("noted", [17, {"checkpoint": 17, "fingerprint": "f"}, {"checkpoint": "17"}, []])
async def test_a_note_that_is_no_checkpoint_alarms(home: Home, noted: object) -> None:
    """And means nothing."""
    await home.bus.publish([], notes=[("checkpoint", "m/github", noted)])
    assert await home.place().load() is None
    assert "is not one" in home.tell.errors[0]


@pytest.mark.parametrize(
    ("one", "other"), [(("a/b", "c"), ("a", "b/c")), (("a%2Fb", "c"), ("a/b", "c")), (("a", "b"), ("a", "B"))]
)
def test_no_two_sources_share_a_note(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever their names."""
    assert note_key(*one) != note_key(*other)


def test_a_fingerprint_does_not_hang_on_the_order_of_keys() -> None:
    """An operator who sorts a file has changed nothing."""
    assert fingerprint_of("github", {"a": 1, "b": [2]}) == fingerprint_of("github", {"b": [2], "a": 1})


@pytest.mark.parametrize(
    "other", [("linear", {"a": 1}), ("github", {"a": "1"}), ("github", {}), ("github", {"a": [1]})]
)
def test_a_fingerprint_tells_configurations_apart(other: tuple[str, dict[str, Any]]) -> None:
    """Connector and values count."""
    assert fingerprint_of("github", {"a": 1}) != fingerprint_of(*other)


async def test_a_place_in_memory_survives_the_source(home: Home) -> None:
    """It lives as long as the process, and the bus and the disk see nothing of it."""
    place = MemoryPlace()
    place.saved("17")
    assert await place.load() == "17"
    assert place.notes("18") == ()


# -- files that are read -----------------------------------------------------------------------------------------------


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


ORIGINAL = b'{"checkpoint": "2026-01-31T09:00:00Z", "updated_at": "2026-01-31T09:00:04.123Z"}'


async def test_a_copy_is_read_when_the_bus_knows_nothing(home: Home) -> None:
    """The log was lost; the copy is not ahead of what was durable in it."""
    write(home.path(), encode_copy(OURS, now_s=AT_S))
    assert await home.place().load() == "17"


@pytest.mark.parametrize("inner", [".", "checkpoints"])
async def test_a_file_of_the_original_is_read(home: Home, inner: str) -> None:
    """Where its documentation says, and in the doubled directory where it really is."""
    write(home.directory / inner / "github.json", ORIGINAL)
    assert await home.place().load() == "2026-01-31T09:00:00Z"


async def test_the_newer_of_two_files_is_read(home: Home) -> None:
    """The doubled directory is what the original has left."""
    write(home.path(), encode_copy(OURS, now_s=AT_S))
    write(home.directory / "checkpoints" / "github.json", ORIGINAL)
    assert await home.place().load() == "17"


async def test_a_checkpoint_read_from_a_file_is_noted(home: Home) -> None:
    """Even if it has not moved: so that the file is read once."""
    write(home.path(), ORIGINAL)
    checkpoint = await home.place().load()
    assert checkpoint is not None
    assert home.place().notes(checkpoint) != ()


async def test_a_copy_of_another_configuration_is_not_used(home: Home) -> None:
    """As on the bus."""
    write(home.path(), encode_copy(attrs.evolve(OURS, fingerprint="other"), now_s=AT_S))
    assert await home.place().load() is None
    assert "another connector or configuration" in home.tell.errors[0]


@pytest.mark.parametrize("copy", [attrs.evolve(OURS, module="n"), attrs.evolve(OURS, source="GitHub")])
async def test_a_copy_of_another_source_is_passed_over(home: Home, copy: Copy) -> None:
    """Two modules may share a directory, and a disk may not tell upper case from lower."""
    write(home.path(), encode_copy(copy, now_s=AT_S))
    assert await home.place().load() is None
    assert f"it is {copy.module}/{copy.source}'s" in home.tell.errors[0]


CORRUPT = {
    "empty": b"",
    "half": b'{"checkpoint": "17", "upda',
    "noise": bytes(range(256)),
    "zeros": bytes(64),
    "byte order mark": b"\xef\xbb\xbf" + ORIGINAL,
    "twice": b'{"checkpoint": "1", "checkpoint": "2"}',
    "no checkpoint": b"{}",
    "null": b'{"checkpoint": null}',
    "number": b'{"checkpoint": 17}',
    "list": b'["17"]',
    "not a number": b'{"checkpoint": "17", "updated_at": NaN}',
    "unknown member": b'{"checkpoint": "17", "more": "x"}',
    "member of another type": b'{"checkpoint": "17", "updated_at": 5}',
    "wrong check": b'{"checkpoint": "17", "check": "0000000000000000"}',
    "deep": b"[" * 100_000,
    "long": b'{"checkpoint": "' + b"x" * checkpoint_files.LIMIT_BYTES + b'"}',
    "huge number": b'{"checkpoint": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT)
async def test_a_file_that_is_not_one_alarms_and_means_nothing(home: Home, content: bytes) -> None:
    """Never "now", never a crash."""
    write(home.path(), content)
    assert await home.place().load() is None
    assert f"{home.path()} is passed over" in home.tell.errors[0]


async def test_an_older_copy_stands_in_for_a_damaged_one(home: Home) -> None:
    """What is older is polled again, which loses nothing."""
    write(home.path(), b"")
    write(home.directory / "checkpoints" / "github.json", ORIGINAL)
    assert await home.place().load() == "2026-01-31T09:00:00Z"


async def test_a_link_is_not_followed(home: Home, tmp_path: Path) -> None:
    """Neither to be read nor to be written through."""
    write(tmp_path / "elsewhere", ORIGINAL)
    home.directory.mkdir()
    home.path().symlink_to(tmp_path / "elsewhere")
    assert await home.place().load() is None
    assert len(home.tell.errors) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_is_passed_over(home: Home, make: Callable[[Path], None]) -> None:
    """And a pipe that nobody writes to holds nobody up."""
    home.directory.mkdir()
    make(home.path())
    assert await home.place().load() is None
    assert len(home.tell.errors) == 1


# -- content -----------------------------------------------------------------------------------------------------------


def test_a_person_can_read_a_file() -> None:
    """One member in each line, the checkpoint first."""
    lines = encode_copy(attrs.evolve(OURS, checkpoint="grün"), now_s=AT_S).decode().splitlines()
    assert lines[:3] == ["{", '  "checkpoint": "grün",', '  "updated_at": "2023-11-14T22:13:20.250Z",']


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_is_written_is_read(checkpoint: str, module: str, source: str, fingerprint: str) -> None:
    """Any text."""
    copy = Copy(checkpoint, module, source, fingerprint)
    assert decode_copy(encode_copy(copy, now_s=AT_S)) == copy


def test_no_flipped_bit_makes_another_checkpoint() -> None:
    """Each of them is noticed, or changes nothing that counts."""
    content = encode_copy(OURS, now_s=AT_S)
    for place in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        try:
            assert decode_copy(bytes(damaged)) == OURS
        except ValueError:
            continue


@given(st.text(), st.text())
def test_no_id_leads_out_of_the_directory_or_to_another_file(one: str, other: str) -> None:
    """What does not fit the pattern is hashed."""
    name = file_name(one)
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) <= 69
    assert (file_name(other) == name) == (other == one)


@pytest.mark.parametrize("source", ["../x", "a/b", "", ".", "a\n", "-a", "_a", "é", "a" * 65])
def test_an_unusual_id_is_hashed(source: str) -> None:
    """And what is hashed cannot be an id."""
    assert file_name(source).startswith("_")


# -- files that are written --------------------------------------------------------------------------------------------


async def test_a_copy_is_written(autojump_clock: MockClock, home: Home) -> None:
    """By the child that runs beside the sources; the original could read it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(home.files.run)
        home.place().saved("17")
        await trio.sleep(1)
        found = json.loads(home.path().read_text())
        nursery.cancel_scope.cancel("seen enough")
    assert (found["checkpoint"], found["updated_at"]) == ("17", "2023-11-14T22:13:20.250Z")


async def test_a_copy_is_written_every_few_seconds_at_most(autojump_clock: MockClock, home: Home) -> None:
    """However often the checkpoint moves."""
    seen = set()
    async with trio.open_nursery() as nursery:
        await nursery.start(home.files.run)
        for number in range(20):
            home.place().saved(str(number))
            await trio.sleep(EVERY_S / 5)
            seen.add(home.written())
        nursery.cancel_scope.cancel("seen enough")
    assert len(seen) <= 5


async def test_the_last_checkpoint_is_written_at_the_end(autojump_clock: MockClock, home: Home) -> None:
    """A person who looks after a stop sees where the source was."""
    async with trio.open_nursery() as nursery:
        await nursery.start(home.files.run)
        home.place().saved("17")
        await trio.sleep(1)
        home.place().saved("18")
        nursery.cancel_scope.cancel("stop")
    assert home.written() == "18"


async def test_a_crash_before_the_copy_loses_no_checkpoint(autojump_clock: MockClock, home: Home) -> None:
    """Published, the process gone, the file of before: the next process goes on from the bus."""
    home.place().saved("17")
    with trio.move_on_after(1):
        await home.files.run()
    await home.publish("18")
    home.place().saved("18")
    assert home.written() == "17"
    assert await attrs.evolve(home.place(), files=Home(home.directory).files).load() == "18"


async def test_writing_replaces_a_link_and_not_its_target(
    autojump_clock: MockClock, home: Home, tmp_path: Path
) -> None:
    """Whoever put it there."""
    write(tmp_path / "elsewhere", b"precious")
    home.directory.mkdir()
    home.path().symlink_to(tmp_path / "elsewhere")
    home.place().saved("17")
    with trio.move_on_after(1):
        await home.files.run()
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert home.written() == "17"


async def test_a_disk_that_fails_is_told_of_once_and_tried_again(autojump_clock: MockClock, home: Home) -> None:
    """It holds nobody up: the truth is on the bus."""
    home.directory.write_bytes(b"in the way")
    async with trio.open_nursery() as nursery:
        await nursery.start(home.files.run)
        home.place().saved("17")
        await trio.sleep(12)
        home.directory.unlink()
        await trio.sleep(5)
        nursery.cancel_scope.cancel("seen enough")
    assert home.written() == "17"
    assert len(home.tell.errors) == 1


async def test_a_checkpoint_that_moves_while_it_is_written_is_written_again(
    autojump_clock: MockClock, home: Home
) -> None:
    """The newer one is not taken for the one that was just written."""

    async def slowly(call: Callable[[], Any]) -> Any:
        await trio.sleep(1)
        return call()

    files = CheckpointFiles(home.directory, tell=home.tell, in_thread=slowly, now_s=lambda: AT_S)
    async with trio.open_nursery() as nursery:
        await nursery.start(files.run)
        files.put(OURS)
        await trio.sleep(0.5)
        files.put(attrs.evolve(OURS, checkpoint="18"))
        await trio.sleep(8)
        nursery.cancel_scope.cancel("seen enough")
    assert home.written() == "18"


async def test_a_stop_in_the_middle_of_a_write_loses_no_copy(autojump_clock: MockClock, home: Home) -> None:
    """The write that was cancelled is made again."""

    async def slowly(call: Callable[[], Any]) -> Any:
        await trio.sleep(1)
        return call()

    files = CheckpointFiles(home.directory, tell=home.tell, in_thread=slowly, now_s=lambda: AT_S)
    files.put(OURS)
    with trio.move_on_after(0.5):
        await files.run()
    assert home.written() == "17"


async def test_the_end_does_not_wait_for_a_disk_for_ever(autojump_clock: MockClock, home: Home) -> None:
    """What is not written is on the bus."""

    async def hang(_: Callable[[], Any]) -> None:
        await trio.sleep_forever()

    files = CheckpointFiles(home.directory, tell=home.tell, in_thread=hang, now_s=lambda: AT_S)
    files.put(OURS)
    began_s = trio.current_time()
    with trio.move_on_after(1):
        await files.run()
    assert trio.current_time() - began_s == 1 + checkpoint_files.CLOSE_S


async def test_files_are_written_in_real_threads(home: Home) -> None:
    """As outside of tests."""
    files = CheckpointFiles(home.directory, tell=home.tell)
    files.put(OURS)
    async with trio.open_nursery() as nursery:
        await nursery.start(files.run)
        nursery.cancel_scope.cancel("stop")
    assert await files.read("m", "github") == OURS
