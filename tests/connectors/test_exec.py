"""Commands: real processes, what they are given, what their ends mean, and what is left of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from orgloop.errors import BusFull
from orgloop.event import Event, encode, faults_of
from orgloop.sdk import Delivered, Delivery, Failed, Outcome, Rejected, Skipped
from orgloop_connectors.exec import CONNECTOR
from tests.connectors.stage import KEY, Stage, checked, delivery, event, made, place
from tests.transforms.stage import appeared, executable, gone


async def ran(tmp_path: Path, text: str, to_do: Delivery | None = None, **config: Any) -> Outcome:
    """What comes of a shell script that is the command."""
    executable(tmp_path / "it.sh", text)
    config.setdefault("command", ["./it.sh"])
    outcome: Outcome = await made(CONNECTOR.actor, config, place(tmp_path)).deliver(to_do or delivery())
    return outcome


# -- what it is given --------------------------------------------------------------------------------------------------


async def test_the_event_comes_on_standard_input(tmp_path: Path) -> None:
    """One line of JSON."""
    assert await ran(tmp_path, "cat > seen", delivery({"n": 1})) == Delivered()
    assert (tmp_path / "seen").read_bytes() == encode(event({"n": 1})) + b"\n"


async def test_the_whole_delivery_can_come(tmp_path: Path) -> None:
    """The same object that a webhook gets, and the route's config."""
    to_do = delivery({"n": 1}, prompt="Review it.", depth=3)

    await ran(tmp_path, "cat > seen", to_do, stdin="delivery")

    seen = json.loads((tmp_path / "seen").read_bytes())
    assert seen == {
        "event": json.loads(encode(event({"n": 1}))),
        "launch_prompt": "Review it.",
        "config": {"depth": 3},
    }


async def test_nothing_can_come(tmp_path: Path) -> None:
    """For a command that would wait for more."""
    await ran(tmp_path, "cat > seen", stdin="none")

    assert (tmp_path / "seen").read_bytes() == b""


async def test_a_large_event_may_be_left_unread(tmp_path: Path) -> None:
    """More than any pipe holds; the command closes its input, or ends."""
    to_do = delivery({"body": "x" * 1_000_000})

    assert await ran(tmp_path, "exec <&-; sleep 0.01", to_do) == Delivered()
    assert await ran(tmp_path, "exit 0", to_do) == Delivered()


async def test_placeholders_become_single_arguments(tmp_path: Path) -> None:
    """Whatever is in them: no shell sees it."""
    nasty = "$(touch owned); `touch owned` '\" *\n&& touch owned"
    command = ["./it.sh", "--title={{ event.payload.title }}", "{{ event.payload.n }}", "{{event.payload.tags}}", "x"]
    command += ["{{ launch_prompt }}", "{{ config.depth }}", "{{ event.payload.nothing }}"]
    to_do = delivery({"title": nasty, "n": 7, "tags": ["a b"]}, prompt="Go on.", depth="deep")

    await ran(tmp_path, 'printf "%s\\0" "$@" > seen', to_do, command=command)

    seen = (tmp_path / "seen").read_text().split("\0")
    assert seen == [f"--title={nasty}", "7", '["a b"]', "x", "Go on.", "deep", "", ""]
    assert not (tmp_path / "owned").exists()


async def test_no_option_is_made_of_an_event(tmp_path: Path) -> None:
    """Unless the command says that options have ended, or the text stands behind some other."""
    to_do = delivery({"title": "--exec=rm"})

    refused = await ran(tmp_path, "touch ran", to_do, command=["./it.sh", "-v", "{{ event.payload.title }}"])

    assert refused == Rejected(
        "argument 2 would begin with '-', and be taken for an option; write -- before it in command"
    )
    assert not (tmp_path / "ran").exists()
    for command in (["./it.sh", "--", "{{ event.payload.title }}"], ["./it.sh", "--title={{ event.payload.title }}"]):
        assert await ran(tmp_path, "", to_do, command=command) == Delivered()


@pytest.mark.parametrize(("title", "why"), [("a\0b", "would hold NUL"), ("x" * 140_000, "longer than 131071 bytes")])
async def test_what_can_be_no_argument_is_rejected(tmp_path: Path, title: str, why: str) -> None:
    """Another attempt would have the same event."""
    outcome = await ran(tmp_path, "", delivery({"title": title}), command=["./it.sh", "{{ event.payload.title }}"])

    assert isinstance(outcome, Rejected)
    assert why in outcome.reason


