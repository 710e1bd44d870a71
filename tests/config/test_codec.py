"""Plain data to frozen values: strict, complete in its faults, and in the words of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs.validators import ge, instance_of

from orgloop.config import structure
from orgloop.errors import ConfigError, Fault, OrgLoopError


@attrs.frozen(kw_only=True)
class Retry:
    max_attempts: int = attrs.field(default=3, validator=ge(1))
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    initial_delay_s: float = attrs.field(
        default=1.0, validator=ge(0.5), metadata={"yaml": "initial_delay", "unit": "duration"}
    )
    timeout_s: float | None = attrs.field(default=None, metadata={"yaml": "timeout", "unit": "duration"})
    budget: int = attrs.field(default=0, metadata={"unit": "size"})
    max_rate: float = attrs.field(default=1.0, metadata={"unit": "rate"})


@attrs.frozen(kw_only=True)
class Route:
    name: str
    events: tuple[str, ...] | str = ()
    retry: Retry = attrs.field(factory=Retry, metadata={"aliases": ("retries", "attempts")})
    others: Sequence[Retry] = ()
    names: list[str] = attrs.field(factory=list)
    labels: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = attrs.field(factory=dict)
    waits: Mapping[str, Retry] = attrs.field(factory=dict)
    path: Path | None = None
    on: bool = False
    share: float = 0.0
    ratio: float | str | None = None
    mode: Literal["all"] | Retry = "all"
    seen: int = attrs.field(default=0, init=False)


@attrs.frozen
class Range:
    low: int
    high: int = attrs.field(validator=instance_of(int))

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


def route(**members: Any) -> Route:
    """A route of this data and a name."""
    return structure(Route, {"name": "r", **members}, where="route")


def faults(**members: Any) -> list[str]:
    """The lines of the refusal of such a route."""
    with pytest.raises(ConfigError) as caught:
        route(**members)
    return str(caught.value).splitlines()


# -- what is taken -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"events": ["a", "b"]}, "events", ("a", "b")),
        ({"events": "a"}, "events", "a"),
        ({"names": ["a"]}, "names", ["a"]),
        ({"labels": ["a", "a"]}, "labels", frozenset({"a"})),
        ({"extra": {"a": [1, None]}}, "extra", {"a": [1, None]}),
        ({"waits": {"x": {"max_attempts": 5}}}, "waits", {"x": Retry(max_attempts=5)}),
        ({"others": [{}, {"backoff": "fixed"}]}, "others", (Retry(), Retry(backoff="fixed"))),
        ({"path": "~/x"}, "path", Path("~/x")),
        ({"path": None}, "path", None),
        ({"on": True}, "on", True),
        ({"share": 1}, "share", 1.0),
        ({"share": 0.5}, "share", 0.5),
        ({"mode": "all"}, "mode", "all"),
        ({"mode": {"max_attempts": 2}}, "mode", Retry(max_attempts=2)),
        ({"ratio": 1}, "ratio", 1.0),
        ({"ratio": "half"}, "ratio", "half"),
        ({"ratio": None}, "ratio", None),
    ],
)
def test_the_right_kind_is_taken(members: dict[str, Any], field: str, value: object) -> None:
    """Lists become tuples, whole numbers are numbers, unions go by the kind of the data."""
    assert getattr(route(**members), field) == value


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("initial_delay", "1500ms", "initial_delay_s", 1.5),
        ("timeout", "30s", "timeout_s", 30.0),
        ("timeout", None, "timeout_s", None),
        ("budget", "1KB", "budget", 1024),
        ("max_rate", "90/m", "max_rate", 1.5),
    ],
)
def test_a_unit_in_the_metadata_is_honoured(key: str, text: str | None, field: str, value: object) -> None:
    """The file has text with a unit under its own key, the value a number."""
    assert getattr(structure(Retry, {key: text}, where="retry"), field) == value


def test_an_alias_is_taken_for_the_key() -> None:
    """What the file calls by another known name arrives in the field."""
    assert route(retries={"max_attempts": 7}).retry == Retry(max_attempts=7)


def test_what_is_left_out_is_the_default() -> None:
    """Only the keys of the file are set."""
    assert route() == Route(name="r")


def test_the_data_is_not_changed() -> None:
    """An alias is followed in a copy."""
    data = {"name": "r", "retries": {}}

    structure(Route, data, where="")

    assert data == {"name": "r", "retries": {}}


def test_a_list_at_the_top_is_taken() -> None:
    """Any type that a field may have can be asked for."""
    assert structure(tuple[Retry, ...], [{}], where="all") == (Retry(),)


# -- what is not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({"name": 5}, 'route.name: must be text, got 5; write "5", in quotes'),
        ({"name": True}, 'route.name: must be text, got true; write "true", in quotes'),
        ({"name": None}, "route.name: must be text, got nothing"),
        ({"name": "a\0"}, 'route.name: must be text without NUL and lone surrogates, got "a\\u0000"'),
        ({"name": "\ud800"}, 'route.name: must be text without NUL and lone surrogates, got "\\ud800"'),
        ({"path": 5}, 'route.path: must be text, got 5; write "5", in quotes'),
        ({"on": "yes"}, 'route.on: must be true or false, got "yes"; write true, without quotes'),
        ({"on": 0}, "route.on: must be true or false, got 0"),
        ({"share": "0.5"}, 'route.share: must be a number, got "0.5"; write 0.5, without quotes'),
        ({"share": float("inf")}, "route.share: must be a finite number, got inf"),
        ({"share": True}, "route.share: must be a number, got true"),
        ({"names": "abc"}, 'route.names: must be a list, got "abc"; write ["abc"]'),
        ({"names": {"a": 1}}, "route.names: must be a list, got a mapping"),
        ({"names": ["a", 1]}, 'route.names.1: must be text, got 1; write "1", in quotes'),
        ({"labels": "abc"}, 'route.labels: must be a list, got "abc"; write ["abc"]'),
        ({"extra": []}, "route.extra: must be a mapping, got a list"),
        ({"extra": {1: 2}}, 'route.extra.1: must be text, got 1; write "1", in quotes'),
        ({"events": 4}, "route.events: must be a list or text, got 4"),
        ({"events": ["a", 4]}, 'route.events.1: must be text, got 4; write "4", in quotes'),
        ({"ratio": []}, "route.ratio: must be a number or text or nothing, got a list"),
        ({"retry": None}, "route.retry: must be a mapping, got nothing"),
        ({"retry": {"max_attempts": 2.0}}, "route.retry.max_attempts: must be a whole number, got 2.0"),
        ({"retry": {"max_attempts": True}}, "route.retry.max_attempts: must be a whole number, got true"),
        (
            {"retry": {"max_attempts": 2**63}},
            "route.retry.max_attempts: must be a whole number of less than 64 bits, got 9223372036854775808",
        ),
        ({"retry": {"max_attempts": 0}}, "route.retry.max_attempts: must be >= 1: 0"),
        ({"retry": {"initial_delay": "1ms"}}, "route.retry.initial_delay: must be >= 0.5: 0.001"),
        (
            {"retry": {"backoff": "lineal"}},
            'route.retry.backoff: must be one of: exponential, linear, fixed, got "lineal"; did you mean "linear"?',
        ),
        ({"retry": {"backoff": []}}, "route.retry.backoff: must be one of: exponential, linear, fixed, got a list"),
        ({"waits": {"x": 1}}, "route.waits.x: must be a mapping, got 1"),
    ],
)
def test_the_wrong_kind_is_refused(members: dict[str, Any], line: str) -> None:
    """Nothing is converted behind the operator's back; the line says where, what, and what to write."""
    assert faults(**members) == [line]


