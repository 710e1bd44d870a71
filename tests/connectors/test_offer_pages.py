"""What the pages about loggers and transforms show is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from ruamel.yaml import YAML

from orgloop.config import structure
from orgloop.config.module import LoggerConfig, TransformConfig
from orgloop.runtime.plugins import BUILT_IN
from orgloop.sdk import Offer
from tests.connectors.contract import PLACE
from tests.connectors.test_offers import MODULES, offer

DOCS = Path(__file__).resolve().parents[2] / "docs"
OFFERS: dict[tuple[str, str], Offer] = {(f"{kind}s", name): built_in for (kind, name), built_in in BUILT_IN.items()}
OFFERS |= {(kind, name.replace("_", "-")): offer(f"{kind}.{name}") for kind, name in (m.split(".") for m in MODULES)}
ENTRIES = [
    (page.name, kind, entry)
    for folder in ("loggers", "transforms")
    for page in sorted((DOCS / folder).glob("*.md"))
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for kind, entries in YAML(typ="safe").load(block).items()
    for entry in entries
    if kind in ("loggers", "transforms")
]


@pytest.mark.parametrize(("page", "kind", "entry"), ENTRIES, ids=str)
def test_what_a_page_configures_can_be_made(page: str, kind: str, entry: dict[str, Any]) -> None:
    """As it is printed."""
    of = OFFERS[kind, entry["type"]]
    if kind == "loggers":
        options = structure(LoggerConfig, entry, where=page).config
    else:
        options = structure(TransformConfig, entry, where=page).options
    if "script" in options:
        options = {**options, "script": f"/srv/{options['script']}"}  # the reader of a module makes it absolute

    of.make(structure(of.config, options, where=page), PLACE)


@pytest.mark.parametrize(("kind", "name"), sorted(OFFERS), ids=str)
def test_a_page_names_every_key(kind: str, name: str) -> None:
    """And the table of its kind names the page."""
    page = (DOCS / kind / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_0-9.]+)`", page))

    assert set(_keys(OFFERS[kind, name].config)) <= named
    assert f"({name}.md)" in (DOCS / kind / "README.md").read_text(encoding="utf-8")


def _keys(cls: Any, before: str = "") -> Iterator[str]:
    for field in attrs.fields(attrs.resolve_types(cls)):
        key = f"{before}{field.metadata.get('yaml', field.name)}"
        inner = [one for one in (field.type, *get_args(field.type)) if isinstance(one, type) and attrs.has(one)]
        if inner:
            yield from _keys(inner[0], f"{key}.")
        else:
            yield key


def test_the_scanners_patterns_are_on_its_page() -> None:
    """By their names."""
    from orgloop_connectors.transforms._phrases import NAMES

    page = (DOCS / "transforms/injection-scanner.md").read_text(encoding="utf-8")
    assert set(NAMES) <= set(re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE))
