"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

MAX_PER_POLL = 50
"""How many messages a page has, unless ``max_per_poll`` says otherwise."""


@attrs.frozen(kw_only=True)
class GogConfig:
    """Which mailbox, and what of it."""

    account: str
    query: str | None = None
    """In Gmail's words, as ``is:unread in:inbox``; without it, all that comes in."""
    gog_client: str | None = None
    """The OAuth client of gog's to use, if it has several."""
    cache_dir: str | None = None
    """Accepted, and without effect: what was seen stands in the checkpoint."""
    fetch_body: bool = False
    max_per_poll: int = MAX_PER_POLL
    program: str = "gog"
    """A name with a slash is looked for from the module's directory, any other in PATH."""
    env: Mapping[str, str] = attrs.field(factory=dict, metadata={"secret": True})
    """What it sees beyond PATH, HOME and LANG: ``GOG_KEYRING_PASSWORD``, for one."""


def faults_in(config: GogConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    for key in ("account", "query", "gog_client", "program"):
        value = getattr(config, key)
        if value is not None and (not value or "\0" in value):
            yield f"{key}: is empty, or holds NUL"
        elif value is not None and key != "query" and value.startswith("-"):
            yield f"{key}: begins with '-', and would be taken for an option"
    if not 1 <= config.max_per_poll <= 500:
        yield "max_per_poll: must be from 1 to 500"
