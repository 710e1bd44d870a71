"""Enrich: what is written where, the one comparison, and the event that stays as it was."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import Event
from orgloop.sdk import TransformFailed
from orgloop.transforms import Enrich, EnrichConfig
from tests.transforms.stage import applied, context, event

PAYLOAD = {
    "n": 42,
    "half": 0.5,
    "text": "42",
    "name": "high",
    "spaced": "very high",
    "yes": True,
    "null": None,
    "list": [1, 2],
    "empty": "",
}


def enriched(config: EnrichConfig, before: Event) -> Event:
    after = applied(Enrich(config), before)
    assert after is not None
    return after


def test_set_then_copy_then_compute() -> None:
    """Each sees what the last has written."""
    config = EnrichConfig(
        set={"payload.a.level": 3, "provenance.team": "core"},
        copy={"payload.b": "payload.a", "payload.from": "source"},
        compute={"payload.b.urgent": "payload.b.level >= 3"},
    )

    after = enriched(config, event({"kept": 1}))

    assert after.payload == {"kept": 1, "a": {"level": 3}, "b": {"level": 3, "urgent": True}, "from": "github"}
    assert after.provenance == {"platform": "github", "team": "core"}


def test_the_identity_of_the_event_stays() -> None:
    """Id, trace, time, module and ancestors are those of the event that came."""
    before = event()
    after = enriched(EnrichConfig(set={"payload.a": 1}), before)

    kept = ("id", "trace_id", "timestamp", "module", "ancestors", "source", "type")
    assert [getattr(after, field) for field in kept] == [getattr(before, field) for field in kept]


def test_add_knows_the_time() -> None:
    """``{{ now }}`` is the place's own time; set has no placeholders."""
    config = EnrichConfig(
        add={"payload.at": "{{ now }}", "payload.note": "seen {{now}}", "payload.n": 1},
        set={"payload.raw": "{{ now }}"},
    )
    after = applied(Enrich(config), event(), context(now_s=1_700_000_000.25))

    assert after is not None
    assert after.payload == {
        "at": "2023-11-14T22:13:20.250Z",
        "note": "seen 2023-11-14T22:13:20.250Z",
        "n": 1,
        "raw": "{{ now }}",
    }


def test_copying_what_is_missing_writes_nothing() -> None:
    """Null is something, and is copied."""
    config = EnrichConfig(copy={"payload.a": "payload.nothing", "payload.b": "payload.null"})

    assert enriched(config, event({"a": 1, "null": None})).payload == {"a": 1, "b": None, "null": None}


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("payload.n === 42", True),
        ("payload.n===42", True),
        ("payload.n === 42.0", True),
        ("payload.n === '42'", True),
        ('payload.text === "42"', True),
        ("payload.text === 42", True),
        ("payload.n !== 42", False),
        ("payload.n !== 41", True),
        ("payload.n > 41", True),
        ("payload.n > 42", False),
        ("payload.n >= 42", True),
        ("payload.n < 42.5", True),
        ("payload.n <= 41", False),
        ("payload.n > -1", True),
        ("payload.half < 1", True),
        ("payload.half === 0.5", True),
        # order is between two numbers, or it does not hold
        ("payload.text > 41", False),
        ("payload.text < 43", False),
        ("payload.n > '41'", False),
        ("payload.n > a", False),
        ("payload.yes > 0", False),
        ("payload.nothing < 1", False),
        # words and quoted texts
        ("payload.name === high", True),
        ("payload.name === 'high'", True),
        ("payload.name !== low", True),
        ("payload.spaced === 'very high'", True),
        ("payload.empty === ''", True),
        ("source === github", True),
        ("type === resource.changed", True),
        # the texts of the others
        ("payload.yes === true", True),
        ("payload.yes === false", False),
        ("payload.null === null", True),
        ("payload.nothing === undefined", True),
        ("payload.nothing === null", False),
        ("payload.list === '1,2'", True),
        ("payload.list.1 === 2", True),
    ],
)
def test_one_comparison(expression: str, result: bool) -> None:
    """Equality of values or of their texts; order of numbers."""
    assert enriched(EnrichConfig(compute={"payload.out": expression}), event(PAYLOAD)).payload["out"] is result


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "payload.n",
        "payload.n == 42",
        "payload.n != 42",
        "payload.n >",
        "42 < payload.n",
        "payload.n > 3 && payload.n < 5",
        "payload.n + 1 > 3",
        "payload.name === very high",
        "payload.name === 'high",
        "payload.a-b === 1",
        "payload.n >== 3",
    ],
)
def test_what_is_not_one_comparison_is_refused(expression: str) -> None:
    """The original set nothing, and said nothing."""
    with pytest.raises(ValueError, match=r"(?s)^compute\.payload\.x: .*write 'field OP value'"):
        Enrich(EnrichConfig(compute={"payload.x": expression}))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (EnrichConfig(set={"metadata.priority": 1}), r"^set: |^set\.metadata\.priority: .*write 'payload\.priority'"),
        (EnrichConfig(set={"id": "evt_2"}), r"^set\.id: .*cannot be written"),
        (EnrichConfig(copy={"trace_id": "payload.x"}), r"^copy\.trace_id: .*cannot be written"),
        (EnrichConfig(copy={"payload.x": "title"}), r"^copy\.payload\.x: 'title' .*write 'payload\.title'"),
        (EnrichConfig(compute={"payload.x": "n > 1"}), r"^compute\.payload\.x: 'n' .*write 'payload\.n'"),
        (EnrichConfig(set={"payload.x": {1}}), r"^set\.payload\.x: .*write a JSON value"),
        (EnrichConfig(set={"payload.x": float("nan")}), r"^set\.payload\.x: .*write a JSON value"),
        (EnrichConfig(set={"provenance.platform": 5}), r"^set\.provenance\.platform: .*write text"),
        (EnrichConfig(add={"payload.x": "{{ source }}"}), r"^add\.payload\.x: .*only '\{\{ now \}\}'"),
        (EnrichConfig(set={"payload.x": 1}, add={"payload.x": 1}), r"^add\.payload\.x: .*write it once"),
    ],
)
def test_what_cannot_be_written_is_refused(config: EnrichConfig, why: str) -> None:
    """With the field, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        Enrich(config)


@pytest.mark.parametrize(
    "config",
    [EnrichConfig(set={"payload.text.x": 1}), EnrichConfig(copy={"provenance.platform": "payload.n"})],
    ids=["no place", "no event"],
)
def test_what_has_no_place_in_this_event_is_a_failure(config: EnrichConfig) -> None:
    """Nothing that is there is thrown away for it."""
    with pytest.raises(TransformFailed):
        enriched(config, event(PAYLOAD))


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TARGETS = st.sampled_from(["payload.a", "payload.a.b", "payload.b.0.c", "provenance.a.b"])


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), VALUES),
    st.dictionaries(TARGETS, VALUES, max_size=3),
    st.dictionaries(TARGETS, st.sampled_from(["payload.a", "payload.a.b", "provenance"]), max_size=3),
    st.dictionaries(TARGETS, st.just("payload.a > 1"), max_size=2),
)
def test_enrich_never_changes_what_it_was_given(
    payload: Any, literals: Any, copied: dict[str, str], computed: dict[str, str]
) -> None:
    """Neither the event, nor anything in it, nor its own configuration."""
    before, config = event(payload, a={"b": {}}), EnrichConfig(set=literals, copy=copied, compute=computed)
    as_it_was = copy.deepcopy((before, literals))
    enrich = Enrich(config)

    for _ in range(2):
        with suppress(TransformFailed):
            applied(enrich, before)

    assert (before, literals) == as_it_was
