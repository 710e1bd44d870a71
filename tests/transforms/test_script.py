"""Scripts: real processes, what their ends mean, and what is left of them."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from orgloop.event import Event
from orgloop.sdk import TransformFailed
from orgloop.transforms import Script, ScriptConfig
from tests.transforms.stage import appeared, awaited, event, executable, gone


async def outcome_of(tmp_path: Path, text: str, there: Event | None = None, **config: Any) -> Event | None:
    path = executable(tmp_path / "transform.sh", text)
    return await awaited(Script(ScriptConfig(path, **config)), there or event({"n": 1}))


async def test_what_a_script_writes_replaces_the_event(tmp_path: Path) -> None:
    """All but its identity."""
    text = """
import json, sys
event = json.load(sys.stdin)
event["payload"]["n"] += 1
event["provenance"]["seen"] = True
event |= {"id": "evt_x", "trace_id": "x", "module": "other", "ancestors": [], "source": "elsewhere"}
print(json.dumps(event, indent=1))
"""
    path = executable(tmp_path / "transform.py", text, sys.executable)

    out = await awaited(Script(ScriptConfig(path)), event({"n": 1}))

    assert out == attrs.evolve(event({"n": 2}, seen=True), source="elsewhere")


@pytest.mark.parametrize(
    "text", ["exit 0", "cat >/dev/null; echo; echo '  '", "cat; exit 1", "exit 78", "set -e; false; cat"]
)
async def test_a_script_drops(tmp_path: Path, text: str) -> None:
    """By saying nothing, or by exit 1 or 78, whatever it wrote, and whether it read its input or not."""
    assert await outcome_of(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo no luck >&2; exit 2", "exit 2: no luck"),
        ("exit 126", "exit 126: it said nothing"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -40 $$", "signal 40"),
        ("echo '{\"id\":'", r"transform\.sh: what came back is not JSON"),
        ("echo 42", "what came back is not an event"),
        ("echo '{}'", "source is missing; type is missing; provenance is missing; payload is missing"),
        ("sed s/resource.changed/nonsense/", "type must be one of"),
        ("""sed 's/"payload"/"metadata":1,"payload"/'""", "'metadata': put it into payload"),
        ("head -c 20000000 /dev/zero", "more than 10485760 bytes"),
        ("yes >&2 & yes >&2 & sleep 0.05; echo last words >&2; exit 3", "exit 3"),
    ],
)
async def test_any_other_end_is_a_failure(tmp_path: Path, text: str, why: str) -> None:
    """The event is neither passed on nor dropped in silence: ``on_error`` decides."""
    with pytest.raises(TransformFailed, match=why):
        await outcome_of(tmp_path, text)


async def test_a_failure_has_the_last_words_only(tmp_path: Path) -> None:
    """A script that writes a megabyte of complaints makes no log line of a megabyte."""
    with pytest.raises(TransformFailed, match=r"the end$") as caught:
        await outcome_of(tmp_path, "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 2")

    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, r"No such file.*chmod \+x"),
        (lambda path: path.write_text("#!/bin/sh\n"), "Permission denied"),
        (lambda path: executable(path, "", interpreter="/nowhere/sh"), "must exist"),
        (lambda path: (executable(path, ""), path.write_text("no interpreter")), "begin with '#!'"),
    ],
    ids=["not there", "not executable", "no such interpreter", "no interpreter"],
)
async def test_a_script_that_cannot_be_started_is_a_failure(tmp_path: Path, make: Any, why: str) -> None:
    """And says what it needs."""
    make(tmp_path / "transform.sh")

    with pytest.raises(TransformFailed, match=why):
        await awaited(Script(ScriptConfig(str(tmp_path / "transform.sh"))), event())


async def test_an_event_that_is_no_json_is_a_failure(tmp_path: Path) -> None:
    """Whoever put it there."""
    with pytest.raises(TransformFailed, match="cannot be written as JSON"):
        await outcome_of(tmp_path, "cat", event({"x": object()}))


async def test_a_large_event_goes_in_and_out(tmp_path: Path) -> None:
    """More than any pipe holds, in both directions at once."""
    there = event({"body": "é" * 1_000_000})

    assert await outcome_of(tmp_path, "cat", there) == there


async def test_a_large_event_may_be_left_unread(tmp_path: Path) -> None:
    """This killed the original's daemon."""
    assert await outcome_of(tmp_path, "exec <&-; exit 0", event({"body": "x" * 1_000_000})) is None


