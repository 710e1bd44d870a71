"""Every bound of the front door, under one name each; they hold in front of the application behind it too."""

from __future__ import annotations

import attrs

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class Limits:
    """What one peer, one connection and one request may use. A bound passes, one more is refused."""

    head_bytes: int = 16 * KIB
    """Request line and headers together, with the empty line that ends them."""
    headers: int = 100
    target_bytes: int = 8 * KIB
    """The path with its query."""
    body_bytes: int = 1 * MIB
    """A body, unless the terms of its source allow more."""
    chunk_line_bytes: int = 128
    """The line before a chunk: its size, and extensions that nobody reads."""
    read_bytes: int = 64 * KIB
    """How much is read from a connection at a time, so also how much of a pipeline is held."""

    json_depth: int = 64
    json_nodes: int = 100_000
    """Values and keys in one body."""

    head_s: float = 10.0
    """From the first byte of a request, or from the accept, to the end of its headers."""
    body_s: float = 30.0
    """From the end of the headers to the end of the body."""
    answer_s: float = 30.0
    """From the end of the body to the answer, which waits for the disk."""
    send_s: float = 30.0
    """To get rid of an answer, or of one read's worth of a tunnel."""
    idle_s: float = 60.0
    """Between two requests."""
    linger_s: float = 2.0
    """How long what is left of a refused request is read and thrown away, so that its sender sees the answer."""
    linger_bytes: int = 1 * MIB
    half_closed_s: float = 5.0
    """How long the application may go on answering a client that has said that it will send no more."""

    connections: int = 512
    connections_per_peer: int = 64
    """A peer is an address, or the user at the other end of a unix socket."""
    requests_waiting: int = 1024
    """Requests with a body to read or a commit to wait for; past it, 503."""
    bytes_waiting: int = 128 * MIB
    """The same, by the sizes of their bodies."""
    retry_after_s: int = 1
    """What those who are refused for lack of room are told."""

    stop_s: float = 10.0
    """How long requests under way may take once the door is closing."""
    refusals_told_per_s: int = 10
    """Refusals beyond these are counted and told of together."""
