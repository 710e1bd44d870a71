"""A module from plain data: the forms that people write are taken, and whatever is wrong is said, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, get_args

import attrs
import pytest

from orgloop.config._module_faults import EVENT_FIELDS
from orgloop.config.module import (
    EventType,
    ModuleConfig,
    SourceConfig,
    TransformConfig,
    TransformRef,
    read_module,
)
from orgloop.config.supervision import BackoffConfig, SupervisionConfig
from orgloop.errors import ConfigError
from orgloop.event import TYPES
from orgloop.routing.path import FIELDS

SDK_EXAMPLE: dict[str, Any] = {
    "sources": [
        {
            "id": "github",
            "connector": "@orgloop/connector-github",
            "config": {"repo": "o/r"},
            "poll": {"interval": "5m"},
        }
    ],
    "actors": [{"id": "agent", "connector": "@orgloop/connector-openclaw", "config": {"base_url": "http://localhost"}}],
    "routes": [
        {
            "name": "triage",
            "description": "New pull requests",
            "when": {
                "source": "github",
                "events": ["resource.changed"],
                "filter": {"provenance.platform_event": "pull_request.opened"},
            },
            "transforms": [{"ref": "bots", "config": {"a": 1}, "on_error": "drop"}, "dedup"],
            "then": {"actor": "agent", "config": {"session_key": "a"}, "delivery": {"max_rate": "100/s"}},
            "with": {"prompt_file": "./sops/pr.md"},
        }
    ],
    "transforms": [
        {"name": "bots", "type": "script", "script": "./bots.sh", "timeout_ms": 5000, "on_error": "pass"},
        {"name": "dedup", "type": "package", "package": "@orgloop/transform-dedup", "config": {"window": "5m"}},
    ],
    "loggers": [{"name": "file", "type": "@orgloop/logger-file", "config": {"path": "x.log"}, "level": "warn"}],
}


def example(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(SDK_EXAMPLE), **changes}


def changed(*steps: Any, to: Any) -> dict[str, Any]:
    """The example with another value at one place."""
    data = example()
    *way, last = steps
    place: Any = data
    for step in way:
        place = place[step]
    place[last] = to
    return data


def without(*steps: Any) -> dict[str, Any]:
    """The example with nothing at one place."""
    data = changed(*steps, to=None)
    place: Any = data
    for step in steps[:-1]:
        place = place[step]
    del place[steps[-1]]
    return data


def source(id_: str = "s", **members: Any) -> dict[str, Any]:
    return {"id": id_, "connector": "webhook", **members}


def route(name: str = "r", **when: Any) -> dict[str, Any]:
    return {"name": name, "when": {"source": "s", "events": ["resource.changed"], **when}, "then": {"actor": "a"}}


def small(*, when: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A source, an actor and a route between them."""
    return {"sources": [source()], "actors": [source("a")], "routes": [route(**(when or {}))], **members}


def faults(data: object) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(ConfigError) as caught:
        read_module(data, where="")
    assert len(caught.value.faults) == len(str(caught.value).splitlines())
    return str(caught.value).splitlines()


# -- what is taken -----------------------------------------------------------------------------------------------------


def test_nothing_is_a_module() -> None:
    """With the original's defaults."""
    module = read_module({}, where="")

    assert module == ModuleConfig()
    assert (module.defaults.poll_interval_s, module.defaults.checkpoint.store) == (300, "file")


def test_the_example_of_the_sdk_is_taken() -> None:
    """Every key of it arrives where it belongs."""
    module = read_module(SDK_EXAMPLE, where="")
    wire = module.routes[0]

    assert module.sources[0].poll is not None
    assert module.sources[0].poll.interval_s == 300
    assert module.actors[0].config == {"base_url": "http://localhost"}
    assert wire.transforms == (TransformRef(ref="bots", config={"a": 1}, on_error="drop"), TransformRef(ref="dedup"))
    assert (wire.when.events, wire.then.delivery) == (("resource.changed",), {"max_rate": "100/s"})
    assert wire.with_ is not None
    assert wire.with_.prompt_file == "./sops/pr.md"
    assert [transform.plugin for transform in module.transforms] == ["script", "@orgloop/transform-dedup"]
    assert module.loggers[0].level == "warn"


