"""What a reload would change: nothing is forgotten, nothing is restarted without need, and no secret is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config._plan_diff import MAX_DEPTH
from orgloop.config.module import (
    ActorConfig,
    LoggerConfig,
    ModuleConfig,
    RouteConfig,
    SourceConfig,
    TransformRef,
    read_module,
)
from orgloop.config.plan import SECTIONS, Change, Plan, apply, as_json, as_text, kept, plan, secret_keys_of
from orgloop.errors import ConfigError
from tests.config.strategies import PLAIN, edits, modules

MODULE = {
    "metadata": {"name": "engineering"},
    "sources": [
        {"id": "github", "connector": "github", "config": {"repo": "o/r"}, "poll": {"interval": "5m"}},
        {"id": "linear", "connector": "linear"},
    ],
    "actors": [{"id": "agent", "connector": "webhook"}, {"id": "human", "connector": "slack"}],
    "transforms": [{"name": "bots", "type": "filter"}, {"name": "dedup", "type": "dedup", "config": {"window": "5m"}}],
    "routes": [
        {
            "name": "triage",
            "when": {"source": "github", "events": ["resource.changed"]},
            "transforms": ["bots"],
            "then": {"actor": "agent", "delivery": {"max_rate": "100/s"}},
            "with": {"prompt_file": "x.md"},
        },
        {
            "name": "tell",
            "when": {"source": "linear", "events": ["resource.changed"], "filter": {"payload.n": [1, 2]}},
            "then": {"actor": "human"},
        },
    ],
    "loggers": [{"name": "file", "type": "file", "level": "warn"}, {"name": "console", "type": "console"}],
}


@attrs.frozen
class Phrase:
    phrase_text: str = attrs.field(default="", metadata={"secret": True, "yaml": "phrase"})


@attrs.frozen
class Login:
    name: str = ""
    pin: str = attrs.field(default="", metadata={"secret": True, "aliases": ("code",)})
    others: Mapping[str, Phrase | None] = attrs.field(factory=dict)


def read(data: Any) -> ModuleConfig:
    return read_module(data, where="")


def changed(*steps: Any, to: Any) -> ModuleConfig:
    """The module with another value at one place."""
    data = deepcopy(MODULE)
    *way, last = steps
    place: Any = data
    for step in way:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[last] = to
    return read(data)


def planned(*steps: Any, to: Any) -> Plan:
    """From the module to the one with another value at one place; it leads there."""
    before, after = read(MODULE), changed(*steps, to=to)
    made = plan(before, after)
    assert apply(made, before) == after
    return made


def part(made: Plan, section: str, name: str) -> Change:
    return next(change for where, change in made.changes() if (where, change.name) == (section, name))


def kinds(made: Plan) -> dict[str, str]:
    """What is not as it was."""
    return {change.name: change.kind for _, change in made.changes() if change.kind != "unchanged"}


def costs(made: Plan) -> dict[str, str]:
    """What does not keep running."""
    return {change.name: change.cost for _, change in made.changes() if not change.keeps_running}


def with_token(token: object, **members: Any) -> ModuleConfig:
    config = {"token": token, **members}
    return ModuleConfig(sources=(SourceConfig(id="github", connector="github", config=config),))


# -- laws --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.none() | modules, st.none() | modules)
def test_a_plan_leads_where_it_was_made_for(before: ModuleConfig | None, after: ModuleConfig | None) -> None:
    """Applied to what it was made of it gives the other side, so no difference is missing."""
    assert apply(plan(before, after), before) == after


@pytest.mark.slow
@given(edits())
def test_a_plan_of_one_edit_leads_there_too(pair: tuple[ModuleConfig, ModuleConfig]) -> None:
    """What differs in little is not lost among what does not."""
    before, after = pair

    assert apply(plan(before, after), before) == after


@pytest.mark.slow
@given(modules)
def test_nothing_changes_between_equals(module: ModuleConfig) -> None:
    """A module beside its copy: an empty plan, at no cost."""
    made = plan(module, deepcopy(module))

    assert made.is_empty
    assert made.exit_code == 0
    assert not costs(made)


@pytest.mark.slow
@given(st.one_of(edits(), st.tuples(modules, modules)))
def test_an_empty_plan_is_of_equals(pair: tuple[ModuleConfig, ModuleConfig]) -> None:
    """What differs at all makes a plan, and the exit code that says so."""
    made = plan(*pair)

    assert made.exit_code == (0 if made.is_empty else 2)
    if made.is_empty:
        assert pair[0] == pair[1]


@pytest.mark.slow
@given(edits())
def test_a_source_that_keeps_its_task_is_the_same(pair: tuple[ModuleConfig, ModuleConfig]) -> None:
    """Whatever a task of a source was made of is as it was: connector, config, supervision, interval, defaults."""
    before, after = pair

    def made_of(module: ModuleConfig) -> dict[str, object]:
        own = {
            source.id: (source.connector, source.config, source.supervision, source.poll) for source in module.sources
        }
        return own | {"": (module.defaults.checkpoint, module.supervision, module.metadata.name)}

    old, new = made_of(before), made_of(after)

    assert all(old[name] == new[name] for name in kept(plan(before, after).sources))


@pytest.mark.slow
@given(edits())
def test_a_route_that_keeps_its_lane_is_the_same(pair: tuple[ModuleConfig, ModuleConfig]) -> None:
    """So are the transforms that it refers to."""
    before, after = pair

    def made_of(module: ModuleConfig) -> dict[str, object]:
        known = {transform.name: transform for transform in module.transforms}
        return {
            route.name: (
                attrs.evolve(route, description=None),
                [known.get(ref.ref) for ref in route.transforms],
            )
            for route in module.routes
        }

    old, new = made_of(before), made_of(after)

    assert all(old[name] == new[name] for name in kept(plan(before, after).routes))


@pytest.mark.slow
@given(modules, modules)
def test_a_plan_is_told_the_same_way_each_time(before: ModuleConfig, after: ModuleConfig) -> None:
    """Text and JSON follow from the two sides alone."""
    first, again = plan(before, after), plan(deepcopy(before), deepcopy(after))

    assert (as_text(first), as_json(first)) == (as_text(again), as_json(again))


@pytest.mark.slow
@given(modules, modules)
def test_the_json_of_a_plan_is_json(before: ModuleConfig, after: ModuleConfig) -> None:
    """Without the numbers that JSON has not."""
    assert json.loads(json.dumps(as_json(plan(before, after)), allow_nan=False))


@pytest.mark.slow
@given(modules, modules)
def test_the_text_of_a_plan_stays_on_its_lines(before: ModuleConfig, after: ModuleConfig) -> None:
    """What came from a file cannot move the cursor, nor colour the terminal."""
    assert all(line.isprintable() for line in as_text(plan(before, after)).splitlines())


@pytest.mark.slow
@given(PLAIN, PLAIN, st.sampled_from((("s3cret-value",), ("s3cret-value", "s3cret"))))
def test_a_secret_is_shown_nowhere(before: object, after: object, secrets: tuple[str, ...]) -> None:
    """However deep it lies, in whatever text: neither in text, nor in JSON, nor in the repr."""
    made = plan(
        with_token(None, url=before, other=["https://me:s3cret-value@host", {"deep": "s3cret-value"}]),
        with_token("s3cret-value", url=after),
        secrets=frozenset(secrets),
    )

    assert "s3cret" not in as_text(made) + json.dumps(as_json(made)) + repr(made)


# -- what becomes of what ----------------------------------------------------------------------------------------------


def test_the_first_load_adds_everything() -> None:
    """Nothing was there before."""
    made = plan(None, read(MODULE))

    assert (made.module.kind, set(kinds(made).values())) == ("add", {"add"})
    assert (made.summary.add, made.summary.change, made.summary.remove) == (10, 0, 0)


def test_an_unload_removes_everything() -> None:
    """Nothing is there after."""
    made = plan(read(MODULE), None)

    assert (made.module.consequence, set(kinds(made).values())) == ("unloads the module", {"remove"})


def test_an_empty_module_is_not_none() -> None:
    """It has a name and a tree, so its loading is a change."""
    assert plan(None, ModuleConfig()).exit_code == 2
    assert plan(None, None).is_empty


@pytest.mark.parametrize(
    "steps",
    [
        ("metadata", "description"),
        ("sources", 0, "description"),
        ("actors", 0, "description"),
        ("routes", 0, "description"),
    ],
)
def test_a_description_costs_nothing(steps: tuple[Any, ...]) -> None:
    """It is for people: shown, and nothing is restarted."""
    made = planned(*steps, to="for people")

    assert not made.is_empty
    assert not costs(made)


@pytest.mark.parametrize("key", ["labels", "emits"])
def test_what_a_source_says_of_itself_costs_nothing(key: str) -> None:
    """No part of its task is made of it."""
    assert not costs(planned("sources", 0, key, to={"a": "b"} if key == "labels" else ["actor.stopped"]))


@pytest.mark.parametrize(
    ("steps", "to", "consequence"),
    [
        (("connector",), "gitlab", "checkpoint reset"),
        (("config", "repo"), "o/other", "checkpoint reset"),
        (("config", "new"), None, "checkpoint reset"),
        (("poll", "interval"), "1m", "checkpoint kept"),
        (("supervision",), {"intensity": 9}, "checkpoint kept"),
    ],
)
def test_a_source_that_changes_restarts_alone(steps: tuple[Any, ...], to: Any, consequence: str) -> None:
    """With its checkpoint, if it still looks at the same place outside."""
    made = planned("sources", 0, *steps, to=to)

    assert costs(made) == {"github": "restart"}
    assert part(made, "sources", "github").consequence.startswith(f"restarts source github ({consequence}")


def test_who_knows_better_says_what_a_checkpoint_belongs_to() -> None:
    """A new token is the same place outside, to whoever can tell the token from the rest."""
    made = plan(with_token("old"), with_token("new"), identity=lambda source: source.connector)

    assert made.sources[0].checkpoint == "kept"


def test_a_field_that_nobody_has_thought_of_restarts() -> None:
    """A class may get new fields: each is a difference at once, and costs a restart."""

    @attrs.frozen(kw_only=True)
    class Later(SourceConfig):
        tomorrow: str = ""

    made = plan(
        ModuleConfig(sources=(Later(id="s", connector="c"),)),
        ModuleConfig(sources=(Later(id="s", connector="c", tomorrow="x"),)),
    )

    assert (made.sources[0].cost, made.sources[0].fields[0].path) == ("restart", ("tomorrow",))


@pytest.mark.parametrize(
    ("steps", "to"), [(("connector",), "slack"), (("config",), {"a": 1}), (("supervision",), {"period": "9s"})]
)
def test_an_actor_that_changes_restarts_alone(steps: tuple[Any, ...], to: Any) -> None:
    """Its routes keep their lanes, and what waits in them."""
    assert costs(planned("actors", 0, *steps, to=to)) == {"agent": "restart"}


@pytest.mark.parametrize(
    ("steps", "to"),
    [
        (("when", "filter"), {"type": "x"}),
        (("when", "events"), ["actor.stopped"]),
        (("transforms",), []),
        (("transforms",), ["bots", "dedup"]),
        (("then", "actor"), "human"),
        (("then", "config"), {"a": 1}),
        (("then", "delivery", "max_rate"), "9/s"),
        (("with", "prompt_file"), "y.md"),
    ],
)
def test_a_route_that_changes_gets_a_new_lane(steps: tuple[Any, ...], to: Any) -> None:
    """No task of a source or an actor ends, and no other route takes notice."""
    assert costs(planned("routes", 0, *steps, to=to)) == {"triage": "swap"}


def test_a_route_may_move_to_another_actor() -> None:
    """Which one is said."""
    made = planned("routes", 0, "then", "actor", to="human")

    assert part(made, "routes", "triage").consequence == "gets a new lane to actor human (what waits moves over)"


def test_a_transform_that_changes_gives_its_routes_new_lanes() -> None:
    """And says whose; a route that does not refer to it goes on."""
    made = planned("transforms", 0, "config", to={"match": {"type": "x"}})

    assert costs(made) == {"triage": "swap"}
    assert part(made, "transforms", "bots").consequence == "used by route triage"
    assert part(made, "routes", "triage").fields[0].via == "transforms.bots"


def test_a_transform_that_goes_with_its_reference_is_told_of_once() -> None:
    """The route says itself that it has changed."""
    module = read(MODULE)
    route = attrs.evolve(module.routes[0], transforms=())
    made = plan(module, attrs.evolve(module, transforms=module.transforms[1:], routes=(route, module.routes[1])))

    assert part(made, "transforms", "bots").consequence == "used by route triage"
    assert [field.via for field in part(made, "routes", "triage").fields] == [None]


def test_a_transform_that_no_route_refers_to_costs_nothing() -> None:
    """It is not even made."""
    made = planned("transforms", 1, "config", to={"window": "9m"})

    assert not costs(made)
    assert part(made, "transforms", "dedup").consequence == "no route refers to it"


@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_transform_that_comes_or_goes_is_not_missed_by_its_routes(kind: str) -> None:
    """Even if the route says the same as before."""
    route = RouteConfig(name="r", when=read(MODULE).routes[0].when, then=read(MODULE).routes[0].then)
    with_, without = (
        ModuleConfig(routes=(attrs.evolve(route, transforms=(TransformRef(ref="bots"),)),), transforms=transforms)
        for transforms in (read(MODULE).transforms, ())
    )

    assert costs(plan(without, with_) if kind == "add" else plan(with_, without)) == {"r": "swap"}


def test_the_interval_of_the_module_restarts_who_has_none() -> None:
    """Whoever has an interval goes on."""
    made = planned("defaults", "poll_interval", to="1m")

    assert costs(made) == {"linear": "restart"}
    assert "poll.interval: 5m → 1m (from defaults.poll_interval)" in as_text(made)


def test_the_level_of_the_module_restarts_who_has_none() -> None:
    """Whoever has a level goes on."""
    assert costs(planned("defaults", "log_level", to="debug")) == {"console": "restart"}


@pytest.mark.parametrize(("to", "checkpoint"), [({"store": "memory"}, "reset"), ({"dir": "elsewhere"}, "kept")])
def test_where_checkpoints_are_kept_restarts_the_sources(to: Any, checkpoint: str) -> None:
    """Another kind of store has not what the first had; another folder only has the copies."""
    made = planned("defaults", "checkpoint", to=to)

    assert {change.checkpoint for change in made.sources} == {checkpoint}
    assert costs(made) == {"github": "restart", "linear": "restart"}


def test_what_is_loaded_along_restarts_nothing() -> None:
    """It has a plan of its own."""
    assert not costs(planned("modules", to=[{"package": "./other"}]))


def test_the_retention_of_events_restarts_nothing() -> None:
    """It is read when there is something to forget."""
    assert not costs(planned("defaults", "event_retention", to="7d"))


def test_the_supervision_of_the_module_restarts_it_all() -> None:
    """The supervisors are made anew: every task ends, and what is unchanged is still called so."""
    made = planned("supervision", to={"intensity": 9})
    quiet = planned("bus", to="memory")

    assert made.restarts_module
    assert {change.cost for change in (*made.sources, *made.actors, *made.loggers)} == {"restart"}
    assert not kinds(quiet)
    assert {change.cost for change in (*quiet.sources, *quiet.actors, *quiet.loggers)} == {"restart"}
    assert {change.cost for change in quiet.routes} == {"swap"}


def test_under_another_name_checkpoints_are_not_found() -> None:
    """They are kept by the name of the module."""
    made = planned("metadata", "name", to="sales")

    assert made.restarts_module
    assert {change.checkpoint for change in made.sources} == {"reset"}


def test_what_is_exported_is_a_matter_of_routes() -> None:
    """Those of other modules; no task ends."""
    made = planned("exports", to=["github"])

    assert made.module.cost == "swap"
    assert not costs(made)


def test_a_logger_restarts_alone() -> None:
    """As a source does."""
    assert costs(planned("loggers", 0, "config", to={"path": "x"})) == {"file": "restart"}


def test_what_comes_and_what_goes() -> None:
    """A new name is another thing, whatever it is made of."""
    module = read(MODULE)
    made = plan(module, attrs.evolve(module, actors=(module.actors[0], ActorConfig(id="bot", connector="slack"))))

    assert kinds(made) == {"bot": "add", "human": "remove"}
    assert costs(made) == {"bot": "start", "human": "stop"}


def test_routes_in_another_order_are_a_change_at_no_cost() -> None:
    """They are tried in order; nothing else about them differs."""
    module = read(MODULE)
    made = plan(module, attrs.evolve(module, routes=module.routes[::-1]))

    assert (made.reordered, made.exit_code, costs(made)) == (("routes",), 2, {})
    assert "~ in another order" in as_text(made)


def test_a_new_route_between_others_changes_no_order() -> None:
    """Those that stay follow each other as before."""
    module = read(MODULE)
    first, second = module.routes
    made = plan(module, attrs.evolve(module, routes=(first, attrs.evolve(first, name="new"), second)))

    assert made.reordered == ()


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"), [(1, 1.0), (1, True), (0, False), ("1", 1), (0.0, -0.0), ([1], [True]), (None, {}), ({}, [])]
)
def test_what_a_program_can_tell_apart_is_a_change(before: object, after: object) -> None:
    """Python calls some of these equal; a connector may not."""
    assert not plan(with_token(0, a=before), with_token(0, a=after)).is_empty


@pytest.mark.parametrize("same", [float("nan"), {"b": 1, "a": 2}])
def test_what_nobody_can_tell_apart_is_none(same: Any) -> None:
    """Not a number is itself, and a mapping has no order."""
    other = dict(reversed(same.items())) if isinstance(same, dict) else float("nan")

    assert plan(with_token(0, a=same), with_token(0, a=other)).is_empty


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({"x": {"y": 1}}, {"x": {"y": 2}}, ("config", "a", "x", "y")),
        ({"x": 1}, {"x": 1, "z": 2}, ("config", "a", "z")),
        ([{"x": 1}, 2], [{"x": 3}, 2], ("config", "a", 0, "x")),
        ([1, 2], [1, 3], ("config", "a")),
        ([1], [1, 2], ("config", "a")),
    ],
)
def test_a_change_is_told_where_it_is(before: object, after: object, path: tuple[Any, ...]) -> None:
    """As deep as it lies; a list of plain values is one value."""
    (only,) = plan(with_token(0, a=before), with_token(0, a=after)).sources[0].fields

    assert only.path == path


def test_what_contains_itself_is_refused() -> None:
    """It has an end here."""
    knot: list[Any] = []
    knot.append(knot)
    other: list[Any] = []
    other.append(other)

    with pytest.raises(ConfigError, match=f"nested more than {MAX_DEPTH} deep"):
        plan(with_token(0, a=knot), with_token(0, a=other))


def test_a_name_that_is_there_twice_is_refused() -> None:
    """One of the two would be forgotten."""
    twice = ModuleConfig(loggers=(LoggerConfig(name="l", type="a"), LoggerConfig(name="l", type="b")))

    with pytest.raises(ConfigError, match="loggers: 'l' is there more than once"):
        plan(None, twice)


# -- secrets -----------------------------------------------------------------------------------------------------------


def flagged(name: str) -> Plan:
    return plan(
        ModuleConfig(sources=(SourceConfig(id="s", connector="c", config={name: "old-one"}),)),
        ModuleConfig(sources=(SourceConfig(id="s", connector="c", config={name: "new-one"}),)),
        secret_keys=frozenset({"pin"}),
    )


@pytest.mark.parametrize("key", ["pin", "token", "api_key", "Authorization", "clientSecret", "db_password"])
def test_what_stands_under_a_key_of_secrets_is_hidden(key: str) -> None:
    """Flagged by its class, or plain from its name; that it has changed is said."""
    assert f"config.{key}: *** → *** (a change of what is hidden)" in as_text(flagged(key))


def test_what_lies_below_a_key_of_secrets_is_hidden() -> None:
    """However deep the change is."""
    made = plan(
        with_token(0, pin={"deep": [{"x": "old-one"}]}),
        with_token(0, pin={"deep": [{"x": "new-one"}]}),
        secret_keys=frozenset({"pin"}),
    )

    assert "config.pin.deep[0].x: *** → ***" in as_text(made)


def test_a_secret_that_was_not_there_is_no_secret() -> None:
    """That one was given for the first time is worth knowing."""
    made = plan(with_token(0, pin=None), with_token(0, pin="new-one"), secret_keys=frozenset({"pin"}))

    assert "config.pin: (not set) → ***" in as_text(made)


def test_the_keys_of_secrets_are_read_from_classes() -> None:
    """From those inside of them too, under every name that the file may have."""
    assert secret_keys_of([Login, ActorConfig]) == {"pin", "code", "phrase"}


def test_what_is_hidden_is_marked_for_programs() -> None:
    """In the same fields."""
    fields = as_json(flagged("pin"))["sources"][0]["fields"]

    assert fields == [{"path": ["config", "pin"], "before": "***", "after": "***", "secret": True}]


def test_a_number_under_a_name_like_that_of_a_secret_is_shown() -> None:
    """A limit of tokens is none."""
    text = as_text(plan(with_token(0, max_tokens=1), with_token(0, max_tokens=2)))

    assert "config.max_tokens: 1 → 2" in text


def test_a_short_secret_hides_no_word_it_stands_in() -> None:
    """Only itself: a password of one letter would black out the page."""
    text = as_text(plan(with_token(0, a="x", b="axb"), with_token(0, a="y", b="ayb"), secrets=frozenset({"x", "y"})))

    assert "config.a: *** → ***" in text
    assert "config.b: axb → ayb" in text


def test_a_field_that_its_class_flags_is_hidden() -> None:
    """Wherever the class stands."""

    @attrs.frozen(kw_only=True)
    class Own(ActorConfig):
        pin: Any = attrs.field(default="", metadata={"secret": True})

    made = plan(
        ModuleConfig(actors=(Own(id="a", connector="c", pin=1), Own(id="b", connector="c", pin={"x": ["1"]}))),
        ModuleConfig(actors=(Own(id="a", connector="c", pin=2), Own(id="b", connector="c", pin={"x": ["2"]}))),
    )

    assert "pin: *** → ***" in as_text(made)
    assert "pin.x: *** → ***" in as_text(made)


def test_a_field_that_does_not_count_when_values_are_compared_does_not_count_here() -> None:
    """Such as where something was written."""

    @attrs.frozen(kw_only=True)
    class Placed(ActorConfig):
        line: int = attrs.field(default=0, eq=False)

    one, other = (ModuleConfig(actors=(Placed(id="a", connector="c", line=line),)) for line in (1, 2))

    assert plan(one, other).is_empty


# -- as text and JSON --------------------------------------------------------------------------------------------------


def test_the_text_of_a_plan() -> None:
    """Symbols, sections and the last line are the original's."""
    data = changed("sources", 0, "poll", "interval", to="90s")
    gone = attrs.evolve(data, loggers=data.loggers[:1], actors=(*data.actors, ActorConfig(id="bot", connector="shell")))

    assert as_text(plan(read(MODULE), gone)) == (
        "OrgLoop Plan — engineering\n"
        "\n"
        "Sources\n"
        "  ~ github  restarts source github (checkpoint kept)\n"
        "      poll.interval: 5m → 90s\n"
        "  = 1 unchanged: linear\n"
        "\n"
        "Actors\n"
        "  + bot  starts actor bot\n"
        "      connector: shell\n"
        "  = 2 unchanged: agent, human\n"
        "\n"
        "Routes\n"
        "  = 2 unchanged: triage, tell\n"
        "\n"
        "Transforms\n"
        "  = 2 unchanged: bots, dedup\n"
        "\n"
        "Loggers\n"
        "  - console  stops logger console\n"
        "  = 1 unchanged: file\n"
        "\n"
        "Plan: 1 to add, 1 to change, 1 to remove.\n"
    )