@pytest.mark.parametrize(
    ("key", "advice"),
    [("retri", 'did you mean "retry"?'), ("Names", 'did you mean "names"?'), (7, "known are: name, events, retry, ")],
)
def test_an_unknown_key_is_a_fault(key: Any, advice: str) -> None:
    """With the nearest name, or all names if none is near."""
    with pytest.raises(ConfigError) as caught:
        structure(Route, {"name": "r", key: 1}, where="route")

    assert str(caught.value).startswith(f"route.{key}: unknown key; {advice}")


def test_a_key_that_cannot_be_shown_stays_on_its_line() -> None:
    """Keys are the operator's too, and may be anything that YAML can hold."""
    found = faults(**{"a\nb": 1, "x" * 99: 1})

    assert [line.partition(": ")[0] for line in found] == ['route."a\\nb"', f'route."{"x" * 60}\\u2026"']


def test_a_field_that_is_not_for_the_file_is_unknown_in_it() -> None:
    """What the constructor does not take, the file cannot give."""
    assert faults(seen=1)[0].startswith("route.seen: unknown key; ")


def test_a_dash_for_an_underscore_is_near() -> None:
    """The most likely slip of all is recognised."""
    with pytest.raises(ConfigError, match='did you mean "initial_delay"'):
        structure(Retry, {"initial-delay": "1s"}, where="")


