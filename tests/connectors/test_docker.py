"""The docker actor: what a container is given, what its end means, and that none is left or started twice."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from orgloop.event import encode, faults_of
from orgloop.sdk import Delivered, Delivery, Failed, OrgLoopError, Outcome, Rejected, Skipped
from orgloop_connectors.docker import CONNECTOR
from orgloop_connectors.docker.engine import demultiplexed
from orgloop_connectors.docker.run import name_of
from tests.connectors.engine import Box, Engine, open_engine
from tests.connectors.outside import Says
from tests.connectors.stage import KEY, Stage, checked, delivery, event, made, place

NAME = name_of(KEY)
ROOT = Path(__file__).resolve().parents[2]


async def review(box: Box) -> int:
    """Reads its input, and is content."""
    await box.read()
    return 0


async def endless(box: Box) -> int:
    """Works until it is killed."""
    await trio.sleep(math.inf)
    return 0


def ending(status: int, stdout: str = "", stderr: str = "") -> Any:
    async def program(box: Box) -> int:
        box.say(stdout)
        box.say(stderr, stream=2)
        return status

    return program


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[Engine]:
    async with open_engine(tmp_path) as engine:
        engine.images["acme/review:1"] = review
        yield engine


async def deliver(engine: Engine, to_do: Delivery | None = None, **config: Any) -> Outcome:
    async with made(CONNECTOR.actor, engine.config(**config)) as actor:
        outcome: Outcome = await actor.deliver(to_do or delivery())
        return outcome


async def left_by_a_crash(engine: Engine, *, until: str) -> Box:
    """A container whose attempt has died: it was made, or started, and nobody waits for it."""
    async with made(CONNECTOR.actor, engine.config()) as actor, trio.open_nursery() as nursery:
        nursery.start_soon(actor.deliver, delivery())
        while not (box := engine.boxes.get(NAME)) or (until == "started" and not box.stdin_ended.is_set()):
            await trio.lowlevel.checkpoint()
        # As the engine sees a kill -9: connections that end, and no word more.
        kept = dict(engine.boxes)
        nursery.cancel_scope.cancel("crash")
        engine.boxes.clear()
    engine.boxes.update(kept)
    return box


# -- what it is given --------------------------------------------------------------------------------------------------


async def test_a_container_is_made_fed_and_removed(engine: Engine) -> None:
    """Attached before it is started, so that nothing of its input is lost; and nothing is left."""
    assert await deliver(engine, delivery({"n": 1})) == Delivered()

    (box,) = engine.made
    assert bytes(box.stdin) == encode(event({"n": 1})) + b"\n"
    assert engine.boxes == {}
    assert engine.asked == [
        "POST /containers/create",
        "POST /containers/*/attach",
        "POST /containers/*/start",
        "POST /containers/*/wait",
        "GET /containers/*/json",
        "GET /containers/*/logs",
        "GET /containers/*/json",
        "DELETE /containers/*",
    ]


async def test_a_container_has_no_rights_but_those_it_is_given(engine: Engine) -> None:
    """No network, no capability, no way to more of them, bounded memory, processors, processes and logs."""
    await deliver(engine)

    host = engine.made[0].config["HostConfig"]
    assert host == {
        "NetworkMode": "none",
        "Mounts": [],
        "ReadonlyRootfs": False,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": 512 * 2**20,
        "MemorySwap": 512 * 2**20,
        "NanoCpus": 1_000_000_000,
        "PidsLimit": 256,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
    }


async def test_what_the_operator_says_is_what_is_made(engine: Engine) -> None:
    """Paths begin at the module's directory."""
    mounts = [
        {"source": "./rules", "target": "/rules"},
        {"type": "volume", "source": "cache", "target": "/cache", "read_only": False},
        {"type": "tmpfs", "target": "/tmp"},
    ]
    rights: dict[str, Any] = {"network": "bridge", "memory": "1GB", "cpus": 0.5, "pids": 9, "capabilities": ["CHOWN"]}
    how: dict[str, Any] = {
        "command": ["a", "b c"],
        "entrypoint": ["sh"],
        "user": "1000",
        "workdir": "/w",
        "read_only": True,
    }
    await deliver(engine, mounts=mounts, env={"T": "t0ken"}, **rights, **how)

    config = engine.made[0].config
    host = config["HostConfig"]
    assert (config["Cmd"], config["Entrypoint"], config["User"], config["WorkingDir"]) == (
        ["a", "b c"],
        ["sh"],
        "1000",
        "/w",
    )
    assert (host["NetworkMode"], host["Memory"], host["NanoCpus"]) == ("bridge", 2**30, 500_000_000)
    assert (host["PidsLimit"], host["CapAdd"], host["ReadonlyRootfs"]) == (9, ["CHOWN"], True)
    assert host["Mounts"] == [
        {"Type": "bind", "Target": "/rules", "ReadOnly": True, "Source": "/srv/engineering/rules"},
        {"Type": "volume", "Target": "/cache", "ReadOnly": False, "Source": "cache"},
        {"Type": "tmpfs", "Target": "/tmp", "ReadOnly": True},
    ]


