"""Daemons that people start and stop: real processes, real homes, real signals."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from orgloop.daemon import Stale, find_owner
from orgloop.daemon.owner import is_free
from tests.cli.daemons import Desk, desk, python_s, until, written
from tests.cli.terminal import shell
from tests.runtime.test_projects import project

__all__ = ["desk", "shell"]

pytestmark = pytest.mark.slow


def test_a_daemon_is_started_looked_at_and_stopped(desk: Desk) -> None:
    """Ready within 0.8 s, looked at within 0.25 s and stopped within 1 s, on a machine that imports Trio in 0.1 s."""
    times = {"import trio": python_s()}
    began_s = time.monotonic()
    started = desk.run("start", "--daemon", "--force", "--port", "0")
    times["start"] = time.monotonic() - began_s
    began_s = time.monotonic()
    status = desk.run("status")
    times["status"] = time.monotonic() - began_s
    assert desk.post("world")
    began_s = time.monotonic()
    stopped = desk.run("stop")
    times["stop"] = time.monotonic() - began_s
    print(", ".join(f"{what} {took_s:.2f} s" for what, took_s in times.items()))

    assert 'Module "hello" — active: 1 source, 1 actor, 1 route' in started.out
    assert "  Status:       running (PID " in status.out
    assert 'Module "hello" is the last module. Shutting down daemon.' in stopped.out
    assert desk.lines == [written("world")]
    assert find_owner(desk.home) is None


@pytest.mark.parametrize("options", [["--daemon"], ["--daemon", "--supervised"], []])
def test_a_fault_at_the_start_is_its_reason(desk: Desk, options: list[str]) -> None:
    """Exit code 1, with the place of the fault, whoever runs it."""
    (desk.shell.folder / "orgloop.yaml").write_text("kind: Project\nsorces: []\n")
    ended = desk.run("start", "--force", "--port", "0", *options)

    assert ended.code == 1
    assert "orgloop.yaml:2:1: OL1203" in ended.err
    assert is_free(desk.home)


def test_a_start_is_checked_first(desk: Desk) -> None:
    """What ``doctor`` calls an error ends it; --force goes past that."""
    (desk.shell.folder / "orgloop.yaml").write_text("kind: Project\nsorces: []\n")
    ended = desk.run("start", "--daemon")
    assert ended.code == 1
    assert "Doctor check failed. Fix errors above or use --force to bypass." in ended.err


def test_a_door_that_others_could_reach_is_refused(desk: Desk) -> None:
    """Y34: unless it is said that they may; what is open then still asks for the token."""
    refused = desk.run("serve", "--host", "0.0.0.0", "--port", "0", "--json")
    assert (refused.code, "ORGLOOP_PUBLIC=1" in refused.error["what"]) == (1, True)

    assert desk.run("serve", "--daemon", "--host", "0.0.0.0", "--port", "0", "--public").code == 0
    assert desk.status()["modules"] == []


def test_of_two_daemons_on_one_home_the_second_is_refused(desk: Desk) -> None:
    """With the reason and what to do; the first one does not notice."""
    owner = desk.start()
    for options in (["--daemon"], []):
        second = desk.run("serve", "--port", "0", *options)
        assert second.code == 1
        assert f"a daemon already runs on {desk.home.path}: process {owner.process.pid}" in second.err

    assert desk.owner == owner


def test_a_second_project_joins_the_daemon_and_leaves_it(desk: Desk, tmp_path: Path) -> None:
    """And the daemon ends with the last of them."""
    desk.start()
    other = project(tmp_path / "other", name="other")
    joined = desk.run("start", folder=other)
    names = [module["name"] for module in desk.status()["modules"]]
    left = desk.run("stop", folder=other)
    elsewhere = desk.run("stop", folder=tmp_path)

    assert '✓ Module "other" registered into running daemon' in joined.out
    assert names == ["hello", "other"]
    assert 'Module "other" stopped. Daemon continues with 1 module.' in left.out
    assert (elsewhere.code, "nothing was stopped" in elsewhere.err) == (1, True)
    assert desk.run("stop", "--json").document["daemonStopped"] is True
    assert is_free(desk.home)


def test_what_was_loaded_is_loaded_again_after_a_kill_but_not_after_a_stop(desk: Desk) -> None:
    """``serve`` names no project: what comes up is what the last run had."""
    owner = desk.start()
    desk.send(owner.process, signal.SIGKILL)
    until(lambda: is_free(desk.home), what="it lives")
    assert isinstance(find_owner(desk.home), Stale)
    assert "the last one was killed" in desk.run("status").out

    assert desk.run("serve", "--daemon", "--port", "0").code == 0
    assert [module["name"] for module in desk.status()["modules"]] == ["hello"]
    assert desk.run("stop", "--all").code == 0
    assert desk.run("serve", "--daemon", "--port", "0").code == 0
    assert desk.status()["modules"] == []


def test_a_project_in_the_foreground_tells_what_runs_and_obeys(desk: Desk) -> None:
    """SIGHUP reads it again, SIGTERM ends it with exit code 0."""
    with desk.popen("start", "--force", "--port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(6)]
        until(desk.home.pid.exists, what="it was not announced")
        project(desk.shell.folder, greeting="ciao")
        process.send_signal(signal.SIGHUP)
        until(lambda: desk.status()["modules"][0]["generation"] == 2, what="nothing was reloaded")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert lines[:4] == [
        "Starting...",
        "✓ Source told — hook listener started",
        "✓ Actor greeter — ready",
        "✓ Route greet — active",
    ]
    assert lines[4].startswith(f"OrgLoop is running. PID: {process.pid}, http://127.0.0.1:")
    assert lines[5] == "Logs: orgloop logs | Status: orgloop status | Stop: orgloop stop"
    assert (process.returncode, said) == (0, "orgloop: SIGTERM was received, stopping\n")


def test_what_a_hook_has_left_is_taken_in_by_the_next_daemon(desk: Desk) -> None:
    """Nothing that an agent has said is lost for want of a daemon."""
    desk.start()
    assert desk.run("stop").code == 0
    kept = hooked(desk)
    desk.start()
    until(lambda: bool(desk.lines), what="it was not taken in")

    assert "kept" in kept
    assert "session_id" in desk.lines[0]
    until(lambda: not any((desk.home.path / "spool").glob("*.json")), what="it was not removed")


def hooked(desk: Desk) -> str:
    """What the command says to a hook without a daemon."""
    return desk.shell.spawn("hook", "told", "--json", stdin='{"session_id": "s1"}').out


def test_following_the_log_of_a_daemon_survives_its_end(desk: Desk) -> None:
    """From the daemon while it runs, and from what the next one writes."""
    desk.start()
    with desk.popen("logs", "--phase", "deliver.success", "--json") as follower:
        assert follower.stdout is not None
        until(lambda: desk.post("one"), what="nothing is taken")
        first = follower.stdout.readline()
        desk.run("stop")
        desk.start()
        until(lambda: desk.post("two"), what="nothing is taken")
        second = follower.stdout.readline()
        follower.terminate()

    assert '"phase": "deliver.success"' in first
    assert '"phase": "deliver.success"' in second
    assert first != second
