"""A small project on disk, for tests that change one thing of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orgloop.config.project import Examined, Project, examine_project, load_project
from orgloop.errors import Fault
from tests.config.plugins import Plugins

PROJECT = """\
apiVersion: orgloop/v1alpha1
kind: Project
metadata: {name: small}
connectors: [connectors.yaml]
"""
CONNECTORS = """\
kind: ConnectorGroup
sources:
  - id: github
    connector: github
    config: {repo: a/b, token: "${TOKEN:-}"}
actors:
  - id: agent
    connector: webhook
    config: {url: "https://example.org/"}
"""
ROUTES = """\
kind: RouteGroup
routes:
  - name: triage
    when: {source: github, events: [resource.changed]}
    then: {actor: agent}
"""


def plant(folder: Path, files: Mapping[str, str]) -> Path:
    """Put files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def small(folder: Path, **files: str) -> Path:
    """The small project, with these files beside its own or in their place; ``__`` is a slash, ``_yaml`` the end."""
    named = {name.replace("__", "/").replace("_yaml", ".yaml"): text for name, text in files.items()}
    return plant(folder, {"orgloop.yaml": PROJECT, "connectors.yaml": CONNECTORS, "routes/r.yaml": ROUTES} | named)


def given_or_usual(given: dict[str, Any]) -> dict[str, Any]:
    return {"environ": {}, "catalogue": Plugins()} | given


def load(folder: Path, **given: Any) -> Project:
    """The project, by the plug-ins of the tests; ``environ`` is empty if it is not given."""
    given = given_or_usual(given)
    return load_project(folder, **given)


def examine(folder: Path, **given: Any) -> Examined:
    """What there is to say of it."""
    given = given_or_usual(given)
    return examine_project(folder, **given)


def lines(faults: tuple[Fault, ...]) -> list[str]:
    """Each fault as ``file:line CODE``."""
    return [f"{Path(f.place.file).name}:{f.place.line} {f.code}" if f.place else f.code for f in faults]
