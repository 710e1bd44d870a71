"""What the source can be told, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from orgloop_connectors._http import url_faults

MAX_LOOKBACK_S = 30 * 86_400.0

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@attrs.frozen(kw_only=True)
class LinearConfig:
    """Which team, and who we are there."""

    team: str
    """Its key, as ``ENG``, or its id."""
    project: str | None = None
    """Only issues of the project of this name."""
    api_key: str = attrs.field(metadata={"secret": True})
    initial_lookback_s: float = attrs.field(default=300.0, metadata={"yaml": "initial_lookback", "unit": "duration"})
    """How far the first poll looks back."""
    api_url: str = "https://api.linear.app/graphql"
    cache_dir: str | None = None
    """Accepted, and without effect: nothing is remembered outside the checkpoint."""

    def about_issues(self) -> dict[str, Any]:
        """The filter for the issues that are meant."""
        team = {"id": {"eq": self.team}} if _UUID.fullmatch(self.team) else {"key": {"eq": self.team}}
        project = {} if self.project is None else {"project": {"name": {"eq": self.project}}}
        return {"team": team, **project}

    def headers(self) -> dict[str, str]:
        """Who we are; a personal key stands alone, a token of OAuth does not."""
        return {"authorization": f"Bearer {self.api_key}" if self.api_key.startswith("lin_oauth") else self.api_key}


def faults_in(config: LinearConfig) -> Iterator[str]:
    """What is wrong with a config, a sentence for each fault."""
    if not config.team:
        yield "team: is empty; write its key, as ENG in ENG-12"
    if config.project == "":
        yield "project: is empty; leave the key out, or name one"
    if not config.api_key:
        yield "api_key: is empty; set LINEAR_API_KEY, from https://linear.app/settings/account/security"
    elif not (config.api_key.isascii() and config.api_key.isprintable()):
        yield "api_key: is none; one looks like lin_api_…"
    if not 0 <= config.initial_lookback_s <= MAX_LOOKBACK_S:
        yield "initial_lookback: must be at most 30d"
    yield from (f"api_url: {fault}" for fault in url_faults(config.api_url))
