"""The files that a daemon in the background prints to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orgloop.daemon.logs import TAIL_BYTES, bound_log, open_log, tail_of


def test_a_log_is_appended_to_by_its_owner_only(tmp_path: Path) -> None:
    """Each start goes on where the last one ended."""
    path = tmp_path / "daemon.stderr.log"
    for text in (b"one\n", b"two\n"):
        descriptor = open_log(path)
        os.write(descriptor, text)
        os.close(descriptor)

    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_too_long_is_put_aside_while_it_is_written(tmp_path: Path) -> None:
    """Who prints does not notice: its next line is the first of the file."""
    path = tmp_path / "log"
    descriptor = open_log(path)
    for number in range(3):
        os.write(descriptor, f"{number}".encode() * 10)
        assert bound_log(path, limit_bytes=9)
    os.write(descriptor, b"next\n")
    os.close(descriptor)

    assert path.read_text() == "next\n"
    assert (tmp_path / "log.1").read_text() == "2" * 10
    assert not bound_log(path, limit_bytes=9)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """K8: its target is not touched."""
    (tmp_path / "log").symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="symbolic"):
        open_log(tmp_path / "log")
    assert not (tmp_path / "target").exists()


def test_what_was_said_last_is_quoted_but_not_all_of_it(tmp_path: Path) -> None:
    """From a place on, and bounded; bytes that are no text do no harm."""
    path = tmp_path / "log"
    path.write_bytes(b"earlier\n" + b"x" * 9000 + b"\xff end\n")

    assert tail_of(path, start=9000) == "xxxxxxxx\ufffd end"
    assert len(tail_of(path, start=0)) <= TAIL_BYTES
    assert tail_of(path, start=10**9) == tail_of(tmp_path / "none", start=0) == ""