async def test_arguments_that_are_too_long_together_are_rejected(tmp_path: Path) -> None:
    """The kernel has said so; standard input has no such limit."""
    outcome = await ran(
        tmp_path, "", delivery(prompt="x" * 100_000), command=["./it.sh", *["{{ launch_prompt }}"] * 40]
    )

    assert isinstance(outcome, Rejected)
    assert "on standard input" in outcome.reason


async def test_an_event_that_cannot_be_written_is_rejected(tmp_path: Path) -> None:
    """Some transform has put it there."""
    assert isinstance(await ran(tmp_path, "", delivery({"x": object()})), Rejected)


async def test_a_command_sees_what_it_is_given_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the daemon's: PATH, HOME and LANG, which delivery it is, and what its own configuration names."""
    for name in ("GITHUB_TOKEN", "PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("LANG", "C.UTF-8")

    await ran(tmp_path, "env > seen", delivery(prompt="Go", attempt=2), env={"API_TOKEN": "mine"})

    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    shell = ("PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_")
    assert {name: value for name, value in seen.items() if name not in shell} == {
        "LANG": "C.UTF-8",
        "API_TOKEN": "mine",
        "ORGLOOP_EVENT_ID": "evt_1",
        "ORGLOOP_EVENT_TYPE": "resource.changed",
        "ORGLOOP_SOURCE": "github",
        "ORGLOOP_TRACE_ID": "trc_1",
        "ORGLOOP_MODULE": "engineering",
        "ORGLOOP_ACTOR": "it",
        "ORGLOOP_ATTEMPT": "2",
        "ORGLOOP_IDEMPOTENCY_KEY": KEY,
        "ORGLOOP_PROMPT_FILE": "/srv/engineering/sops/review.md",
    }


async def test_what_no_variable_can_hold_is_left_out_of_it(tmp_path: Path) -> None:
    """A sender may write NUL into a trace."""
    to_do = attrs.evolve(delivery(), event=attrs.evolve(event(), trace_id="trc\0_1"))

    assert await ran(tmp_path, 'printf %s "$ORGLOOP_TRACE_ID" > seen', to_do) == Delivered()
    assert (tmp_path / "seen").read_text() == "trc_1"


async def test_it_runs_in_the_modules_directory_or_below(tmp_path: Path) -> None:
    """The program is found from the former either way; one without a slash, in PATH."""
    (tmp_path / "below").mkdir()

    await ran(tmp_path, "pwd > where")
    await ran(tmp_path, "pwd > where", cwd="below")
    await ran(tmp_path, "", command=["sh", "-c", "pwd > third"], cwd="below")

    assert (tmp_path / "where").read_text().strip() == str(tmp_path)
    assert (tmp_path / "below/where").read_text().strip() == str(tmp_path / "below")
    assert (tmp_path / "below/third").exists()


# -- what its end means ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("exit 0", Delivered()),
        ("echo later >&2; exit 75", Failed("./it.sh ended with exit 75: later")),
        ("exit 1", Failed("./it.sh ended with exit 1: it said nothing")),
        ("echo on stdout; exit 2", Failed("./it.sh ended with exit 2: on stdout")),
        ("echo no such PR >&2; exit 65", Rejected("./it.sh ended with exit 65: no such PR")),
        ("echo not mine; exit 78", Skipped("./it.sh ended with exit 78: not mine")),
        ("kill -KILL $$", Failed("./it.sh ended with SIGKILL: it said nothing")),
        ("kill -40 $$", Failed("./it.sh ended with signal 40: it said nothing")),
    ],
)
async def test_an_end_is_an_outcome(tmp_path: Path, text: str, outcome: Outcome) -> None:
    """With its last words."""
    assert await ran(tmp_path, text, reject_on=[64, 65]) == outcome


async def test_the_statuses_are_the_operators(tmp_path: Path) -> None:
    """78 means nothing if it is not named; a signal is no status."""
    assert isinstance(await ran(tmp_path, "exit 78", skip_on=[3]), Failed)
    assert isinstance(await ran(tmp_path, "exit 3", skip_on=[3]), Skipped)
    assert isinstance(await ran(tmp_path, "kill -KILL $$", reject_on=[137]), Failed)


