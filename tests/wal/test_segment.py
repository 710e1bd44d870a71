"""One file: its name, its header, and the pieces that it falls into."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.errors import WalVersion
from orgloop.event import encode
from orgloop.wal.frame import MAX_LINE_BYTES, event_line, line_of
from orgloop.wal.segment import Header, Piece, SegmentName, pack, parse_header, parse_name, read_pieces, unpack
from tests.wal.disk import MemoryDisk
from tests.wal.stage import event

NAME = SegmentName(7, 0x9F3A12CD)
HEADER = Header(number=7, log="3f2a", first=1202, previous_bytes=640, doubts_previous=False, at="2026-01-31T00:00:00Z")
ONE, TWO = line_of({"commit": 1}, NAME.salt), line_of({"commit": 2}, NAME.salt)


def pieces(content: bytes, *, until: int | None = None) -> list[Piece]:
    disk = MemoryDisk.of({str(NAME): content})
    return list(read_pieces(disk, NAME, until=len(content) if until is None else until))


# -- names and headers -------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**10 - 1), st.integers(0, 2**32 - 1))
def test_a_name_is_read_as_it_was_written(number: int, salt: int) -> None:
    """Both survive a damaged header."""
    assert parse_name(str(SegmentName(number, salt))) == SegmentName(number, salt)


@pytest.mark.parametrize(
    "name",
    [
        "lost+found",
        "0000000007.jsonl",
        "0000000007-9f3a12cd.jsonl.tmp",
        ".torn-0000000007-9f3a12cd.jsonl-0",
        "0000000007-9F3A12CD.jsonl",
        "0000000007-9f3a12cd.jsonl~",
        "0000000007-9f3a12cd.jsonl\n",
        "\u0660" * 9 + "\u0667-9f3a12cd.jsonl",
    ],
)
def test_another_file_is_none_of_ours(name: str) -> None:
    """Only names of exactly this form are."""
    assert parse_name(name) is None


def test_a_header_is_read_as_it_was_written() -> None:
    """There and back."""
    assert parse_header(NAME, HEADER.line(NAME.salt)[:-1]) == HEADER


def test_another_line_is_no_header() -> None:
    """It has no segment in it."""
    assert parse_header(NAME, ONE[:-1]) is None


def test_a_header_of_another_format_is_refused() -> None:
    """With what to do about it."""
    line = HEADER.line(NAME.salt).replace(b'"format":1', b'"format":2')

    with pytest.raises(WalVersion, match=r"0000000007-9f3a12cd\.jsonl has format 2, this version knows 1; nothing was"):
        parse_header(NAME, line[:-1])


@given(st.integers(0, 10**10 - 1), st.integers(0, 2**40 - 1), st.integers(0, 2**27 - 1))
def test_a_place_is_one_number(number: int, start: int, length: int) -> None:
    """A million of them fit into little."""
    assert unpack(pack(number, start, length)) == (number, start, length)


def test_the_longest_line_has_a_place() -> None:
    """Its length fits."""
    assert unpack(pack(1, 0, MAX_LINE_BYTES + 1024 * 1024)) == (1, 0, MAX_LINE_BYTES + 1024 * 1024)


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_whole_lines_are_given_without_their_newlines() -> None:
    """With where each begins and ends, the newline counted."""
    assert pieces(ONE + TWO) == [
        Piece(0, len(ONE), ONE[:-1]),
        Piece(len(ONE), len(ONE) + len(TWO), TWO[:-1]),
    ]


def test_an_empty_file_has_no_pieces() -> None:
    """Nothing there, nothing broken."""
    assert pieces(b"") == []


def test_a_last_line_without_its_newline_is_whole() -> None:
    """The seal says so."""
    assert pieces(ONE[:-1]) == [Piece(0, len(ONE) - 1, ONE[:-1])]


def test_an_empty_line_is_broken() -> None:
    """It was never written."""
    assert pieces(b"\n" + ONE) == [Piece(0, 1, None), Piece(1, 1 + len(ONE), ONE[:-1])]


def test_lines_joined_by_a_flipped_newline_are_both_there() -> None:
    """Only the byte between them is broken."""
    found = pieces(ONE[:-1] + b"\x0b" + TWO)

    assert [piece.line for piece in found] == [ONE[:-1], None, TWO[:-1], None]
    assert (found[1].start, found[1].end) == (len(ONE) - 1, len(ONE))


def test_a_broken_line_is_given_as_what_it_covers() -> None:
    """The next one is whole again."""
    assert pieces(b"?" + ONE[1:] + TWO) == [Piece(0, len(ONE), None), Piece(len(ONE), len(ONE) * 2, TWO[:-1])]


def test_nothing_is_read_beyond_the_end_that_was_asked_for() -> None:
    """What lies behind does not count."""
    assert pieces(ONE + TWO, until=len(ONE)) == [Piece(0, len(ONE), ONE[:-1])]


@given(st.lists(st.sampled_from([ONE, TWO, b"\n", b"noise", b"\0\0\0", ONE[:9], ONE[9:]]), max_size=12))
def test_the_pieces_cover_every_byte_once(parts: list[bytes]) -> None:
    """In order, without a gap, whatever the bytes."""
    content, at = b"".join(parts), 0
    for piece in pieces(content):
        assert piece.start == at < piece.end
        at = piece.end

    assert at == len(content)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_the_size_of_a_read_does_not_matter(noise: bytes, chunk_bytes: int) -> None:
    """Lines that lie across two reads are lines like any other."""

    class Dripping(MemoryDisk):
        def read(self, name: str, start: int, length: int) -> bytes:
            return super().read(name, start, min(length, chunk_bytes))

    content = ONE + noise + b"\n" + TWO

    assert list(read_pieces(Dripping.of({str(NAME): content}), NAME, until=len(content))) == pieces(content)


@pytest.mark.parametrize("damage", [b"\n", b"\0", b":"])
def test_a_copy_of_a_line_in_a_payload_is_never_given_as_one(damage: bytes) -> None:
    """C2-27: one of this very segment, and whatever byte around it is damaged, or everything up to there."""
    around = event_line(8, encode(event(1, copy=[json.loads(ONE), {"crc": "00000000"}, json.loads(TWO)])), NAME.salt)
    for at in range(len(around) - 1):
        once = around[:at] + damage + around[at + 1 :]
        all_before = damage * (at + 1) + around[at + 1 :]
        damaged = [content for content in (once, all_before) if content != around]

        assert not any(piece.line for content in damaged for piece in pieces(content)), f"byte {at}"


class Endless(MemoryDisk):
    """A file of so many zeros, that nobody holds in memory."""

    def read(self, name: str, start: int, length: int) -> bytes:
        return bytes(length)


@pytest.mark.slow
def test_an_endless_line_is_given_in_parts() -> None:
    """A gigabyte of zeros costs no gigabyte of memory: no more than the longest line, twice."""
    tracemalloc.start()
    try:
        parts = list(read_pieces(Endless(), NAME, until=1 << 30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert parts[-1].end == 1 << 30
    assert max(part.end - part.start for part in parts) <= MAX_LINE_BYTES + 2 * 1024 * 1024
    assert peak < 3 * MAX_LINE_BYTES
