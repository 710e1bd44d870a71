"""The token."""

from __future__ import annotations

from pathlib import Path

import pytest

from orgloop.daemon import Home, ensure_token, prepare_home, read_token
from orgloop.errors import HomeError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a token."""
    home = Home(tmp_path / "home")
    prepare_home(home)
    return home


def test_a_token_is_made_once(home: Home) -> None:
    """I41: 256 bits, for its owner only; the next start keeps it, so that clients do too."""
    assert read_token(home) is None
    token = ensure_token(home)

    assert (len(token), home.token.stat().st_mode & 0o777) == (43, 0o600)
    assert ensure_token(home) == read_token(home) == token


def test_two_homes_have_two_tokens(home: Home, tmp_path: Path) -> None:
    """It is drawn, not derived."""
    other = Home(tmp_path / "other")
    prepare_home(other)

    assert ensure_token(home) != ensure_token(other)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606])
def test_a_token_that_others_had_in_hands_is_refused(home: Home, mode: int) -> None:
    """K10: closing the file now would not make it secret again."""
    ensure_token(home)
    home.token.chmod(mode)

    with pytest.raises(HomeError, match="remove it and start the daemon again"):
        read_token(home)


@pytest.mark.parametrize("content", ["", "\n", "short\n", "x" * 43 + "\n\n", "y" * 44, "é" * 43, "z" * 42 + "/"])
def test_what_is_no_token_is_refused(home: Home, content: str) -> None:
    """K10: an empty one would let everybody in."""
    home.token.write_text(content)
    home.token.chmod(0o600)

    with pytest.raises(HomeError, match="holds no token"):
        ensure_token(home)


def test_a_link_is_no_token(home: Home) -> None:
    """K8: its target is not read."""
    home.token.symlink_to("/etc/hostname")

    with pytest.raises(HomeError, match="cannot be read"):
        read_token(home)


def test_a_group_that_was_let_in_may_read_it(home: Home) -> None:
    """Only where the home itself is open to a group."""
    ensure_token(home)
    home.path.chmod(0o2750)
    home.token.chmod(0o640)

    assert read_token(home) is not None
