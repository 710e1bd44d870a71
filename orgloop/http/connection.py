"""
One connection: requests in order, an answer to each, until either side has enough.

    waiting ─▶ head ─▶ (walls) ─▶ body ─▶ answering ─▶ sending ─▶ waiting
                          └─▶ tunnel, for good: the first request that is the application's takes the connection along

A phase has an end, which is a number that :func:`end_the_late` looks at twice a second, for all connections: a scope
per phase, or one whose deadline is moved on, would cost a tenth of the time of a request. Requests that were pipelined
wait in the inbox, so there is never more than one at work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from orgloop.http.answers import CONTINUE, Answer, busy, refusal, render
from orgloop.http.inbox import Inbox
from orgloop.http.ingest import Full, Ingest
from orgloop.http.limits import Limits
from orgloop.http.places import Batch, Elsewhere, Place, Webhook, place_of
from orgloop.http.request import CHUNKED, Head, read_head
from orgloop.http.seats import Seats
from orgloop.http.tellers import Refusals
from orgloop.http.walls import Walls, body_refusal

CHECK_S = 0.5
"""How late a deadline may be noticed."""

_LATE = refusal(408, "The request did not come in time")
_SLOW_DISK = busy("The events did not become durable in time", retry_after_s=5)
_UPGRADE = refusal(400, "The only upgrade that can be had is to a WebSocket")
_TOO_MANY = busy("Too many connections", retry_after_s=1)


class Tunnel(Protocol):
    """Takes a connection over, with the bytes that have come on it, until its end."""

    async def __call__(
        self, stream: trio.abc.HalfCloseableStream, first: bytes, on_eof: Callable[[], object]
    ) -> Answer | None:
        """
        None when it is over; an answer if the other end of the tunnel is not there.

        ``on_eof`` is called when the client has said that it will send no more, or has gone: nobody can tell which.
        """
        ...


@attrs.frozen(kw_only=True)
class Door:
    """What all connections share."""

    ingest: Ingest
    walls: Walls
    tunnel: Tunnel
    limits: Limits
    refusals: Refusals
    seats: Seats
    stopping: trio.Event


async def end_the_late(seats: Seats) -> None:
    """End connections whose phase has taken too long, until cancelled."""
    while True:
        await trio.sleep(CHECK_S)
        now_s = trio.current_time()
        for guest in list(seats.guests):
            guest.end_if_late(now_s)


class Connection:
    """Serves one stream. How many there may be is the business of the seats."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, peer: str, door: Door) -> None:
        self.peer = peer
        self._stream = stream
        self._door = door
        self._limits = door.limits
        self._inbox = Inbox(stream, door.limits)
        self._scope = trio.CancelScope()
        self._phase = "waiting"
        self._ends_s = math.inf
        self._has_seat = False

    def end_if_late(self, now_s: float) -> None:
        """Cut it off if its phase has taken too long."""
        if now_s >= self._ends_s:
            self._scope.cancel(f"too long in the phase: {self._phase}")

    def leave(self, reason: str) -> None:
        """Close now, if it waits for a request."""
        if self._has_seat and self._phase in {"waiting", "head", "half-closed"}:
            self._phase = "leaving"
            self._door.seats.free(self)
            self._has_seat = False
            self._scope.cancel(reason)

    async def serve(self) -> None:
        """Serve it to its end; a peer that has gone is such an end."""
        seats = self._door.seats
        self._has_seat = seats.take(self)
        if not self._has_seat:
            await self._farewell(_TOO_MANY)
            return
        try:
            with self._scope:
                self._enter("waiting", self._limits.head_s)
                while await self._exchange():
                    self._enter("waiting", self._limits.idle_s)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            if self._has_seat:
                seats.free(self)
                self._has_seat = False
        if self._scope.cancelled_caught:
            await self._farewell(_last_word(self._phase))

    def _enter(self, phase: str, most_s: float) -> None:
        if phase == "waiting":
            self._door.seats.waits(self)
        self._phase = phase
        self._ends_s = trio.current_time() + most_s

    def _begin(self) -> None:
        self._enter("head", self._limits.head_s)

    async def _exchange(self) -> bool:
        """One request and its answer; whether there may be another."""
        if self._door.stopping.is_set() and not self._inbox.held:
            return False
        block = await self._inbox.head(self._begin)
        self._door.seats.works(self)
        if block is None:
            return False
        if isinstance(block, Answer):
            return await self._refuse(block, target="")
        head = read_head(block, self._limits)
        if isinstance(head, Answer):
            return await self._refuse(head, target="")
        place = self._admitted(head)
        if isinstance(place, Answer):
            return await self._refuse(
                place,
                target=head.target,
                unread=head.length != 0,
                keep=head.keep_alive,
                bodiless=head.method == "HEAD",
            )
        if isinstance(place, Elsewhere):
            return await self._hand_over(block)
        return await self._ingest(place, head)

    def _admitted(self, head: Head) -> Place | Answer:
        """The place of a request, once it is past the walls."""
        place = place_of(head.method, head.target)
        if isinstance(place, Answer):
            return place
        is_open = isinstance(place, Webhook) or (isinstance(place, Elsewhere) and place.is_open)
        found = self._door.walls.refusal(head.headers, is_open=is_open)
        if found is not None:
            return found
        if isinstance(place, Elsewhere):
            return self._elsewhere(place, head)
        terms = self._door.ingest.terms(place)
        found = body_refusal(head.headers, has_body=head.length != 0, media_types=terms.media_types)
        return found or _size_refusal(head, terms.body_bytes) or place

    def _elsewhere(self, place: Elsewhere, head: Head) -> Place | Answer:
        if head.headers.get("upgrade", "websocket").lower() != "websocket":
            return _UPGRADE
        found = body_refusal(head.headers, has_body=head.length != 0)
        return found or _size_refusal(head, self._limits.body_bytes) or place

    async def _ingest(self, place: Webhook | Batch, head: Head) -> bool:
        most_bytes = self._door.ingest.terms(place).body_bytes
        reserved = most_bytes if head.length == CHUNKED else head.length
        room = self._door.ingest.room
        try:
            room.take(reserved)
        except Full:
            return await self._refuse(self._door.ingest.full(), target=head.target, unread=head.length != 0)
        try:
            body = await self._body(head, most_bytes)
            if isinstance(body, Answer):
                return await self._refuse(body, target=head.target)
            self._enter("answering", self._limits.answer_s)
            answer = await self._door.ingest.answer(place, head.method, head.headers, body)
        finally:
            room.leave(reserved)
        keep = head.keep_alive and not self._door.stopping.is_set()
        if answer.status >= 400:
            return await self._refuse(answer, target=head.target, unread=False, keep=keep)
        await self._send(answer, close=not keep)
        return keep

    async def _body(self, head: Head, most_bytes: int) -> bytes | Answer:
        if not head.length:
            return b""
        if not self._inbox.held or head.length == CHUNKED or len(self._inbox.held) < head.length:
            self._enter("body", self._limits.body_s)
            if head.expects_continue and not self._inbox.held:
                await self._stream.send_all(CONTINUE)
        if head.length == CHUNKED:
            return await self._inbox.chunked(most_bytes)
        return await self._inbox.exactly(head.length)

    async def _hand_over(self, block: bytes) -> bool:
        """From here on, the connection is the application's; its limits hold there."""
        self._enter("tunnel", math.inf)
        answer = await self._door.tunnel(self._stream, block + self._inbox.held, self._half_close)
        return False if answer is None else await self._refuse(answer, target="")

    def _half_close(self) -> None:
        self._phase = "half-closed"
        self._door.seats.half_closes(self)

    async def _refuse(
        self, answer: Answer, *, target: str, unread: bool = True, keep: bool = False, bodiless: bool = False
    ) -> bool:
        """
        Answer with an error; the connection goes on if the client is in step: all of the request has been read.

        Otherwise what is left of it is read and thrown away for a while, or the client would see a reset instead.
        """
        error = answer.body.decode()
        self._door.refusals.note(answer.status, error, peer=self.peer, target=target)
        goes_on = keep and not unread and not self._door.stopping.is_set()
        await self._send(answer, close=not goes_on, bodiless=bodiless)
        if not goes_on and unread:
            await self._linger()
        return goes_on

    async def _send(self, answer: Answer, *, close: bool, bodiless: bool = False) -> None:
        self._enter("sending", self._limits.send_s)
        await self._stream.send_all(render(answer, close=close, bodiless=bodiless))

    async def _linger(self) -> None:
        self._enter("sending", self._limits.linger_s)
        await self._stream.send_eof()
        left = self._limits.linger_bytes
        while left > 0 and (data := await self._stream.receive_some(self._limits.read_bytes)):
            left -= len(data)

    async def _farewell(self, answer: Answer | None) -> None:
        """A last word to a client that has been cut off, if it takes it at once."""
        if answer is None:
            return
        self._door.refusals.note(answer.status, answer.body.decode(), peer=self.peer, target="")
        with trio.move_on_after(self._limits.linger_s):
            try:
                await self._stream.send_all(render(answer, close=True))
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return


def _size_refusal(head: Head, most_bytes: int) -> Answer | None:
    return refusal(413, f"The body is larger than {most_bytes} bytes") if head.length > most_bytes else None


def _last_word(phase: str) -> Answer | None:
    """What a client hears whose time is over, by what it was late with."""
    return {"head": _LATE, "body": _LATE, "answering": _SLOW_DISK}.get(phase)
