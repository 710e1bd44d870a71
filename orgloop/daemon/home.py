"""
The home of a daemon: where each file lies, and what must hold of the directory before anything is put there.

    $ORGLOOP_HOME (default ~/.orgloop; 0700, or 2750 when opened to a group)
      orgloop.lock  orgloop.pid  supervisor.pid  runtime.port  control.token  heartbeat  state.json  modules.json
      config.yaml  logs/  data/  modules/

Law: whose home it is, who may read it, and that no link leads elsewhere is settled once, before the first file is made.
What is in the way is refused with the command that removes it; nothing is repaired by guessing.
"""

from __future__ import annotations

import contextlib
import grp
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs

from orgloop.delivery import _files as disk
from orgloop.errors import HomeError

SMALL_BYTES = 4096
"""What is longer is no pid, port, token or heartbeat file."""


@attrs.frozen
class Home:
    """The paths below one home; ``group`` names the group of users that may talk to its daemon."""

    path: Path
    group: str | None = None

    @property
    def lock(self) -> Path:
        """Held for life by the one who owns the home; says who that is."""
        return self.path / "orgloop.lock"

    @property
    def pid(self) -> Path:
        """The process id of the runtime, for people and their scripts; we ourselves ask the lock."""
        return self.path / "orgloop.pid"

    @property
    def supervisor_pid(self) -> Path:
        """The process id of the supervising process, if there is one."""
        return self.path / "supervisor.pid"

    @property
    def port(self) -> Path:
        """Where the front door listens."""
        return self.path / "runtime.port"

    @property
    def token(self) -> Path:
        """What opens the control API."""
        return self.path / "control.token"

    @property
    def heartbeat(self) -> Path:
        """Written every 30 s by a runtime that gets on."""
        return self.path / "heartbeat"

    @property
    def state(self) -> Path:
        """What runs, for ``plan`` and ``status``."""
        return self.path / "state.json"

    @property
    def modules(self) -> Path:
        """What is loaded again at the next start."""
        return self.path / "modules.json"

    @property
    def config(self) -> Path:
        """The user's defaults."""
        return self.path / "config.yaml"

    @property
    def logs(self) -> Path:
        """Where logs go."""
        return self.path / "logs"

    @property
    def log(self) -> Path:
        """What happened, one line for each notice."""
        return self.logs / "orgloop.log"

    @property
    def stdout_log(self) -> Path:
        """What a daemon in the background prints."""
        return self.logs / "daemon.stdout.log"

    @property
    def stderr_log(self) -> Path:
        """What a daemon in the background complains of."""
        return self.logs / "daemon.stderr.log"

    @property
    def data(self) -> Path:
        """The log of events, and what belongs to it."""
        return self.path / "data"

    @property
    def file_mode(self) -> int:
        """The mode of the files that a client reads."""
        return 0o640 if self.group else 0o600

    def write(self, path: Path, content: bytes) -> None:
        """Write one of the files above: it is there as a whole, or not at all."""
        disk.write_atomic(path.parent, path.name, content, mode=self.file_mode)

    def read(self, path: Path) -> bytes | None:
        """What one of the small files says; None if it is not there, ``OSError`` if it is not such a file."""
        try:
            return disk.read(path.parent, path.name, limit_bytes=SMALL_BYTES)
        except FileNotFoundError:
            return None

    def remove(self, *paths: Path) -> None:
        """Remove what of these is there and can be; what is left names nobody, because only the lock counts."""
        for path in paths:
            with contextlib.suppress(OSError):
                disk.remove(path.parent, path.name)


def home_of(environ: Mapping[str, str], *, given: str | None = None, group: str | None = None) -> Home:
    """
    The home that is meant: what is given, else ``ORGLOOP_HOME``, else ``~/.orgloop``.

    >>> home_of({"HOME": "/home/ada"}).path.as_posix()
    '/home/ada/.orgloop'
    """
    named = given or environ.get("ORGLOOP_HOME")
    if not named:
        user = environ.get("HOME", "")
        if not user.startswith("/") or Path(user) == Path("/"):
            raise HomeError(f"no home: HOME is {user!r}, which is nobody's directory; set ORGLOOP_HOME to a directory")
        named = f"{user}/.orgloop"
    if "\0" in named:
        raise HomeError("no home: its path holds a NUL")
    try:
        path = Path(named).expanduser().absolute()
    except (OSError, RuntimeError) as exc:
        raise HomeError(f"no home: {named!r} leads nowhere from here: {exc}; give an absolute path") from exc
    return Home(path, group)


def prepare_home(home: Home) -> None:
    """Make the directory if it is not there, and check that nobody else can write to it; raises :class:`HomeError`."""
    try:
        found = _make(home.path)
        _refuse_what_is_not_ours(home.path, found)
        _set_mode(home, found)
        if not home.logs.is_dir():
            home.logs.mkdir()
            home.logs.chmod(0o700)
    except OSError as exc:
        reason = f"{exc.filename or home.path}: {exc.strerror or exc}"
        raise HomeError(f"the home cannot be used: {reason}; make it writable, or set ORGLOOP_HOME") from exc


def _make(path: Path) -> os.stat_result:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as exc:
        raise HomeError(f"{exc.filename} is not a directory, so {path} cannot be in it; set ORGLOOP_HOME") from exc
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return path.lstat()
    path.chmod(0o700)
    return path.lstat()


def _refuse_what_is_not_ours(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise HomeError(f"{path} is a link; say where it leads: ORGLOOP_HOME={path.resolve()}")
    if not stat.S_ISDIR(found.st_mode):
        raise HomeError(f"{path} is not a directory; move it away, or set ORGLOOP_HOME")
    if found.st_uid != os.geteuid():
        raise HomeError(
            f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}; "
            "start as its owner, or set ORGLOOP_HOME to a directory of your own"
        )
    if found.st_mode & 0o022:
        raise HomeError(
            f"others may write to {path} (mode {stat.S_IMODE(found.st_mode):04o}), and so could make this daemon run "
            f"what they like; see that all in it is yours, then: chmod 700 {path}"
        )


def _set_mode(home: Home, found: os.stat_result) -> None:
    """Close the directory to others, but for its group; files made in it then belong to that group as well."""
    if home.group is None:
        if stat.S_IMODE(found.st_mode) != 0o700:
            home.path.chmod(0o700)
        return
    try:
        os.chown(home.path, -1, grp.getgrnam(home.group).gr_gid)
    except KeyError as exc:
        raise HomeError(f"there is no group {home.group!r} on this host; see: getent group") from exc
    except PermissionError as exc:
        raise HomeError(f"you are not in group {home.group!r}, so you cannot open the home to it; see: id") from exc
    home.path.chmod(0o2750)