def test_a_module_without_a_name_has_that_of_its_caller() -> None:
    """Whoever loads it gives it one."""
    assert as_text(plan(None, ModuleConfig(), name="module-1f")).startswith("OrgLoop Plan — module-1f\n")


def test_no_changes_are_a_calm_end() -> None:
    """Said in words, before the line that scripts look for."""
    assert as_text(plan(read(MODULE), read(MODULE))).endswith(
        "\n\nNo changes.\nPlan: 0 to add, 0 to change, 0 to remove.\n"
    )


def test_colours_add_nothing_but_colours() -> None:
    """The same text, for those who see them."""
    made = planned("sources", 0, "description", to="x")
    coloured = as_text(made, colour=True)

    assert "\x1b[33m  ~ github" in coloured
    assert coloured.replace("\x1b[33m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") == as_text(made)


def test_many_unchanged_parts_are_told_briefly() -> None:
    """By their number, and a few names."""
    many = ModuleConfig(actors=tuple(ActorConfig(id=f"a{n}", connector="c") for n in range(50)))

    assert "= 50 unchanged: a0, a1, a2, a3, a4, a5, a6, a7, …\n" in as_text(plan(many, many))


def test_a_long_value_is_cut() -> None:
    """If the sides differ behind the cut, that is said."""
    text = as_text(plan(with_token(0, a="x" * 500 + "1"), with_token(0, a="x" * 500 + "2")))

    assert f"{'x' * 119}… → {'x' * 119}… (further on)" in text


