"""Sessions as agentctl lists them: what is told of two looks, and of an agentctl that cannot be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import faults_of
from orgloop.sdk import Polled, PollFailed
from orgloop_connectors.agent_ctl import CONNECTOR
from orgloop_connectors.agent_ctl.changes import Known, Listed, changes, read, written
from tests.connectors.stage import checked, made, place
from tests.transforms.stage import executable

ONE = {
    "id": "7f3c9e5a",
    "adapter": "claude-code",
    "status": "running",
    "startedAt": "2026-02-14T09:30:00.000Z",
    "cwd": "/srv/engineering",
    "spec": "Mend it.",
    "model": "claude-sonnet-4-5",
    "tokens": {"in": 18200, "out": 940},
    "cost": 0.12,
    "pid": 4711,
    "meta": {"openclaw_callback_session_key": "k"},
}
"""As agentctl lists one."""


class Tool:
    """A stand-in for agentctl, which lists what a test says."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self._directory = directory
        executable(directory / "agentctl", 'echo "$@" >> asked\ncat answer\nexit "$(cat status)"')
        at = place(directory, id="agents")
        self.source = made(CONNECTOR.source, {"binary_path": "./agentctl", **config}, at)

    async def poll(self, listed: Any, checkpoint: str | None = None, *, status: int = 0) -> Polled:
        """One look, at sessions as they are listed now."""
        (self._directory / "answer").write_text(listed if isinstance(listed, str) else json.dumps(listed))
        (self._directory / "status").write_text(str(status))
        polled: Polled = await self.source.poll(checkpoint)
        assert not [fault for event in polled.events for fault in faults_of(event)]
        return polled

    def asked(self) -> list[str]:
        return (self._directory / "asked").read_text().splitlines()


def one(**changed: Any) -> dict[str, Any]:
    return {**ONE, **changed}


def told(polled: Polled) -> list[tuple[Any, ...]]:
    lifecycles = [event.payload["lifecycle"] for event in polled.events]
    return [
        (event.payload["action"], said["phase"], said.get("outcome"), said.get("reason"))
        for event, said in zip(polled.events, lifecycles, strict=True)
    ]


async def test_a_new_session_is_told(tmp_path: Path) -> None:
    """With all that the original tells of one."""
    polled = await Tool(tmp_path).poll([ONE])

    (event,) = polled.events
    assert (event.source, event.type) == ("agents", "resource.changed")
    assert event.provenance == {
        "platform": "agent-ctl",
        "platform_event": "session.started",
        "author": "claude-code",
        "author_type": "bot",
        "resource_id": "claude-code:7f3c9e5a:started",
    }
    assert event.payload["session"] == {
        "id": "7f3c9e5a",
        "adapter": "claude-code",
        "harness": "claude-code",
        "cwd": "/srv/engineering",
        "started_at": "2026-02-14T09:30:00.000Z",
        "meta": ONE["meta"],
    }
    flat = {key: value for key, value in event.payload.items() if key not in ("lifecycle", "session")}
    assert flat == {
        "action": "session.started",
        "session_id": "7f3c9e5a",
        "status": "running",
        "adapter": "claude-code",
        "started_at": ONE["startedAt"],
        **{key: ONE[key] for key in ("cwd", "spec", "model", "tokens", "cost", "pid", "meta")},
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("running", ("session.started", "started", None, None)),
        ("idle", ("session.started", "started", None, None)),
        ("stopped", ("session.stopped", "stopped", "unknown", "session_stopped")),
        ("error", ("session.error", "failed", "failure", "session_error")),
        ("completed", ("session.stopped", "completed", "success", "session_completed")),
        ("failed", ("session.error", "failed", "failure", "session_failed")),
    ],
)
async def test_what_a_new_one_is(tmp_path: Path, status: str, expected: tuple[Any, ...]) -> None:
    """By the original's table, and the statuses that agentctl has had since."""
    assert told(await Tool(tmp_path).poll([one(status=status)])) == [expected]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("running", "running", []),
        ("running", "idle", [("session.idle", "active", None, "idle")]),
        ("idle", "running", [("session.active", "active", None, "running")]),
        ("running", "stopped", [("session.stopped", "stopped", "unknown", "session_stopped")]),
        ("idle", "error", [("session.error", "failed", "failure", "session_error")]),
        ("running", "pending", [("session.active", "active", None, "pending")]),
        ("running", None, [("session.stopped", "stopped", "unknown", "session_stopped")]),
        ("error", None, []),
        ("stopped", None, []),
    ],
)
async def test_a_change_is_told_once(
    tmp_path: Path, before: str, after: str | None, expected: list[tuple[Any, ...]]
) -> None:
    """What has ended does not end again when it is listed no more."""
    tool = Tool(tmp_path)
    first = await tool.poll([one(status=before)])
    listed = [] if after is None else [one(status=after)]

    second = await tool.poll(listed, first.checkpoint)

    assert told(second) == expected
    assert (await tool.poll(listed, second.checkpoint or first.checkpoint)).events == []


