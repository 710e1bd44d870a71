"""The power goes, at every operation of a run and of every recovery: nothing that was acknowledged is lost."""

from __future__ import annotations

import random
from functools import partial

import pytest

from orgloop.wal import Disk
from tests.wal.crash import Image, images_of, recoveries, survive
from tests.wal.disk import MemoryDisk, refused
from tests.wal.stage import Ledger, play, story


def operations() -> int:
    disk = MemoryDisk()
    play(story, disk, Ledger())
    return disk.operations


async def broken_story(disk: Disk, ledger: Ledger, *, at: int) -> None:
    """The same with one refusal in it, from which the log heals."""
    assert isinstance(disk, MemoryDisk)
    disk.fail(at=at, error=refused(), short=True)
    await story(disk, ledger)


def test_the_story_rotates_and_compacts() -> None:
    """Or there would be little to be seen of them."""
    disk, ledger = MemoryDisk(), Ledger()
    play(story, disk, ledger)

    first, last = min(disk.contents()), max(disk.contents())
    assert int(first[:10]) > 2, "segments were removed"
    assert int(last[:10]) > 4, "segments were begun"
    assert b'"settle":"carried"' in b"".join(disk.contents().values()), "what was settled in part was carried"


@pytest.mark.slow
@pytest.mark.parametrize("pad", [0, 100, 700, 3000])
def test_the_power_may_go_at_any_operation(pad: int) -> None:
    """Everything owed comes back, nothing settled for good does, no checkpoint is ahead; the second start is clean."""
    count = survive(images_of(partial(story, pad=pad)))

    print(f"{count} images")
    assert count > 100


@pytest.mark.slow
def test_the_power_may_go_again_during_recovery() -> None:
    """And at any operation of that, and so on."""
    seen: set[tuple[tuple[str, bytes], ...]] = set()
    images = [image for first in images_of(story) for image in recoveries(first)]
    different: list[Image] = []
    for image in images:
        if image.contents not in seen:
            seen.add(image.contents)
            different.append(image)

    print(f"{survive(different)} images of {len(images)}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_power_may_go_during_five_recoveries(seed: int) -> None:
    """At a random operation of each."""
    chance = random.Random(seed)
    first = images_of(story)
    for _ in range(50):
        image = chance.choice(first)
        for _ in range(5):
            image = chance.choice(list(recoveries(image)))
        survive([image])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_the_power_may_go_after_the_disk_has_refused(part: int) -> None:
    """At any operation after a refusal at any other: what was refused may be there, what was acknowledged is."""
    count = 0
    for at in range(part + 8, operations() + 1, 8):
        count += survive(images_of(partial(broken_story, at=at)))

    print(f"{count} images")