async def test_last_words_are_few_plain_and_without_secrets(tmp_path: Path) -> None:
    """However much was said, and whatever it was."""
    text = 'head -c 1000000 /dev/zero | tr "\\0" x >&2; printf "\\033[31m\\r\\n$TOKEN the end" >&2; exit 2'

    outcome = await ran(tmp_path, text, env={"TOKEN": "t0psecret", "N": "1"})

    assert isinstance(outcome, Failed)
    assert outcome.reason.endswith("\ufffd[31m *** the end")
    assert len(outcome.reason) < 400


@pytest.mark.parametrize(
    ("command", "why"),
    [(["./nowhere"], "No such file"), (["./plain"], "Permission denied"), (["no-such-cmd"], "No such")],
)
async def test_a_command_that_cannot_be_started_has_failed(tmp_path: Path, command: list[str], why: str) -> None:
    """It may be there for the next attempt, as after a deployment."""
    (tmp_path / "plain").write_text("#!/bin/sh\n")

    outcome = await ran(tmp_path, "", command=command)

    assert isinstance(outcome, Failed)
    assert why in outcome.reason
    assert "chmod +x" in outcome.reason


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not the program that is missing."""
    outcome = await ran(tmp_path, "", cwd="gone")

    assert isinstance(outcome, Failed)
    assert f"in {tmp_path}/gone" in outcome.reason


# -- what is left of it ------------------------------------------------------------------------------------------------


async def started(tmp_path: Path, text: str, nursery: trio.Nursery, **config: Any) -> int:
    nursery.start_soon(lambda: ran(tmp_path, text, **config))
    return int(await appeared(tmp_path / "pid"))


async def test_a_cancel_ends_the_command_and_its_children(tmp_path: Path) -> None:
    """The route's timeout is one."""
    async with trio.open_nursery() as nursery:
        await started(tmp_path, "sleep 60 & echo $! > child; echo $$ > pid; sleep 60", nursery)
        nursery.cancel_scope.cancel("the delivery took too long")

    for name in ("pid", "child"):
        await gone(int((tmp_path / name).read_text()))


async def test_it_is_told_before_it_is_killed(tmp_path: Path) -> None:
    """What it does within its grace is done."""
    async with trio.open_nursery() as nursery:
        text = "trap 'echo tidied > tidied; exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done"
        await started(tmp_path, text, nursery)
        nursery.cancel_scope.cancel("stop")

    assert (tmp_path / "tidied").exists()


async def test_one_that_will_not_be_told_is_killed(tmp_path: Path) -> None:
    """After its grace, and not much later."""
    began_s = time.monotonic()
    async with trio.open_nursery() as nursery:
        pid = await started(tmp_path, "trap '' TERM; echo $$ > pid; while :; do sleep 60; done", nursery, grace="50ms")
        nursery.cancel_scope.cancel("stop")

    assert time.monotonic() - began_s < 2
    await gone(pid)


async def test_a_child_that_is_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """It holds the output open, and floods it; it is killed, and the end counts."""
    began_s = time.monotonic()

    assert await ran(tmp_path, "yes & echo $! > child; exit 0") == Delivered()

    assert time.monotonic() - began_s < 2
    await gone(int((tmp_path / "child").read_text()))


# -- its end as an event -----------------------------------------------------------------------------------------------


async def test_its_end_is_an_event(tmp_path: Path) -> None:
    """By the lifecycle contract, from the actor, so that routes can go on from it."""
    stage = Stage()

    await ran(tmp_path, "echo two remarks; echo hm >&2", stage.delivery(attempt=2), emits=True, harness="codex")

    (ended,) = stage.emitted
    assert faults_of(ended) == []
    assert (ended.source, ended.type) == ("it", "actor.stopped")
    assert ended.provenance["platform_event"] == "session.completed"
    assert ended.payload["lifecycle"]["outcome"] == "success"
    assert ended.payload["lifecycle"]["dedupe_key"] == f"codex:{KEY}-2:completed"
    assert ended.payload["session"]["exit_status"] == 0
    assert (ended.payload["stdout"], ended.payload["stderr"]) == ("two remarks", "hm")


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("exit 3", "failure", "exit_code_3"),
        ("kill -TERM $$", "cancelled", "sigterm"),
        ("exit 78", "failure", "exit_code_78"),
    ],
)
async def test_a_bad_end_is_an_event_too(tmp_path: Path, text: str, outcome: str, reason: str) -> None:
    """Whoever watches over it wants to know that most of all."""
    stage = Stage()

    await ran(tmp_path, text, stage.delivery(), emits=True)

    (ended,) = stage.emitted
    assert faults_of(ended) == []
    assert ended.payload["lifecycle"]["outcome"] == outcome
    assert ended.payload["lifecycle"]["reason"] == reason


