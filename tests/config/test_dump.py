"""From values to a file and back, nothing is lost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config.catalogue import AnyCatalogue
from orgloop.config.dump import dump
from orgloop.config.module import read_module
from orgloop.config.project import load_project
from orgloop.delivery.config import DeliveryConfig
from tests.config.test_module import SDK_EXAMPLE

WORDS = st.text("abcXYZ019 é:#{}[]'\"\\,&*!|>%@`-", max_size=12)
NUMBERS = st.integers(-1000, 1000) | st.floats(-10, 10)
OPTIONS = st.dictionaries(st.text("abc_", min_size=1, max_size=5), WORDS | NUMBERS | st.booleans() | st.lists(WORDS))
DURATIONS = st.integers(1, 10**6).map(lambda number: f"{number}ms") | st.sampled_from(["5m", "1h", "7d", "90s"])
EVENTS = st.lists(st.sampled_from(["resource.changed", "actor.stopped"]), min_size=1, max_size=2)


@st.composite
def modules(draw: st.DrawFn) -> dict[str, Any]:
    """Modules in which every name leads somewhere."""
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=2, max_size=5, unique=True))
    half = len(names) // 2
    source = st.fixed_dictionaries(
        {"connector": st.just("webhook")},
        optional={"config": OPTIONS, "poll": st.fixed_dictionaries({"interval": DURATIONS}), "emits": EVENTS},
    )
    then = st.fixed_dictionaries({"actor": st.sampled_from(names[half:])}, optional={"config": OPTIONS})
    when = st.fixed_dictionaries(
        {"source": st.sampled_from(names[:half]), "events": EVENTS},
        optional={"filter": st.dictionaries(st.just("payload.a"), WORDS | st.booleans(), max_size=1)},
    )
    route = st.fixed_dictionaries({"when": when, "then": then}, optional={"description": WORDS})
    return {
        "metadata": {"name": "generated"},
        "defaults": {"poll_interval": draw(DURATIONS)},
        "sources": [{"id": name, **draw(source)} for name in names[:half]],
        "actors": [{"id": name, "connector": "webhook", "config": draw(OPTIONS)} for name in names[half:]],
        "routes": [{"name": f"r{n}", **draw(route)} for n in range(draw(st.integers(0, 3)))],
        "supervision": {"period": draw(DURATIONS), "intensity": draw(st.integers(0, 9))},
    }


@pytest.mark.slow
@given(modules())
def test_what_is_dumped_is_read_as_it_was(plain: dict[str, Any]) -> None:
    """As values."""
    config = read_module(plain, where="")

    assert read_module(dump(config), where="") == config


@pytest.mark.slow
@given(modules())
def test_what_is_written_to_a_file_is_loaded_as_it_was(plain: dict[str, Any]) -> None:
    """Through YAML, which holds JSON."""
    config = read_module(plain, where="")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "orgloop.yaml").write_text(json.dumps(dump(config), ensure_ascii=False), encoding="utf-8")

        loaded = load_project(Path(folder), environ={}, catalogue=AnyCatalogue())

    assert loaded.config == config


def test_the_example_of_the_sdk_comes_back() -> None:
    """Every key that there is."""
    config = read_module(SDK_EXAMPLE, where="")

    assert read_module(dump(config), where="") == config


def test_units_come_back_as_text() -> None:
    """Durations, sizes and rates, in the largest unit that fits."""
    delivery = DeliveryConfig(max_rate_per_s=1.5, timeout_s=90)

    assert dump(delivery) == {"max_rate": "1.500000/s", "timeout": "90s"}


def test_what_was_read_elsewhere_is_left_out() -> None:
    """A prompt is a file of its own."""
    config = read_module(SDK_EXAMPLE, where="")
    with_: Any = config.routes[0].with_

    assert dump(attrs.evolve(with_, prompt="anything")) == {"prompt_file": "./sops/pr.md"}
