"""
An agent that does as a test says: an executable that speaks what Claude Code, or Codex, speaks on standard output.

It keeps what it was told: ``told`` (standard input), ``argv`` (one argument a line, after a line for each run).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.transforms.stage import executable

HEAD = 'echo "== run" >> argv; printf "%s\\n" "$@" >> argv; cat > told\n'

THREAD = "0199a213-81c0-7800-8aa1-bbab2a035a53"
SESSION = "7f3c9e5a-2a0f-4f5e-9d1c-3d1f0b6f2c11"

INIT = {
    "type": "system",
    "subtype": "init",
    "cwd": "/srv/engineering",
    "session_id": SESSION,
    "tools": ["Bash", "Read"],
    "mcp_servers": [],
    "model": "claude-sonnet-4-5",
    "permissionMode": "default",
}
ASSISTANT = {
    "type": "assistant",
    "message": {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I look at the test."},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "pytest"}},
        ],
    },
    "session_id": SESSION,
}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "duration_ms": 8123,
    "num_turns": 3,
    "result": "Mended.",
    "session_id": SESSION,
    "total_cost_usd": 0.0421,
    "usage": {"input_tokens": 18200, "output_tokens": 940, "service_tier": "standard"},
    "permission_denials": [],
}
"""As Claude Code 2.1 says them; only ids and texts are made up."""

CODEX: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": THREAD},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "item_0", "type": "reasoning", "text": "Let me look."}},
    {"type": "item.completed", "item": {"id": "item_1", "type": "command_execution", "command": "pytest"}},
    {"type": "item.completed", "item": {"id": "item_2", "type": "agent_message", "text": "Mended."}},
    {"type": "turn.completed", "usage": {"input_tokens": 24763, "cached_input_tokens": 24448, "output_tokens": 122}},
]


def says(*lines: Any) -> str:
    """Shell text that says lines: objects as JSON, texts as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return "".join(f"cat <<'EOF'\n{text}\nEOF\n" for text in texts)


def agent(directory: Path, *text: str) -> str:
    """Write an agent that goes through shell texts, and give its path."""
    executable(directory / "agent.sh", HEAD + "".join(text))
    return "./agent.sh"


def runs(directory: Path) -> list[list[str]]:
    """The arguments of each run."""
    written = (directory / "argv").read_text().split("== run\n")[1:]
    return [run.splitlines() for run in written]