async def test_what_is_kept_may_not_begin_within_a_secret(tmp_path: Path) -> None:
    """Only the last kilobyte is kept; it would begin with the end of a secret, by which alone nobody could find it."""
    text = "printf %s t0psecret-of-ours; head -c 1020 /dev/zero | tr '\\0' x"
    stage = Stage()
    await ran(tmp_path, text, stage.delivery(), emits=True, max_output="1KB", env={"TOKEN": "t0psecret-of-ours"})

    assert set(stage.emitted[0].payload["stdout"]) == {"x"}


async def test_what_was_said_is_bounded_plain_and_without_secrets(tmp_path: Path) -> None:
    """It goes into the log, and from there to agents."""
    stage = Stage()
    text = 'head -c 100000 /dev/zero | tr "\\0" x; printf "$TOKEN \\033\\377end"'

    await ran(tmp_path, text, stage.delivery(), emits=True, max_output="1KB", env={"TOKEN": "t0psecret"})

    said = stage.emitted[0].payload["stdout"]
    assert len(said) <= 1024
    assert said.endswith("*** \ufffd\ufffdend")


async def test_without_being_asked_it_emits_nothing(tmp_path: Path) -> None:
    """Most commands are a deed, and their end is nobody's news."""
    stage = Stage()

    await ran(tmp_path, "exit 0", stage.delivery())

    assert stage.emitted == []


async def test_an_end_that_cannot_be_published_has_failed(tmp_path: Path) -> None:
    """It is run again, rather than its end be lost."""

    async def full(events: Sequence[Event]) -> None:
        raise BusFull("too many events wait")

    outcome = await ran(tmp_path, "exit 0", attrs.evolve(delivery(), emit=full), emits=True)

    assert isinstance(outcome, Failed)
    assert "too many events wait" in outcome.reason


# -- configs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"command": []}, "command: is empty"),
        ({"command": ["review.py --fast"]}, r"command.0: no shell splits it; write \['review.py', '--fast'\]"),
        ({"command": ["{{ event.payload.cmd }}"]}, "command.0: has a placeholder"),
        ({"command": ["echo", "{{ payload.x }}"]}, "command.1: .* begins with none of"),
        ({"command": ["x"] * 257}, "command: has 257 arguments"),
        ({"env": {"A=B": "c"}}, "env.A=B: cannot be set"),
        ({"env": {"ORGLOOP_SOURCE": "c"}}, "env.ORGLOOP_SOURCE: names that begin"),
        ({"reject_on": [0]}, "reject_on: 0 is no exit status"),
        ({"skip_on": [256]}, "skip_on: 256 is no exit status"),
        ({"reject_on": [75]}, "reject_on: 75 always means"),
        ({"reject_on": [78, 2]}, "reject_on: 78 stands in skip_on too"),
        ({"harness": ""}, "harness: is empty"),
        ({"max_output": "2MB"}, "max_output: must be"),
        ({"grace": "10m"}, "grace: must be"),
    ],
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.actor, {"command": ["true"], **config})


async def test_a_check_looks_for_the_program_and_its_directory(tmp_path: Path) -> None:
    """And runs nothing."""
    executable(tmp_path / "it.sh", f"touch {tmp_path}/ran")
    at = place(tmp_path)

    good = await checked(CONNECTOR.actor, {"command": ["./it.sh"]}, at)
    bad = await checked(CONNECTOR.actor, {"command": ["./nowhere"], "cwd": "gone"}, at)
    named = await checked(CONNECTOR.actor, {"command": ["no-such-cmd"]}, at)

    assert [(one.name, one.ok) for one in good] == [("command", True)]
    assert [(one.name, one.ok) for one in bad] == [("command", False), ("cwd", False)]
    assert "whole path" in named[0].detail
    assert not (tmp_path / "ran").exists()
