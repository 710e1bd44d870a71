"""What an editor is told: a file that loads is valid, and what a load would refuse by its form, the editor refuses."""

from __future__ import annotations

import math
import types
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs.validators import ge, gt, in_, le, matches_re, min_len, optional
from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own

from orgloop import loggers, transforms
from orgloop.config import structure
from orgloop.config._schema_docs import field_docs, plain_text
from orgloop.config._schema_types import Shapes
from orgloop.config.catalogue import Kind as PlugIn
from orgloop.config.catalogue import Offer, Unusable
from orgloop.config.module import SourceConfig, read_module
from orgloop.config.schema import KINDS, Kind, schema_comment, schema_of
from orgloop.delivery.config import DeliveryConfig
from orgloop.errors import ConfigError
from tests.config.test_module import SDK_EXAMPLE


@attrs.frozen(kw_only=True)
class Poller:
    """Looks for something."""

    repo: str
    """Which ``repository``."""
    token: str = attrs.field(default="", metadata={"secret": True})
    key: Sequence[str] = attrs.field(default=(), metadata={"aliases": ("fields",)})
    depth: int = attrs.field(default=1, validator=[ge(1), le(9)])


@attrs.frozen
class Shelf:
    """A catalogue of some plug-ins: our own, and a connector."""

    offers: Mapping[tuple[str, str], Offer] = attrs.field(
        factory=lambda: {
            ("source", "github"): Offer(name="github", config=Poller),
            ("source", "opaque"): Offer(name="opaque"),
            **{("transform", name): Offer(name=name, config=own.config) for name, own in transforms.BUILT_IN.items()},
            **{("logger", name): Offer(name=name, config=own.config) for name, own in loggers.BUILT_IN.items()},
        }
    )
    delivery: type[Any] | None = DeliveryConfig

    def find(self, kind: PlugIn, name: str) -> Offer | Unusable | None:
        return self.offers.get((kind, name))

    def names(self, kind: PlugIn) -> Sequence[str]:
        return [name for offered, name in self.offers if offered == kind and not name.startswith("@")]

    def module(self, package: str) -> str | None:
        return None


def is_valid(data: object, kind: Kind = "Project", *, with_plugins: bool = False) -> bool:
    schema = schema_of(kind, Shelf() if with_plugins else None)
    return bool(Draft202012Validator(schema).is_valid(data))


def loads(data: object) -> bool:
    """Whether the codec takes it."""
    try:
        read_module(data, where="")
    except ConfigError:
        return False
    return True


def changed(*steps: Any, to: Any) -> dict[str, Any]:
    """The example with another value at one place."""
    data = deepcopy(SDK_EXAMPLE)
    *way, last = steps
    place: Any = data
    for step in way:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[last] = to
    return data


def source(**members: Any) -> dict[str, Any]:
    return {"sources": [{"id": "s", "connector": "github", **members}]}


# -- the schemas themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("catalogue", [None, Shelf()], ids=["bare", "with plug-ins"])
def test_a_schema_is_one(kind: Kind, catalogue: Shelf | None) -> None:
    """Valid against the schema of schemas, with every reference leading somewhere."""
    schema = schema_of(kind, catalogue)

    Draft202012Validator.check_schema(schema)
    assert schema["$defs"].keys() == {name for name in schema["$defs"] if f"#/$defs/{name}" in str(schema)}


def test_a_schema_is_the_same_each_time() -> None:
    """So that it can be kept in version control."""
    assert str(schema_of("Project", Shelf())) == str(schema_of("Project", Shelf()))


def test_fields_are_described_by_their_docstrings() -> None:
    """In plain text, as an editor shows it."""
    schema = schema_of("Project", Shelf())
    emits = schema["$defs"]["SourceConfig"]["properties"]["emits"]
    poller = schema["$defs"]["SourceConfig"]["allOf"][0]["then"]["properties"]["config"]

    assert emits["description"] == "What it says it emits; nothing is enforced."
    assert poller["description"] == "Looks for something."
    assert poller["properties"]["repo"]["description"] == "Which `repository`."
    assert poller["properties"]["token"]["writeOnly"]


def test_defaults_are_told_as_the_file_has_them() -> None:
    """With their units."""
    defaults = schema_of("Project")["$defs"]["Defaults"]["properties"]

    assert (defaults["poll_interval"]["default"], defaults["log_level"]["default"]) == ("5m", "info")


def test_no_default_is_infinite() -> None:
    """JSON has no such number."""
    assert math.inf not in [
        field.get("default")
        for field in schema_of("Project", Shelf())["$defs"]["DeliveryConfig"]["properties"].values()
    ]


