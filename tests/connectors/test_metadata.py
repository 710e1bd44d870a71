"""Metadata: what is written down where, and that nothing in an event is taken for a placeholder."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgloop.event import faults_of
from orgloop.sdk import Event, TransformFailed
from orgloop_connectors.transforms.metadata import OFFER
from tests.connectors.stage import event, made
from tests.transforms.stage import applied


def added(before: Event, **add: Any) -> Event:
    after = applied(made(OFFER, {"add": add}), before)
    assert after is not None
    return after


def test_a_name_goes_to_provenance_and_a_path_where_it_says() -> None:
    """What is there beside it stays."""
    after = added(event({"a": 1}), team="checkout", **{"ci.run": 7, "payload.b.c": [True, None], "provenance.x": 0.5})

    assert after.provenance == {"platform": "github", "author": "ann", "team": "checkout", "ci": {"run": 7}, "x": 0.5}
    assert after.payload == {"a": 1, "b": {"c": [True, None]}}


def test_what_the_place_knows_is_filled_in() -> None:
    """At any depth."""
    text = "{{ module }}/{{ route }}: {{ source }} > {{target}}, {{ event_type }} at {{ now }}"

    assert added(event(), seen={"by": [text]}).provenance["seen"] == {
        "by": ["engineering/reviews: github > reviewer, resource.changed at 2023-11-14T22:13:20.000Z"]
    }


def test_braces_in_an_event_stay_braces() -> None:
    """Only the configuration is filled in."""
    before = event({"title": "{{ route }}"})
    before.provenance["team"] = "{{ module }}"

    after = added(before, by="{{ route }}")

    assert (after.payload["title"], after.provenance["team"]) == ("{{ route }}", "{{ module }}")


def test_events_do_not_share_what_was_added() -> None:
    """Who changes one later changes no other."""
    transform = made(OFFER, {"add": {"tags": ["a"]}})
    first, second = (applied(transform, event()) for _ in range(2))

    assert first is not None
    assert second is not None
    assert first.provenance["tags"] is not second.provenance["tags"]


def test_nothing_is_thrown_away_for_it() -> None:
    """Where a text stands, nothing can be below it."""
    with pytest.raises(TransformFailed, match=r"payload\.a is of type str, so payload\.a\.b cannot be set"):
        added(event({"a": "text"}), **{"payload.a.b": 1})


NAMES = st.sampled_from(["team", "a.b", "payload.a", "payload.a.b", "provenance.author"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_characters="{}"), max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), VALUES)
def test_adding_twice_is_adding_once(add: dict[str, Any], payload: Any) -> None:
    """And what came is as it was."""
    before = event(payload)
    as_it_was = copy.deepcopy(before)
    try:
        once = added(before, **add)
    except (TransformFailed, ValueError):
        return

    assert added(once, **add) == once
    assert before == as_it_was
    assert faults_of(once) == []


@pytest.mark.parametrize(
    ("add", "why"),
    [
        ({}, "^add: nothing is to be added"),
        ({"platform": "x"}, r"^add\.platform: 'platform' cannot be written"),
        ({"payload": 1}, r"^add\.payload: 'payload' cannot be written"),
        ({"a..b": 1}, r"^add\.a\.\.b: 'a\.\.b' cannot be written"),
        ({"a": "{{ event.payload }}"}, r"^add\.a: '\{\{ event\.payload \}\}' is not known; write one of \{\{ now \}\}"),
        ({"a": {"b": float("nan")}}, r"^add\.a\.b: nan cannot be in an event"),
        ({"a.b": 1, "provenance.a": {}}, r"^add: provenance\.a\.b and provenance\.a write to one place"),
        ({str(number): 1 for number in range(101)}, "^add: 101 values are too many"),
    ],
)
def test_what_cannot_be_is_refused(add: Any, why: str) -> None:
    """With the key, the value and what to write instead."""
    with pytest.raises(ValueError, match=why):
        made(OFFER, {"add": add})