def test_a_projects_frame_is_taken() -> None:
    """As in the first lines of every project file."""
    module = read_module(
        {
            "apiVersion": "orgloop/v1alpha1",
            "kind": "Project",
            "metadata": {"name": "minimal-org", "description": "The least"},
            "defaults": {
                "poll_interval": "1m",
                "event_retention": "30d",
                "log_level": "debug",
                "checkpoint": {"store": "memory", "dir": "./state"},
            },
        },
        where="",
    )

    assert (module.metadata.name, module.kind) == ("minimal-org", "Project")
    assert (module.defaults.poll_interval_s, module.defaults.event_retention_s) == (60, 30 * 86400)
    assert (module.defaults.checkpoint.store, module.defaults.checkpoint.dir) == ("memory", "./state")


ENGINEERING = {
    "apiVersion": "orgloop/v1alpha1",
    "kind": "Project",
    "metadata": {"name": "engineering-org"},
    "sources": [
        {
            "id": "github",
            "connector": "@orgloop/connector-github",
            "poll": {"interval": "5m"},
            "config": {"events": []},
        },
        {"id": "linear", "connector": "@orgloop/connector-linear", "poll": {"interval": "5m"}},
        {"id": "claude-code", "connector": "@orgloop/connector-claude-code", "config": {"hook_type": "post-exit"}},
    ],
    "actors": [{"id": "engineering", "connector": "@orgloop/connector-openclaw", "config": {"agent_id": "x"}}],
    "transforms": [
        {"name": "drop-bot-noise", "type": "package", "package": "@orgloop/transform-filter"},
        {"name": "dedup", "type": "package", "package": "@orgloop/transform-dedup", "config": {"window": "5m"}},
    ],
    "routes": [
        {
            "name": "github-pr-review",
            "when": {
                "source": "github",
                "events": ["resource.changed"],
                "filter": {"provenance.platform_event": "pull_request.review_submitted"},
            },
            "transforms": [{"ref": "drop-bot-noise"}, {"ref": "dedup"}],
            "then": {
                "actor": "engineering",
                "config": {"session_key": "hook:github:pr:{{payload.pr_number}}", "deliver": True},
            },
            "with": {"prompt_file": "./sops/pr-review.md"},
        },
        {
            "name": "claude-code-to-supervisor",
            "when": {"source": "claude-code", "events": ["actor.stopped"]},
            "then": {"actor": "engineering"},
        },
    ],
    "loggers": [
        {"name": "file", "type": "@orgloop/logger-file", "config": {"rotation": {"max_size": "100MB"}}},
        {"name": "console", "type": "@orgloop/logger-console", "config": {"level": "info"}},
    ],
}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            {"sources": [source("webhook", emits=[*TYPES], config={"path": "/x"})], "routes": []}, id="minimal"
        ),
        pytest.param(ENGINEERING, id="engineering-org"),
        pytest.param({"sources": None, "transforms": None, "defaults": None}, id="all of it commented out"),
        pytest.param({"sources": [source(config=None, labels=None, poll=None, emits=None)]}, id="empty keys"),
        pytest.param({"sources": (source(),), "actors": ()}, id="tuples"),
        pytest.param(small(sources=[source("s", poll={})]), id="poll without interval"),
        pytest.param(small(routes=[{**route("PR review -> engineer"), "transforms": []}]), id="names with spaces"),
        pytest.param(small(when={"filter": {"provenance.labels": ["bug", "p1"]}}), id="a list is any of its members"),
        pytest.param(small(when={"filter": {"payload.n": 42, "payload.b": True, "payload.x": None}}), id="scalars"),
        pytest.param(small(when={"source": "a", "events": ["actor.stopped"]}), id="an actor as a source"),
        pytest.param(small(when={"source": "ops:pager"}), id="a source of another module"),
        pytest.param(small(metadata={"name": "eng"}, when={"source": "eng:s"}), id="its own source, in full"),
        pytest.param(small(exports=["s"]), id="exports"),
        pytest.param(small(routes=[route("one"), route("two"), route("three")]), id="fan-out"),
        pytest.param({"transforms": [{"name": "f", "type": "@orgloop/transform-filter"}]}, id="a package as the type"),
        pytest.param({"sources": [source("x")], "actors": [source("x")]}, id="a source and an actor of one name"),
        pytest.param({"sources": [source(labels={"team": "eng"}, description="it")]}, id="labels"),
        pytest.param({"sources": [source("a.b_C-9"), source("x" * 64)]}, id="ids"),
        pytest.param(small(routes=[{**route(), "with": {"prompt_file": "../sops/x.md"}}]), id="scaffold"),
    ],
)
def test_what_people_write_is_taken(data: dict[str, Any]) -> None:
    """The forms of the original's examples, scaffolds and pages."""
    read_module(data, where="")