async def test_a_session_that_is_gone_is_told_as_it_was(tmp_path: Path) -> None:
    """Its harness and its callback too, which nobody lists any more."""
    tool = Tool(tmp_path)
    first = await tool.poll([one(adapter="Codex")])

    (event,) = (await tool.poll([], first.checkpoint)).events

    assert event.payload["session"]["harness"] == "codex"
    assert event.payload["session"]["meta"] == ONE["meta"]
    assert event.payload["session"]["ended_at"]


async def test_a_restart_tells_nothing_again(tmp_path: Path) -> None:
    """What was seen stands in the checkpoint, and nowhere else."""
    first = await Tool(tmp_path).poll([ONE])

    assert await Tool(tmp_path).poll([ONE], first.checkpoint) == Polled([], None)


async def test_the_same_checkpoint_gives_the_same_again(tmp_path: Path) -> None:
    """After a crash before the commit; the keys are the same, so it can be seen."""
    tool = Tool(tmp_path)
    first = await tool.poll([ONE])
    again = [await tool.poll([one(status="idle")], first.checkpoint) for _ in range(2)]

    keys = [polled.events[0].payload["lifecycle"]["dedupe_key"] for polled in again]
    assert keys == ["claude-code:7f3c9e5a:active:1"] * 2


async def test_to_go_idle_twice_is_twice_news(tmp_path: Path) -> None:
    """In the original both had one key, and a dedup transform swallowed the second."""
    tool, checkpoint, keys = Tool(tmp_path), None, []
    for status in ("running", "idle", "running", "idle", "stopped", "running", "stopped"):
        polled = await tool.poll([one(status=status)], checkpoint)
        checkpoint = polled.checkpoint
        keys += [event.payload["lifecycle"]["dedupe_key"] for event in polled.events]

    assert len(keys) == len(set(keys)) == 7


