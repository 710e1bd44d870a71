"""
What every connector keeps, whatever it leads to; a new one adds a :class:`Row` to ``ROWS``.

A row names its module, and for its source and its actor the least config that makes one, as it stands in a file.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

import attrs
import pytest

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.event import decode, encode, faults_of
from orgloop.sdk import Checked, Connector, Offer, Place

HEAVY = ("httpx2", "httpcore2", "anyio", "cattrs", "ruamel", "quart", "rich", "cronsim", "asyncio")
"""What must not be imported with a connector, only by it when it works."""

SECRET_WORDS = ("secret", "token", "password", "api_key", "auth_token", "private_key")
"""A field with such a word in its name holds one."""

WATCHED = ("open", "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "_thread.start")
"""Audit events of what making something must not do."""

MAX_EVENT_SAMPLES = 50

PLACE = Place(module="engineering", id="it", directory=Path("/nowhere"))


Check = Callable[[Any, Place], Awaitable[Sequence[Checked]]]


@attrs.frozen(kw_only=True)
class Row:
    """One connector, and what it can be made with."""

    name: str
    """Of the connector; its module in ``orgloop_connectors`` is called the same, with ``_`` for ``-``."""
    source: Mapping[str, Any] | None = None
    actor: Mapping[str, Any] | None = None
    not_secret: tuple[str, ...] = ()
    """Fields that look like secrets by their name, and are none."""
    urls: tuple[str, ...] = ()
    """The keys at which its configs have the address of the outside; what then is asked there is listened to."""
    asks_by_post: bool = False
    """It asks by POST, as one does in GraphQL."""

    @property
    def module(self) -> str:
        return f"orgloop_connectors.{self.name.replace('-', '_')}"

    @property
    def connector(self) -> Connector:
        return cast(Connector, import_module(self.module).CONNECTOR)

    @property
    def offers(self) -> list[tuple[Offer, Mapping[str, Any]]]:
        """Each offer with its least config."""
        pairs = [(self.connector.source, self.source), (self.connector.actor, self.actor)]
        assert all((offer is None) == (config is None) for offer, config in pairs), "the row names what is not offered"
        return [(offer, config) for offer, config in pairs if offer is not None and config is not None]

    def checks(self, url: str) -> list[tuple[Check, Any]]:
        """Each check with the config that it is to check, the outside being at ``url``."""
        return [
            (offer.check, structure(offer.config, {**config, **_at(offer, self.urls, url)}, where=self.name))
            for offer, config in self.offers
            if offer.check is not None
        ]


ROWS = (
    Row(name="docker", actor={"image": "acme/review:1", "socket": "/nowhere/docker.sock"}),
    Row(name="agent-ctl", source={}),
    Row(name="claude-code", source={}, actor={}),
    Row(name="codex", source={}, actor={}),
    Row(name="coding-agent", source={}),
    Row(name="exec", actor={"command": ["true"]}),
    Row(
        name="github",
        source={"repo": "octo-org/checkout", "token": "t0ken"},
        actor={"repo": "octo-org/checkout", "token": "t0ken"},
        urls=("base_url",),
    ),
    Row(
        name="github-webhook",
        source={"token": "t0ken", "repo_owner": "octo-org", "repo_name": "checkout"},
        urls=("base_url",),
    ),
    Row(name="gog", source={"account": "ann@example.com"}),
    Row(name="openclaw", actor={}, urls=("base_url",)),
    Row(name="opencode", source={}),
    Row(name="pi", source={}),
    Row(name="pi-rust", source={}),
    Row(name="webhook", source={}, actor={"url": "http://127.0.0.1:9/hook"}, urls=("url",)),
    Row(name="cron", source={"schedule": "0 9 * * *"}),
    Row(name="file-watch", source={"paths": ["inbox/*"]}),
    Row(name="linear", source={"team": "ENG", "api_key": "k3y"}, urls=("api_url",), asks_by_post=True),
    Row(name="linear-webhook", source={}),
    Row(name="rss", source={"url": "http://127.0.0.1:9/feed.xml"}, urls=("url",)),
    Row(name="slack", actor={"token": "xoxb-1", "channel": "C1"}, urls=("api_url",)),
)


# -- what is kept ------------------------------------------------------------------------------------------------------


def it_is_called_as_its_module(row: Row) -> None:
    """The name in the file is the name of the entry point."""
    assert row.connector.id == row.name
    assert row.connector.summary.endswith(".")
    assert "\n" not in row.connector.summary
    assert row.offers, "it offers neither a source nor an actor"


def it_is_light(row: Row) -> None:
    """Whoever lists connectors does not pay for what they work with."""
    code = f"import sys, {row.module}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert not set(HEAVY) & set(printed)


def its_configs_are_frozen_and_have_defaults(row: Row) -> None:
    """The least config is enough; what it leaves out is written down, in the class."""
    for offer, config in row.offers:
        assert attrs.has(offer.config)
        assert offer.config.__doc__
        assert "Method generated by attrs" not in offer.config.__doc__
        made = structure(offer.config, config, where=row.name)
        assert made == structure(offer.config, dict(config), where=row.name)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, attrs.fields(offer.config)[0].name, None)


def its_configs_refuse_what_they_do_not_know(row: Row) -> None:
    """A slip of the pen is a fault, and says where."""
    for offer, config in row.offers:
        with pytest.raises(ConfigError, match=r"^there\.no_such_key: unknown key"):
            structure(offer.config, {**config, "no_such_key": 1}, where="there")


def its_secrets_are_flagged(row: Row) -> None:
    """What is called one is never shown."""
    for offer, _ in row.offers:
        unflagged = [
            name
            for name, field in _fields_of(offer.config)
            if any(word in name for word in SECRET_WORDS)
            and name not in row.not_secret
            and not field.metadata.get("secret")
        ]
        assert not unflagged, f"{offer.config.__name__}: {unflagged} lack metadata={{'secret': True}}"


def making_one_opens_nothing(row: Row) -> None:
    """No file, no socket, no process, no thread: a config is checked by making it, where nothing may happen."""
    for offer, config in row.offers:
        value = structure(offer.config, config, where=row.name)
        offer.make(value, PLACE)  # once unheard: what it imports late is opened, too
        with listening() as happened:
            offer.make(value, PLACE)
        assert happened == []


def what_it_makes_keeps_the_contract_of_its_kind(row: Row) -> None:
    """A source polls, or receives, or both; an actor delivers."""
    connector = row.connector
    if connector.source is not None:
        source = connector.source.make(structure(connector.source.config, row.source, where=row.name), PLACE)
        assert callable(getattr(source, "poll", None)) or callable(getattr(source, "receive", None))
    if connector.actor is not None:
        actor = connector.actor.make(structure(connector.actor.config, row.actor, where=row.name), PLACE)
        assert callable(actor.deliver)


def its_samples_are_events(row: Row) -> None:
    """Without faults, the same after a trip to the log, and at least one for each source."""
    samples = row.connector.samples()

    assert len(samples) <= MAX_EVENT_SAMPLES
    assert samples or row.connector.source is None
    for sample in samples:
        assert faults_of(sample) == []
        assert decode(encode(sample)) == sample


def its_variables_are_explained(row: Row) -> None:
    """Whoever has to set one is told what it is, and where to get it."""
    names = [variable.name for variable in row.connector.env]

    assert len(set(names)) == len(names)
    for variable in row.connector.env:
        assert variable.name == variable.name.upper()
        assert variable.description
        assert variable.url is None or variable.url.startswith("https://")
        assert variable.url or variable.command, f"{variable.name}: neither a place to get it nor a command"


CONTRACT: tuple[Callable[[Row], None], ...] = (
    it_is_called_as_its_module,
    it_is_light,
    its_configs_are_frozen_and_have_defaults,
    its_configs_refuse_what_they_do_not_know,
    its_secrets_are_flagged,
    making_one_opens_nothing,
    what_it_makes_keeps_the_contract_of_its_kind,
    its_samples_are_events,
    its_variables_are_explained,
)


def _at(offer: Offer, keys: tuple[str, ...], url: str) -> dict[str, str]:
    known = {field.metadata.get("yaml", field.name) for field in attrs.fields(offer.config)}
    return {key: url for key in keys if key in known}


def _fields_of(cls: Any) -> Iterator[tuple[str, attrs.Attribute[Any]]]:
    """Every field of a config class, those of classes inside it too."""
    for field in attrs.fields(attrs.resolve_types(cls)):
        yield field.name, field
        for type_ in (field.type, *get_args(field.type)):
            if isinstance(type_, type) and attrs.has(type_):
                yield from _fields_of(type_)


class _Ear:
    """Hears what is opened or started, by its audit event; a hook cannot be taken out again, so there is one."""

    def __init__(self) -> None:
        self.heard: list[str] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, name: str, _: tuple[Any, ...]) -> None:
        if self.heard is not None and name.startswith(WATCHED):
            self.heard.append(name)


_ear = cache(_Ear)


@contextmanager
def listening() -> Generator[list[str]]:
    """What is opened or started meanwhile."""
    happened: list[str] = []
    _ear().heard = happened
    try:
        yield happened
    finally:
        _ear().heard = None