def test_a_package_as_the_type_is_the_plugin() -> None:
    """As one of the original's pages has it."""
    assert TransformConfig(name="f", type="@orgloop/transform-filter").plugin == "@orgloop/transform-filter"


def test_the_data_is_neither_changed_nor_kept() -> None:
    """What a program does with its mapping afterwards changes no module."""
    data = example()
    module = read_module(data, where="")

    assert data == SDK_EXAMPLE
    data["sources"][0]["config"]["repo"] = "another"
    assert module.sources[0].config == {"repo": "o/r"}


def test_a_config_keeps_its_empty_keys() -> None:
    """It is the plug-in's, to which nothing may mean something."""
    config = {"config": None, "id": None, "filter": {"x": None}}

    assert read_module({"sources": [source(config=config)]}, where="").sources[0].config == config


def test_the_vocabulary_is_that_of_the_events() -> None:
    """Written twice, as types cannot be made of values."""
    assert get_args(EventType) == TYPES


# -- supervision -------------------------------------------------------------------------------------------------------


def test_supervision_is_in_plain_units() -> None:
    """Seconds, shares and counts, from the words of the file."""
    written = {
        "restart": "transient",
        "intensity": 5,
        "period": "10s",
        "backoff": {"initial": "1s", "maximum": "1m", "factor": 3, "jitter": 0.5, "reset_after": "2m"},
        "start_timeout": "20s",
        "watchdog": "30s",
        "shutdown": {"drain": "1s", "grace": "500ms"},
    }
    found = read_module({"sources": [source(supervision=written)]}, where="").sources[0].supervision

    assert attrs.astuple(found) == ("transient", 5, 10.0, (1.0, 60.0, 3.0, 0.5, 120.0), 20.0, 30.0, (1.0, 0.5))


def test_supervision_is_laid_over_that_of_the_module() -> None:
    """Key by key, the inner ones too."""
    ours = {"intensity": 9, "backoff": {"initial": "1s", "factor": 3}}
    theirs = {"restart": "temporary", "backoff": {"factor": 4}}
    module = read_module(small(supervision=ours, sources=[source(supervision=theirs)]), where="")

    assert module.sources[0].supervision == SupervisionConfig(
        restart="temporary", intensity=9, backoff=BackoffConfig(initial_s=1.0, factor=4.0)
    )
    assert module.actors[0].supervision == module.supervision


def test_a_fault_of_laying_over_is_told_where_it_was_made() -> None:
    """Each for itself would do."""
    data = {
        "supervision": {"backoff": {"maximum": "1s"}},
        "actors": [source("a", supervision={"backoff": {"initial": "2s"}})],
    }

    assert faults(data) == ["actors.0.supervision.backoff: initial (2 s) must not be above maximum (1 s)"]


# -- what is refused ---------------------------------------------------------------------------------------------------

