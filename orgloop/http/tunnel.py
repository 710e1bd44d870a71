"""
The way to the application: bytes in, bytes out, nothing looked at.

    client ◀──▶ (first bytes, then all that comes) ◀──▶ hypercorn, on a unix socket in a directory that is ours alone

Either side may end it. A client that half-closes has some seconds to hear the answer: hypercorn itself would take the
end of the input for the end of the client. One that has gone looks just the same, so its seat may be had meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from orgloop.http.answers import Answer, busy
from orgloop.http.limits import Limits

_ABSENT = busy("The application is starting again; try again", retry_after_s=1)
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.frozen
class UnixTunnel:
    """Tunnels to a unix socket."""

    path: Path
    limits: Limits

    async def __call__(
        self, stream: trio.abc.HalfCloseableStream, first: bytes, on_eof: Callable[[], object]
    ) -> Answer | None:
        """Carry everything to and fro until one side has enough."""
        try:
            inner = await trio.open_unix_socket(self.path)
        except OSError:
            return _ABSENT
        async with inner, trio.open_nursery() as nursery:
            nursery.start_soon(self._inwards, stream, inner, first, on_eof, nursery.cancel_scope)
            await self._outwards(inner, stream)
            nursery.cancel_scope.cancel("the application has said all")
        return None

    async def _inwards(
        self,
        stream: trio.abc.ReceiveStream,
        inner: trio.abc.SendStream,
        first: bytes,
        on_eof: Callable[[], object],
        whole: trio.CancelScope,
    ) -> None:
        """The client's bytes; it ends the tunnel if the client goes, not if the application stops listening."""
        data: bytes | bytearray = first
        while data:
            try:
                await inner.send_all(data)
            except _GONE:
                return  # it may have answered all the same: 413, for one
            try:
                data = await stream.receive_some(self.limits.read_bytes)
            except _GONE:
                whole.cancel("the client has gone")
                return
        on_eof()
        await trio.sleep(self.limits.half_closed_s)
        whole.cancel("the client has said all, and has waited for the answer long enough")

    async def _outwards(self, inner: trio.abc.ReceiveStream, stream: trio.abc.HalfCloseableStream) -> None:
        """The application's bytes."""
        try:
            while data := await inner.receive_some(self.limits.read_bytes):
                with trio.move_on_after(self.limits.send_s) as sending:
                    await stream.send_all(data)
                if sending.cancelled_caught:
                    return
            await stream.send_eof()
        except _GONE:
            return
