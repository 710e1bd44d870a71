"""What a form is, how it is planted and looked at, and the small projects that forms are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from orgloop.config import structure
from orgloop.config.module import RouteConfig
from orgloop.config.project import Project
from orgloop.runtime.plugins import Kind, Plugins
from tests.config.corpus import HEAD
from tests.config.disk import plant

ENVIRON = {
    "GITHUB_REPO": "acme/app",
    "GITHUB_TOKEN": "ghp_0123456789abcdef",
    "LINEAR_TEAM_KEY": "ENG",
    "LINEAR_API_KEY": "lin_0123456789",
    "OPENCLAW_WEBHOOK_TOKEN": "claw-0123456789",
    "OPENCLAW_AGENT_ID": "engineering",
    "OPENCLAW_DEFAULT_TO": "C0123456",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "PAGERDUTY_WEBHOOK_URL": "https://events.pagerduty.com/x",
    "MY_API_URL": "https://example.org/api",
    "HOOK_SECRET": "shared-by-both-sides",
    "OTLP_KEY": "otlp-0123456789",
    "REVIEWERS": "alice,bob",
    "BOTS": "dependabot[bot],renovate[bot]",
    "HOME": "/home/somebody",
}

GITHUB = """\
  - {id: github, connector: "@orgloop/connector-github", config: {repo: "${GITHUB_REPO}", token: "${GITHUB_TOKEN}"}}
"""
AGENT = """\
  - {id: agent, connector: "@orgloop/connector-openclaw", config: {token: "${OPENCLAW_WEBHOOK_TOKEN}"}}
"""
ENDS = f"sources:\n{GITHUB}actors:\n{AGENT}"
"""A source and an actor, lines 4 to 7 after the head."""


@attrs.frozen
class Opened:
    """A form that has been loaded."""

    project: Project

    def source(self, id_: str) -> Any:
        """The options of a source, as a value of its connector's own class."""
        (found,) = (one for one in self.project.config.sources if one.id == id_)
        return self._value("source", found.connector, found.config)

    def interval_s(self, id_: str) -> float | None:
        """How often a source is asked."""
        (found,) = (one for one in self.project.config.sources if one.id == id_)
        return None if found.poll is None else found.poll.interval_s

    def actor(self, id_: str) -> Any:
        """Likewise those of an actor."""
        (found,) = (one for one in self.project.config.actors if one.id == id_)
        return self._value("actor", found.connector, found.config)

    def transform(self, name: str, **placed: Any) -> Any:
        """Likewise those of a transform, with what a route lays over them."""
        (found,) = (one for one in self.project.config.transforms if one.name == name)
        return self._value("transform", found.plugin, {**found.options, **placed})

    def logger(self, name: str) -> Any:
        """Likewise those of a logger."""
        (found,) = (one for one in self.project.config.loggers if one.name == name)
        return self._value("logger", found.type, found.config)

    def route(self, name: str = "r") -> RouteConfig:
        """A route."""
        (found,) = (one for one in self.project.config.routes if one.name == name)
        return found

    def step(self, number: int = 0, route: str = "r") -> Any:
        """The options of a transform at its place in a route."""
        ref = self.route(route).transforms[number]
        return self.transform(ref.ref, **(ref.config or {}))

    @property
    def warned(self) -> list[str]:
        """The codes of the warnings."""
        return [warning.code for warning in self.project.warnings]

    def _value(self, kind: Kind, plugin: str, options: Mapping[str, Any]) -> Any:
        offer = Plugins().find(kind, plugin, self.project.directory)
        assert offer is not None
        return structure(cast(Any, offer.config), options, where="")


@attrs.frozen
class Loads:
    """A form that loads, what is looked at, and as what it must be found."""

    name: str
    files: Mapping[str, str]
    look: Callable[[Opened], object]
    found: object

    def plant(self, folder: Path) -> Path:
        """Put it on disk; scripts are executable."""
        return _planted(folder, self.files)


@attrs.frozen
class Refused:
    """A form that is refused: with which code, in which line, and with which words in the last fault."""

    name: str
    files: Mapping[str, str]
    code: str
    line: int
    says: str
    file: str = "orgloop.yaml"
    faults: int = 1
    """How many there are, all of them in that line."""

    def plant(self, folder: Path) -> Path:
        """Put it on disk; scripts are executable."""
        return _planted(folder, self.files)


@attrs.frozen
class Recipe:
    """Options of a filter, and for some payloads and provenances of an event whether it lets them pass."""

    name: str
    transform: str
    passes: tuple[Mapping[str, Any], ...]
    drops: tuple[Mapping[str, Any], ...]


def _planted(folder: Path, files: Mapping[str, str]) -> Path:
    plant(folder, files)
    for name in files:
        if name.endswith((".sh", ".py")):
            (folder / name).chmod(0o755)
    return folder


def one(text: str, **more: str) -> dict[str, str]:
    """A project file with this text from line 4, and files beside it; ``__`` is a slash, the last ``_`` a dot."""
    named = {".".join(key.replace("__", "/").rsplit("_", 1)): value for key, value in more.items()}
    return {"orgloop.yaml": HEAD + text} | named


def routed(transforms: str, *, steps: str = "[t]", then: str = "{actor: agent}") -> dict[str, str]:
    """A whole project with these transforms from line 9, and a route ``r`` through them."""
    when = "{source: github, events: [resource.changed]}"
    route = f"routes:\n  - {{name: r, when: {when}, transforms: {steps}, then: {then}}}\n"
    return one(f"{ENDS}transforms:\n{transforms}{route}")


def pushed(connector: str) -> dict[str, str]:
    """A source as the page of its connector has it: pushed to, and polled for what is buffered."""
    return one(
        "sources:\n"
        f"  - id: it\n    connector: '@orgloop/connector-{connector}'\n"
        f'    config: {{secret: "${{HOOK_SECRET}}", buffer_dir: ./buffer}}\n    poll: {{interval: 30s}}\n'
    )


def _scaffold(*groups: str) -> str:
    """The project file that ``init`` writes."""
    listed = "".join(f"  - connectors/{group}.yaml\n" for group in groups)
    return (
        HEAD + 'defaults:\n  poll_interval: "5m"\n  event_retention: "30d"\n  log_level: info\nconnectors:\n'
        f"{listed}transforms:\n  - transforms/transforms.yaml\nloggers:\n  - loggers/default.yaml\n"
    )


def scaffold(**groups: str) -> dict[str, str]:
    """What ``init`` writes for these connectors: no route, and a script that no route uses."""
    texts = {name.replace("_", "-"): text for name, text in groups.items()}
    return {
        "orgloop.yaml": _scaffold(*texts),
        **{f"connectors/{name}.yaml": f"kind: ConnectorGroup\n{text}" for name, text in texts.items()},
        "transforms/transforms.yaml": "transforms:\n  - {name: own, type: script, script: ./drop-bot-noise.sh}\n",
        "transforms/drop-bot-noise.sh": "#!/bin/sh\nexit 78\n",
        "routes/example.yaml": "kind: RouteGroup\nroutes: []\n",
        "loggers/default.yaml": "loggers:\n  - {name: file, type: '@orgloop/logger-file', config: {format: jsonl}}\n",
        ".env.example": "GITHUB_TOKEN=\n",
    }