AN_ID = 'must be letters, digits, ".", "_" and "-", at most 64 of them, the first a letter or digit, got '
FILTER = ("routes", 0, "when", "filter")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ([], ": must be a mapping, got a list"),
        ("x", ': must be a mapping, got "x"'),
        (None, ": must be a mapping, got nothing"),
        ({"conectors": []}, "conectors: unknown key; did you mean "),
        ({"souces": []}, 'souces: unknown key; did you mean "sources"?'),
        ({"kind": "Projekt"}, 'kind: must be one of: Project, Module, got "Projekt"; did you mean "Project"?'),
        ({"apiVersion": 1}, 'apiVersion: must be text, got 1; write "1", in quotes'),
        ({"metadata": {"name": "my org"}}, f'metadata.name: {AN_ID}"my org"'),
        ({"metadata": {"nam": "x"}}, 'metadata.nam: unknown key; did you mean "name"?'),
        ({"defaults": {"poll_interval": 5}}, "defaults.poll_interval: Invalid duration format: 5. Expected format: "),
        ({"defaults": {"poll_interval": "0s"}}, "defaults.poll_interval: must be > 0: 0.0"),
        (
            {"defaults": {"log_level": "loud"}},
            "defaults.log_level: must be one of: debug, info, warn, warning, error, ",
        ),
        (
            {"defaults": {"checkpoint": {"store": "disk"}}},
            "defaults.checkpoint.store: must be one of: file, memory, got ",
        ),
        ({"sources": {}}, "sources: must be a list, got a mapping"),
        ({"sources": ["github"]}, 'sources.0: must be a mapping, got "github"'),
        ({"sources": [{"connector": "x"}]}, "sources.0.id: required, and not there"),
        ({"sources": [{"id": "x"}]}, "sources.0.connector: required, and not there"),
        ({"sources": [source(connector="")]}, "sources.0.connector: must not be empty"),
        ({"sources": [source("../x")]}, f'sources.0.id: {AN_ID}"../x"'),
        ({"sources": [source("-x")]}, f'sources.0.id: {AN_ID}"-x"'),
        ({"sources": [source("x\n")]}, f'sources.0.id: {AN_ID}"x\\n"'),
        ({"sources": [source("é")]}, f'sources.0.id: {AN_ID}"\\u00e9"'),
        ({"sources": [source("x" * 65)]}, f"sources.0.id: {AN_ID}"),
        (
            {"sources": [{"id": False, "connector": "x"}]},
            'sources.0.id: must be text, got false; write "false", in quotes',
        ),
        ({"sources": [{"id": [], "connector": "x"}]}, "sources.0.id: must be text, got a list"),
        ({"sources": [source("x"), source("x")]}, 'sources.1.id: "x" is the id of sources.0 already'),
        (
            {"sources": [source("x"), source("X")]},
            'sources.1.id: "X" is the id of sources.0 already but for the case ("x")',
        ),
        ({"sources": [source(poll={"interval": "5 minutes"})]}, "sources.0.poll.interval: Invalid duration format: "),
        ({"sources": [source(poll={"every": "5m"})]}, "sources.0.poll.every: unknown key"),
        ({"sources": [source(emits=["resource.created"])]}, "sources.0.emits.0: must be one of: resource.changed, "),
        ({"sources": [source(config=[])]}, "sources.0.config: must be a mapping, got a list"),
        ({"sources": [source(labels={"a": 1})]}, 'sources.0.labels.a: must be text, got 1; write "1", in quotes'),
        (
            {"sources": [source(supervision={"restart": "always"})]},
            "sources.0.supervision.restart: must be one of: perm",
        ),
        ({"sources": [source(supervision={"intensity": -1})]}, "sources.0.supervision.intensity: must be >= 0: -1"),
        ({"actors": [source(supervision={"period": "0s"})]}, "actors.0.supervision.period: must be > 0: 0.0"),
        ({"supervision": {"watchdog": 30}}, "supervision.watchdog: Invalid duration format: 30. Expected format: "),
        ({"supervision": {"backoff": {"factor": 0.5}}}, "supervision.backoff.factor: must be >= 1: 0.5"),
        ({"supervision": {"backoff": {"jitter": 2}}}, "supervision.backoff.jitter: must be <= 1: 2.0"),
        (
            {"supervision": {"backoff": {"initial": "1h"}}},
            "supervision.backoff: initial (3600 s) must not be above maximum",
        ),
        (
            {"supervision": {"shutdown": {"drian": "1s"}}},
            'supervision.shutdown.drian: unknown key; did you mean "drain"?',
        ),
        ({"actors": [source("a"), source("a")]}, 'actors.1.id: "a" is the id of actors.0 already'),
        ({"actors": [source("a", poll={})]}, "actors.0.poll: unknown key"),
        (small(routes=[route(), route()]), 'routes.1.name: "r" is the name of routes.0 already'),
        (small(routes=[route("")]), 'routes.0.name: must be 1 to 200 characters on one line, got ""'),
        (small(routes=[route("a\nb")]), 'routes.0.name: must be 1 to 200 characters on one line, got "a\\nb"'),
        (without("routes", 0, "when"), "routes.0.when: required, and not there"),
        (changed("routes", 0, "when", to=None), "routes.0.when: required, and not there"),
        (without("routes", 0, "then"), "routes.0.then: required, and not there"),
        (without("routes", 0, "then", "actor"), "routes.0.then.actor: required, and not there"),
        (changed("routes", 0, "then", "actr", to="x"), 'routes.0.then.actr: unknown key; did you mean "actor"?'),
        (
            changed("routes", 0, "then", "actor", to="agnt"),
            'routes.0.then.actor: Actor "agnt" not found. Did you mean "agent"?',
        ),
        (
            changed("routes", 0, "then", "actor", to="zzz"),
            'routes.0.then.actor: Actor "zzz" not found; known are: agent',
        ),
        (changed("routes", 0, "then", "delivery", to="fast"), 'routes.0.then.delivery: must be a mapping, got "fast"'),
        (changed("actors", to=[]), 'routes.0.then.actor: Actor "agent" not found; none is defined'),
        (small(when={"source": "ss"}), 'routes.0.when.source: Source "ss" not found. Did you mean "s"?'),
        (small(when={"source": ""}), "routes.0.when.source: must not be empty"),
        (small(when={"source": "ops:"}), 'routes.0.when.source: "ops:" is not of the form "module:source"'),
        (small(when={"source": "a:b:c"}), 'routes.0.when.source: "a:b:c" is not of the form "module:source"'),
        (small(metadata={"name": "eng"}, when={"source": "eng:x"}), 'routes.0.when.source: Source "x" not found'),
        (small(when={"events": []}), "routes.0.when.events: must not be empty"),
        (
            small(when={"events": "resource.changed"}),
            'routes.0.when.events: must be a list, got "resource.changed"; write ',
        ),
        (small(when={"events": ["actor.stoped"]}), "routes.0.when.events.0: must be one of: resource.changed, "),
        (changed(*FILTER, to="x"), 'routes.0.when.filter: must be a mapping, got "x"'),
        (
            changed(*FILTER, to={"payload.a": {}}),
            "routes.0.when.filter.payload.a: a mapping never matches; write a path ",
        ),
        (changed(*FILTER, to={"payload.a": []}), "routes.0.when.filter.payload.a: an empty list never matches"),
        (
            changed(*FILTER, to={"payload.a": [[1]]}),
            "routes.0.when.filter.payload.a.0: must be text, a number, true, false ",
        ),
        (changed(*FILTER, to={"payload.a": float("nan")}), "routes.0.when.filter.payload.a: must be text, a number, "),
        (changed(*FILTER, to={"provenence.x": 1}), "did you mean"),
        (changed(*FILTER, to={"metadata.x": 1}), 'no event has "metadata"; it has: provenance, payload, '),
        (
            changed("routes", 0, "transforms", to="dedup"),
            'routes.0.transforms: must be a list, got "dedup"; write ["dedup"]',
        ),
        (
            changed("routes", 0, "transforms", 0, to={"reff": "x"}),
            'routes.0.transforms.0.reff: unknown key; did you mean "ref"?',
        ),
        (changed("routes", 0, "transforms", 1, to="dedupe"), 'Transform "dedupe" not found. Did you mean "dedup"?'),
        (
            changed("routes", 0, "transforms", 0, "on_error", to="ignore"),
            "routes.0.transforms.0.on_error: must be one of: dead",
        ),
        (changed("routes", 0, "with", to={}), "routes.0.with.prompt_file: required, and not there"),
        (without("transforms", 0, "script"), 'transforms.0: a transform of type "script" needs the key "script"'),
        (without("transforms", 1, "package"), 'transforms.1: a transform of type "package" needs the key "package"'),
        (changed("transforms", 0, "timeout_ms", to=0), "transforms.0.timeout_ms: must be > 0: 0.0"),
        (changed("transforms", 0, "timeout_ms", to="5s"), 'transforms.0.timeout_ms: must be a number, got "5s"'),
        (
            changed("transforms", 0, "on_error", to="stop"),
            "transforms.0.on_error: must be one of: dead_letter, pass, drop, ",
        ),
        (changed("transforms", 1, "name", to="bots"), 'transforms.1.name: "bots" is the name of transforms.0 already'),
        (without("loggers", 0, "type"), "loggers.0.type: required, and not there"),
        (changed("loggers", 0, "name", to="a/b"), f'loggers.0.name: {AN_ID}"a/b"'),
        (
            changed("loggers", 0, "level", to="trace"),
            "loggers.0.level: must be one of: debug, info, warn, warning, error, got",
        ),
        (example(exports=["githb"]), 'exports.0: Source "githb" not found. Did you mean "github"?'),
        (example(exports="github"), 'exports: must be a list, got "github"; write ["github"]'),
    ],
)
def test_what_is_wrong_is_said(data: object, line: str) -> None:
    """By the path that leads there, and what to do."""
    assert any(line in found for found in faults(data))


