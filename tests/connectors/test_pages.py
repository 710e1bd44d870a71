"""What the pages about connectors show is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from ruamel.yaml import YAML

from orgloop.sdk import Connector, Delivered, PollFailed
from tests.connectors.contract import CONTRACT, ROWS, Row, it_is_light
from tests.connectors.outside import Says, open_outside
from tests.connectors.stage import KEY, checked, delivery, made, place

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENTRIES = [
    (page.name, kind, entry)
    for page in sorted((DOCS / "connectors").glob("*.md"))
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for kind, entries in YAML(typ="safe").load(block).items()
    for entry in entries
]


FITTING = {"url": "https://hooks.example.com/x", "webhook_url": "https://hooks.example.com/x"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(("page", "kind", "entry"), ENTRIES, ids=str)
def test_what_a_page_configures_can_be_made(page: str, kind: str, entry: dict[str, Any]) -> None:
    """Variables apart, which here are any that fit."""
    connector = next(row.connector for row in ROWS if row.name == entry["connector"])
    config = {
        key: FITTING.get(key, SECRET) if isinstance(value, str) and value.startswith("${") else value
        for key, value in entry["config"].items()
    }

    made(connector.source if kind == "sources" else connector.actor, config)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_page_names_every_key(row: Row) -> None:
    """And the table of all connectors names the page."""
    page = (DOCS / f"connectors/{row.name}.md").read_text(encoding="utf-8")
    keys = {field.metadata.get("yaml", field.name) for offer, _ in row.offers for field in attrs.fields(offer.config)}
    named = set(re.findall(r"`([a-z_0-9]+)`", page))

    assert keys <= named
    assert f"({row.name}.md)" in (DOCS / "connectors/README.md").read_text(encoding="utf-8")


# -- the example of the specification ----------------------------------------------------------------------------------


@pytest.fixture
def example() -> Connector:
    """The connector on the page, as it is printed."""
    [program] = re.findall(r"```python\n(.*?)```", (DOCS / "connector-spec.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(program, "connector-spec.md", "exec"), names)
    connector: Connector = names["CONNECTOR"]
    return connector


async def test_the_example_polls_delivers_and_checks(example: Connector) -> None:
    """Whoever copies it has a connector that works."""
    async with open_outside() as outside:
        outside.at("GET", "/incidents", Says(200, [{"id": 17}, {"id": 18}]), Says(503))
        outside.at("POST", "/incidents", Says(201))
        outside.at("GET", "/me", Says(401))
        config = {"url": outside.url, "token": "t0ken"}
        async with made(example.source, config, place(id="status")) as page:
            polled = await page.poll("16")
            with pytest.raises(PollFailed, match="503"):
                await page.poll("18")
            assert await page.deliver(delivery(title="Down")) == Delivered()
        (told,) = await checked(example.actor, config)

    assert [event.payload for event in polled.events] == [{"id": 17}, {"id": 18}]
    assert polled.checkpoint == "18"
    assert outside.heard[0].query == {"after": "16"}
    assert outside.heard[2].headers["idempotency-key"] == KEY
    assert (told.ok, told.detail) == (False, "Status page rejected: 401 Unauthorized")


def test_the_example_keeps_the_contract(example: Connector) -> None:
    """All of it that does not ask where it is imported from."""

    @attrs.frozen(kw_only=True)
    class Printed(Row):
        @property
        def connector(self) -> Connector:
            return example

    for fact in CONTRACT:
        if fact is not it_is_light:
            fact(Printed(name="statuspage", source={}, actor={}))