async def test_a_container_knows_which_delivery_it_is(engine: Engine) -> None:
    """By variables and labels; nothing of the daemon's environment is in there."""
    await deliver(engine, delivery(attempt=3), env={"T": "t0ken"})

    (box,) = engine.made
    assert box.env == {
        "T": "t0ken",
        "ORGLOOP_EVENT_ID": "evt_1",
        "ORGLOOP_EVENT_TYPE": "resource.changed",
        "ORGLOOP_SOURCE": "github",
        "ORGLOOP_TRACE_ID": "trc_1",
        "ORGLOOP_MODULE": "engineering",
        "ORGLOOP_ACTOR": "it",
        "ORGLOOP_ATTEMPT": "3",
        "ORGLOOP_IDEMPOTENCY_KEY": KEY,
    }
    assert box.config["Labels"] == {
        "org.orgloop.module": "engineering",
        "org.orgloop.actor": "it",
        "org.orgloop.event": "evt_1",
        "org.orgloop.trace": "trc_1",
        "org.orgloop.idempotency-key": KEY,
    }


async def test_the_event_may_come_in_a_file(engine: Engine) -> None:
    """Which is there before anything runs, for all to read."""
    engine.images["acme/review:1"] = ending(0)
    assert await deliver(engine, event="file", event_file="/in/event.json") == Delivered()

    (box,) = engine.made
    assert box.files == {"/in/event.json": (0o444, encode(event()) + b"\n")}
    assert box.env["ORGLOOP_EVENT_FILE"] == "/in/event.json"
    assert "StdinOnce" in box.config
    assert not box.config["OpenStdin"]


async def test_an_event_chooses_nothing(engine: Engine) -> None:
    """Whatever it, or the route's config, says of images and commands."""
    said: dict[str, Any] = {"image": "evil:1", "command": ["rm"], "network": "host", "action": "container.stop"}
    await deliver(engine, delivery(said, **said))
    await deliver(engine)

    assert engine.made[0].config == engine.made[1].config


async def test_it_need_not_read_its_input(engine: Engine) -> None:
    """However long that is."""
    engine.images["acme/review:1"] = ending(0)

    assert await deliver(engine, delivery({"long": "x" * 4_000_000})) == Delivered()


# -- what its end means ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, Delivered()),
        (1, Failed("acme/review:1 ended with exit 1: two faults")),
        (75, Failed("acme/review:1 ended with exit 75: two faults")),
        (64, Rejected("acme/review:1 ended with exit 64: two faults")),
        (78, Skipped("acme/review:1 ended with exit 78: two faults")),
    ],
)
async def test_an_exit_is_an_outcome(engine: Engine, status: int, outcome: Outcome) -> None:
    """With its last words, of its standard error first."""
    engine.images["acme/review:1"] = ending(status, "done", "two\nfaults\n")

    assert await deliver(engine, reject_on=[64]) == outcome


async def test_a_container_that_takes_too_much_memory_says_so(engine: Engine) -> None:
    """Another attempt may find less to do."""

    async def hungry(box: Box) -> int:
        box.out_of_memory = True
        return 137

    engine.images["acme/review:1"] = hungry

    assert await deliver(engine, reject_on=[137]) == Failed("acme/review:1 was killed for its memory: it said nothing")


async def test_what_it_says_is_bounded_and_without_secrets(engine: Engine) -> None:
    """The last of it, on one line, harmless to a terminal."""
    engine.images["acme/review:1"] = ending(1, stderr=f"{'x' * 100_000}\x1b[2J token t0ken-123")
    outcome = await deliver(engine, env={"TOKEN": "t0ken-123"})

    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith("x\ufffd[2J token ***")
    assert len(outcome.reason) < 400


