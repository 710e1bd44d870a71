"""What a process of ours says to the one that started it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.daemon.report import LINE_BYTES, Ties, Word, Words, decode_word, encode_word, take_ties
from orgloop.errors import HomeError

WORDS = st.builds(
    Word,
    word=st.sampled_from(["beat", "ready", "reloading", "failed", "stopping"]),
    pid=st.none() | st.integers(1, 2**22),
    port=st.none() | st.integers(1, 65535),
    reason=st.none() | st.text(),
)


@given(st.lists(WORDS, max_size=6), st.integers(1, 20))
def test_words_arrive_however_they_are_cut(words: list[Word], size: int) -> None:
    """A socket has no lines; what is said is heard, once and in order."""
    content = b"".join(map(encode_word, words))
    ear = Words()

    heard = [word for at in range(0, len(content), size) for word in ear.feed(content[at : at + size])]

    assert heard == words


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b"7", b'{"pid": 1}', b"\xff", b"[" * 10_000])
def test_what_is_no_word_says_nothing(line: bytes) -> None:
    """A library may print into any descriptor that it finds."""
    assert decode_word(line) is None


@pytest.mark.parametrize("pid", ["true", '"1"', "1.5", "null"])
def test_a_number_that_is_none_is_left_out(pid: str) -> None:
    """The word itself still counts."""
    assert decode_word(f'{{"word": "ready", "pid": {pid}}}'.encode()) == Word("ready")


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    """What is kept of it is bounded."""
    ear = Words()
    for _ in range(10):
        assert list(ear.feed(b"x" * LINE_BYTES)) == []

    assert len(ear._rest) == LINE_BYTES


def test_a_person_who_starts_us_hands_down_nothing() -> None:
    """Then there is nobody to tell."""
    ties = take_ties({"PATH": "/bin"})

    ties.say(Word("ready"))
    assert not ties.is_supervised


def test_what_was_handed_down_is_taken_out_of_the_environment() -> None:
    """Nothing that is started later has the names, nor the descriptors."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    environ = {"ORGLOOP_PARENT_FD": str(theirs.detach()), "ORGLOOP_READY_FD": str(writer)}

    ties = take_ties(environ)
    ties.say(Word("beat"))
    ties.say(Word("ready", port=1))

    assert environ == {}
    assert list(Words().feed(ours.recv(999))) == [Word("beat"), Word("ready", port=1)]
    assert os.read(reader, 999) == encode_word(Word("ready", port=1))
    assert os.read(reader, 1) == b"", "the pipe is for one word, and then closed"
    ties.close()
    ours.close()
    os.close(reader)


@pytest.mark.parametrize("text", ["", "x", "-1", "999999", "9" * 40])
@pytest.mark.parametrize("name", ["ORGLOOP_LOCK_FD", "ORGLOOP_PARENT_FD", "ORGLOOP_READY_FD"])
def test_what_was_not_handed_down_is_refused(name: str, text: str) -> None:
    """Such a name in a shell is a mistake, and no reason to write into somebody's file."""
    with pytest.raises(HomeError, match="unset it"):
        take_ties({name: text})


def test_a_descriptor_of_another_sort_is_refused() -> None:
    """A pipe is not a socket."""
    reader, writer = os.pipe()
    with pytest.raises(HomeError, match="ORGLOOP_PARENT_FD"):
        take_ties({"ORGLOOP_PARENT_FD": str(reader)})
    os.close(reader)
    os.close(writer)


def test_one_who_does_not_listen_holds_nobody_up() -> None:
    """A stopped listener does not read, a dead one has closed: neither blocks, neither raises."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    theirs.setblocking(False)
    ties = Ties(parent=theirs, ready=writer)
    for _ in range(5000):
        ties.say(Word("beat"))
    os.close(reader)
    ours.close()

    ties.say(Word("failed", reason="x" * 100_000))

    ties.close()


def test_who_only_looks_does_not_wait_for_what_the_runtime_needs() -> None:
    """`status`, `stop` and the supervising process load no event loop; nothing that hangs the one hangs the other."""
    heavy = "{'trio', 'anyio', 'cattrs', 'msgspec', 'ruamel'} & {name.split('.')[0] for name in sys.modules}"
    program = f"import sys, orgloop.daemon, orgloop.daemon.service; print({heavy})"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "set()"