async def test_a_script_sees_what_it_is_given_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the daemon's: PATH, HOME and LANG, the event's place, and what its own configuration names."""
    for name in ("GITHUB_TOKEN", "PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("LANG", "C.UTF-8")
    text = f"env > {tmp_path}/seen; pwd > {tmp_path}/where; cat"

    await outcome_of(tmp_path, text, env={"API_TOKEN": "mine"})

    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)
    assert {
        name: value for name, value in seen.items() if name not in ("PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_")
    } == {
        "LANG": "C.UTF-8",
        "API_TOKEN": "mine",
        "SOURCE": "github",
        "TARGET": "reviewer",
        "EVENT_TYPE": "resource.changed",
        "ORGLOOP_SOURCE": "github",
        "ORGLOOP_TARGET": "reviewer",
        "ORGLOOP_EVENT_TYPE": "resource.changed",
        "ORGLOOP_EVENT_ID": "evt_1",
        "ORGLOOP_ROUTE": "reviews",
    }


async def test_what_an_event_says_is_no_command(tmp_path: Path) -> None:
    """It goes in as JSON, through no shell."""
    there = event({"title": "$(touch owned); `touch owned` '; touch owned #", "n": 1})

    assert await outcome_of(tmp_path, "cat", there) == there
    assert not (tmp_path / "owned").exists()


@pytest.mark.slow
async def test_the_deadline_ends_the_script_and_its_children(tmp_path: Path) -> None:
    """The whole group, a child that holds its output included."""
    began_s = time.monotonic()

    with pytest.raises(TransformFailed, match=r"longer than 0\.5 s and was killed"):
        await outcome_of(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; sleep 60", timeout_s=0.5)

    assert time.monotonic() - began_s < 2
    await gone(int((tmp_path / "child").read_text()))


async def test_a_cancel_ends_the_script(tmp_path: Path) -> None:
    """Whoever takes the module down does not wait for it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outcome_of, tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
        pid = int(await appeared(tmp_path / "pid"))
        nursery.cancel_scope.cancel("the module is taken down")

    await gone(pid)


async def test_a_child_that_is_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """It holds the script's output open; it is killed, and the output counts."""
    began_s = time.monotonic()

    out = await outcome_of(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; cat")

    assert out == event({"n": 1})
    assert time.monotonic() - began_s < 2
    await gone(int((tmp_path / "child").read_text()))


async def test_a_child_that_has_a_session_of_its_own_is_not_waited_for_either(tmp_path: Path) -> None:
    """It escapes, as daemons do, but its hold on the output is not ours."""
    began_s = time.monotonic()

    assert await outcome_of(tmp_path, "setsid sleep 3 & cat") == event({"n": 1})
    assert time.monotonic() - began_s < 2


async def test_output_that_comes_through_a_child_is_heard(tmp_path: Path) -> None:
    """As with ``exec > >(…)``: the script ends first, the last of its output comes a moment later."""
    path = executable(
        tmp_path / "t.sh", "exec > >(sleep 0.02; sed s/resource.changed/actor.stopped/)\ncat", "/bin/bash"
    )

    out = await awaited(Script(ScriptConfig(path)), event())

    assert out is not None
    assert out.type == "actor.stopped"


async def test_no_zombie_and_no_descriptor_is_left(tmp_path: Path) -> None:
    """After any number of scripts."""
    await outcome_of(tmp_path, "cat")
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        await outcome_of(tmp_path, "cat")

    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # noqa: ASYNC222 - it does not wait


async def test_scripts_run_side_by_side(tmp_path: Path) -> None:
    """The loop does not wait for one to run another."""
    began_s = time.monotonic()

    async with trio.open_nursery() as nursery:
        for n in range(4):
            (folder := tmp_path / str(n)).mkdir()
            nursery.start_soon(outcome_of, folder, "sleep 0.1; cat")

    assert time.monotonic() - began_s < 0.4


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (ScriptConfig("transforms/x.sh"), r"^script: 'transforms/x\.sh' is not absolute; write '/"),
        (ScriptConfig("/x.sh", timeout_s=0), r"^timeout_ms: .*write one above 0"),
        (ScriptConfig("/x.sh", env={"A=B": "x"}), r"^env\.A=B: .*write a name without '='"),
        (ScriptConfig("/x.sh", env={"A": "x\0y"}), r"^env\.A: .*NUL"),
    ],
)
def test_what_cannot_be_run_is_refused(config: ScriptConfig, why: str) -> None:
    """With the field, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        Script(config)


async def test_the_event_goes_in_as_one_line(tmp_path: Path) -> None:
    """So that ``read`` gets all of it."""
    await outcome_of(tmp_path, f"cat > {tmp_path}/seen", event({"body": "two\nlines"}))

    [line] = (tmp_path / "seen").read_text().splitlines()
    assert json.loads(line)["payload"] == {"body": "two\nlines"}
