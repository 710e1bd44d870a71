"""A catalogue for the tests: the transforms and loggers that there are, and connectors that only have options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from orgloop.config.catalogue import EnvironmentVariable, Kind, Offer, Unusable
from orgloop.delivery.config import DeliveryConfig
from orgloop.loggers import BUILT_IN as LOGGERS
from orgloop.transforms import BUILT_IN as TRANSFORMS

SECRET = {"secret": True}


@attrs.frozen(kw_only=True)
class GitHub:
    repo: str
    token: str | None = attrs.field(default=None, metadata=SECRET)
    events: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    per_page: int = 50
    cache_dir: str | None = attrs.field(default=None, metadata={"path": True})


@attrs.frozen(kw_only=True)
class Linear:
    team: str
    api_key: str = attrs.field(metadata=SECRET)


@attrs.frozen(kw_only=True)
class Agent:
    hook_type: str | None = None


@attrs.frozen(kw_only=True)
class Webhook:
    path: str | None = None
    url: str | None = None
    secret: str | None = attrs.field(default=None, metadata=SECRET)
    headers: Mapping[str, str] = attrs.field(factory=dict, metadata=SECRET)
    body_template: Mapping[str, Any] | None = None
    verbose: bool = False


@attrs.frozen(kw_only=True)
class OpenClaw:
    base_url: str
    auth_token_env: str | None = attrs.field(default=None, metadata=SECRET)
    agent_id: str | None = None
    default_channel: str | None = None
    default_to: str | None = None


_TOKEN = EnvironmentVariable("GITHUB_TOKEN", "a token of the tests", "https://example.org/token")
_SOURCES = {
    "github": Offer(name="github", config=GitHub, environment=[_TOKEN]),
    "linear": Offer(name="linear", config=Linear),
    "claude-code": Offer(name="claude-code", config=Agent),
    "webhook": Offer(name="webhook", config=Webhook),
}
_ACTORS = {
    "webhook": Offer(name="webhook", config=Webhook),
    "openclaw": Offer(name="openclaw", config=OpenClaw),
}
_TRANSFORMS = {name: Offer(name=name, config=made.config, check=made.make) for name, made in TRANSFORMS.items()}
_LOGGERS = {name: Offer(name=name, config=made.config) for name, made in LOGGERS.items()}
_BUSES = {name: Offer(name=name) for name in ("file", "memory", "nats")}
_ALL: Mapping[Kind, Mapping[str, Offer]] = {
    "source": _SOURCES,
    "actor": _ACTORS,
    "transform": _TRANSFORMS,
    "logger": _LOGGERS,
    "bus": _BUSES,
}


@attrs.frozen
class Plugins:
    """What there is in the tests; ``modules`` are installed packages, by name."""

    modules: Mapping[str, str] = attrs.field(factory=dict)
    delivery: type[Any] | None = DeliveryConfig

    def find(self, kind: Kind, name: str) -> Offer | Unusable | None:
        if name == "acme:broken":
            return Unusable("its module cannot be imported", fix="pip install acme")
        if name.endswith(".py"):
            return Offer(name=name)
        for prefix in ("@orgloop/connector-", "@orgloop/transform-", "@orgloop/logger-"):
            name = name.removeprefix(prefix)
        return _ALL[kind].get(name)

    def names(self, kind: Kind) -> Sequence[str]:
        return [name for name in _ALL[kind] if not name.startswith("@")]

    def module(self, package: str) -> str | None:
        return self.modules.get(package)
