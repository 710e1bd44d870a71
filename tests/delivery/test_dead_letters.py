"""Dead letters: what is on the disk, what is listed, and what damage does."""

from __future__ import annotations

import json
import os
import re
import resource
import stat
import tempfile
from pathlib import Path
from typing import Any

import attrs
import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.delivery import _files, dead_letters
from orgloop.delivery.dead_letters import MAX_ERROR, REASONS, Damaged, DeadLetter, DeadLetters, Which
from orgloop.errors import EventError
from orgloop.event import Event
from tests.delivery.stage import JSON, limited

EVENT = Event(
    "github",
    "resource.changed",
    {"platform": "github"},
    {"title": "ünï\u2028 \x1b[2J", "labels": ["a"], "n": 1.5},
    id="evt_1",
    timestamp="2023-11-14T22:13:20.000Z",
    trace_id="trc_1",
)
LETTER = DeadLetter(
    reason="retries_exhausted",
    module="engineering",
    route="triage",
    actor="bot",
    sequence=1202,
    attempts=3,
    first_error="503",
    last_error="timed out",
    at="2023-11-14T22:15:00.000Z",
    event=EVENT,
)


def letter(sequence: int = 1202, **fields: Any) -> DeadLetter:
    return attrs.evolve(LETTER, sequence=sequence, **fields)


def path_of(letters: DeadLetters, one: DeadLetter) -> Path:
    """Where a dead letter was just written."""
    return letters._directory / f"{letters.add(one)}.json"


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "modules" / "engineering" / "dead-letters")


# -- there and back ----------------------------------------------------------------------------------------------------


def test_what_was_added_can_be_had(letters: DeadLetters) -> None:
    """As it was."""
    assert letters.get(letters.add(LETTER)) == LETTER


def test_it_is_still_there_for_another_process(letters: DeadLetters) -> None:
    """Nothing is held in memory."""
    letters.add(LETTER)

    assert DeadLetters(letters._directory).list() == (LETTER,)


def test_a_person_can_read_it(letters: DeadLetters) -> None:
    """One member a line, the most telling ones first."""
    text = path_of(letters, LETTER).read_text()

    begin = f'{{\n  "id": "{LETTER.id}",\n  "reason": "retries_exhausted",\n  "module": "engineering",\n'
    assert text.startswith(begin)
    assert json.loads(text)["event"]["payload"] == EVENT.payload


def test_file_and_directories_are_private(letters: DeadLetters) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        path = path_of(letters, LETTER)
    finally:
        os.umask(before)

    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_a_name_is_one_that_no_file_system_minds(letters: DeadLetters) -> None:
    """Whatever the module, the route and the event are called."""
    one = letter(2**63 - 1, module="../../etc", route="a/b\0\n", actor="é" * 999)

    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", path_of(letters, one).name)


def test_the_same_obligation_is_one_letter(letters: DeadLetters) -> None:
    """Given up again after a crash, it is written over; the later word counts."""
    letters.add(LETTER)
    letters.add(letter(attempts=4))

    assert [each.attempts for each in letters.each()] == [4]


@pytest.mark.parametrize(
    "other",
    [
        {"sequence": 1},
        {"module": "x"},
        {"route": "x"},
        {"module": "engineering\0triage", "route": ""},
        {"event": attrs.evolve(EVENT, id="evt_2")},
    ],
)
def test_another_obligation_is_another_letter(other: dict[str, Any]) -> None:
    """Of another event, module or route."""
    assert attrs.evolve(LETTER, **other).id != LETTER.id


def test_an_error_that_is_no_text_is_written_all_the_same(letters: DeadLetters) -> None:
    """It may quote bytes from outside; and it may be long."""
    one = letter(first_error="\udcff", last_error="x" * 10_000)

    assert letters.get(letters.add(one)) == one
    assert (one.first_error, len(one.last_error)) == ("\\udcff", MAX_ERROR)


def test_an_event_that_cannot_be_written_is_said(letters: DeadLetters) -> None:
    """And leaves nothing behind."""
    with pytest.raises(EventError):
        letters.add(letter(event=attrs.evolve(EVENT, payload="\ud800")))

    assert letters.count() == 0


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_a_word(reason: str) -> None:
    """Any of ours, and one that a later version may have."""
    assert letter(reason=reason).reason == reason


def test_a_reason_is_no_sentence() -> None:
    """The errors are for those."""
    with pytest.raises(ValueError, match="reason"):
        letter(reason="It timed out.")


