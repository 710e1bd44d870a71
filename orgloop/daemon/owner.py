"""
Who owns a home: the one that holds the lock on ``orgloop.lock``, for as long as it lives.

    {"owner": {"pid": 41, "started": "…"}, "runtime": {"pid": 42, "started": "…"}, "restarts": 0}

The lock is the kernel's (flock), so a process that dies has let go of it, whatever it left behind. It is shared between
a supervising process and its runtime by inheritance, so the home is theirs between two lives of the runtime as well.
The words in the file only say whom to talk to; pid and port files are for people.

Law: never unlock, only close. To unlock one copy of the descriptor would unlock all of them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator

import attrs

from orgloop.daemon.home import SMALL_BYTES, Home
from orgloop.daemon.identity import Identity, is_alive
from orgloop.errors import HomeError, HomeTaken

LOOK_S = 0.05
"""For how long a lock that is held is tried again: who only looks holds it for a moment."""

LOOK_EVERY_S = 0.005

_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@attrs.frozen
class Owner:
    """A daemon at work."""

    process: Identity
    """Whom to ask to stop: the supervising process if there is one, else the runtime."""
    runtime: Identity | None
    """None between two lives."""
    port: int | None
    """None before it is ready."""
    restarts: int = 0

    @property
    def is_supervised(self) -> bool:
        """Whether a crash would be followed by a restart."""
        return self.process != self.runtime


@attrs.frozen
class Stale:
    """Nobody owns the home, but one who did could not tidy up; there is nothing to stop, and nothing to repair."""

    reason: str


@attrs.frozen
class Unseen:
    """The home is owned, by whom cannot be told from here; nobody may be signalled."""

    reason: str


@attrs.define
class Lock:
    """The home, owned; what is in the file is only ever written through this."""

    home: Home
    descriptor: int

    def note(self, owner: Identity, runtime: Identity | None, *, restarts: int = 0) -> None:
        """Say who owns the home, for those who look."""
        members = {
            "owner": attrs.asdict(owner),
            "runtime": None if runtime is None else attrs.asdict(runtime),
            "restarts": restarts,
        }
        content = json.dumps(members).encode() + b"\n"
        # One write of one length, so that a reader never sees a part; mixed words would name no living process.
        os.pwrite(self.descriptor, content.rjust(512), 0)

    def is_in_place(self) -> bool:
        """Whether the file that is locked is still the one that others find."""
        try:
            found = self.home.lock.lstat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self.descriptor))

    def leave(self) -> None:
        """Let go of this copy; another process may still hold the home."""
        os.close(self.descriptor)

    def release(self) -> None:
        """Let go of the home, tidily. The file stays: who removed it could remove another's."""
        os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def take_home(home: Home) -> Lock:
    """Own the home from now on; raises :class:`HomeTaken` if somebody does, :class:`HomeError` if nobody can."""
    lock = Lock(home, _open_lock(home))
    try:
        for _ in _tries():
            if _try_lock(lock.descriptor, fcntl.LOCK_EX):
                if lock.is_in_place():
                    return lock
                raise HomeError(f"{home.lock} was replaced in this very moment; try again")
        raise HomeTaken(_who_has_it(home))
    except BaseException:
        lock.leave()
        raise


def inherit_home(home: Home, descriptor: int) -> Lock:
    """Own the home together with the process that handed down its lock."""
    lock = Lock(home, descriptor)
    try:
        fits = lock.is_in_place() and _try_lock(descriptor, fcntl.LOCK_EX)
    except OSError:
        fits = False
    if not fits:
        raise HomeError(f"what was handed down is not the lock of {home.path}; start without ORGLOOP_LOCK_FD")
    os.set_inheritable(descriptor, False)
    return lock


def find_owner(home: Home) -> Owner | Stale | Unseen | None:
    """Who owns the home: an owner, nobody, or why that cannot be said. Raises ``OSError`` if one may not look."""
    found: Owner | Stale | Unseen | None = None
    for _ in _tries():
        found = _look(home)
        if not isinstance(found, Unseen):
            return found
    return found  # it has had the time to say who it is


def is_free(home: Home) -> bool:
    """Whether nobody owns the home."""
    return not isinstance(_look(home), Owner | Unseen)


def _look(home: Home) -> Owner | Stale | Unseen | None:
    try:
        descriptor = os.open(home.lock, os.O_RDONLY | _OPEN)
    except FileNotFoundError:
        return _stale(home, b"")
    try:
        is_owned = not _try_lock(descriptor, fcntl.LOCK_SH)
        content = os.pread(descriptor, SMALL_BYTES, 0)
    finally:
        os.close(descriptor)
    return _owner(home, content) if is_owned else _stale(home, content)


def _stale(home: Home, content: bytes) -> Stale | None:
    left = [path.name for path in (home.pid, home.supervisor_pid, home.port) if os.path.lexists(path)]
    if content.strip() or left:
        what = f"left behind: {', '.join(left)}" if left else f"{home.lock.name} names one that is gone"
        return Stale(f"no daemon runs on {home.path}; the last one was killed ({what}), which the next start tidies up")
    return None


def _owner(home: Home, content: bytes) -> Owner | Unseen:
    try:
        members = json.loads(content)
        restarts = int(members["restarts"])
        owner, runtime = (_identity(members[key]) for key in ("owner", "runtime"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Unseen(f"{home.path} is owned, and its owner has not said who it is yet; try again")
    living = [identity for identity in (owner, runtime) if identity is not None and is_alive(identity)]
    if not living:
        where = "look on the host, or in the container, that it runs in"
        return Unseen(f"{home.path} is owned by a process that cannot be seen from here; {where}")
    return Owner(living[0], runtime if runtime in living else None, _port(home), restarts)


def _identity(members: dict[str, object] | None) -> Identity | None:
    if members is None:
        return None
    pid, started = members["pid"], members["started"]
    if not isinstance(pid, int) or not isinstance(started, str):
        raise TypeError("not an identity")
    return Identity(pid, started)


def _port(home: Home) -> int | None:
    with contextlib.suppress(OSError):
        content = (home.read(home.port) or b"").strip()
        if content.isdigit() and 0 < int(content) < 65536:
            return int(content)
    return None


def _who_has_it(home: Home) -> str:
    found = find_owner(home)
    if isinstance(found, Owner):
        return (
            f"a daemon already runs on {home.path}: process {found.process.pid}; "
            "stop it (orgloop stop), or set ORGLOOP_HOME to another directory"
        )
    return found.reason if isinstance(found, Unseen) else f"another daemon has just ended on {home.path}; try again"


def _open_lock(home: Home) -> int:
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | _OPEN, 0o600)
    except OSError as exc:
        raise HomeError(
            f"{home.lock} cannot be opened: {exc.strerror}; it must be a file of your own, so move away what is there"
        ) from exc
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise HomeError(f"{home.lock} is not a regular file; move it away")
    os.fchmod(descriptor, home.file_mode)
    return descriptor


def _try_lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        if exc.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise HomeError(
                "the file system of the home has no locks, so two daemons could run on it; "
                "set ORGLOOP_HOME to a directory on a local disk"
            ) from exc
        raise
    return True


def _tries() -> Iterator[None]:
    until_s = time.monotonic() + LOOK_S
    yield
    while time.monotonic() < until_s:
        time.sleep(LOOK_EVERY_S)
        yield
