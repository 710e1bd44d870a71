"""The agent gate: who counts as being at work, and that it never stands in the way by mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orgloop.transforms import AgentGate, AgentGateConfig
from tests.transforms.stage import awaited, event, executable

SESSIONS = [{"id": "1", "adapter": "codex", "status": "running"}, {"id": "2", "adapter": "pi", "status": "idle"}]


def gate(tmp_path: Path, text: str, **config: Any) -> AgentGate:
    return AgentGate(AgentGateConfig(executable(tmp_path / "agent-ctl", text), **config))


@pytest.mark.parametrize(
    ("answer", "config", "passes"),
    [
        (SESSIONS, {}, False),
        ({"sessions": SESSIONS}, {}, False),
        (SESSIONS, {"adapter_filter": "codex"}, False),
        (SESSIONS, {"adapter_filter": "pi"}, True),
        (SESSIONS, {"adapter_filter": "pi", "active_statuses": ["running", "idle"]}, False),
        (SESSIONS, {"active_statuses": ["waiting"]}, True),
        ([], {}, True),
        ({"sessions": []}, {}, True),
        ([None, 7, {"adapter": "codex"}], {}, True),
    ],
)
async def test_an_active_session_drops(tmp_path: Path, answer: object, config: Any, passes: bool) -> None:
    """One that is of the right adapter and in one of the statuses."""
    (tmp_path / "answer").write_text(json.dumps(answer))
    made = gate(tmp_path, f'[ "$*" = "list --json" ] && cat {tmp_path}/answer', **config)
    there = event()

    assert await awaited(made, there) is (there if passes else None)
    assert made.counts["failures"] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("exit 1", "status 1"),
        ("echo broken >&2; exit 3", "broken"),
        ("echo nonsense", "malformed"),
        ("echo 42", "neither a list"),
        ("""echo '{"sessions": 3}'""", "neither a list"),
        ("exec head -c 20000000 /dev/zero", "status"),
    ],
)
async def test_it_fails_open_and_says_so(tmp_path: Path, text: str, why: str) -> None:
    """A gate that cannot ask lets everything through; the count tells that it did."""
    made, there = gate(tmp_path, text), event()

    assert await awaited(made, there) is there
    assert made.counts["failures"] == 1
    assert why in (made.last_failure or "")


async def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """The event passes when the time is up."""
    made, there = gate(tmp_path, "exec sleep 60", timeout_s=0.1), event()

    assert await awaited(made, there) is there
    assert "no answer within 0.1 s" in (made.last_failure or "")


async def test_a_program_that_is_not_there_lets_pass() -> None:
    """The most likely failure of all."""
    made, there = AgentGate(AgentGateConfig("/nowhere/agent-ctl")), event()

    assert await awaited(made, there) is there
    assert "No such file" in (made.last_failure or "")


async def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike in the original."""
    monkeypatch.setenv("HOME", str(tmp_path))
    executable(tmp_path / "agent-ctl", f"echo '{json.dumps(SESSIONS)}'")

    assert await awaited(AgentGate(AgentGateConfig("~/agent-ctl")), event()) is None


async def test_a_bare_name_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is one."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    executable(tmp_path / "agent-ctl", f"echo '{json.dumps(SESSIONS)}'")

    assert await awaited(AgentGate(AgentGateConfig()), event()) is None


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (AgentGateConfig(binary_path=""), "^binary_path: .*write 'agent-ctl'"),
        (AgentGateConfig(active_statuses=()), r"^active_statuses: .*write one, as in \[running\]"),
        (AgentGateConfig(active_statuses="running"), "^active_statuses: 'running' is not a list"),
        (AgentGateConfig(timeout_s=-1), "^timeout: .*write one above 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(config: AgentGateConfig, why: str) -> None:
    """With the field, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        AgentGate(config)
