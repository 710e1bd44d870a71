"""
Where a source of mail stands: what it has seen, or how far the mailbox's history was read. Pure.

As it is written down: ``{"mode": "search", "seen": […]}``, or ``{"mode": "history", "historyId": "4711", …}``, each
with ``page`` while what has come since is being read page by page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

MAX_SEEN = 5000
"""How many messages are remembered as seen; those that were seen first are let go first."""

Mode = Literal["search", "history"]


@attrs.frozen(kw_only=True)
class Standing:
    """Where a source stands."""

    mode: Mode
    history_id: str | None = None
    """From where the history is to be read; None if nothing was in the mailbox yet."""
    since_ms: int = 0
    """When the latest mail came, by Gmail's clock: from there it goes on if the history is forgotten."""
    seen: Sequence[str] = ()
    """Messages that a search has found, oldest first."""
    page: str | None = None
    """Where to go on reading, if the last page was not the last."""
    pages: int = 0
    """How many pages have been read in this pass."""

    def written(self) -> str:
        """As a checkpoint."""
        plain: dict[str, Any] = {"mode": self.mode}
        if self.mode == "search":
            plain["seen"] = list(self.seen)
        else:
            plain |= {"historyId": self.history_id, "since_ms": self.since_ms}
        if self.page is not None:
            plain |= {"page": self.page, "pages": self.pages}
        return json.dumps(plain, separators=(",", ":"))


def having_seen(seen: Sequence[str], ids: Sequence[str]) -> Sequence[str]:
    """What was seen, with these as the latest."""
    latest = set(ids)
    return [*(known for known in seen if known not in latest), *ids][-MAX_SEEN:]


def read(checkpoint: str | None, mode: Mode) -> Standing | None:
    """
    Where a checkpoint says that it stands; None if there is none, or it is that of the other mode.

    Those of the original are as none: it kept what it had seen elsewhere, and never came to a ``historyId``.
    """
    try:
        plain = json.loads(checkpoint) if checkpoint is not None else None
    except ValueError:
        return None
    if not isinstance(plain, Mapping) or plain.get("mode") != mode:
        return None
    if ("seen" if mode == "search" else "since_ms") not in plain:
        return None
    history_id, page, seen = plain.get("historyId"), plain.get("page"), plain.get("seen")
    return Standing(
        mode=mode,
        history_id=history_id if isinstance(history_id, str) else None,
        since_ms=_whole(plain.get("since_ms")),
        seen=[id_ for id_ in seen if isinstance(id_, str)] if isinstance(seen, list) else (),
        page=page if isinstance(page, str) else None,
        pages=_whole(plain.get("pages")),
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