def test_all_faults_come_at_once() -> None:
    """Those of form beside those of names."""
    data = changed("routes", 0, "then", "actor", to="agnt")
    data["sources"][0]["poll"]["interval"] = "soon"
    data["defaults"] = {"log_levl": "info"}

    assert [line.split(":")[0] for line in faults(data)] == [
        "defaults.log_levl",
        "sources.0.poll.interval",
        "routes.0.then.actor",
    ]


def test_a_fault_carries_its_path() -> None:
    """For a loader that knows the line of each."""
    with pytest.raises(ConfigError) as caught:
        read_module(small(when={"filter": {"payload.a.b": {}}}), where="orgloop.yaml")

    assert caught.value.faults[0].path == ("routes", 0, "when", "filter", "payload.a.b")
    assert str(caught.value).startswith("orgloop.yaml.routes.0.when.filter.payload.a.b: ")


@pytest.mark.parametrize("sources", [{}, [{"idd": "s", "connector": "x"}], ["s"]])
def test_nothing_is_missing_among_what_cannot_be_read(sources: object) -> None:
    """One slip makes one fault, not one for each route."""
    assert all(line.startswith("sources") for line in faults(small(sources=sources)))


def test_thousands_of_names_that_lead_nowhere_are_told_in_time() -> None:
    """Near ones are looked for a few times only, and only a few of the known are shown."""
    sources = [source(f"source-{number}") for number in range(500)]
    routes = [route(f"r{number}", source=f"sauce-{number}") for number in range(500)]

    lines = faults({"sources": sources, "actors": [source("a")], "routes": routes})

    assert len(lines) == 500
    assert lines[-1].count("source-") == 9
    assert lines[-1].endswith(", …")


def test_a_value_made_by_hand_is_looked_at_too() -> None:
    """A program may make them without any mapping."""
    with pytest.raises(ValueError, match="at most 64"):
        SourceConfig(id="a/b", connector="webhook")


def test_filters_begin_as_the_routing_room_has_it() -> None:
    """Written twice, as configuration knows nothing of routing."""
    assert EVENT_FIELDS == FIELDS
