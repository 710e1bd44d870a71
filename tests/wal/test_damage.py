"""Damage is never silent, changes nothing that it does not touch, and is put aside. (I4, I5)"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import pytest

from orgloop.wal import open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.oracle import Contents, broken_lines, flipped, recover, recover_twice, replay, sample
from tests.wal.stage import events, play

SECTOR = 512


@pytest.fixture(scope="module")
def whole() -> Contents:
    return sample(pad=700)


@pytest.fixture(scope="module")
def small() -> Contents:
    return sample()


def damaged(contents: Contents, name: str, change: Callable[[bytes], bytes]) -> Contents:
    return {**contents, name: change(contents[name])}


def zeroed(start: int, end: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:start] + bytes(len(content[start:end])) + content[end:]


def test_the_oracle_reads_what_was_written(whole: Contents) -> None:
    """Both agree on a log that is whole."""
    found = recover(whole)

    assert found.state == replay(whole)
    assert not found.noticed
    assert not found.put_aside


# -- the tail ----------------------------------------------------------------------------------------------------------


def cut(contents: Contents, end: int) -> None:
    """Cut the last file there: the longest whole prefix, the rest kept beside it, and a second start that is clean."""
    name = max(contents)
    content = contents[name]
    first, second = recover_twice({**contents, name: content[:end]})
    lines = content[:end].splitlines(keepends=True)
    broken = b"" if not lines or lines[-1] + b"\n" in content.splitlines(keepends=True) else lines[-1].rstrip(b"\n")
    kept = content[:end].removesuffix(broken) if content[end - 1 : end] != b"\n" else content[:end]

    assert first.state == second.state == replay({**contents, name: kept})
    assert first.status.torn_bytes == end - len(kept)
    assert b"".join(first.put_aside.values()) == content[len(kept) : end]
    assert not first.status.damages
    assert not second.noticed
    assert second.put_aside == first.put_aside


@pytest.mark.parametrize("back", [0, 1, 2, 30, 200])
def test_a_cut_log_is_its_longest_whole_prefix(whole: Contents, back: int) -> None:
    """A few of all cuts."""
    cut(whole, len(whole[max(whole)]) - back)


@pytest.mark.slow
def test_a_log_may_be_cut_at_every_byte(whole: Contents) -> None:
    """All of them."""
    for end in range(len(whole[max(whole)]) + 1):
        cut(whole, end)


def tail(contents: Contents, behind: bytes) -> None:
    """Append to the last file what was never acknowledged."""
    name = max(contents)
    first, second = recover_twice({**contents, name: contents[name] + behind})

    assert first.state == second.state == replay(contents)
    assert first.status.torn_bytes == len(behind)
    assert list(first.put_aside.values()) == [behind]
    assert not first.status.damages
    assert not second.noticed
    assert second.put_aside == first.put_aside


@pytest.mark.parametrize("length", [1, 511, 512, 4096, 1024 * 1024])
def test_a_tail_of_zeros_is_cut_off(small: Contents, length: int) -> None:
    """What a file system leaves of a write that it did not finish."""
    tail(small, bytes(length))


@pytest.mark.slow
def test_a_tail_of_zeros_may_be_of_any_length(small: Contents) -> None:
    """Up to a page."""
    for length in range(1, 4097):
        tail(small, bytes(length))


@pytest.mark.slow
def test_a_tail_of_noise_may_be_of_any_length(small: Contents) -> None:
    """Whatever it is."""
    chance = random.Random(0)
    for length in range(1, 4097):
        tail(small, chance.randbytes(length))


def test_a_tail_that_is_half_a_line_is_cut_off(small: Contents) -> None:
    """And so is what stands behind it, whole or not: no commit says that it counts."""
    tail(small, b'{"seq":99,"event":{"id":"evt')
    tail(small, b'{"seq":99,"event":{"id":"evt' + b"\n" + small[max(small)].splitlines(keepends=True)[0])


# -- bits --------------------------------------------------------------------------------------------------------------


def all_payloads(contents: Contents) -> dict[int, object]:
    """Of all events that were ever written, settled or not."""
    only_events = {
        name: b"\n".join(line for line in content.splitlines() if line.startswith(b'{"seq"'))
        for name, content in contents.items()
    }
    return dict(replay(only_events).open)


@pytest.mark.slow
def test_every_bit_of_a_log_may_flip(small: Contents) -> None:
    """It is noticed; no payload changes, no number, and nothing is lost that was not in that line."""
    expected, written, count = replay(small), all_payloads(small), 0
    for name, content in small.items():
        for bit in range(len(content) * 8):
            found = recover(flipped(small, name, bit))
            where = f"{name} byte {bit // 8} bit {bit % 8}"
            count += 1

            assert found.noticed, f"{where}: silent"
            assert found.state.open.items() <= written.items(), f"{where}: changed, or under a wrong number"
            assert len(expected.open.keys() - found.state.open.keys()) <= 1, f"{where}: intact events are missing"
            for sequence, obligations in found.state.ended.items():
                assert obligations <= expected.ended.get(sequence, set()), f"{where}: settled what was not"

    print(f"{count} flips")


# -- sectors and blocks ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_sector_may_be_zeroed(whole: Contents) -> None:
    """It is noticed with its place, a copy is put aside, and all lines that it does not touch still count."""
    for name, content in whole.items():
        for start in range(0, len(content), 64):
            end = start + SECTOR
            found = recover(damaged(whole, name, zeroed(start, end)))
            rest = {**whole, name: broken_lines(content, [(start, end)])}

            assert found.noticed
            assert found.state.open == replay(rest).open, f"{name} {start}"
            assert bytes(min(end, len(content)) - start) in b"".join(found.put_aside.values())


def test_damage_is_reported_with_its_bytes_and_its_events(whole: Contents) -> None:
    """What a person needs to look at it."""
    name = min(whole)
    line = whole[name].splitlines(keepends=True)[1]
    start = whole[name].index(line)
    found = recover(damaged(whole, name, zeroed(start + 9, start + 20)))

    [damage] = found.status.damages
    assert attrs.astuple(damage)[:5] == (name, start, start + len(line), 1, 1)
    assert damage.text == f"{len(line)} bytes are damaged"
    assert found.status.state == "degraded"
    assert list(found.put_aside) == [f".damaged-{name}-{start}"]


@pytest.mark.slow
def test_every_block_may_be_copied_over_every_other(whole: Contents) -> None:
    """A misdirected write: noticed, or without effect; no event is there that was not, under a number not its own."""
    written, expected, count = all_payloads(whole), replay(whole), 0
    for name, content in whole.items():
        for source_name, source in whole.items():
            for start in range(0, len(content), SECTOR):
                for origin in range(0, len(source), SECTOR):
                    block = source[origin : origin + SECTOR]
                    found = recover({**whole, name: content[:start] + block + content[start + len(block) :]})
                    assert found.state.open.items() <= written.items()
                    assert found.noticed or found.state == expected, f"{source_name} {origin} over {name} {start}"
                    count += 1

    print(f"{count} copies")


def test_very_much_damage_is_told_as_one() -> None:
    """Or there would be a file for every line of a log that was sent as text."""
    disk = MemoryDisk()
    play(write_many, disk, 300)
    [name] = disk.contents()
    found = recover({name: disk.contents()[name].replace(b"\n", b"\r\n")})

    assert len(found.state.open) == 300
    assert len(found.status.damages) == 100
    assert found.status.damages[-1].text == "much is damaged from here on"
    assert len(found.put_aside) == 101, "the end of the file is torn"


async def write_many(disk: MemoryDisk, count: int) -> None:
    async with open_wal(disk) as wal:
        await wal.append(events(range(count)))


def test_a_log_with_other_line_ends_is_damaged_and_whole(small: Contents) -> None:
    """L16: somebody has opened it in an editor. Everything is found, and a hundred ranges at most are put aside."""
    found = recover({name: content.replace(b"\n", b"\r\n") for name, content in small.items()})

    assert found.state.open == replay(small).open
    assert found.status.state == "degraded"
