"""
The power goes, at every operation that a whole runtime does to its disk, and everything that was promised is kept.

A story is played once, on a disk in memory that shows what a power cut would leave before each of its operations, with
all fates of what is not synced. On each such image a runtime is opened, finishes, and is held to the ledger of that
moment. All of it is in virtual time and one thread.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from orgloop.delivery.dead_letters import DeadLetter
from orgloop.runtime.runtime import Runtime, open_runtime
from tests.runtime.crash import stage
from tests.runtime.crash.bugs import open_bus
from tests.runtime.crash.ledger import Ledger
from tests.runtime.crash.log import Log
from tests.wal.disk import MemoryDisk

SYNC_S = 0.0005
"""How long the disk takes for a call, so that much is under way meanwhile."""

ROUNDS, COUNTED, FINISH_S = 12, 60, 60
Contents = tuple[tuple[str, bytes], ...]


@attrs.frozen
class Image:
    """A disk after a power cut, and what was promised before it."""

    contents: Contents
    ledger: Ledger
    operation: int

    def disk(self) -> MemoryDisk:
        """The disk, to be used."""
        disk = MemoryDisk.of(dict(self.contents))
        disk.delay_s = SYNC_S
        return disk

    def __str__(self) -> str:
        files = ", ".join(f"{name}: {len(content)}" for name, content in self.contents)
        return f"cut before operation {self.operation}, leaving {files}"


@attrs.define
class Camera:
    """Takes the images of a disk before each of its operations; of equal ones the last, when most was promised."""

    disk: MemoryDisk
    ledger: Ledger
    runtime: Runtime | None = None
    """Its dead letters are durable as soon as they are there."""
    images: dict[Contents, Image] = attrs.field(factory=dict)
    broken: AssertionError | None = None
    """The first promise that was heard to be broken."""

    def say(self, *word: Any) -> None:
        """Tell the ledger; what it finds is kept, for a raise here would be a crash of the actor that speaks."""
        try:
            self.ledger.hear(*word)
        except AssertionError as exc:
            self.broken = self.broken or exc

    def shoot(self) -> None:
        """Take all images of this moment."""
        if self.runtime is not None:
            bury(self.runtime, self.ledger)
        ledger, operation = self.ledger.copy(), self.disk.operations + 1
        for disk in self.disk.images():
            contents = tuple(disk.contents().items())
            self.images[contents] = Image(contents, ledger, operation)


def bury(runtime: Runtime, ledger: Ledger) -> None:
    """Tell the ledger of the dead letters that there are."""
    for letter in runtime.dead_letters(limit=100_000):
        assert isinstance(letter, DeadLetter)
        known = ledger.letters.setdefault((letter.event.id, letter.route), letter.reason)
        assert known == letter.reason


def play(play_: Callable[[Camera], Any], camera: Camera) -> None:
    """Run to the end in virtual time; raises what was heard to be broken meanwhile."""
    trio.run(play_, camera, clock=MockClock(autojump_threshold=0))
    if camera.broken is not None:
        raise camera.broken


async def story(camera: Camera, *, bug: str, rounds: int) -> None:
    """Everything that can happen to an event, a few times, until the runtime is left."""
    chance, say = random.Random(7), camera.say
    async with open_bus(camera.disk, bug) as bus, open_runtime(bus=bus) as runtime:
        camera.runtime = runtime
        await stage.load(runtime, say, until=COUNTED)
        for round_ in range(rounds):
            if round_ == rounds - 2:
                await runtime.drain()
                say("drained")
            await stage.inject(runtime, say, stage.batch_of(stage.INJECTED, chance, life=0))
            await trio.sleep(chance.uniform(0, 0.01))


async def recover(camera: Camera) -> None:
    """Open what is there, and finish."""
    async with open_bus(camera.disk) as bus, open_runtime(bus=bus) as runtime:
        camera.runtime = runtime
        await stage.load(runtime, camera.say, until=0)
        await stage.finish(runtime, camera.say, within_s=FINISH_S)
        bury(runtime, camera.ledger)


def images_of(bug: str = "", *, syncs: bool = True, rounds: int = ROUNDS) -> list[Image]:
    """Everything that a power cut during the story may leave."""
    disk = MemoryDisk(syncs=syncs)
    disk.delay_s = SYNC_S
    return _shot(Camera(disk, Ledger()), partial(story, bug=bug, rounds=rounds))


def recoveries(image: Image) -> list[Image]:
    """What a second power cut may leave, during the recovery from a first."""
    ledger = image.ledger.copy()
    ledger.compare(Log.of(dict(image.contents)), ())
    return _shot(Camera(image.disk(), ledger), recover)


def _shot(camera: Camera, play_: Callable[[Camera], Any]) -> list[Image]:
    camera.disk.before = camera.shoot
    play(play_, camera)
    camera.shoot()
    return list(camera.images.values())


def survive(images: Iterable[Image]) -> int:
    """Recover every image, and let it finish; AssertionError with the first broken promise. How many there were."""
    count = 0
    for image in images:
        ledger, camera_disk = image.ledger.copy(), image.disk()
        try:
            ledger.compare(Log.of(dict(image.contents)), ())
            play(recover, Camera(camera_disk, ledger))
            log = Log.of(camera_disk.contents())
            ledger.compare(log, ())
            ledger.close(log)
            assert not camera_disk.broken_rules
        except BaseException as exc:
            exc.add_note(str(image))
            raise
        count += 1
    return count


def finds(bug: str = "", *, syncs: bool = True) -> str:
    """What power cuts show to be wrong with a build; nothing if they show nothing."""
    try:
        survive(reversed(images_of(bug, syncs=syncs)))
    except AssertionError as exc:
        return str(exc)
    except ExceptionGroup as group:
        failed, others = group.split(AssertionError)
        if failed is None or others is not None:
            raise
        return str(failed.exceptions[0])
    return ""


def sample(images: list[Image], *, most: int, seed: int = 0) -> Iterator[Image]:
    """Some of them, in order."""
    chosen = sorted(random.Random(seed).sample(range(len(images)), min(most, len(images))))
    return (images[number] for number in chosen)