@pytest.mark.parametrize(
    ("answer", "status", "why"),
    [
        ([], 1, "ended with exit 1"),
        ("", 0, "no JSON"),
        ("[{", 0, "no JSON"),
        ("not json", 0, "no JSON"),
        ({"x": 1}, 0, "neither a list nor an object with sessions"),
        ([7], 0, "a session is no object"),
        ([{"status": "running"}], 0, "the id of a session"),
        ([{"id": "x"}], 0, "the status of session 'x'"),
        ([ONE, ONE], 0, "lists a session twice"),
        ([one(id=str(n)) for n in range(1001)], 0, "at most 1000"),
        ([one(id=str(n), cwd="c" * 490, model="m" * 490) for n in range(999)], 0, "is too long"),
        ('[{"id":"x","status":"running","cost":' + "1" * 5000 + "}]", 0, "no JSON"),
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_a_failed_poll(
    tmp_path: Path, answer: Any, status: int, why: str
) -> None:
    """Not the end of every session, as in the original."""
    tool = Tool(tmp_path)
    first = await tool.poll([ONE])

    with pytest.raises(PollFailed, match=why):
        await tool.poll(answer, first.checkpoint, status=status)


async def test_one_that_is_missing_or_slow_is_a_failed_poll(tmp_path: Path) -> None:
    """With what is to be done."""
    with pytest.raises(PollFailed, match="is it installed"):
        await made(CONNECTOR.source, {"binary_path": "./nowhere"}, place(tmp_path)).poll(None)
    executable(tmp_path / "agentctl", "exec sleep 60")
    with pytest.raises(PollFailed, match=r"not answered within 0\.05 s"):
        await made(CONNECTOR.source, {"binary_path": "./agentctl", "timeout": 50}, place(tmp_path)).poll(None)


async def test_an_answer_that_is_too_long_is_a_failed_poll(tmp_path: Path) -> None:
    """It is read to its end, and not kept."""
    executable(tmp_path / "agentctl", "head -c 11000000 /dev/zero")

    with pytest.raises(PollFailed, match="more than 10485760 bytes"):
        await made(CONNECTOR.source, {"binary_path": "./agentctl"}, place(tmp_path)).poll(None)


async def test_a_list_with_warnings_tells_nothing_of_what_it_lacks(tmp_path: Path) -> None:
    """Some agent was not asked; its sessions go on."""
    tool = Tool(tmp_path)
    first = await tool.poll([ONE, one(id="other")])

    partial = await tool.poll(
        {"sessions": [one(id="other", status="idle")], "warnings": ["codex: EACCES"]}, first.checkpoint
    )
    whole = await tool.poll({"sessions": [one(id="other", status="idle")]}, partial.checkpoint)

    assert [event.payload["session_id"] for event in partial.events] == ["other"]
    assert [event.payload["session_id"] for event in whole.events] == ["7f3c9e5a"]


async def test_ended_ones_can_be_asked_for(tmp_path: Path) -> None:
    """Then the first look tells nothing of what ended before it."""
    tool = Tool(tmp_path, all=True)
    first = await tool.poll([one(status="stopped"), one(id="other")])
    second = await tool.poll([one(status="stopped"), one(id="other", status="completed")], first.checkpoint)

    assert told(first) == [("session.started", "started", None, None)]
    assert told(second) == [("session.stopped", "completed", "success", "session_completed")]
    assert tool.asked() == ["list --json --all"] * 2


async def test_a_checkpoint_of_the_original_is_a_beginning(tmp_path: Path) -> None:
    """It was a time. One that is torn is told, not passed over."""
    tool = Tool(tmp_path)

    assert len((await tool.poll([ONE], "2026-02-14T09:30:00.000Z")).events) == 1
    with pytest.raises(PollFailed, match="the checkpoint is none of this source"):
        await tool.poll([ONE], '{"sessions": {"a": {"state": 1}}}')


STATUSES = st.sampled_from(["running", "idle", "stopped", "error", "completed", "pending"])


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), STATUSES), max_size=8))
def test_no_key_is_told_twice_while_a_session_is_listed(looks: list[dict[str, str]]) -> None:
    """Whatever comes and goes; and what is remembered is the same after a trip to the log."""
    known: Known = {}
    keys: list[str] = []
    for look in looks:
        listed = [Listed(id=id_, status=status, said={}) for id_, status in look.items()]
        found, known = changes(known, listed, whole=False)
        keys += [change.step.key("codex") for change in found]
        assert read(json.loads(json.dumps(written(known)))) == known

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("config", "fault"), [({"binary_path": ""}, "binary_path: is empty"), ({"timeout": 0}, "timeout: must be")]
)
def test_what_cannot_be_is_told(config: dict[str, Any], fault: str) -> None:
    """When the config is read."""
    with pytest.raises(ValueError, match=fault):
        made(CONNECTOR.source, config)


async def test_a_check_looks_for_it(tmp_path: Path) -> None:
    """And runs nothing."""
    Tool(tmp_path)

    (good,) = await checked(CONNECTOR.source, {"binary_path": "./agentctl"}, place(tmp_path))
    (bad,) = await checked(CONNECTOR.source, {"binary_path": "./nowhere"}, place(tmp_path))

    assert (good.ok, bad.ok) == (True, False)
    assert "npm install" in bad.detail
    assert not (tmp_path / "asked").exists()
