"""
Pages of the documentation as a test reads them: their links, the commands that they name, and sessions that it plays.

A session is what stands in a page's ``console`` blocks: ``$ `` and a command, then what it prints. A line ``…`` stands
for any lines, ``…`` within one for any text; ids, times, durations, ports and process ids may be others than printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in {
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        ROOT / "supervisors/README.md",
    }
    if path.parent.name not in {"changes", "sops"}
)
"""Every page for people; fragments of the changelog, and the instructions of an example's agents, are none."""

PATIENCE_S = 20.0
"""How long a command that only looks may be repeated until what it shows has come about."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?<![\w./-])orgloop((?: [^\s|&;)`]+)*)")
_LOOKING = ("cat ", "orgloop status", "orgloop logs", "orgloop explain")
_VARIABLE = re.compile(
    r"(?P<id>evt_[0-9a-f]{16})|(?P<clock>\d\d:\d\d:\d\d)|(?P<process>PID:? \d+)|(?P<port>127\.0\.0\.1:4800)"
    r"|(?P<span>\b\d+(?:\.\d+)? ?m?s\b)|(?P<any>…)"
)
_MEANT = {
    "clock": r"\d\d:\d\d:\d\d",
    "process": r"PID:? \d+",
    "port": r"127\.0\.0\.1:\d+",
    "span": r"\d+(?:\.\d+)? ?m?s",
    "any": ".*?",
}


def blocks(text: str, *languages: str) -> list[tuple[str, str]]:
    """The fenced blocks of these languages, in order: the language, and what stands in it."""
    return [(found[1], found[2]) for found in _FENCED.finditer(text) if found[1] in languages]


def links(text: str) -> list[str]:
    """What a page links to, without what is code."""
    return _LINK.findall(_SPAN.sub("", _FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_commands(text: str) -> Iterator[list[str]]:
    """The words behind each ``orgloop`` that a page has in a console block, an indented line, or a code span."""
    session = [line for _, block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    prose = _FENCED.sub("", text)
    indented = [line for line in prose.splitlines() if re.match(r" {4}\S", line)]
    spans = [span for span in _SPAN.findall(prose) if span.startswith("orgloop ")]
    for code in [*session, *indented, *spans]:
        for found in _COMMAND.finditer(code.split(" # ")[0]):
            if words := found[1].split():
                yield words


@attrs.frozen
class Step:
    """One command of a session, and what it is to print."""

    command: str
    printed: tuple[str, ...]


def steps(block: str) -> Iterator[Step]:
    """The commands of a console block."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = part.rstrip("\n").split("\n")
        yield Step(command, tuple(printed))


@attrs.define
class Terminal:
    """A shell in a folder, with a home of its own; knows the ids that came in the place of those that are printed."""

    folder: Path
    home: Path
    _ids: dict[str, str] = attrs.field(factory=dict)

    @property
    def environ(self) -> Mapping[str, str]:
        """What commands are run with: ours come first, and the daemon takes a free port."""
        private = {"HOME": str(self.home.parent), "XDG_CONFIG_HOME": str(self.home.parent / ".config")}
        ours = {"ORGLOOP_HOME": str(self.home), "ORGLOOP_PORT": "0", "NO_COLOR": "1"} | private
        return os.environ | ours | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def bash(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command; what it prints on either stream is in its ``stdout``."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def play(self, step: Step) -> None:
        """Run a step, and compare; where it only looks, until what it waits for has come about."""
        if step.command.startswith("cd "):
            self.folder /= step.command.removeprefix("cd ")
            return
        deadline_s = time.monotonic() + (PATIENCE_S if step.command.startswith(_LOOKING) else 0)
        command = self.as_here(step.command)
        while not self._is_as_printed(step, printed := self.bash(command).stdout):
            assert time.monotonic() < deadline_s, f"$ {command}\n{printed}\n--- is not\n" + "\n".join(step.printed)
            time.sleep(0.05)

    def write(self, document: str) -> None:
        """Write a document into the file that its first line names."""
        first, _, _ = document.partition("\n")
        path = self.folder / first.removeprefix("# ")
        assert path.exists(), f"{first!r} names no file of {self.folder}"
        path.write_text(document, encoding="utf-8")

    def as_here(self, command: str) -> str:
        """A command with the ids, and the port, that there are in the place of those that are printed."""
        for shown, real in self._ids.items():
            command = command.replace(shown, real)
        port = self.home / "runtime.port"
        return command.replace("127.0.0.1:4800", f"127.0.0.1:{port.read_text().strip()}") if port.exists() else command

    def _is_as_printed(self, step: Step, printed: str) -> bool:
        new: list[str] = []
        pattern = "".join(r"(?:.*\n)*?" if line == "…" else f"{self._pattern(line, new)}\n" for line in step.printed)
        found = re.fullmatch(pattern, printed if printed.endswith("\n") else f"{printed}\n")
        if found is not None:
            self._ids.update(zip(new, found.groups(), strict=True))
        return found is not None

    def _pattern(self, line: str, new: list[str]) -> str:
        parts, end = [], 0
        for found in _VARIABLE.finditer(line):
            parts.append(re.escape(line[end : found.start()]))
            parts.append(self._id(found[0], new) if found.lastgroup == "id" else _MEANT[str(found.lastgroup)])
            end = found.end()
        return "".join([*parts, re.escape(line[end:])])

    def _id(self, shown: str, new: list[str]) -> str:
        if shown in self._ids:
            return re.escape(self._ids[shown])
        if shown in new:
            return rf"\{new.index(shown) + 1}"
        new.append(shown)
        return "(evt_[0-9a-f]{16})"