async def test_its_end_may_be_an_event(engine: Engine) -> None:
    """``actor.stopped``, of the actor."""
    engine.images["acme/review:1"] = ending(0, "reviewed")
    stage = Stage()
    assert await deliver(engine, stage.delivery(attempt=2), emits=True, harness="codex") == Delivered()

    (ended,) = stage.emitted
    assert faults_of(ended) == []
    assert (ended.source, ended.type, ended.payload["stdout"]) == ("it", "actor.stopped", "reviewed")
    assert ended.payload["session"]["id"] == f"{KEY}-2"
    assert ended.payload["session"]["started_at"] == "2023-11-14T22:13:20.123Z"
    assert ended.payload["session"]["ended_at"] == "2023-11-14T22:13:21.500Z"


async def test_an_end_that_cannot_be_published_is_tried_again(engine: Engine) -> None:
    """Or somebody waits for it for ever."""

    async def emit(_: Any) -> None:
        raise OrgLoopError("the log is full")

    engine.images["acme/review:1"] = ending(0)
    to_do = delivery()
    to_do = Delivery(to_do.event, {}, None, 1, KEY, emit)

    outcome = await deliver(engine, to_do, emits=True)
    assert isinstance(outcome, Failed)
    assert "the log is full" in outcome.reason


# -- whatever ends it --------------------------------------------------------------------------------------------------


async def test_its_timeout_stops_and_removes_it(engine: Engine) -> None:
    """By SIGTERM first."""
    engine.images["acme/review:1"] = endless

    assert await deliver(engine, timeout="20ms") == Failed("acme/review:1 was stopped: it took longer than 0.02 s")
    assert engine.boxes == {}
    assert engine.made[0].asked_to_end.is_set()


async def test_who_cancels_a_delivery_ends_its_container(engine: Engine) -> None:
    """As the route's timeout does, and the end of the module."""
    engine.images["acme/review:1"] = endless
    async with made(CONNECTOR.actor, engine.config()) as actor, trio.open_nursery() as nursery:
        nursery.start_soon(actor.deliver, delivery())
        while not engine.made or not engine.made[0].started.is_set():
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel("the route's timeout")

    assert engine.boxes == {}
    assert engine.made[0].exit_status == 137


# -- found again -------------------------------------------------------------------------------------------------------


async def test_a_container_that_still_runs_is_waited_for(engine: Engine) -> None:
    """Its attempt has died, it has not: it is not started twice."""
    go = trio.Event()

    async def slow(box: Box) -> int:
        await go.wait()
        return 64

    engine.images["acme/review:1"] = slow
    box = await left_by_a_crash(engine, until="started")
    async with made(CONNECTOR.actor, engine.config(reject_on=[64])) as actor, trio.open_nursery() as nursery:
        outcomes: list[Outcome] = []

        async def again() -> None:
            outcomes.append(await actor.deliver(delivery(attempt=2)))

        nursery.start_soon(again)
        while engine.asked[-1] != "POST /containers/*/wait":
            await trio.lowlevel.checkpoint()
        go.set()

    assert outcomes == [Rejected("acme/review:1 ended with exit 64: it said nothing")]
    assert engine.made == [box]
    assert engine.boxes == {}


async def test_a_container_that_has_ended_is_not_run_again(engine: Engine) -> None:
    """What came of it is what came of the delivery."""
    box = await left_by_a_crash(engine, until="started")
    await box.ended.wait()

    assert await deliver(engine, delivery(attempt=2)) == Delivered()
    assert engine.made == [box]


async def test_a_container_that_was_never_started_is_made_again(engine: Engine) -> None:
    """Nobody knows what it was given."""
    box = await left_by_a_crash(engine, until="made")

    assert await deliver(engine, delivery(attempt=2)) == Delivered()
    assert [one is box for one in engine.made] == [True, False]
    assert engine.boxes == {}


async def test_an_attempt_after_a_failure_is_a_new_container(engine: Engine) -> None:
    """Its predecessor was removed with its outcome."""
    engine.images["acme/review:1"] = ending(1)
    for attempt in (1, 2):
        assert isinstance(await deliver(engine, delivery(attempt=attempt)), Failed)

    assert len(engine.made) == 2


PROGRAM = """
import sys, trio
from orgloop_connectors.docker import CONNECTOR
from tests.connectors.stage import delivery, made

async def attempt(socket):
    async with made(CONNECTOR.actor, {"image": "acme/review:1", "socket": socket, "event": "file"}) as actor:
        await actor.deliver(delivery())

trio.run(attempt, sys.argv[1])
"""


