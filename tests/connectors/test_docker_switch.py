"""The docker actor without an image: what is there is switched, and an event has no say in it."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio

from orgloop.sdk import Delivered, Failed, Outcome, Rejected
from orgloop_connectors.docker import CONNECTOR
from tests.connectors.engine import Box, Engine, open_engine
from tests.connectors.stage import delivery, made, place


async def endless(box: Box) -> int:
    """Works until it is killed."""
    await trio.sleep(math.inf)
    return 0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[Engine]:
    async with open_engine(tmp_path) as engine:
        yield engine


def web(engine: Engine, status: str = "created") -> Box:
    """A container that somebody else has made."""
    engine.images["web:1"] = endless
    box = engine.boxes["web"] = Box("web", {"Image": "web:1"})
    if status == "running":
        engine.start(box)
    return box


async def switched(engine: Engine, payload: Any = None, *, by: Any = None, **route: Any) -> Outcome:
    async with made(CONNECTOR.actor, {"socket": engine.socket, "grace": "0s", **(by or {})}) as actor:
        outcome: Outcome = await actor.deliver(delivery(payload, **route))
        return outcome


@pytest.mark.parametrize("status", ["created", "running"])
async def test_a_container_is_started(engine: Engine, status: str) -> None:
    """One that runs already is left alone, and stays."""
    box = web(engine, status)

    assert await switched(engine, action="container.start", container_name="web") == Delivered()
    assert (box.status, engine.boxes) == ("running", {"web": box})


async def test_a_container_is_stopped(engine: Engine) -> None:
    """By its route, or by the actor for all routes."""
    box = web(engine, "running")
    outcome = await switched(engine, by={"action": "container.stop", "container_name": "web"})

    assert outcome == Delivered()
    assert (box.status, box.asked_to_end.is_set(), "web" in engine.boxes) == ("exited", True, True)


async def test_an_event_switches_nothing(engine: Engine) -> None:
    """Whoever can post one could stop any container."""
    box = web(engine, "running")
    said = {"action": "container.stop", "container_name": "web"}

    assert await switched(engine, said) == Rejected(
        'Invalid or missing action: "". '
        "Must be one of: container.start, container.stop, cluster.start, cluster.shutdown"
    )
    assert await switched(engine, said, action="container.stop") == Rejected("container.stop requires a container_name")
    assert box.status == "running"


@pytest.mark.parametrize("name", ["../images", "a/b", "-a", "a?t=1", "x" * 129, ["a"]])
async def test_a_name_is_a_name(engine: Engine, name: Any) -> None:
    """And no path; nothing is asked."""
    assert isinstance(await switched(engine, action="container.stop", container_name=name), Rejected)
    assert engine.asked == []


async def test_a_container_that_is_not_there_is_told(engine: Engine) -> None:
    """In a dead letter: no attempt would change it."""
    outcome = await switched(engine, action="container.stop", container_name="gone")

    assert isinstance(outcome, Rejected)
    assert "No such container: gone" in outcome.reason


@pytest.fixture
def kind(tmp_path: Path) -> dict[str, Any]:
    """A ``kind`` that has the cluster ``old``, and fails to make ``ill``; the config of an actor that finds it."""
    script = tmp_path / "kind"
    lines = ["#!/bin/sh", f'echo "$@" >> {tmp_path}/asked', '[ "$1" = get ] && echo old']
    script.write_text("\n".join([*lines, '[ "$4" = ill ] && { echo "no room" >&2; exit 1; }', "exit 0", ""]))
    script.chmod(0o755)
    return {"env": {"PATH": f"{tmp_path}:/usr/bin:/bin"}}


@pytest.mark.parametrize(
    ("route", "asked", "outcome"),
    [
        ({"action": "cluster.start"}, ["get clusters", "create cluster --name kind"], Delivered()),
        ({"action": "cluster.start", "cluster_name": "old"}, ["get clusters"], Delivered()),
        (
            {"action": "cluster.start", "cluster_name": "dev", "config_path": "-x.yaml"},
            ["get clusters", "create cluster --name dev --config {place}/-x.yaml"],
            Delivered(),
        ),
        (
            {"action": "cluster.start", "cluster_name": "ill"},
            ["get clusters", "create cluster --name ill"],
            Failed("kind: it ended with exit 1: no room"),
        ),
        ({"action": "cluster.shutdown", "cluster_name": "dev"}, ["delete cluster --name dev"], Delivered()),
        ({"action": "cluster.shutdown", "cluster_name": "--all"}, [], Rejected),
    ],
)
async def test_a_cluster_is_started_and_shut_down(
    tmp_path: Path, kind: dict[str, Any], route: dict[str, Any], asked: list[str], outcome: Any
) -> None:
    """By ``kind``; one that is there is not made again, so that another attempt does no harm."""
    async with made(CONNECTOR.actor, kind, place(tmp_path)) as actor:
        came = await actor.deliver(delivery(**route))

    log = tmp_path / "asked"
    assert (log.read_text().splitlines() if log.exists() else []) == [line.format(place=tmp_path) for line in asked]
    assert came == outcome or (isinstance(outcome, type) and isinstance(came, outcome))


async def test_without_kind_it_says_where_to_get_it(tmp_path: Path) -> None:
    """It may be installed meanwhile."""
    config = {"env": {"PATH": str(tmp_path)}}
    async with made(CONNECTOR.actor, config, place(tmp_path)) as actor:
        outcome = await actor.deliver(delivery(action="cluster.shutdown"))

    assert isinstance(outcome, Failed)
    assert "https://kind.sigs.k8s.io" in outcome.reason