def test_a_missing_key_is_a_fault() -> None:
    """What has no default must be there."""
    with pytest.raises(ConfigError, match=r"^route\.name: required, and not there$"):
        structure(Route, {}, where="route")


def test_a_key_and_its_alias_are_one_too_many() -> None:
    """Neither wins: which was meant, only the operator knows."""
    assert faults(retry={}, retries={}) == [
        'route.retries: another name for "retry", which is given too: keep one of them'
    ]


def test_two_aliases_are_one_too_many() -> None:
    """Without the key itself, too."""
    assert len(faults(attempts={}, retries={})) == 1


def test_a_fault_below_an_alias_has_the_name_in_the_file() -> None:
    """The path is one that the operator can find."""
    assert faults(retries={"max_attempts": 0}) == ["route.retries.max_attempts: must be >= 1: 0"]


def test_all_faults_come_at_once() -> None:
    """One run tells everything that is wrong, in the order of the fields, unknown keys last."""
    found = faults(name=1, others=[{"max_attempts": 0, "backof": ""}, 3], extra=1, zzz=1)

    assert [line.partition(":")[0] for line in found] == [
        "route.name",
        "route.others.0.max_attempts",
        "route.others.0.backof",
        "route.others.1",
        "route.extra",
        "route.zzz",
    ]


def test_faults_are_there_one_by_one() -> None:
    """With their paths as keys and positions, for whoever knows the lines of the file."""
    with pytest.raises(ConfigError) as caught:
        route(others=[3])

    assert caught.value.faults == (Fault(("others", 0), "must be a mapping, got 3"),)


def test_a_fault_of_the_whole_value_stands_at_its_path() -> None:
    """What a class refuses about several fields has no field to stand at."""
    with pytest.raises(ConfigError, match=r"^range: low must not be above high$"):
        structure(Range, {"low": 2, "high": 1}, where="range")


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_the_top_must_be_a_mapping(data: object) -> None:
    """An empty file is told apart from an empty mapping."""
    with pytest.raises(ConfigError, match=r"^orgloop\.yaml: must be a mapping, got "):
        structure(Retry, data, where="orgloop.yaml")


def test_without_a_place_the_path_stands_alone() -> None:
    """An empty ``where`` leaves no dot behind."""
    with pytest.raises(ConfigError, match=r"^max_attempts: "):
        structure(Retry, {"max_attempts": 0}, where="")


def test_a_class_that_cannot_be_structured_is_our_bug() -> None:
    """A field of a type that no YAML can hold is not put down to the operator."""

    @attrs.frozen
    class Wrong:
        field: memoryview

    with pytest.raises(Exception, match="memoryview") as caught:
        structure(Wrong, {"field": 1}, where="")

    assert not isinstance(caught.value, OrgLoopError)