# -- what is taken, and what is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {},
        SDK_EXAMPLE,
        {"apiVersion": "orgloop/v1alpha1", "kind": "Project", "metadata": {"name": "a-b", "description": None}},
        {"sources": None, "defaults": None},
        {"defaults": {"poll_interval": "250ms", "log_level": "warn", "event_retention": "30d"}},
        {"defaults": {"checkpoint": {"store": "memory", "dir": None}}},
        source(),
        source(config=None, labels={"a": "b"}, poll={"interval": "1s"}, emits=["actor.stopped"]),
        source(supervision={"restart": "transient", "backoff": {"factor": 1, "jitter": 0}, "watchdog": None}),
        changed("routes", 0, "when", "filter", to={"payload.a": None, "type": ["x", 1, True]}),
        changed("routes", 0, "transforms", to=["bots", {"ref": "dedup", "config": None}]),
        changed("routes", 0, "with", to=None),
        changed("transforms", 1, "timeout_ms", to=0.5),
        {"modules": [{"package": "./x", "params": {"a": 1, "b": True, "c": "d"}}]},
    ],
)
def test_what_loads_is_valid(data: dict[str, Any]) -> None:
    """To both."""
    assert (loads(data), is_valid(data)) == (True, True)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"sorces": []},
        {"kind": "Projekt"},
        {"metadata": {"name": "../up"}},
        {"defaults": {"poll_interval": "5 minutes"}},
        {"defaults": {"poll_interval": 5}},
        {"defaults": {"poll_interval": "0s"}},
        {"defaults": {"log_level": "loud"}},
        {"defaults": {"checkpoint": {"store": "disk"}}},
        {"sources": {}},
        {"sources": [{"id": "s"}]},
        {"sources": [{"id": None, "connector": "github"}]},
        source(id=" "),
        source(connector=""),
        source(config=[]),
        source(labels={"a": 1}),
        source(emits=["resource.chnged"]),
        source(poll={"intervall": "5m"}),
        source(supervision={"intensity": -1}),
        source(supervision={"backoff": {"jitter": 1.5}}),
        source(supervision={"period": "0ms"}),
        changed("routes", 0, "name", to=""),
        changed("routes", 0, "name", to="x" * 201),
        changed("routes", 0, "when", "events", to=[]),
        changed("routes", 0, "when", "filter", to={"payload.a": {}}),
        changed("routes", 0, "when", "filter", to={"payload.a": []}),
        changed("routes", 0, "when", "filter", to={"paylod.a": 1}),
        changed("routes", 0, "transforms", 0, "on_error", to="explode"),
        changed("routes", 0, "then", to={}),
        changed("routes", 0, "with", to={}),
        changed("transforms", to=[{"name": "bots", "type": "script"}, {"name": "dedup", "type": "x"}]),
        changed("transforms", 1, "timeout_ms", to=0),
        {"modules": [{"params": {}}]},
    ],
)
def test_what_is_refused_by_its_form_is_not_valid(data: object) -> None:
    """To both."""
    assert (loads(data), is_valid(data)) == (False, False)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (("defaults", "poll_interval"), "${INTERVAL}"),
        (("defaults", "log_level"), "${LEVEL:-info}"),
        (("sources", 0, "id"), "gh-${TEAM}"),
    ],
)
def test_text_with_a_variable_is_taken_anywhere(steps: tuple[Any, ...], text: str) -> None:
    """Only a load knows what it will be."""
    assert is_valid(changed(*steps, to=text))


