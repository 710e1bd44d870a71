"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import attrs

TOLERANCE_S = 60.0
"""How old, or how far ahead, what is sent may be; Linear advises a minute."""

MAX_BODY_BYTES = 1024 * 1024

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""What Linear calls kinds of things, and what can be done with them."""


@attrs.frozen(kw_only=True)
class LinearWebhookConfig:
    """
    What a source accepts.

    Without a secret it accepts whatever is posted, and says so in each event: ``provenance.authenticated``.
    """

    secret: str | None = attrs.field(default=None, metadata={"secret": True})
    secrets: Sequence[str] = attrs.field(default=(), metadata={"secret": True})
    """More of them, for as long as a secret is being changed."""
    events: Sequence[str] = ()
    """Which kinds of things, as Linear calls them: ``Issue``, ``Comment``, ``Project``, …; all unless given."""
    team: str | None = None
    """The key of the team; what is of another is not admitted, what is of none is."""
    tolerance_s: float = attrs.field(default=TOLERANCE_S, metadata={"yaml": "tolerance", "unit": "duration"})
    """How old what is sent may be."""
    max_body_bytes: int = attrs.field(default=MAX_BODY_BYTES, metadata={"yaml": "max_body", "unit": "size"})
    path: str | None = None
    """Accepted, and without effect: a source is always at ``/webhook/<id>``."""
    buffer_dir: str | None = None
    """Accepted, and without effect: the log keeps what has come."""
    max_buffer_size: int | None = attrs.field(default=None, metadata={"unit": "size"})
    """Accepted, and without effect, as ``buffer_dir``."""


def faults_in(config: LinearWebhookConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    for where, secret in [("secret", config.secret), *((f"secrets.{i}", one) for i, one in enumerate(config.secrets))]:
        if secret == "":
            yield f"{where}: is empty; set the variable it comes from, or leave the key out and sign nothing"
    for index, kind in enumerate(config.events):
        if not NAME.fullmatch(kind):
            yield f"events.{index}: {kind[:60]!r} is no kind of thing; write Issue, Comment or Project"
    if config.team == "":
        yield "team: is empty; leave the key out, or write a key, as ENG"
    if not 0 < config.tolerance_s <= 86_400:
        yield "tolerance: must be more than nothing, and at most 1d"
    if not 0 < config.max_body_bytes <= 100 * MAX_BODY_BYTES:
        yield "max_body: must be more than nothing, and at most 100MB"
