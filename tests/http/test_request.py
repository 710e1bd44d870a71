"""The head of a request, read by us and by h11: where we take one, it takes the same."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.http.answers import NOT_FOUND, Answer
from orgloop.http.limits import Limits
from orgloop.http.request import CHUNKED, Head, Target, chunk_length, read_head, read_target

LIMITS = Limits()
PIECES = st.sampled_from(
    [
        *(b"GET", b"POST", b" ", b"  ", b"\t", b"/", b"/a%20b?c=d", b"*", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.10"),
        *(b"\r\n", b"\r", b"\n", b"\r\n ", b":", b": ", b",", b"\x00", b"\x7f", b"\x0b", b"\xff", b"\x85", b";", b'"'),
        *(
            b"Host: a\r\n",
            b"host:b\r\n",
            b"Content-Length: 5\r\n",
            b"Content-Length: 05\r\n",
            b"Content-Length: 5, 5\r\n",
        ),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding:\tChunked \r\n"),
        *(b"Connection: close\r\n", b"Connection: x, Close\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n", b"X:\r\n"),
    ]
)
HEADS = st.one_of(
    st.lists(PIECES, max_size=12).map(b"".join),
    st.lists(PIECES, max_size=6).map(lambda pieces: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(pieces)),
    st.binary(max_size=60),
).map(lambda head: head.split(b"\r\n\r\n")[0].removesuffix(b"\r\n") + b"\r\n\r\n")


@given(block=HEADS)
def test_what_we_take_h11_takes_for_the_same(block: bytes) -> None:
    """Method, target, headers, and the frame of the body: the two sides of the tunnel never disagree."""
    head = read_head(block, LIMITS)
    if isinstance(head, Answer):
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(block)
    request = connection.next_event()

    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target.decode()) == (head.method, head.target)
    assert {name.decode() for name, _ in request.headers} == head.headers.keys()
    # It writes the name of an encoding in lower case.
    assert all(value.decode("latin-1") in _as_h11(head, name.decode()) for name, value in request.headers)
    following = connection.next_event()
    assert (following is h11.NEED_DATA) == (head.length != 0)
    assert (b"transfer-encoding", b"chunked") in list(request.headers) or head.length != CHUNKED
    if not head.length:
        closes = connection.their_state is h11.MUST_CLOSE
        assert closes == (not head.keep_alive)


def _as_h11(head: Head, name: str) -> str:
    return head.headers[name].lower() if name == "transfer-encoding" else head.headers[name]


@given(raw=st.binary(max_size=300))
def test_no_block_of_bytes_is_a_fault(raw: bytes) -> None:
    """It is a head, or it is refused as the sender's fault."""
    head = read_head(raw + b"\r\n\r\n", LIMITS)

    assert isinstance(head, Head) or 400 <= head.status < 500


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a/", "/a/", ""),
        ("/a%20b?c=%2F..%00", "/a b", "c=%2F..%00"),
        ("/a?/../b", "/a", "/../b"),
        ("/caf%C3%A9", "/café", ""),
        ("/%67ithub", "/github", ""),
        ("/a/..b", "/a/..b", ""),
    ],
)
def test_a_path_is_decoded_once(target: str, path: str, query: str) -> None:
    """And the query is left to whoever wants it."""
    assert read_target(target) == Target(path, query)


@pytest.mark.parametrize(
    "target", ["/%2e", "/a/%2e%2e/b", "/a/..", "/.", "/a//b", "/%252e", "/a%5Cb", "/a%0ab", "/%ff"]
)
def test_a_path_with_two_meanings_is_none(target: str) -> None:
    """Not found, without a hint."""
    assert read_target(target) == NOT_FOUND


@given(target=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map("/".__add__))
def test_a_path_that_is_taken_means_only_itself(target: str) -> None:
    """No dot segment, no empty one but the last, nothing left to decode, nothing that is not text."""
    found = read_target(target)
    if isinstance(found, Target):
        segments = found.path.split("/")
        assert not {".", ".."} & set(segments)
        assert "" not in segments[1:-1]
        assert not set("%\\;") & set(found.path)
        assert found.path.isprintable()


@pytest.mark.parametrize(
    ("line", "length"),
    [(b"0", 0), (b"1f", 31), (b"FFFFFFFF", 2**32 - 1), (b"2;a=b", 2), (b"2 ", None), (b" 2", None), (b"", None)],
)
def test_the_line_before_a_chunk_says_its_size(line: bytes, length: int | None) -> None:
    """In hex digits and nothing around them."""
    assert chunk_length(line) == length