ANYTHING: st.SearchStrategy[Any] = st.sampled_from(
    (None, "", "x", "5m", "0s", 0, 1, 1.5, -1, True, [], ["x"], {}, {"x": 1}, [{}])
).map(deepcopy)
KEYS = st.sampled_from(("description", "labels", "on_error", "poll", "unknown"))


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """The example with a few values replaced or taken away, and with keys that it has not asked for."""
    data = example_of_everything()
    for _ in range(draw(st.integers(1, 3))):
        holder, step = draw(st.sampled_from(list(_places(data))))
        verb = draw(st.sampled_from(("replace", "remove", "add")))
        if verb == "remove":
            del holder[step]
        elif verb == "add" and isinstance(holder[step], dict):
            holder[step][draw(KEYS)] = draw(ANYTHING.filter(lambda value: value is not None))
        else:
            holder[step] = draw(ANYTHING)
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in plain data, by what holds it."""
    for step in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, step
        yield from _places(data[step])


def example_of_everything() -> dict[str, Any]:
    """The example, with more of what it may have."""
    data = deepcopy(SDK_EXAMPLE)
    data |= {"defaults": {"poll_interval": "1m", "checkpoint": {"dir": "x"}}, "metadata": {"name": "m"}}
    data["sources"][0]["supervision"] = {"intensity": 1, "backoff": {"jitter": 0.5}, "shutdown": {"drain": "1s"}}
    return data


PROJECT = Draft202012Validator(schema_of("Project"))


@pytest.mark.slow
@settings(max_examples=500)
@given(spoiled())
def test_whatever_loads_is_valid(data: dict[str, Any]) -> None:
    """However it was changed: an editor never complains about what works."""
    event("loads" if loads(data) else "does not load")
    if loads(data):
        assert list(PROJECT.iter_errors(data)) == []


# -- kinds of files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Project", {"connectors": ["connectors/github.yaml"], "transforms": ["t.yaml"], "routes": ["r.yaml"]}),
        ("Project", {"connectors": {"sources": [{"id": "s", "connector": "c"}]}}),
        ("Project", {"connectors": [{"actors": [{"id": "a", "connector": "c"}]}], "loggers": ["l.yaml"]}),
        ("Project", {"loggers": ["l.yaml", {"name": "x", "type": "console"}]}),
        ("ConnectorGroup", {"apiVersion": "orgloop/v1alpha1", "kind": "ConnectorGroup", "metadata": {"name": "a b"}}),
        ("ConnectorGroup", {"sources": [{"id": "s", "connector": "c"}], "routes": None}),
        ("RouteGroup", {"routes": SDK_EXAMPLE["routes"]}),
        ("TransformGroup", {"transforms": SDK_EXAMPLE["transforms"]}),
        ("LoggerGroup", None),
        ("Module", {"kind": "Module", "metadata": {"name": "m", "version": "1.0.0"}, "requires": {"x": []}}),
        ("Module", {"kind": "Module", "parameters": [{"name": "p", "type": "string", "required": True}]}),
        ("Module", {"kind": "Module", "sources": [{"id": "{{ params.id }}", "connector": "c"}]}),
        (
            "Workspace",
            {"kind": "Workspace", "variables": {"API_URL": "https://x"}, "defaults": {"poll_interval": "1s"}},
        ),
        ("Workspace", {"sources": [{"id": "github", "config": {"repo": "o/r"}}]}),
        ("Workspace", {"routes": [{"name": "r", "then": {"delivery": {"max_rate": "1/s"}}}], "bus": None}),
        ("Workspace", {"transforms": [{"name": "t", "type": "script"}]}),
    ],
)
def test_a_kind_of_file_has_its_own_schema(kind: Kind, data: object) -> None:
    """With what may stand in it."""
    assert is_valid(data, kind, with_plugins=True)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Project", None),
        ("Project", {"connectors": "connectors/github.yaml"}),
        ("Project", {"sources": ["a/path.yaml"]}),
        ("ConnectorGroup", {"kind": "RouteGroup"}),
        ("ConnectorGroup", {"defaults": {}}),
        ("RouteGroup", {"routes": ["a/path.yaml"]}),
        ("Module", {}),
        ("Module", {"kind": "Module", "parameters": [{"type": "string"}]}),
        ("Workspace", {"sources": [{"config": {}}]}),
        ("Workspace", {"variables": {"PORT": 1}}),
        ("Workspace", {"connectors": []}),
    ],
)
def test_what_may_not_stand_in_a_kind_of_file_is_not_valid(kind: Kind, data: object) -> None:
    """And would be refused when it is loaded."""
    assert not is_valid(data, kind, with_plugins=True)


# -- plug-ins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        source(config={"repo": "o/r", "token": "${TOKEN}", "fields": ["a"]}),
        source(config={"repo": "o/r", "poll": {"interval": "5m"}}),
        source(connector="opaque", config={"any": "thing"}),
        source(connector="./own.py", config={"any": "thing"}),
        {"transforms": [{"name": "t", "type": "script", "script": "./x.sh", "timeout_ms": 5}]},
        {"transforms": [{"name": "t", "type": "package", "package": "@orgloop/transform-dedup"}]},
        {"transforms": [{"name": "t", "type": "filter", "config": {"match": {"type": "x"}, "jq_timeout": "1s"}}]},
        {"loggers": [{"name": "l", "type": "file", "config": {"rotate": {"max_size": "10 mb"}}}]},
        {"actors": [{"id": "a", "connector": "github", "config": {"no": "source"}}]},
        changed("routes", 0, "then", "delivery", to={"max_rate": "1.5/s", "retry": {"max_attempts": 1}}),
    ],
)
def test_what_a_plug_in_takes_is_valid(data: object) -> None:
    """By its short name and by the original's; of one that says nothing of itself, anything."""
    assert is_valid(data, with_plugins=True)


