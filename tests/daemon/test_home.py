"""The home: what is refused, what is made, who may read it."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest

from orgloop.daemon import Home, home_of, prepare_home
from orgloop.errors import HomeError


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_the_home_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    """A5: with umask 777 nothing would be ours to open, with umask 0 everything would be everybody's."""
    for umask in (0o777, 0o000):
        home = Home(tmp_path / f"{umask}")
        before = os.umask(umask)
        try:
            prepare_home(home)
            home.write(home.pid, b"1\n")
        finally:
            os.umask(before)

        assert (mode_of(home.path), mode_of(home.logs), mode_of(home.pid)) == (0o700, 0o700, 0o600)


def test_a_home_that_others_can_read_is_closed(tmp_path: Path) -> None:
    """What another program of this user has made with the usual umask is taken over, not refused."""
    tmp_path.chmod(0o755)

    prepare_home(Home(tmp_path))

    assert mode_of(tmp_path) == 0o700


def test_a_home_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """C2-38: somebody may have put something into it, so it is not closed silently; the message has the command."""
    tmp_path.chmod(0o777)

    with pytest.raises(HomeError, match=f"chmod 700 {tmp_path}"):
        prepare_home(Home(tmp_path))


def test_a_link_is_refused_and_says_where_it_leads(tmp_path: Path) -> None:
    """C2-38: whoever can change the link could lead the daemon elsewhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(HomeError, match=f"ORGLOOP_HOME={tmp_path}/real"):
        prepare_home(Home(tmp_path / "link"))


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """It is left as it is."""
    (tmp_path / "home").write_text("mine")

    with pytest.raises(HomeError, match="not a directory"):
        prepare_home(Home(tmp_path / "home"))

    assert (tmp_path / "home").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_home_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A11: root would leave files in it that its owner cannot read."""
    os.chown(tmp_path, 12345, -1)

    with pytest.raises(HomeError, match="belongs to user 12345"):
        prepare_home(Home(tmp_path))


def test_a_home_below_a_file_is_refused(tmp_path: Path) -> None:
    """It says what is in the way."""
    (tmp_path / "file").touch()

    with pytest.raises(HomeError, match="file is not a directory"):
        prepare_home(Home(tmp_path / "file" / "home"))


def test_a_group_is_let_in(tmp_path: Path) -> None:
    """Its members can enter, and read what a client needs; the logs stay closed."""
    home = Home(tmp_path / "home", group=grp.getgrgid(os.getegid()).gr_name)

    prepare_home(home)
    home.write(home.port, b"4800\n")

    assert (mode_of(home.path), mode_of(home.port), mode_of(home.logs) & 0o777) == (0o2750, 0o640, 0o700)
    assert home.port.stat().st_gid == os.getegid()


def test_a_group_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Not silently a home that is closed."""
    with pytest.raises(HomeError, match="there is no group 'nobody-has-this'"):
        prepare_home(Home(tmp_path, group="nobody-has-this"))


@pytest.mark.parametrize("user", ["", "/", "relative"])
def test_a_user_without_a_directory_has_no_home(user: str) -> None:
    """A4: no file is ever made in /."""
    with pytest.raises(HomeError, match="set ORGLOOP_HOME"):
        home_of({"HOME": user})


def test_what_is_given_comes_before_the_environment(tmp_path: Path) -> None:
    """--home, then ORGLOOP_HOME, then ~/.orgloop; a relative one is made absolute."""
    environ = {"ORGLOOP_HOME": str(tmp_path), "HOME": "/home/ada"}

    assert home_of(environ, given="here").path == Path.cwd() / "here"
    assert home_of(environ).path == tmp_path


def test_only_small_regular_files_are_read(tmp_path: Path) -> None:
    """K8: a pipe would hang, a link would lead away, a huge file would fill the memory."""
    home = Home(tmp_path)
    os.mkfifo(home.pid)
    home.port.symlink_to("/etc/passwd")
    home.token.write_bytes(b"x" * 5000)

    for path in (home.pid, home.port, home.token):
        with pytest.raises(OSError, match=r"regular|symbolic|longer"):
            home.read(path)
    assert home.read(home.heartbeat) is None
