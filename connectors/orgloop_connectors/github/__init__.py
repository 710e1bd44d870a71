"""
GitHub, both ways: a source that looks for what is new in a repository, an actor that comments there and starts things.

    sources:                                       actors:
      - id: github                                   - id: github-comment
        connector: github                              connector: github
        config:                                        config:
          repo: octo-org/checkout                        repo: octo-org/checkout
          token: ${GITHUB_TOKEN}                         token: ${GITHUB_TOKEN}
          events: [pull_request.review_submitted]

    config    what the two can be told
    cursor    where a reading of a list stands, and what is new in it (pure)
    feeds     reading lists without gaps     pulls   what GraphQL is asked
    source    lists, then events             actor   events to requests

Law of the source: a list is either read as far as it goes or not at all; a checkpoint says how far, by GitHub's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orgloop.sdk import Checked, Connector, EnvVar, Event, Offer, Place
from orgloop_connectors._github.account import check_account
from orgloop_connectors.github.config import AccountConfig, ActorConfig, SourceConfig

if TYPE_CHECKING:
    from orgloop_connectors.github.actor import GithubActor
    from orgloop_connectors.github.source import GithubSource


def make_source(config: SourceConfig, place: Place) -> GithubSource:
    """A source; what it works with is imported when the first one is made."""
    from orgloop_connectors.github.source import GithubSource

    return GithubSource(config, place)


def make_actor(config: ActorConfig, place: Place) -> GithubActor:
    """An actor, likewise."""
    from orgloop_connectors.github.actor import GithubActor

    return GithubActor(config, place)


async def check(config: AccountConfig, _: Place) -> Sequence[Checked]:
    """Whose the token is, and whether it sees the repository."""
    return await check_account(config.account())


def samples() -> list[Event]:
    """One of each kind."""
    from orgloop_connectors._github.samples import examples

    return [draft.event("github") for draft in examples()]


CONNECTOR = Connector(
    id="github",
    summary="Polls a repository for what people and checks did there; comments, dispatches and sets statuses.",
    source=Offer(config=SourceConfig, make=make_source, check=check),
    actor=Offer(config=ActorConfig, make=make_actor, check=check),
    env=(
        EnvVar(
            name="GITHUB_TOKEN",
            description="May read the repository; for an actor, may write issues, contents, actions or statuses",
            url="https://github.com/settings/tokens/new?scopes=repo",
            command="gh auth token",
        ),
        EnvVar(
            name="GITHUB_REPO",
            description="The repository, as owner/name",
            url="https://github.com",
            required=False,
        ),
    ),
    samples=samples,
)
