"""What the two can be told, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs

from orgloop_connectors._github.account import BASE_URL, Account, base_url_faults, repo_faults, token_faults
from orgloop_connectors._github.facts import EVENTS

MAX_LOOKBACK_S = 90 * 86_400.0
"""How far back the first poll may look: far more would be read than anybody wants."""

Action = Literal["comment", "repository_dispatch", "workflow_dispatch", "status"]


@attrs.frozen(kw_only=True)
class AccountConfig:
    """Which repository, as whom, and where."""

    repo: str
    """``owner/name``."""
    token: str = attrs.field(metadata={"secret": True})
    base_url: str = BASE_URL
    """For GitHub Enterprise Server: ``https://<host>/api/v3``."""

    def account(self) -> Account:
        """The same, as one speaks with GitHub."""
        return Account(self.repo, self.token, self.base_url)


@attrs.frozen(kw_only=True)
class SourceConfig(AccountConfig):
    """What is looked for, and how far back."""

    events: Sequence[str] = ()
    """Which kinds; all of them unless said."""
    authors: Sequence[str] = ()
    """Only what these have done, by ``provenance.author``."""
    initial_lookback_s: float = attrs.field(
        default=7 * 86_400.0, metadata={"yaml": "initial_lookback", "unit": "duration"}
    )
    rate_budget: float = 0.8
    """The share of GitHub's rate limit that may be used, by everybody who uses this token."""


@attrs.frozen(kw_only=True)
class ActorConfig(AccountConfig):
    """Where something is done, and what, unless a route says otherwise."""

    action: Action = "comment"


# -- what can be wrong -------------------------------------------------------------------------------------------------


def account_faults(config: AccountConfig) -> Iterator[str]:
    yield from repo_faults(config.repo)
    yield from token_faults(config.token)
    yield from base_url_faults(config.base_url)


def source_faults(config: SourceConfig) -> Iterator[str]:
    yield from account_faults(config)
    for index, name in enumerate(config.events):
        if name not in EVENTS:
            yield f"events.{index}: there is no {name[:60]!r}; there are: {', '.join(EVENTS)}"
    if not 0 <= config.initial_lookback_s <= MAX_LOOKBACK_S:
        yield "initial_lookback: must be at most 90d"
    if not 0 < config.rate_budget <= 1:
        yield "rate_budget: must be more than 0 and at most 1, as in 0.8"


def refuse(faults: Iterator[str]) -> None:
    """Raise ValueError if there is a fault, a line for each."""
    if found := list(faults):
        raise ValueError("\n".join(found))