@settings(deadline=None, max_examples=25)
@given(payload=JSON, error=st.text(), sequence=st.integers(0, 10**20 - 1))
def test_any_letter_comes_back(payload: Any, error: str, sequence: int) -> None:
    """Whatever the event brought and the error said."""
    one = letter(sequence, event=attrs.evolve(EVENT, payload=payload), last_error=error)
    with tempfile.TemporaryDirectory() as directory:
        letters = DeadLetters(Path(directory))
        assert letters.get(letters.add(one)) == one


# -- lists -------------------------------------------------------------------------------------------------------------


def test_without_a_directory_there_are_none(letters: DeadLetters) -> None:
    """It is made when it is needed."""
    assert (letters.list(), letters.count(), list(letters.each()), letters.sweep()) == ((), 0, [], 0)


def test_they_are_listed_as_they_were_admitted(letters: DeadLetters) -> None:
    """By sequence number, also beyond nine."""
    for sequence in (10, 9, 100):
        letters.add(letter(sequence))

    assert [each.sequence for each in letters.each()] == [9, 10, 100]


def test_a_list_has_a_limit_and_goes_on(letters: DeadLetters) -> None:
    """After the last of the page before."""
    for sequence in range(5):
        letters.add(letter(sequence))
    first = letters.list(limit=3)
    second = letters.list(limit=3, after=first[-1].id)

    assert [each.id for each in first + second] == [letter(sequence).id for sequence in range(5)]
    assert letters.list(after=second[-1].id) == ()


@pytest.mark.parametrize(
    ("which", "sequences"),
    [
        (Which(), [1, 2, 3]),
        (Which(reason="rejected"), [2]),
        (Which(route="other"), [3]),
        (Which(actor="bot", reason="retries_exhausted"), [1, 3]),
        (Which(module="elsewhere"), []),
    ],
)
def test_a_list_can_be_of_some(letters: DeadLetters, which: Which, sequences: list[int]) -> None:
    """By reason, module, route and actor, all of which must be met."""
    for one in (letter(1), letter(2, reason="rejected"), letter(3, route="other")):
        letters.add(one)

    assert [each.sequence for each in letters.list(which) if isinstance(each, DeadLetter)] == sequences
    assert [each.sequence for each in letters.each(which)] == sequences


def test_a_replay_comes_to_an_end(letters: DeadLetters) -> None:
    """What is given up again meanwhile is for the next one."""
    letters.add(letter(0))
    seen = 0
    for one in letters.each():
        letters.add(attrs.evolve(one, sequence=one.sequence + 1))
        seen += 1

    assert (seen, letters.count()) == (1, 2)


def test_a_letter_that_is_discarded_meanwhile_is_passed_over(letters: DeadLetters) -> None:
    """Somebody else may be at work."""
    letters.add(letter(0))
    last = letters.add(letter(1))
    each = letters.each()
    next(each)
    letters.discard(last)

    assert list(each) == []


def test_a_letter_can_be_discarded(letters: DeadLetters) -> None:
    """Once."""
    id_ = letters.add(LETTER)

    assert (letters.discard(id_), letters.discard(id_), letters.get(id_)) == (True, False, None)


@pytest.mark.parametrize(
    "id_", ["", "..", "../secret", "/etc/passwd", "secret", "a" * 300, "\0", "0" * 20 + "-" + "F" * 16]
)
def test_what_is_no_id_is_no_letter(letters: DeadLetters, id_: str) -> None:
    """And never becomes a path."""
    secret = path_of(letters, LETTER).with_name("secret.json")
    secret.touch()

    assert (letters.get(id_), letters.discard(id_), secret.exists()) == (None, False, True)


# -- damage ------------------------------------------------------------------------------------------------------------


def test_a_letter_cut_anywhere_is_damaged(letters: DeadLetters) -> None:
    """At every byte, the last one too."""
    path = path_of(letters, LETTER)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert letters.get(LETTER.id) == Damaged(LETTER.id, "not as it was written: the checksum does not fit")


def test_a_letter_with_any_bit_flipped_is_damaged(letters: DeadLetters) -> None:
    """None is read as another one."""
    content = path_of(letters, LETTER).read_bytes()
    for place in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match="checksum"):
            dead_letters._decode(bytes(flipped))


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_content_is_survived(content: bytes) -> None:
    """What a stranger wrote under our name is listed, counted, and can be discarded."""
    with tempfile.TemporaryDirectory() as directory:
        letters = DeadLetters(Path(directory))
        path = path_of(letters, LETTER)
        path.write_bytes(content)

        assert [type(each) for each in letters.list()] == [Damaged]
        assert list(letters.each()) == []
        assert letters.discard(LETTER.id)


