"""
Variables: ``${NAME}`` and ``${NAME:-default}`` in values, the ``.env`` file, and what is known of each name.

Law: the environment is an argument, one per module; nothing here reads ``os.environ`` or writes to it. What is looked
up is text and stays one value: it is not read as YAML, and no ``${…}`` inside it is looked up again. The process wins
over the workspace's ``variables:``, and these over ``.env``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from orgloop.config._refused import Substituted
from orgloop.errors import Place

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)

KNOWN: Mapping[str, tuple[str, str | None]] = {
    "GITHUB_TOKEN": (
        "GitHub personal access token with repo scope",
        "https://github.com/settings/tokens/new?scopes=repo",
    ),
    "GITHUB_REPO": ("the repository, as owner/repo", None),
    "LINEAR_API_KEY": ("Linear personal API key", "https://linear.app/settings/api"),
    "LINEAR_TEAM_KEY": ("the key of the Linear team, as in ENG", None),
    "OPENCLAW_WEBHOOK_TOKEN": ("token of the OpenClaw webhook", "https://openclaw.com/docs/webhooks"),
    "OPENCLAW_AGENT_ID": ("id of the OpenClaw agent", None),
    "SLACK_WEBHOOK_URL": ("address of a Slack incoming webhook", "https://api.slack.com/messaging/webhooks"),
    "PAGERDUTY_WEBHOOK_URL": ("address of a PagerDuty webhook", None),
}
"""What to say of a name that no plug-in speaks of: description and link."""


@attrs.frozen
class Variable:
    """A variable that a configuration refers to; never its value."""

    name: str
    places: tuple[Place, ...]
    """Where it is referred to."""
    origin: str | None
    """Where its value comes from: ``process``, ``workspace``, ``.env`` or ``default``; None if it is not set."""
    description: str | None = None
    url: str | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is a value."""
        return self.origin is not None


@attrs.frozen
class Environment:
    """The variables of one module, strongest first."""

    process: Mapping[str, str]
    workspace: Mapping[str, str] = attrs.field(factory=dict)
    file: Mapping[str, str] = attrs.field(factory=dict)

    def find(self, name: str) -> tuple[str, str] | None:
        """The value of a name, and where it comes from."""
        for origin, variables in (("process", self.process), ("workspace", self.workspace), (".env", self.file)):
            if name in variables:
                return variables[name], origin
        return None


@attrs.frozen
class Use:
    """One reference to a variable: what it gave, and where that came from (None: it is not set)."""

    name: str
    value: str
    origin: str | None


def fill_in(text: str, environment: Environment) -> tuple[str, list[Use], list[str]]:
    """
    A text with its variables filled in, the uses of them, and what is wrong with the references.

    >>> fill_in("${A:-x}/${B}", Environment({"B": "y"}))[0]
    'x/y'
    """
    uses: list[Use] = []
    wrong: list[str] = []

    def value_of(found: re.Match[str]) -> str:
        inside, end = found[1], found[2]
        form = _FORM.fullmatch(inside)
        if not end or form is None or "${" in inside:
            wrong.append(_malformed(found[0], has_end=bool(end)))
            return found[0]
        name, default = form[1], form[2]
        known = environment.find(name)
        if default is not None and (known is None or not known[0]):
            uses.append(Use(name, default, "default"))
            return str(default)
        uses.append(Use(name, known[0], known[1]) if known is not None else Use(name, "", None))
        return known[0] if known is not None else found[0]

    filled = _REFERENCE.sub(value_of, text)
    return filled, uses, wrong


def substituted(text: str, environment: Environment) -> tuple[str, list[Use], list[str]]:
    """As :func:`fill_in`, but the text remembers what it was made of."""
    filled, uses, wrong = fill_in(text, environment)
    if not uses:
        return text, uses, wrong
    is_missing = any(use.origin is None for use in uses)
    made = Substituted(text if is_missing else filled, written=text, is_missing=is_missing)
    return made, uses, wrong


def _malformed(written: str, *, has_end: bool) -> str:
    shown = written if len(written) <= 40 else f"{written[:40]}…"
    if not has_end:
        return f'"{shown}" is not closed by "}}"'
    if "${" in written[2:]:
        return f'"{shown}" has a variable within a variable, which is not looked up'
    return f'"{shown}" is not of the form ${{NAME}} or ${{NAME:-default}}'


def without_references(value: Any) -> bool:
    """Whether plain data has no reference anywhere."""
    if isinstance(value, str):
        return "${" not in value
    if isinstance(value, dict):
        return all(map(without_references, value.values()))
    return all(map(without_references, value)) if isinstance(value, list) else True


def parse_env(text: str) -> tuple[dict[str, str], list[int]]:
    r"""
    The variables of a ``.env`` file, and the numbers of the lines that are none.

    >>> parse_env("A=1\n# no\nexport B = 'two'\noops")
    ({'A': '1', 'B': 'two'}, [4])
    """
    variables: dict[str, str] = {}
    strange: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip().removeprefix("export ").strip()
        if not equals or not name or "\0" in line:
            strange.append(number)
            continue
        variables[name] = _unquoted(value.strip())
    return variables, strange


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
