"""
A disk in memory for tests: it forgets what was not synced, refuses when told, and keeps watch over who uses it.

    disk = MemoryDisk()
    disk.before = lambda: images.extend(disk.images())      # what a power cut may leave, before every operation
    disk.fail(at=7, error=refused(errno.ENOSPC))            # the seventh operation from now; sticky=True: and all after

Only what changes something is an operation: create, write, sync, truncate (two: cut, sync), rename, remove,
sync_directory; ``write_new`` is four of them. A file's content is durable once it was synced, its name once the
directory was: what was created, renamed or removed since then may or may not have happened after a crash, each by
itself.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Self, TypeVar

import attrs
import trio

T = TypeVar("T")

SECTOR_BYTES = 512


class PowerCut(BaseException):
    """The machine stops here: no ``except OSError`` may take it for an error."""


def refused(code: int = errno.EIO) -> OSError:
    """What a disk says that will not."""
    return OSError(code, errno.errorcode[code])


@attrs.define(eq=False)
class MemoryFile:
    """What was written, and what of it is on the medium."""

    content: bytearray = attrs.field(factory=bytearray)
    durable: bytes = b""

    def sync(self) -> None:
        """Bring all of it to the medium."""
        self.durable = bytes(self.content)

    def images(self) -> Iterator[bytes]:
        """What may be on the medium after a crash: all, nothing unsynced, half of it, zeros for it, holes in it."""
        durable, content = self.durable, bytes(self.content)
        yield content
        yield durable
        unsynced = len(content) - len(durable)
        if unsynced > 0 and content.startswith(durable):
            half = len(durable) + unsynced // 2
            first, last = min(half, len(durable) + SECTOR_BYTES), max(half, len(content) - SECTOR_BYTES)
            yield content[:half]
            yield durable + bytes(unsynced)
            yield durable + bytes(first - len(durable)) + content[first:]
            yield content[:first] + bytes(last - first) + content[last:]


@attrs.frozen
class _Renaming:
    """A change to the directory: a name comes (``old`` is None), goes (``new`` is None), or changes."""

    old: str | None
    new: str | None
    file: MemoryFile

    def apply(self, names: dict[str, MemoryFile]) -> None:
        if self.old is not None and names.get(self.old) is self.file:
            del names[self.old]
        if self.new is not None:
            names[self.new] = self.file


@attrs.define(eq=False)
class MemoryDisk:
    """A :class:`orgloop.wal.Disk` in memory; ``operations`` counts what was asked of it that changes something."""

    files: dict[str, MemoryFile] = attrs.field(factory=dict)
    operations: int = 0
    before: Callable[[], None] | None = None
    """Called before every operation."""
    syncs: bool = True
    """False: a disk that says it has synced, and has not."""
    broken_rules: list[str] = attrs.field(factory=list)
    """Handles that were used again after they had failed, or were closed."""
    open_handles: int = 0
    delay_s: float = 0
    """How long a call takes, before anything is done."""
    _durable_names: dict[str, MemoryFile] = attrs.field(factory=dict)
    _renamings: list[_Renaming] = attrs.field(factory=list)
    _strike: range = range(0)
    _error: BaseException | None = None
    _short: bool = False

    @classmethod
    def of(cls, contents: dict[str, bytes]) -> Self:
        """A disk that holds these files, all of them durable."""
        disk = cls({name: MemoryFile(bytearray(content), content) for name, content in contents.items()})
        disk._durable_names = dict(disk.files)
        return disk

    def contents(self) -> dict[str, bytes]:
        """What is in the files now."""
        return {name: bytes(file.content) for name, file in sorted(self.files.items())}

    # -- being told to fail

    def fail(
        self, *, at: int = 1, error: BaseException | None = None, sticky: bool = False, short: bool = False
    ) -> None:
        """
        Raise ``error`` at the operation that comes as the ``at``-th from now, and at all after it if ``sticky``.

        ``short``: if that is a write, half is taken first; without an error it says so, and all goes on.
        """
        first = self.operations + at
        self._strike = range(first, 2**63) if sticky else range(first, first + 1)
        self._error, self._short = error, short

    def recover(self) -> None:
        """Be as good as new; what is there stays."""
        self._strike = range(0)

    def _operation(self) -> None:
        if self.before is not None:
            self.before()
        self.operations += 1
        if self.operations in self._strike and self._error is not None:
            raise self._error

    # -- the protocol

    async def call(self, work: Callable[[], T]) -> T:
        """Do it at once, after others had their turn."""
        await trio.sleep(self.delay_s)
        return work()

    def names(self) -> list[str]:
        """What is in the directory."""
        return list(self.files)

    def size(self, name: str) -> int:
        """Bytes in a file."""
        return len(self._file(name).content)

    def read(self, name: str, start: int, length: int) -> bytes:
        """Bytes of a file."""
        return bytes(self._file(name).content[start : start + length])

    def create(self, name: str) -> MemoryHandle:
        """Make a file, and open it for appending."""
        self._operation()
        if name in self.files:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        file = MemoryFile()
        self._rename(_Renaming(None, name, file))
        self.open_handles += 1
        return MemoryHandle(self, file, name)

    def write_new(self, name: str, content: bytes) -> None:
        """Make a durable file."""
        handle = self.create(name)
        rest = content
        try:
            while rest:
                rest = rest[handle.write(rest) :]
            handle.sync()
        finally:
            handle.close()
        self.sync_directory()

    def truncate(self, name: str, length: int) -> None:
        """Cut a file, durably."""
        self._operation()
        file = self._file(name)
        del file.content[length:]
        self._operation()
        if self.syncs:
            file.sync()

    def rename(self, name: str, to: str) -> None:
        """Give a file another name."""
        self._operation()
        self._rename(_Renaming(name, to, self._file(name)))

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._operation()
        self._rename(_Renaming(name, None, self._file(name)))

    def sync_directory(self) -> None:
        """Make the names durable."""
        self._operation()
        if self.syncs:
            self._durable_names = dict(self.files)
            self._renamings.clear()

    def _file(self, name: str) -> MemoryFile:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        return self.files[name]

    def _rename(self, renaming: _Renaming) -> None:
        renaming.apply(self.files)
        self._renamings.append(renaming)

    # -- what is there after the machine has stopped

    def images(self) -> Iterator[MemoryDisk]:
        """The disks that a crash at this moment may leave: each directory, with each fate of what is unsynced."""
        for names in self._directories():
            fates = [list(file.images()) for file in names.values()]
            for fate in range(max(map(len, fates), default=1)):
                yield MemoryDisk.of({name: of[min(fate, len(of) - 1)] for name, of in zip(names, fates, strict=True)})

    def _directories(self) -> Iterator[dict[str, MemoryFile]]:
        """All changes happened, or none, or all but one, or one alone."""
        changes = self._renamings
        subsets = [changes, [], *([each] for each in changes), *([o for o in changes if o is not e] for e in changes)]
        seen: list[dict[str, MemoryFile]] = []
        for subset in subsets:
            names = dict(self._durable_names)
            for change in subset:
                change.apply(names)
            if names not in seen:
                seen.append(names)
                yield names


@attrs.define(eq=False)
class MemoryHandle:
    """A file open for appending."""

    _disk: MemoryDisk
    _file: MemoryFile
    _name: str
    _failed: bool = False
    _closed: bool = False

    def write(self, content: bytes) -> int:
        """Append; half of it if the disk was told so."""
        half = content[: max(1, len(content) // 2)]
        disk = self._disk
        try:
            self._use("written")
        except BaseException:
            if disk._short:
                self._file.content += half
            raise
        taken = half if disk._short and disk.operations in disk._strike else content
        self._file.content += taken
        return len(taken)

    def sync(self) -> None:
        """Make what was written durable."""
        self._use("synced")
        if self._disk.syncs:
            self._file.sync()

    def close(self) -> None:
        """Let go."""
        self._disk.open_handles -= not self._closed
        self._closed = True

    def _use(self, how: str) -> None:
        if self._failed:
            self._disk.broken_rules.append(f"{self._name} was {how} after it had failed")
        if self._closed:
            self._disk.broken_rules.append(f"{self._name} was {how} after it was closed")
        try:
            self._disk._operation()
        except BaseException:
            self._failed = True
            raise