def test_a_letter_under_another_name_is_damaged(letters: DeadLetters) -> None:
    """A copy is not a second obligation."""
    path = path_of(letters, LETTER)
    copy = path.with_name(path.name.replace("1202", "1203"))
    path.rename(copy)

    assert letters.list() == (Damaged(copy.stem, f"holds the dead letter {LETTER.id}"),)


def test_a_letter_of_another_version_is_damaged(letters: DeadLetters) -> None:
    """It is as it was written, and still not one of ours: it is kept."""
    path = path_of(letters, LETTER)

    record = f'{{\n  "id": "{LETTER.id}",\n  "format": 2'.encode()
    path.write_bytes(record + b',\n  "crc": "%08x"\n}\n' % google_crc32c.value(record))

    [found] = letters.list()
    assert isinstance(found, Damaged)
    assert found.why.startswith("of another version, or not of ours: ")


def put_stranger(directory: Path, name: str) -> None:
    """Things that no letter is, under a name."""
    if name.startswith("directory"):
        (directory / name).mkdir()
    elif name.startswith("link"):
        (directory / name).symlink_to("/etc/passwd")
    elif name.startswith("pipe"):
        os.mkfifo(directory / name)
    else:
        (directory / name).write_text("{}")


@pytest.mark.parametrize(
    "name", ["notes.txt", "x.json", ".DS_Store", "directory.json", "link.json", "pipe.json", "a\nb"]
)
def test_a_stranger_is_listed_and_left_alone(letters: DeadLetters, name: str) -> None:
    """Under its name; only a person knows what it is for."""
    letters.add(LETTER)
    put_stranger(letters._directory, name)

    [stranger] = [each for each in letters.list() if isinstance(each, Damaged)]
    assert (stranger, letters.discard(stranger.id)) == (Damaged(ascii(name)[1:-1], "not a file of ours"), False)
    assert list(letters.each()) == [LETTER]


def test_a_stranger_whose_name_is_no_text_is_listed(letters: DeadLetters) -> None:
    """And the list goes on after it."""
    letters.add(LETTER)
    Path(os.fsdecode(os.fsencode(letters._directory) + b"/\xff")).touch()

    [stranger, *_] = letters.list(after=LETTER.id)
    assert (stranger.id, letters.list(after=stranger.id)) == ("\\udcff", ())


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_what_stands_in_a_letter_s_place_is_damaged(letters: DeadLetters, kind: str) -> None:
    """It is not followed, not waited for, and no crash."""
    path = path_of(letters, LETTER)
    path.unlink()
    put_stranger(path.parent, kind)
    (path.parent / kind).rename(path)

    assert [type(each) for each in letters.list()] == [Damaged]


def test_damaged_ones_are_not_among_some(letters: DeadLetters) -> None:
    """Nobody can tell whether they are meant."""
    path_of(letters, LETTER).write_bytes(b"")

    assert (len(letters.list()), len(letters.list(Which()))) == (1, 0)


# -- bad disks ---------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_behind(letters: DeadLetters) -> None:
    """No letter, no half of one, and the obligation is still owed."""
    letters.add(letter(1))
    with limited(resource.RLIMIT_FSIZE, 100), pytest.raises(OSError, match="File too large"):
        letters.add(letter(2))

    assert os.listdir(letters._directory) == [f"{letter(1).id}.json"]


def test_a_full_disk_spares_the_letter_that_was_there(letters: DeadLetters) -> None:
    """Until the new one is whole, the old one is."""
    letters.add(LETTER)
    with limited(resource.RLIMIT_FSIZE, 100), pytest.raises(OSError, match="File too large"):
        letters.add(letter(attempts=4))

    assert letters.get(LETTER.id) == LETTER


def test_what_a_crash_left_is_no_letter(letters: DeadLetters) -> None:
    """It is not listed, and swept away when asked."""
    path = path_of(letters, LETTER)
    left_over = path.with_name(f".{path.name}.0123456789abcdef.tmp")
    left_over.write_bytes(b"{")

    assert (letters.count(), letters.sweep(), left_over.exists(), letters.list()) == (1, 1, False, (LETTER,))


def test_a_directory_that_is_a_link_is_refused(letters: DeadLetters, tmp_path: Path) -> None:
    """Letters do not go to where somebody led them."""
    letters._directory.parent.mkdir(parents=True)
    letters._directory.symlink_to(tmp_path)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        letters.add(LETTER)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    """Its length is looked at first."""
    (tmp_path / "a").write_bytes(b"123")

    with pytest.raises(OSError, match="longer than 2 bytes"):
        _files.read(tmp_path, "a", limit_bytes=2)


def test_a_file_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    (tmp_path / "a").write_bytes(b"123")

    assert _files.read(tmp_path, "a", limit_bytes=3) == b"123"