@pytest.mark.slow
async def test_kill_9_leaves_a_container_that_the_next_attempt_finds(engine: Engine) -> None:
    """A process that makes it, starts it and dies; and another one that is told how it ended."""
    go = trio.Event()

    async def slow(box: Box) -> int:
        await go.wait()
        return 0

    engine.images["acme/review:1"] = slow
    process = await trio.lowlevel.open_process([sys.executable, "-c", PROGRAM, engine.socket], cwd=ROOT)
    with trio.fail_after(30):
        await engine.begun.wait()
    process.kill()
    await process.wait()
    (box,) = engine.boxes.values()
    go.set()

    assert await deliver(engine, delivery(attempt=2), event="file") == Delivered()
    assert engine.made == [box]
    assert engine.boxes == {}


async def test_a_container_of_somebody_else_is_left_alone(engine: Engine) -> None:
    """Though it has the name."""
    stranger = engine.boxes[NAME] = Box(NAME, {"Labels": None}, status="running")
    outcome = await deliver(engine)

    assert isinstance(outcome, Failed)
    assert f"docker rm {NAME}" in outcome.reason
    assert engine.boxes == {NAME: stranger}


# -- images, and an engine in trouble ----------------------------------------------------------------------------------


DIGEST = f"acme/new@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "fetched"),
    [
        ("acme/new:2", "acme/new:2"),
        ("acme/new", "acme/new:latest"),
        ("host:5000/new", "host:5000/new:latest"),
        (DIGEST, DIGEST),
    ],
)
async def test_an_image_that_is_not_there_is_fetched(engine: Engine, image: str, fetched: str) -> None:
    """One tag of it: the engine fetches all, if it is told none."""
    engine.registry[fetched] = review

    assert await deliver(engine, image=image) == Delivered()
    assert engine.asked.count("POST /images/create") == 1


@pytest.mark.parametrize(
    ("pull", "says", "outcome"),
    [
        ("never", None, Rejected('Docker rejected: 404 Not Found: {"message": "No such image: acme/new:2"}')),
        ("missing", None, Rejected),
        ("missing", Says(500, {"message": "registry timed out"}), Failed),
        ("missing", Says(200, b'{"status":"Pulling"}\r\n{"error":"toomanyrequests"}\r\n'), Failed),
    ],
)
async def test_an_image_that_cannot_be_had_is_told(engine: Engine, pull: str, says: Says | None, outcome: Any) -> None:
    """For good, if there is none; else it is tried again."""
    if says is not None:
        engine.says("POST /images/create", says)
    came = await deliver(engine, image="acme/new:2", pull=pull)

    assert came == outcome or (isinstance(outcome, type) and isinstance(came, outcome))
    assert engine.made == []


