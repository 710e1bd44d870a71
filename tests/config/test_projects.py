"""Projects of the original: the shipped examples, its scaffold and the forms of its documentation, as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orgloop.config.codes import CODES
from orgloop.config.graph import KINDS
from orgloop.config.project import Project, examine_project, load_project
from orgloop.errors import ConfigError
from tests.config.plugins import Plugins

PROJECTS = Path(__file__).parent / "projects"
ENVIRON = {
    "GITHUB_REPO": "acme/app",
    "GITHUB_TOKEN": "ghp_0123456789abcdef",
    "LINEAR_TEAM_KEY": "ENG",
    "LINEAR_API_KEY": "lin_0123456789",
    "OPENCLAW_WEBHOOK_TOKEN": "claw-0123456789",
    "OPENCLAW_AGENT_ID": "engineering",
    "OPENCLAW_DEFAULT_TO": "C0123456",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "HOOK_SECRET": "of-the-process",
    "HOME": "/home/somebody",
}


def load(name: str, **environ: str) -> Project:
    return load_project(PROJECTS / name, environ=ENVIRON | environ, catalogue=Plugins())


@pytest.mark.parametrize(
    ("name", "sources", "actors", "routes", "transforms", "loggers"),
    [
        ("minimal", 1, 0, 0, 0, 1),
        ("engineering-org", 3, 1, 5, 2, 2),
        ("production", 3, 1, 5, 2, 2),
        ("github-to-slack", 1, 1, 1, 0, 1),
        ("multi-agent-supervisor", 2, 1, 2, 0, 2),
        ("scaffold", 1, 1, 1, 1, 1),
        ("documentation", 3, 2, 4, 3, 0),
        ("boot", 1, 1, 1, 1, 0),
    ],
)
def test_a_project_of_the_original_loads_unchanged(
    name: str, sources: int, actors: int, routes: int, transforms: int, loggers: int
) -> None:
    """With every definition, wherever it is written."""
    config = load(name).config

    found = [config.sources, config.actors, config.routes, config.transforms, config.loggers]
    assert list(map(len, found)) == [sources, actors, routes, transforms, loggers]


def test_minimal_warns_once_that_nothing_is_routed() -> None:
    """In the words of the original."""
    (warning,) = load("minimal").warnings

    assert warning.text == 'Source "webhook" is defined but not referenced by any route'
    assert KINDS[warning.code] == "dead-source"


@pytest.mark.parametrize("name", ["engineering-org", "production"])
def test_prompts_are_found_from_the_project_too(name: str) -> None:
    """``./sops/x.md`` in ``routes/``, where the original finds none of the four."""
    prompts = {route.name: route.with_.prompt for route in load(name).config.routes if route.with_}

    assert {route: prompt and prompt.text.split()[1] for route, prompt in prompts.items()} == {
        "github-pr-review": "pr-review",
        "github-pr-comment": "pr-review",
        "github-ci-failure": "ci-failure",
        "linear-to-engineering": "linear-ticket",
    }


def test_a_prompt_keeps_its_front_matter_and_its_file_is_absolute() -> None:
    """What the runtime hands to the actor needs no further look at the disk."""
    with_ = load("engineering-org").config.routes[0].with_

    assert with_ is not None
    assert with_.prompt is not None
    assert with_.prompt.meta == {"owner": "engineering"}
    assert with_.prompt_file == with_.prompt.file == str(PROJECTS / "engineering-org/sops/pr-review.md")


def test_every_missing_variable_is_a_fault_of_start_and_a_warning_of_validate() -> None:
    """All six at once, each at its line."""
    folder = PROJECTS / "engineering-org"
    with pytest.raises(ConfigError) as caught:
        load_project(folder, environ={}, catalogue=Plugins())
    examined = examine_project(folder, environ={}, catalogue=Plugins())

    assert [fault.code for fault in caught.value.faults] == ["OL1401"] * 6
    assert not examined.faults
    assert [(w.code, w.place and Path(w.place.file).name) for w in examined.warnings] == [
        ("OL1401", "github.yaml"),
        ("OL1401", "github.yaml"),
        ("OL1401", "linear.yaml"),
        ("OL1401", "linear.yaml"),
        ("OL1401", "openclaw.yaml"),
        ("OL1401", "openclaw.yaml"),
    ]


def test_intervals_among_the_options_count() -> None:
    """``config.poll.interval`` and ``config.poll_interval`` of the documentation, which the original passes over."""
    config = load("documentation").config

    assert [source.poll and source.poll.interval_s for source in config.sources] == [600, 90, None]
    assert all("poll" not in source.config and "poll_interval" not in source.config for source in config.sources)


def test_transforms_may_be_named_by_text_and_by_their_package() -> None:
    """A route's list of names, ``type`` as a package, and a definition that a place adds to."""
    config = load("documentation").config
    by_name = {route.name: route for route in config.routes}

    assert [step.ref for step in by_name["home page -> strings"].transforms] == ["drop-bot-noise", "dedup", "own"]
    assert [transform.plugin for transform in config.transforms] == ["@orgloop/transform-filter", "dedup", "script"]
    assert by_name["actor as source"].transforms[0].config == {"window": "1h"}


def test_a_script_is_whole() -> None:
    """Absolute, with its deadline, as the script transform wants its options."""
    script = load("documentation").config.transforms[2]

    assert script.options == {
        "script": str(PROJECTS / "documentation/transforms/own.sh"),
        "timeout_ms": 500.0,
    }


def test_the_folder_of_checkpoints_is_absolute() -> None:
    """From the project's folder, whoever asks from wherever."""
    assert load("documentation").config.defaults.checkpoint.dir == str(PROJECTS / "documentation/.orgloop/checkpoints")


def test_route_files_that_are_named_are_not_read_twice() -> None:
    """``routes/more.yaml`` is named, and would be found as well."""
    names = [route.name for route in load("documentation").config.routes]

    assert len(names) == len(set(names)) == 4


def test_a_module_of_templates_becomes_part_of_its_project() -> None:
    """With its parameters, name and path filled in, and events' own placeholders left alone."""
    (route,) = load("boot").config.routes

    assert (route.name, route.when.source, route.then.actor) == ("triage-review", "github", "engineering")
    assert route.then.config == {"session_key": "pr-{{payload.pr_number}}"}
    assert route.with_ is not None
    assert route.with_.prompt_file == str(PROJECTS / "boot/modules/triage/sops/review.md")


def test_a_module_with_its_own_sources_is_a_module_of_its_own() -> None:
    """Under its own name, and with ears in the project that exports to it."""
    (module,) = load("boot").modules

    assert module.name == "alone"
    assert [route.when.source for route in module.config.routes] == ["hooks", "boot:github"]


def test_the_variables_of_a_module_are_its_own(tmp_path: Path) -> None:
    """What stands in its ``.env`` reaches neither its project nor its neighbours."""
    folder = Path(shutil.copytree(PROJECTS / "boot", tmp_path / "boot"))
    (folder / "modules/alone/.env").write_text("HOOK_SECRET=of-the-module\n")
    (folder / "modules/triage/.env").write_text("HOOK_SECRET=of-the-neighbour\n")
    (folder / ".env").write_text("HOOK_SECRET=of-the-project\n")

    project = load_project(folder, environ={}, catalogue=Plugins())

    assert project.modules[0].config.sources[0].config == {"secret": "of-the-module"}
    assert project.modules[0].secrets == {"of-the-module"}
    assert not project.secrets


def test_every_warning_of_the_graph_is_explained() -> None:
    """As every other code."""
    assert set(KINDS) <= set(CODES)
