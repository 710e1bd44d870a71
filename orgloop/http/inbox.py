"""The bytes of a connection, in the pieces that HTTP/1.1 consists of; each piece has a limit, none a deadline."""

from __future__ import annotations

from collections.abc import Callable

import trio

from orgloop.http.answers import Answer, refusal
from orgloop.http.limits import Limits
from orgloop.http.request import chunk_length

_CUT = refusal(400, "The request ends too early")
_MALFORMED = refusal(400, "This is not HTTP/1.1")


class Inbox:
    """Reads heads and bodies off a stream; an :class:`Answer` in the place of one says why it is refused."""

    def __init__(self, stream: trio.abc.ReceiveStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self.held = b""
        """What has come, and was not asked for yet."""

    async def _more(self) -> bool:
        """Wait for more; False when there is none."""
        data = await self._stream.receive_some(self._limits.read_bytes)
        self.held = self.held + data if self.held else bytes(data)
        return bool(data)

    async def head(self, on_part: Callable[[], None]) -> bytes | Answer | None:
        """The next head, with its empty line; None if no more comes. ``on_part`` is called when part of one has."""
        most = self._limits.head_bytes
        has_begun = False
        while True:
            held = self.held
            if held.startswith(b"\r\n"):  # some clients send one too many after a body (RFC 9112, 2.2)
                held = self.held = held[2:]
            end = held.find(b"\r\n\r\n", 0, most)
            if end >= 0:
                self.held = held[end + 4 :]
                return held[: end + 4]
            if len(held) >= most:
                return refusal(431, f"The head of the request is longer than {most} bytes")
            if held and not _may_become_a_head(held):
                return _MALFORMED
            if held and not has_begun:
                has_begun = True
                on_part()
            if not await self._more():
                return _CUT if held else None

    async def exactly(self, length: int) -> bytes | Answer:
        """The next ``length`` bytes."""
        held = self.held
        if len(held) >= length:
            self.held = held[length:]
            return held[:length]
        pieces, missing, self.held = [held], length - len(held), b""
        while missing > 0:
            if not await self._more():
                return _CUT
            pieces.append(self.held[:missing])
            missing, self.held = missing - len(self.held), self.held[missing:]
        return b"".join(pieces)

    async def chunked(self, most_bytes: int) -> bytes | Answer:
        """A body in chunks, of at most so many bytes; trailers are refused, as nobody reads them."""
        pieces: list[bytes] = []
        total = 0
        while True:
            line = await self._line()
            if isinstance(line, Answer):
                return line
            length = chunk_length(line)
            if length is None:
                return refusal(400, "Malformed chunk")
            total += length
            if total > most_bytes:
                return refusal(413, f"The body is larger than {most_bytes} bytes")
            chunk = await self.exactly(length + 2)
            if isinstance(chunk, Answer):
                return chunk
            if not chunk.endswith(b"\r\n"):
                return refusal(400, "Malformed chunk" if length else "Trailers are not taken")
            if not length:
                return b"".join(pieces)
            pieces.append(chunk[:-2])

    async def _line(self) -> bytes | Answer:
        while (end := self.held.find(b"\r\n", 0, self._limits.chunk_line_bytes)) < 0:
            if len(self.held) >= self._limits.chunk_line_bytes:
                return refusal(400, "Malformed chunk")
            if not await self._more():
                return _CUT
        line, self.held = self.held[:end], self.held[end + 2 :]
        return line


def _may_become_a_head(held: bytes) -> bool:
    """Whether a head may begin so: tells at once what would otherwise be waited for, such as a TLS hello."""
    line, line_end, _ = held.partition(b"\r\n")
    if not line[:1].isalpha() and line != b"\r":
        return False
    if line_end and not line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
        return False
    return held.count(b"\n") == held.count(b"\r\n")
