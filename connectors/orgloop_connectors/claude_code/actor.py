"""
Running ``claude -p``: its options, and what the lines of its stream-json output say.

A session key has one conversation: its id is made of the key, so nothing has to be kept. It is resumed, and begun where
Claude Code says that it knows no such conversation.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from orgloop.sdk import Checked, Delivery, Place
from orgloop_connectors._agent_actor import Headless, Thread
from orgloop_connectors._agent_config import check_headless
from orgloop_connectors._agent_words import MAX_DENIALS, Final, Report, name_at, number_at, numbers_in, text_at
from orgloop_connectors.claude_code.config import ClaudeCodeConfig, faults_in

SESSIONS = uuid.UUID("5a0c4f0e-9c1b-5d6e-8f3a-2b7d1c9e4a60")
"""The namespace of the ids that are made of session keys."""

WITHOUT_HOOKS = '{"disableAllHooks":true}'

UNKNOWN = "No conversation found with session ID"
"""What Claude Code says of a session that it is to resume, and does not know."""

_LIMITS = {"error_max_turns": "max_turns", "error_max_budget_usd": "max_cost"}


@attrs.frozen
class ClaudeCode:
    """How Claude Code is spoken to."""

    config: ClaudeCodeConfig
    place: Place
    harness: str = attrs.field(default="claude-code", init=False)

    @property
    def program(self) -> str:
        return self.config.program

    def argv(self, thread: Thread) -> list[str]:
        """Its options; a list of rules ends where the next option begins, so they do not stand last."""
        config = self.config
        options = [
            *_rules("--allowedTools", config.allowed_tools),
            *_rules("--disallowedTools", config.disallowed_tools),
            *("--permission-mode", config.permission_mode),
            *("--max-turns", str(config.max_turns)),
        ]
        if config.max_cost_usd is not None:
            options += ["--max-budget-usd", f"{config.max_cost_usd:g}"]
        if not config.hooks:
            options += ["--settings", WITHOUT_HOOKS]
        if config.model is not None:
            options += ["--model", config.model]
        if thread.id is not None:
            options += ["--resume" if thread.resume else "--session-id", thread.id]
        return ["-p", "--output-format", "stream-json", "--verbose", *options, *config.args]

    def hear(self, said: Mapping[str, Any], report: Report) -> None:
        """Note what a line says."""
        match said.get("type"):
            case "system" if said.get("subtype") == "init":
                report.session_id = name_at(said, "session_id") or report.session_id
                report.model = text_at(said, "model")
            case "assistant":
                self._hear_message(said.get("message"), report)
            case "control_request" if text_at(said, "request", "subtype") == "can_use_tool":
                report.asked = name_at(said, "request", "tool_name") or "a tool"
            case "result":
                self._hear_result(said, report)

    def is_unknown(self, report: Report, stderr: str) -> bool:
        """Whether it has ended because it does not know the session."""
        failed = report.final is None or not report.final.ok
        return failed and (UNKNOWN in stderr or (report.final is not None and UNKNOWN in report.final.text))

    async def thread(self, key: str | None, _: Delivery) -> Thread:
        """The conversation of a key; without a key, a new one."""
        if key is None:
            return Thread(id=None, resume=False)
        name = "\0".join((self.place.module, self.place.id, key))
        return Thread(id=str(uuid.uuid5(SESSIONS, name)), resume=True)

    async def remember(self, key: str, session_id: str) -> None:
        """Nothing to keep: the id is made of the key."""

    @staticmethod
    def _hear_message(message: object, report: Report) -> None:
        blocks = message.get("content") if isinstance(message, Mapping) else None
        for block in blocks if isinstance(blocks, list) else []:
            if text_at(block, "type") == "tool_use":
                report.steps += 1
            elif text := text_at(block, "text"):
                report.text = text

    @staticmethod
    def _hear_result(said: Mapping[str, Any], report: Report) -> None:
        kind = name_at(said, "subtype") or "error"
        ok = kind == "success" and said.get("is_error") is not True
        errors = said.get("errors")
        complaints = [one for one in errors if isinstance(one, str)] if isinstance(errors, list) else []
        if kind == "success" and not ok:
            kind = "api_error"
        report.final = Final(
            ok=ok, kind=_LIMITS.get(kind, kind), text=text_at(said, "result") or "; ".join(complaints) or report.text
        )
        report.session_id = name_at(said, "session_id") or report.session_id
        turns = number_at(said, "num_turns")
        report.turns = None if turns is None else int(turns)
        report.cost_usd = number_at(said, "total_cost_usd")
        report.usage = numbers_in(said.get("usage"))
        denials = said.get("permission_denials")
        report.denied = [
            name_at(one, "tool_name") or "a tool"
            for one in (denials[:MAX_DENIALS] if isinstance(denials, list) else [])
        ]


def _rules(option: str, rules: Sequence[str]) -> list[str]:
    return [option, *rules] if rules else []


def make_actor(config: ClaudeCodeConfig, place: Place) -> Headless:
    """ValueError, a line for each fault."""
    if faults := list(faults_in(config)):
        raise ValueError("\n".join(faults))
    return Headless(config, place, ClaudeCode(config, place))


async def check_actor(config: ClaudeCodeConfig, place: Place) -> list[Checked]:
    """Whether it is there, and how far it may go; nothing is run."""
    checked = await check_headless(config, place, program=config.program)
    if config.permission_mode == "bypassPermissions":
        detail = (
            "bypassPermissions: whoever writes into an event may come to run what they like; "
            "name allowed_tools instead, or see that nothing can be lost where it runs"
        )
        checked.append(Checked(name="permission_mode", ok=True, detail=detail))
    return checked