def test_a_very_long_text_is_told_by_its_hash() -> None:
    """A prompt may have a megabyte; that two of them differ can still be seen."""
    made = plan(with_token(0, a="x" * 50_000 + "1"), with_token(0, a="x" * 50_000 + "2"))
    (field,) = as_json(made)["sources"][0]["fields"]

    assert field["before"] != field["after"]
    assert max(map(len, (field["before"], field["after"]))) < 10_100


def test_the_json_of_a_plan_has_the_shape_of_the_original() -> None:
    """And more beside it."""
    made = as_json(planned("defaults", "poll_interval", to="1m"))

    assert set(made) == {*SECTIONS, "summary", "module", "reordered", "empty"}
    assert made["summary"] == {"add": 0, "change": 2, "remove": 0}
    assert made["sources"][1] == {
        "name": "linear",
        "action": "change",
        "detail": "restarts source linear (checkpoint kept)",
        "cost": "restart",
        "fields": [
            {"path": ["poll", "interval"], "before": "5m", "after": "1m", "via": "defaults.poll_interval"},
        ],
        "checkpoint": "kept",
    }


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (
            lambda module: attrs.evolve(module, defaults=attrs.evolve(module.defaults, event_retention_s=7 * 86400.0)),
            "defaults.event_retention: (not set) → 7d",
        ),
        (lambda module: attrs.evolve(module, bus="memory"), "bus: (not set) → memory"),
        (lambda module: attrs.evolve(module, exports=("a b",)), 'exports: [] → ["a b"]'),
    ],
)
def test_values_are_shown_as_the_file_has_them(change: Callable[[ModuleConfig], ModuleConfig], shown: str) -> None:
    """With their units; text that could be taken for something else is in quotes."""
    assert shown in as_text(plan(read(MODULE), change(read(MODULE))))