@pytest.mark.parametrize(
    "data",
    [
        source(),
        source(config={}),
        source(connector="@orgloop/connector-github", config={"repo": 1}),
        source(config={"repo": "o/r", "repos": []}),
        source(config={"repo": "o/r", "depth": 10}),
        source(config={"repo": "o/r", "key": ["a"], "fields": ["a"]}),
        {"transforms": [{"name": "t", "type": "package", "package": "dedup", "config": {"windw": "5m"}}]},
        {"loggers": [{"name": "l", "type": "@orgloop/logger-file", "config": {"rotation": {"max_size": "10 ages"}}}]},
        changed("routes", 0, "then", "delivery", to={"max_rate": "0/s"}),
        changed("routes", 0, "then", "delivery", to={"concurrency": 0}),
    ],
)
def test_what_a_plug_in_refuses_is_not_valid(data: object) -> None:
    """Each by its own class."""
    assert not is_valid(data, with_plugins=True)


@attrs.frozen(kw_only=True)
class Everything:
    text: str = attrs.field(default="x", validator=min_len(1))
    path: Path | None = None
    many: frozenset[int] = frozenset()
    pair: tuple[int, str] = (1, "")
    either: Literal[1, "a"] = 1
    mode: str = attrs.field(default="on", validator=in_(("on", "off")))
    code: str = attrs.field(default="OL1", validator=matches_re(r"OL[0-9]+"))
    share: float | None = attrs.field(default=None, validator=optional([gt(0), le(1)]))
    size_bytes: int = attrs.field(default=1, validator=gt(0), metadata={"yaml": "size", "unit": "size"})
    wait_s: float = attrs.field(default=1.0, validator=gt(0), metadata={"yaml": "wait_ms", "unit": "ms"})
    own: Mapping[str, Poller] = attrs.field(factory=dict)
    others: object = None
    seen: int = attrs.field(default=0, init=False)
    read: str = attrs.field(default="", metadata={"written": False})


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("text", "a", ""),
        ("path", "~/x", 1),
        ("many", [1], "1"),
        ("either", "a", "b"),
        ("mode", "off", "half"),
        ("code", "OL12", "OL12x"),
        ("share", 1, 0),
        ("share", None, 2),
        ("size", "1.5 KB", "0KB"),
        ("wait_ms", 250, 0),
        ("own", {"x": {"repo": "r"}}, {"x": {}}),
    ],
)
def test_every_kind_of_field_is_told(key: str, good: object, bad: object) -> None:
    """As the codec takes it, and not as it refuses it."""
    shapes = Shapes(told={})
    schema = {**shapes.object_of(Everything), "$defs": shapes.defs}
    validator = Draft202012Validator(schema)
    structure(Everything, {key: good}, where="")

    assert (validator.is_valid({key: good}), validator.is_valid({key: bad})) == (True, False)
    with pytest.raises(ConfigError):
        structure(Everything, {key: bad}, where="")


def test_what_is_not_written_is_not_told() -> None:
    """What a class fills in by itself has no key."""
    assert not {"seen", "read"} & Shapes(told={}).object_of(Everything)["properties"].keys()


def test_two_classes_of_one_name_are_kept_apart() -> None:
    """Plug-ins come from everywhere."""
    other = attrs.make_class("Poller", {"x": attrs.field(type=int)})
    shapes = Shapes(told={})

    assert [shapes.ref(cls)["$ref"] for cls in (Poller, other, Poller)] == [
        "#/$defs/Poller",
        "#/$defs/Poller2",
        "#/$defs/Poller",
    ]


# -- docstrings, and the comment ---------------------------------------------------------------------------------------


def test_a_class_without_a_source_is_not_described() -> None:
    """It is no fault: a program may have been frozen."""
    assert field_docs(attrs.make_class("Made", ["x"])) == {}
    assert field_docs(type("Lost", (), {"__module__": "no.such.module"})) == {}


def test_a_class_in_an_archive_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package may never lie on disk as files."""
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as archive:
        archive.writestr(
            "archived_config.py", 'class Outer:\n    class Own:\n        x: int = 1\n        """The x."""\n'
        )
    monkeypatch.syspath_prepend(tmp_path / "wheel.zip")
    import archived_config  # type: ignore[import-not-found]  # made above

    assert field_docs(archived_config.Outer.Own) == {"x": "The x."}


def test_what_an_ancestor_says_of_a_field_is_inherited() -> None:
    """A class that adds a field keeps the words of the others."""
    inherited = types.new_class("Inherited", (SourceConfig,))

    assert field_docs(inherited)["emits"].startswith("What it says it emits")


def test_a_docstring_is_one_paragraph() -> None:
    """Without marks that only a documentation tool reads."""
    assert (
        plain_text("Of ``x``,\n    see :class:`~orgloop.errors.ConfigError`.")
        == "Of `x`, see orgloop.errors.ConfigError."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_comment_leads_to_the_schema(kind: Kind) -> None:
    """Relative to the file that it stands in."""
    assert schema_comment(kind).endswith(f"/{schema_of(kind)['$id'].rpartition(':')[2]}")
    assert schema_comment(kind, folder="..").startswith("# yaml-language-server: $schema=../")
