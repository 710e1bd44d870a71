"""The contract of a connector, kept by each of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.connectors.contract import CONTRACT, PLACE, ROWS, Row
from tests.connectors.outside import Says, open_outside, unused_port

OURS = Path(__file__).resolve().parent.parent.parent / "connectors/orgloop_connectors"


@pytest.mark.parametrize("fact", CONTRACT, ids=lambda fact: fact.__name__)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_connector_keeps_the_contract(row: Row, fact: Callable[[Row], None]) -> None:
    """All of it that is seen without a far side."""
    fact(row)


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_check_tells_and_wakes_nobody(row: Row, status: int) -> None:
    """It only asks, by a GET where that can be; and whatever the far side says is told, not raised."""
    async with open_outside() as outside:
        outside.says(Says(status, {}))
        for check, config in row.checks(outside.url):
            checked = await check(config, PLACE)
            assert checked
            assert all(one.name and one.detail for one in checked)

    allowed = {"GET", "HEAD"} | ({"POST"} if row.asks_by_post else set())
    assert {heard.method for heard in outside.heard} <= allowed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_check_of_what_is_not_there_says_so(row: Row) -> None:
    """It is told, not raised, where nobody listens."""
    for check, config in row.checks(f"http://127.0.0.1:{unused_port()}"):
        assert await check(config, PLACE)


def test_every_connector_has_its_row() -> None:
    """One that was forgotten here keeps nothing."""
    modules = {path.stem for path in OURS.iterdir() if not path.name.startswith("_") and path.name != "py.typed"}
    modules -= {"loggers", "transforms"}  # they have their own, in test_offers

    assert {f"orgloop_connectors.{name}" for name in modules} == {row.module for row in ROWS}
