"""Power cuts: what the disk may look like at every moment of a run, and whether each of these looks recovers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

import attrs

from orgloop.wal import Disk
from tests.wal.disk import MemoryDisk
from tests.wal.stage import Ledger, check, play

Play = Callable[[Disk, Ledger], Awaitable[None]]


@attrs.frozen
class Image:
    """A disk after a power cut, and what was promised before it."""

    contents: tuple[tuple[str, bytes], ...]
    ledger: Ledger
    operation: int

    def disk(self) -> MemoryDisk:
        return MemoryDisk.of(dict(self.contents))

    def __str__(self) -> str:
        files = ", ".join(f"{name}: {len(content)}" for name, content in self.contents)
        return f"cut before operation {self.operation}, leaving {files}"


class Camera:
    """Takes the images of a disk before each of its operations; each look only once."""

    def __init__(self, disk: MemoryDisk, ledger: Ledger) -> None:
        self._disk, self._ledger = disk, ledger
        self._seen: dict[tuple[object, ...], Image] = {}
        disk.before = self.shoot

    def shoot(self) -> None:
        ledger = self._ledger
        promises = (*sorted(ledger.owed()), None, *sorted(ledger.gone), ledger.checkpoint)
        for disk in self._disk.images():
            contents = tuple(disk.contents().items())
            if (contents, promises) not in self._seen:
                self._seen[contents, promises] = Image(contents, ledger.copy(), self._disk.operations + 1)

    def images(self) -> list[Image]:
        return list(self._seen.values())


def images_of(story: Play, *, disk: MemoryDisk | None = None) -> list[Image]:
    """Everything that a power cut during a story may leave, and its end."""
    disk, ledger = disk or MemoryDisk(), Ledger()
    camera = Camera(disk, ledger)
    play(story, disk, ledger)
    camera.shoot()
    return camera.images()


def recoveries(image: Image) -> Iterator[Image]:
    """Recover an image, hold it to its promises, and give what a power cut during that may leave."""
    disk = image.disk()
    camera = Camera(disk, image.ledger)
    play(check, disk, image.ledger)
    camera.shoot()
    yield from camera.images()


def survive(images: Iterable[Image]) -> int:
    """Recover every image, and start once more, which must find nothing to do; how many there were."""
    count = 0
    for image in images:
        disk = image.disk()
        try:
            play(check, disk, image.ledger)
            put_aside = [name for name in disk.contents() if name.startswith(".")]
            play(check, disk, image.ledger)
            assert [name for name in disk.contents() if name.startswith(".")] == put_aside
            assert not disk.broken_rules
        except BaseException as exc:
            exc.add_note(str(image))
            raise
        count += 1
    return count


def finds(story: Play, *, disk: MemoryDisk | None = None) -> bool:
    """Whether power cuts show that something is wrong."""
    images = images_of(story, disk=disk)
    try:
        survive(images)
    except AssertionError:
        return True
    except ExceptionGroup as group:
        _, others = group.split(AssertionError)
        if others is not None:
            raise others from None
        return True
    return False
