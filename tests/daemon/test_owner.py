"""One owner for each home."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from orgloop.daemon.home import Home, prepare_home
from orgloop.daemon.identity import Identity, identity_of
from orgloop.daemon.owner import Lock, Owner, Stale, Unseen, find_owner, inherit_home, is_free, take_home
from orgloop.errors import HomeError, HomeTaken


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that is ready to be taken."""
    home = Home(tmp_path / "home")
    prepare_home(home)
    return home


def us() -> Identity:
    found = identity_of(os.getpid())
    assert found is not None
    return found


def test_a_home_has_one_owner(home: Home) -> None:
    """I26: the second is refused, and told who the first is; when that lets go, it is free."""
    lock = take_home(home)
    lock.note(us(), us())

    with pytest.raises(HomeTaken, match=f"process {os.getpid()}; stop it"):
        take_home(home)
    lock.release()

    take_home(home).release()


def test_of_many_at_the_same_instant_one_wins(home: Home) -> None:
    """C2-17: whatever the order, one has it, and all others are refused."""
    won: list[Lock] = []
    refused: list[HomeTaken] = []
    gate = threading.Barrier(8)

    def take() -> None:
        gate.wait()
        try:
            won.append(take_home(home))
        except HomeTaken as exc:
            refused.append(exc)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(won), len(refused)) == (1, 7)
    won[0].release()


def test_who_looks_sees_the_owner(home: Home) -> None:
    """Whom to ask, which runtime is alive, where it listens, and how often it was restarted."""
    lock = take_home(home)
    lock.note(us(), None, restarts=3)
    home.write(home.port, b"4800\n")

    assert find_owner(home) == Owner(us(), None, 4800, 3)
    lock.release()


def test_who_looks_all_the_time_keeps_nobody_from_taking_it(home: Home) -> None:
    """A look holds the lock for a moment, and a start is not refused by that."""
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            find_owner(home)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(20):
        take_home(home).release()
    enough.set()
    looking.join()


def test_a_home_nobody_has_run_on_has_no_owner(home: Home) -> None:
    """Not even a directory is needed to say so."""
    assert find_owner(home) is None
    assert find_owner(Home(home.path / "nowhere")) is None


@pytest.mark.parametrize("content", ["", "-1", "0", "1", "999999999999999999999", "no number", "\0" * 5000])
def test_a_pid_file_alone_owns_nothing(home: Home, content: str) -> None:
    """A9, C2-18: whatever it says, it blocks no start, and nobody is found who could be signalled."""
    home.pid.write_text(content)

    found = find_owner(home)

    assert isinstance(found, Stale)
    assert "orgloop.pid" in found.reason
    take_home(home).release()


def test_a_lock_file_that_names_a_living_stranger_owns_nothing(home: Home) -> None:
    """What counts is who holds the lock, not what is written there."""
    home.lock.write_text(json.dumps({"owner": {"pid": os.getppid(), "started": "x"}, "runtime": None, "restarts": 0}))

    assert isinstance(find_owner(home), Stale)


@pytest.mark.parametrize(
    "words", ["", "{", "[]", '{"owner": {"pid": "1", "started": "x"}, "runtime": null, "restarts": 0}']
)
def test_an_owner_that_does_not_say_who_it_is_is_not_guessed(home: Home, words: str) -> None:
    """The home is not free, and nobody may be signalled."""
    lock = take_home(home)
    os.pwrite(lock.descriptor, words.encode(), 0)

    assert isinstance(find_owner(home), Unseen)
    assert not is_free(home)
    lock.release()


def test_an_owner_that_cannot_be_seen_is_not_guessed(home: Home) -> None:
    """It runs in another container, say: the lock is held, and the number means somebody else here."""
    lock = take_home(home)
    lock.note(Identity(1, "elsewhere"), None)

    found = find_owner(home)

    assert isinstance(found, Unseen)
    assert "container" in found.reason
    lock.release()


def test_when_the_supervising_process_is_gone_its_runtime_is_the_owner(home: Home) -> None:
    """It holds the same lock, and will end soon."""
    lock = take_home(home)
    lock.note(Identity(us().pid, "earlier"), us())

    assert find_owner(home) == Owner(us(), us(), None)
    lock.release()


def test_a_lock_is_handed_down_and_outlives_its_first_holder(home: Home) -> None:
    """The home is owned until the last copy is closed, and never unlocked by one of them."""
    first = take_home(home)
    second = inherit_home(home, os.dup(first.descriptor))

    first.leave()
    assert not is_free(home)
    second.leave()
    assert is_free(home)


def test_what_is_not_the_lock_cannot_be_handed_down(home: Home) -> None:
    """A descriptor of something else, or of nothing, is not believed."""
    take_home(home).release()
    with (home.path / "other").open("w") as other, pytest.raises(HomeError, match="ORGLOOP_LOCK_FD"):
        inherit_home(home, other.fileno())
    with pytest.raises(HomeError, match="ORGLOOP_LOCK_FD"):
        inherit_home(home, 987654)


def test_a_lock_knows_when_its_home_was_replaced(home: Home) -> None:
    """C2-37: others would find another file, and own another home of that name."""
    lock = take_home(home)
    assert lock.is_in_place()

    home.path.rename(home.path.with_name("moved"))
    assert not lock.is_in_place()
    prepare_home(home)
    take_home(home).release()
    assert not lock.is_in_place()
    lock.release()


def test_what_is_no_file_is_no_lock(home: Home) -> None:
    """K8: a link, a pipe or a directory in its place is refused, and its target is not touched."""
    for make in (lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, os.mkdir):
        make(home.lock)
        with pytest.raises(HomeError, match=r"orgloop\.lock"):
            take_home(home)
        home.lock.rmdir() if home.lock.is_dir() else home.lock.unlink()
