"""Whatever is put in the place of any part of a project, it is loaded or refused with places: never a traceback."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config._compose import compose
from orgloop.config.report import plain_of, report_of
from tests.config.disk import examine
from tests.config.test_projects import ENVIRON, PROJECTS

WHOLE: dict[str, Any] = {
    **compose((PROJECTS / "documentation/orgloop.yaml").read_text())[0],
    "routes": compose((PROJECTS / "documentation/routes/more.yaml").read_text())[0]["routes"],
    "loggers": [
        {"name": "l", "type": "file", "config": {"path": "x", "rotation": {"max_size": "1MB"}}, "level": "info"}
    ],
    "modules": [{"package": "./m", "params": {"a": 1}}],
    "exports": ["github"],
    "supervision": {"backoff": {"initial": "1s"}, "watchdog": "30s"},
    "bus": "file",
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "github", "script", "package", "filter", "${A}", "${", "5m", "\u00e9", "../x", "a:b", "/", "~"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from([None, 1, "x", {}, []]), max_size=3),
    st.dictionaries(st.sampled_from(["id", "name", "type", "config", "x"]), st.sampled_from([None, 1, "x", {}, []])),
)


def ways(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from ways(inner, (*at, step))


WAYS = list(ways(WHOLE))


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(WAYS), JUNK), min_size=1, max_size=3), st.booleans())
def test_no_change_breaks_the_loader(changes: list[tuple[tuple[Any, ...], Any]], is_overlay: bool) -> None:
    """Up to three parts at once, in the project or in what is laid over it."""
    data: Any = copy.deepcopy(WHOLE)
    for way, junk in changes:
        place = data
        try:
            for step in way[:-1]:
                place = place[step]
            place[way[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "workspaces").mkdir()
        base = WHOLE if is_overlay else data
        (folder / "orgloop.yaml").write_text(json.dumps(base), encoding="utf-8")
        (folder / "workspaces/w.yaml").write_text(json.dumps(data if is_overlay else {}), encoding="utf-8")

        examined = examine(folder, environ=ENVIRON, workspace="w")

    assert all(fault.place is not None for fault in examined.faults)
    assert all(report_of(fault) and json.dumps(plain_of(fault)) for fault in (*examined.faults, *examined.warnings))
