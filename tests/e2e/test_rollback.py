"""A reload that cannot be: refused or rolled back in time, and nothing is changed by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orgloop.cli.client import Refused
from tests.e2e.daemon import Daemon, Sink, figure, open_clients, open_daemon, open_sink, until

ROLL_BACK_S = 5.0

PLUGIN = '''\
"""A source that is told, one that looks, and an actor; each does on entering what it is told to."""

import attrs
import trio

from orgloop.sdk import Connector, Delivered, Offer, Polled, Received


@attrs.frozen
class Config:
    entering: str = "fine"


class Opened:
    def __init__(self, config, place):
        self.config = config

    async def __aenter__(self):
        if self.config.entering == "raises":
            raise OSError("no such host")
        if self.config.entering == "exits":
            raise SystemExit(3)
        if self.config.entering == "hangs":
            await trio.sleep_forever()
        if self.config.entering == "is slow":
            await trio.sleep(1.0)
        return self

    async def __aexit__(self, *exc):
        pass


class Source(Opened):
    async def poll(self, checkpoint):
        return Polled()


class Actor(Opened):
    async def deliver(self, delivery):
        return Delivered()


CONNECTOR = Connector(
    id="plug", summary="Opens.", source=Offer(config=Config, make=Source), actor=Offer(config=Config, make=Actor)
)
'''

PROJECT = """\
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: shop}
sources:
  - {id: door, connector: webhook}
  - {id: looks, connector: ./plug.py, poll: {interval: 100ms}, config: {entering: SOURCE}}
actors:
  - {id: clerk, connector: webhook, config: {url: "URL/every"}}
  - {id: plug, connector: ./plug.py, config: {entering: ACTOR}}
routes:
  - name: every
    when: {source: door, events: [resource.changed]}
    then: {actor: clerk, delivery: {overflow: block}}
"""

FAULTS: dict[str, Callable[[str], str]] = {
    "a broken file": lambda text: text + "routes: [",
    "an unknown actor": lambda text: text.replace("actor: clerk", "actor: clark"),
    "an unknown key": lambda text: text.replace("overflow:", "overflows:"),
    "an unknown connector": lambda text: text.replace("./plug.py, poll", "plugs, poll"),
    "a bad value": lambda text: text.replace("100ms", "soon"),
    "another name": lambda text: text.replace("name: shop", "name: shops"),
    "nothing": lambda text: "",
}


class Shop:
    """A daemon with one module."""

    def __init__(self, daemon: Daemon, file: Path, sink: Sink) -> None:
        self.daemon, self.file, self.sink = daemon, file, sink

    def reload(self) -> Any:
        return self.daemon.client.post("/control/module/reload", {"name": "shop"})

    def state(self) -> tuple[object, ...]:
        """What nothing may change: generation, digest, every child and its life, descriptors, what went out."""
        module = self.daemon.module("shop")
        kept = [module[key] for key in ("generation", "digest", "state", "counts")]
        return (*kept, self.daemon.children, self.sink.connections, dict(self.sink.told))


def text_of(sink: Sink, *, source: str = "fine", actor: str = "fine") -> str:
    return PROJECT.replace("URL", sink.url).replace("SOURCE", source).replace("ACTOR", actor)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that has delivered an event."""
    file = tmp_path / "orgloop.yaml"
    with open_sink() as sink:
        file.write_text(text_of(sink))
        (tmp_path / "plug.py").write_text(PLUGIN)
        with open_daemon(tmp_path, file) as daemon:
            with open_clients(daemon, "/webhook/door", per_s=100, clients=1) as clients:
                until(lambda: len(clients.accepted) > 2, what="nothing is accepted")
            until(lambda: sink.at("/every").keys() == clients.accepted, what="not all was delivered")
            yield Shop(daemon, file, sink)


@pytest.mark.slow
def test_an_invalid_file_changes_nothing(shop: Shop) -> None:
    """Generation, children and their lives, descriptors and what goes out: all as before, whatever the fault."""
    before, sockets = shop.state(), shop.daemon.footprint().sockets
    text = shop.file.read_text()
    for what, broken in FAULTS.items():
        shop.file.write_text(broken(text))
        with pytest.raises(Refused) as refused:
            shop.reload()
        assert refused.value.status in (400, 404, 409, 422), (what, refused.value)
        assert shop.state() == before, what
    shop.file.write_text(text)
    until(lambda: shop.daemon.footprint().sockets <= sockets, what="a socket was left open", patience_s=10)


@pytest.mark.slow
@pytest.mark.parametrize("entering", ["raises", "exits", "hangs"])
@pytest.mark.parametrize("kind", ["source", "actor"])
def test_a_plugin_that_does_not_start_is_rolled_back_in_time(shop: Shop, kind: str, entering: str) -> None:
    """Within five seconds, also if it hangs; who posts meanwhile is not refused, and nothing is lost or doubled."""
    before = shop.state()
    shop.file.write_text(text_of(shop.sink, **{kind: entering}))
    with open_clients(shop.daemon, "/webhook/door", per_s=50, clients=2) as clients:
        began_s = time.monotonic()
        with pytest.raises(Refused, match="did not start"):
            shop.reload()
        took_s = time.monotonic() - began_s
    figure(f"{kind} that {entering} on entering: rolled back in", is_=f"{took_s:.2f} s", budget=f"{ROLL_BACK_S:g} s")

    assert took_s < ROLL_BACK_S
    assert set(clients.answers) <= {"200"}
    until(lambda: clients.accepted <= shop.sink.at("/every").keys(), what="an event was lost")
    assert set(shop.sink.at("/every").values()) == {1}
    assert shop.state()[:3] == before[:3]
    assert shop.daemon.module("shop")["state"] == "active"
    assert shop.daemon.children == before[4]


@pytest.mark.slow
def test_who_needs_longer_says_so(shop: Shop) -> None:
    """``start_timeout`` bounds it: too short it is refused, long enough it is the next generation."""
    slow = text_of(shop.sink, actor="is slow")
    limit = "id: plug, supervision: {start_timeout: LIMIT}"
    shop.file.write_text(slow.replace("id: plug", limit.replace("LIMIT", "100ms")))
    with pytest.raises(Refused, match=r"did not call started\(\) within 0\.1 s|was not ready"):
        shop.reload()
    shop.file.write_text(slow.replace("id: plug", limit.replace("LIMIT", "3s")))

    assert shop.reload()["generation"] == 2
