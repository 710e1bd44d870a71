"""Running ``codex exec``: its options, and what the lines of its ``--json`` output say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from orgloop.sdk import Checked, Delivery, Place
from orgloop_connectors._agent_actor import Headless, Thread
from orgloop_connectors._agent_config import check_headless
from orgloop_connectors._agent_words import Final, Report, name_at, numbers_in, text_at
from orgloop_connectors.codex.config import CodexConfig, faults_in
from orgloop_connectors.codex.sessions import keep, known_to

UNKNOWN = re.compile(r"no rollout found|(session|thread|conversation)\b.{0,80}\bnot found", re.IGNORECASE)
"""What Codex says of a session that it is to resume, and does not know."""

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@attrs.define
class Codex:
    """How Codex is spoken to."""

    config: CodexConfig
    place: Place
    harness: str = attrs.field(default="codex", init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @property
    def program(self) -> str:
        return self.config.program

    def argv(self, thread: Thread) -> list[str]:
        """Its options; what stands behind ``resume`` is an id that Codex has given itself."""
        config = self.config
        options = ["--json", "--sandbox", config.sandbox, "-c", 'approval_policy="never"']
        if not config.hooks:
            options += ["-c", "notify=[]"]
        if config.model is not None:
            options += ["--model", config.model]
        if config.skip_git_repo_check:
            options.append("--skip-git-repo-check")
        resume = ["resume", thread.id] if thread.resume and thread.id is not None else []
        return ["exec", *options, *config.args, *resume, "-"]

    def hear(self, said: Mapping[str, Any], report: Report) -> None:
        """Note what a line says."""
        match said.get("type"):
            case "thread.started":
                report.session_id = name_at(said, "thread_id") or report.session_id
            case "item.completed":
                kind = text_at(said, "item", "type") or text_at(said, "item", "item_type")
                if kind in ("agent_message", "assistant_message"):
                    report.text = text_at(said, "item", "text") or report.text
                elif kind not in ("reasoning", "todo_list", "error"):
                    report.steps += 1
            case "turn.completed":
                report.turns = (report.turns or 0) + 1
                report.usage = numbers_in(said.get("usage"))
                report.final = Final(ok=True, kind="turn_completed", text=report.text)
            case "turn.failed":
                report.final = Final(ok=False, kind="turn_failed", text=text_at(said, "error", "message"))
            case "error" if report.final is None:
                # It may still try again by itself: what it says of its end is turn.failed.
                report.text = text_at(said, "message") or report.text

    def is_unknown(self, report: Report, stderr: str) -> bool:
        """Whether it has ended because it does not know the session."""
        failed = report.final is None or not report.final.ok
        return failed and report.session_id is None and bool(UNKNOWN.search(stderr) or UNKNOWN.search(report.text))

    async def thread(self, key: str | None, _: Delivery) -> Thread:
        """The conversation of a key, if it has one; else a new one."""
        known = None if key is None else await trio.to_thread.run_sync(known_to, self._file(), key)
        return Thread(id=known, resume=known is not None)

    async def remember(self, key: str, session_id: str) -> None:
        """Keep which session the key has now."""
        async with self._writing:
            await trio.to_thread.run_sync(keep, self._file(), key, session_id)

    def _file(self) -> Path:
        id_ = self.place.id
        name = id_ if _FILE.fullmatch(id_) else hashlib.sha256(id_.encode()).hexdigest()
        return self.place.directory / self.config.session_dir / f"{name}.json"


def make_actor(config: CodexConfig, place: Place) -> Headless:
    """ValueError, a line for each fault."""
    if faults := list(faults_in(config)):
        raise ValueError("\n".join(faults))
    return Headless(config, place, Codex(config, place), max_steps=config.max_steps)


async def check_actor(config: CodexConfig, place: Place) -> list[Checked]:
    """Whether it is there, and how far it may go; nothing is run."""
    checked = await check_headless(config, place, program=config.program)
    if config.sandbox == "danger-full-access":
        detail = (
            "danger-full-access: whoever writes into an event may come to run what they like; "
            "choose workspace-write, or see that nothing can be lost where it runs"
        )
        checked.append(Checked(name="sandbox", ok=True, detail=detail))
    return checked
