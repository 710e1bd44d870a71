"""A log of a few segments to be damaged, and a reading of it that shares no code with the real one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs
import google_crc32c

from orgloop.wal import WalStatus, open_wal
from tests.wal.disk import MemoryDisk
from tests.wal.stage import ROUTES, SMALL, event, events, play, settled

Contents = dict[str, bytes]


@attrs.define
class State:
    """What a log amounts to."""

    open: dict[int, Any] = attrs.field(factory=dict)
    """Payloads, by sequence."""
    ended: dict[int, set[tuple[str, str]]] = attrs.field(factory=dict)
    notes: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Found:
    """What the real one made of it."""

    state: State
    status: WalStatus
    put_aside: dict[str, bytes]

    @property
    def noticed(self) -> bool:
        return bool(self.status.damages) or self.status.torn_bytes > 0


def sample(*, pad: int = 0) -> Contents:
    """Three segments of one log: events that are open, settled, and settled in part; notes that change."""
    return play(_write_sample, pad)


async def _write_sample(pad: int) -> Contents:
    disk = MemoryDisk()
    for run in range(3):
        async with open_wal(disk, limits=SMALL) as wal:
            _, second, third = await wal.append(events(range(run * 10, run * 10 + 3)), notes=[("c", "s", run)])
            wal.settle(settled(second))
            wal.settle(settled(third, still_open=[third], route=ROUTES[1]), notes=[("mark", str(run), True)])
            await wal.flush()
            await wal.append([event(run * 10 + 4, pad="x" * pad)], notes=[("c", "s", f"{run} and a half")])
    return disk.contents()


def replay(contents: Contents) -> State:
    """Line by line; a line that is not whole says nothing."""
    state = State()
    for name, content in sorted(contents.items()):
        salt = int(name[11:19], 16)
        for line in content.split(b"\n"):
            if line[-18:-10] == b',"crc":"' and _crc(line[:-18], salt) == line[-10:-2]:
                _apply(state, json.loads(line))
    return state


def _crc(record: bytes, salt: int) -> bytes:
    return b"%08x" % google_crc32c.extend(salt, record)


def _apply(state: State, record: dict[str, Any]) -> None:
    if "seq" in record:
        state.open[record["seq"]] = record["event"]["payload"]
    for _, key, value in record.get("notes", ()):
        state.notes[key] = value
    for sequence in record.get("events", ()):
        if sequence in record.get("still_open", ()):
            state.ended.setdefault(sequence, set()).add((record["module"], record["route"]))
        else:
            state.open.pop(sequence, None)
            state.ended.pop(sequence, None)


def recover(contents: Contents) -> Found:
    """Open these files as a log."""
    return play(recovered, MemoryDisk.of(contents))


def recover_twice(contents: Contents) -> tuple[Found, Found]:
    """And once more, what the first start has left."""
    disk = MemoryDisk.of(contents)
    return play(recovered, disk), play(recovered, disk)


async def recovered(disk: MemoryDisk) -> Found:
    """Open what is on this disk as a log."""
    async with open_wal(disk, limits=SMALL) as wal:
        ended = dict(wal.unsettled())
        found = {sequence: one.payload for sequence, one in await wal.read(list(ended))}
        assert found.keys() == ended.keys(), "what is open can be read"
        keys = ["s", "0", "1", "2"]
        notes = {key: value for key in keys if (value := wal.note("c", key) or wal.note("mark", key)) is not None}
        state = State(found, {at: set(of) for at, of in ended.items() if of}, notes)
        status = wal.status()
    put_aside = {name: content for name, content in disk.contents().items() if name.startswith(".")}
    return Found(state, status, put_aside)


def broken_lines(content: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """The content without the lines that one of the spans touches."""
    kept, at = [], 0
    for line in content.splitlines(keepends=True):
        if not any(start < at + len(line) and at < end for start, end in spans):
            kept.append(line)
        at += len(line)
    return b"".join(kept)


def flipped(contents: Contents, name: str, bit: int) -> Contents:
    changed = bytearray(contents[name])
    changed[bit // 8] ^= 1 << bit % 8
    return {**contents, name: bytes(changed)}
