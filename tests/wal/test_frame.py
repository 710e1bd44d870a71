"""One line: what seals it, and what is never taken for one."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.event import decode, encode
from orgloop.wal.frame import (
    MAX_LINE_BYTES,
    SEAL_BYTES,
    event_line,
    event_of,
    is_whole,
    line_of,
    members,
    note_lines,
    salvage,
    seal,
    sequence_of,
)
from tests.wal.stage import event

SALT, OTHER = 0x9F3A12CD, 0x9F3A12CC
SALTS = st.integers(0, 2**32 - 1)
LINE = event_line(7, encode(event(1)), SALT)


# -- the seal ----------------------------------------------------------------------------------------------------------


def test_a_line_is_the_record_and_its_seal() -> None:
    """The bytes, as docs/wal-format.md draws them."""
    assert seal(b'{"commit":1', 0) == b'{"commit":1,"crc":"f4b674f7"}\n'


def test_a_line_is_json() -> None:
    """``jq`` reads it."""
    assert json.loads(LINE)["event"]["payload"] == {"i": 1}


def test_the_seal_has_its_length() -> None:
    """The record ends where the seal begins."""
    assert LINE[-SEAL_BYTES - 1 :].startswith(b',"crc":"')


@given(st.binary(), SALTS)
def test_what_was_sealed_is_whole(record: bytes, salt: int) -> None:
    """Whatever the bytes, but for what looks like a seal."""
    assert is_whole(seal(record, salt)[:-1], salt)


@given(st.binary(), SALTS, SALTS)
def test_another_salt_never_fits(record: bytes, salt: int, other: int) -> None:
    """A CRC of the same bytes from another start is another CRC, always."""
    assert is_whole(seal(record, salt)[:-1], other) == (salt == other)


@pytest.mark.parametrize("line", [b"", b"\n", b"{}", b',"crc":"00000000"}', b'x,"crc":"0000000"}', LINE, LINE[1:-1]])
def test_what_is_no_line_is_not_whole(line: bytes) -> None:
    """Too short, without a seal, with its newline, without its start."""
    assert not is_whole(line, SALT)


def test_every_flipped_bit_of_a_line_is_noticed() -> None:
    """One by one."""
    line = LINE[:-1]
    for bit in range(len(line) * 8):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8

        assert not is_whole(bytes(flipped), SALT), f"bit {bit}"


def test_upper_case_hex_is_no_seal() -> None:
    """There is one way to write a line: a changed case is a flipped bit too."""
    line = next(line for n in range(99) if (line := line_of({"commit": n}, SALT)[:-1]).upper()[-10:-2] != line[-10:-2])

    assert not is_whole(line[:-10] + line[-10:-2].upper() + line[-2:], SALT)


# -- kinds of lines ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63), SALTS)
def test_the_sequence_of_an_event_is_found_without_reading_it(sequence: int, salt: int) -> None:
    """It is the first member."""
    assert sequence_of(event_line(sequence, b'{"a":[1,2]}', salt)) == sequence


@pytest.mark.parametrize("record", [{"commit": 1}, {"settle": "delivered", "events": [1]}, {"notes": []}])
def test_other_lines_have_no_sequence(record: dict[str, Any]) -> None:
    """They are no events."""
    assert sequence_of(line_of(record, SALT)) is None


def test_the_event_of_a_line_is_the_event() -> None:
    """There and back."""
    assert decode(event_of(LINE[:-1])) == event(1)


def test_members_come_back_in_order() -> None:
    """The last is the seal."""
    assert list(members(line_of({"settle": "delivered", "events": [1]}, SALT))) == ["settle", "events", "crc"]


def test_few_notes_are_one_line() -> None:
    """One line for a batch."""
    [line] = note_lines([b'["a","b",1]', b'["a","c",null]'], SALT)

    assert members(line)["notes"] == [["a", "b", 1], ["a", "c", None]]


def test_no_notes_are_no_line() -> None:
    """Nothing to say."""
    assert list(note_lines([], SALT)) == []


def test_many_notes_are_several_lines_none_of_them_too_long() -> None:
    """Two thousand checkpoints, or a million marks, must not make a line that is taken for damage."""
    entry = b'["mark","%b",true]' % (b"x" * 1_000_000)

    lines = list(note_lines([entry] * 9, SALT))

    assert [len(members(line)["notes"]) for line in lines] == [4, 4, 1]
    assert max(map(len, lines)) < MAX_LINE_BYTES


# -- what is no line of ours -------------------------------------------------------------------------------------------

NESTED = st.recursive(
    st.sampled_from([LINE.decode(), 1, ',"crc":"00000000"}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "crc", "seq"]), inner),
)


@given(NESTED)
def test_no_record_holds_what_looks_like_a_seal(payload: Any) -> None:
    """Not in a member, not in a string."""
    line = event_line(7, encode(event(1, p=payload, crc="00000000")), SALT)

    assert line.count(b',"crc":"') == 1


@given(NESTED)
def test_a_payload_that_holds_a_line_comes_back_as_it_was(payload: Any) -> None:
    """The blank is between two members, where it means nothing."""
    written = event(1, p=payload, crc="00000000")

    assert decode(event_of(event_line(7, encode(written), SALT)[:-1])) == written


@pytest.mark.parametrize("salt", [SALT, OTHER])
@pytest.mark.parametrize("copied", [LINE, line_of({"settle": "delivered", "events": [7]}, SALT)])
def test_a_copy_of_a_line_in_a_payload_is_never_taken_for_one(copied: bytes, salt: int) -> None:
    """Whatever byte of the line around it is damaged, and even if it was copied from this very segment."""
    around = event_line(8, encode(event(2, copy=json.loads(copied))), salt)[:-1]
    for position in range(len(around)):
        damaged = around[:position] + b"\n" + around[position + 1 :]

        assert list(salvage(damaged, salt)) == [], f"byte {position}"


@given(st.lists(st.sampled_from([LINE[:-1], line_of({"commit": 7}, SALT)[:-1]]), min_size=1, max_size=5))
def test_joined_lines_are_told_apart(lines: list[bytes]) -> None:
    """A flipped newline costs nothing but itself."""
    joined = b"\x0b".join(lines)

    assert [joined[start:end] for start, end in salvage(joined, SALT)] == lines


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_line_among_noise_is_found(before: bytes, behind: bytes) -> None:
    """Where it is."""
    assert (len(before), len(before) + len(LINE) - 1) in list(salvage(before + LINE[:-1] + behind, SALT))


def test_a_line_behind_a_broken_one_is_found() -> None:
    """The broken one ends at its own seal."""
    broken = LINE[:30] + b"?" + LINE[31:-1]

    assert list(salvage(broken + b"?" + LINE, SALT)) == [(len(broken) + 1, len(broken) + len(LINE))]


@pytest.mark.slow
def test_a_payload_full_of_what_looks_like_a_line_does_not_hold_up_recovery() -> None:
    """A million starts, none of which fits: the search gives up after a while, and what is broken stays so."""
    broken = b'{"seq":1,"event":{' + b'{"seq":' * 1_000_000 + LINE[-SEAL_BYTES - 1 : -1]
    began_s = time.perf_counter()

    assert list(salvage(broken, SALT)) == []
    assert time.perf_counter() - began_s < 10
