"""The table of our transforms, and what the reader of YAML needs to know of their configurations."""

from __future__ import annotations

import attrs
import pytest

from orgloop.transforms import BUILT_IN, Dedup, DedupConfig, Filter, FilterConfig


@pytest.mark.parametrize("name", ["filter", "dedup", "enrich", "agent-gate"])
def test_the_originals_package_is_the_same_transform(name: str) -> None:
    """Configurations written for the original name it so."""
    assert BUILT_IN[f"@orgloop/transform-{name}"] is BUILT_IN[name]


def test_a_transform_is_made_of_its_configuration() -> None:
    """By the name it has in YAML."""
    assert isinstance(BUILT_IN["filter"].make(FilterConfig()), Filter)
    assert isinstance(BUILT_IN["dedup"].make(DedupConfig()), Dedup)


def test_every_field_that_is_called_otherwise_in_yaml_says_so() -> None:
    """The table that a converter needs: key in YAML, and in which unit it is there."""
    table = {
        (name, field.name): (field.metadata["yaml"], field.metadata.get("unit"))
        for name in ("script", "dedup", "enrich", "filter", "agent-gate")
        for field in attrs.fields(BUILT_IN[name].config)
        if "yaml" in field.metadata
    }

    assert table == {
        ("script", "executable"): ("script", None),
        ("script", "timeout_s"): ("timeout_ms", "ms"),
        ("dedup", "key"): ("key", None),
        ("dedup", "window_s"): ("window", "duration"),
        ("filter", "jq_timeout_s"): ("jq_timeout", "duration"),
        ("agent-gate", "timeout_s"): ("timeout", "ms"),
    }