STEPS = (
    "POST /containers/create",
    "POST /containers/*/attach",
    "POST /containers/*/start",
    "POST /containers/*/wait",
    "GET /containers/*/json",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("says", [Says(500, {"message": "no"}), Says(hangs_up=True)], ids=["500", "hangs up"])
async def test_an_engine_in_trouble_is_tried_again_and_nothing_is_left(engine: Engine, step: str, says: Says) -> None:
    """At each step."""
    engine.says(step, says)

    assert isinstance(await deliver(engine), Failed)
    assert engine.boxes == {}


@pytest.mark.parametrize("body", [b"not JSON", b"[]", {"Id": "x", "State": {"Status": "exited"}}])
async def test_an_engine_that_says_something_else_is_not_believed(engine: Engine, body: Any) -> None:
    """Drift of its API is told, not guessed at."""
    engine.says("GET /containers/*/json", Says(200, body))
    outcome = await deliver(engine)

    assert isinstance(outcome, Failed)
    assert "is not understood" in outcome.reason


async def test_a_container_that_cannot_start_is_told(engine: Engine) -> None:
    """Its command is not in the image: no attempt would change that."""
    engine.says("POST /containers/*/start", Says(400, {"message": 'exec: "nope": not found in $PATH'}))
    outcome = await deliver(engine)

    assert isinstance(outcome, Rejected)
    assert "not found in $PATH" in outcome.reason
    assert engine.boxes == {}


async def test_no_engine_is_tried_again(tmp_path: Path) -> None:
    """It may be restarting."""
    async with made(CONNECTOR.actor, {"image": "a", "socket": str(tmp_path / "none.sock")}) as actor:
        assert isinstance(await actor.deliver(delivery()), Failed)


@pytest.mark.parametrize(
    "body", [b"\x01\x00\x00", b"\x07\x00\x00\x00\x00\x00\x00\x01x", b"\x01\0\0\0\xff\xff\xff\xffab"]
)
def test_a_damaged_log_is_read_as_far_as_it_goes(body: bytes) -> None:
    """It is only told."""
    assert b"".join(demultiplexed(body)) in (b"", b"x", b"ab")


# -- configs and checks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"image": "{{ event.payload.image }}"}, "image: has a placeholder"),
        ({"command": ["run", "{{ event.payload.x }}"]}, "command.1: has a placeholder"),
        ({"env": {"A": "{{ event.payload.x }}"}}, "env.A: has a placeholder"),
        ({"mounts": [{"source": "{{ x }}", "target": "/a"}]}, "mounts.0.source: has a placeholder"),
        ({"image": "-it"}, "image: '-it' is no name"),
        ({"socket": "unix:///var/run/docker.sock"}, "socket: must be a path"),
        ({"env": {"A=B": "c"}}, "env.A=B: cannot be set"),
        ({"env": {"ORGLOOP_X": "c"}}, "env.ORGLOOP_X: names that begin"),
        ({"event": "file", "event_file": "x"}, "event_file: must be the path"),
        ({"event": "file", "event_file": "/a/../b"}, "event_file: must be the path"),
        ({"event": "file", "read_only": True}, "event: file cannot be put"),
        ({"mounts": [{"source": "a", "target": "b"}]}, "mounts.0.target: must be"),
        ({"mounts": [{"target": "/b"}]}, "mounts.0.source: is needed"),
        ({"mounts": [{"source": "/var/run/docker.sock", "target": "/s"}]}, "the whole machine"),
        ({"capabilities": ["sys_admin"]}, "capabilities: 'sys_admin' is none"),
        ({"network": ""}, "network: is empty"),
        ({"memory": "1MB"}, "memory: must be"),
        ({"cpus": 0.0}, "cpus: must be"),
        ({"pids": 0}, "pids: must be"),
        ({"timeout": "0s"}, "timeout: must be"),
        ({"grace": "6m"}, "grace: must be"),
        ({"reject_on": [0]}, "reject_on: 0 is no exit status"),
        ({"skip_on": [75]}, "skip_on: 75 always means"),
        ({"reject_on": [78]}, "reject_on: 78 stands in skip_on too"),
        ({"harness": ""}, "harness: is empty"),
        ({"command": ["x"] * 257}, "command: at most 256"),
        ({"container_name": "web"}, "container_name: has no meaning beside image"),
        ({"image": None, "mounts": [{"type": "tmpfs", "target": "/t"}]}, "image: is missing; mounts is for"),
        ({"image": None, "memory": "1GB"}, "image: is missing; memory is for"),
        ({"image": None, "action": "container.remove"}, "action: 'container.remove' is none of"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.actor, {"image": "acme/review:1", **config})


async def test_a_check_asks_for_the_engine_and_the_image(engine: Engine) -> None:
    """And runs and fetches nothing."""
    there = await checked(CONNECTOR.actor, engine.config(), place())
    to_fetch = await checked(CONNECTOR.actor, engine.config(image="acme/new:2"), place())
    missing = await checked(CONNECTOR.actor, engine.config(image="acme/new:2", pull="never"), place())

    assert [one.ok for one in (*there, *to_fetch, *missing)] == [True, True, True, True, True, False]
    assert missing[1].detail == "acme/new:2 is not there: docker pull acme/new:2"
    assert {asked.split()[0] for asked in engine.asked} == {"GET"}


async def test_a_check_of_an_engine_that_is_not_there_says_so(tmp_path: Path) -> None:
    """And what to do."""
    (gone,) = await checked(CONNECTOR.actor, {"image": "a", "socket": str(tmp_path / "none.sock")})

    assert not gone.ok
    assert "group docker" in gone.detail


def test_its_samples_follow_the_lifecycle_contract() -> None:
    """So that a supervisor agent can be tried on them."""
    assert [json.loads(encode(sample))["payload"]["lifecycle"]["phase"] for sample in CONNECTOR.samples()] == [
        "completed",
        "stopped",
    ]
