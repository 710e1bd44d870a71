"""Every form of the original's documentation loads with the plug-ins that are installed, or is refused precisely."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orgloop.config.project import Project, load_project
from orgloop.errors import ConfigError
from orgloop.event import Event
from orgloop.runtime.installed import Installed
from orgloop.runtime.plugins import Plugins
from orgloop.sdk import Place
from orgloop.transforms.filter import Filter, FilterConfig
from tests.config.form import ENVIRON, Loads, Opened, Recipe, Refused, one, routed
from tests.config.forms import FORMS, RECIPES
from tests.transforms.stage import context, event

PROJECTS = Path(__file__).parent / "projects"
LOADING = [pytest.param(form, id=form.name) for form in FORMS if isinstance(form, Loads)]
REFUSED = [pytest.param(form, id=form.name) for form in FORMS if isinstance(form, Refused)]


def load(folder: Path) -> Project:
    return load_project(folder, environ=ENVIRON, catalogue=Installed(Plugins()))


def make_everything(project: Project) -> None:
    """Make each plug-in, as the runtime does before it starts any; ValueError if one refuses its options."""
    for module in project.modules:
        make_everything(module)
    plugins, config = Plugins(), project.config

    def at(id_: str) -> Place:
        return Place(module=project.name, id=id_, directory=project.directory)

    for source in config.sources:
        plugins.source(source, {}, at(source.id))
    for actor in config.actors:
        plugins.actor(actor, {}, at(actor.id))
    by_name = {transform.name: transform for transform in config.transforms}
    for transform in config.transforms:
        plugins.transform(transform, {}, {}, at(transform.name))
    for ref in (ref for route in config.routes for ref in route.transforms):
        plugins.transform(by_name[ref.ref], {}, ref.config or {}, at(ref.ref))
    for logger in config.loggers:
        plugins.logger(logger, {}, at(logger.name))


@pytest.mark.parametrize("form", LOADING)
def test_a_form_means_what_its_page_says(tmp_path: Path, form: Loads) -> None:
    """What its plug-ins are told in the end is what was written."""
    assert form.look(Opened(load(form.plant(tmp_path)))) == form.found


@pytest.mark.parametrize("form", LOADING)
def test_every_plug_in_of_a_form_can_be_made(tmp_path: Path, form: Loads) -> None:
    """What a class lets pass, the connector itself does too."""
    make_everything(load(form.plant(tmp_path)))


@pytest.mark.parametrize("form", REFUSED)
def test_a_form_that_cannot_be_is_refused_at_its_line(tmp_path: Path, form: Refused) -> None:
    """By nothing but what is wrong with it, with its code, file, line and words."""
    with pytest.raises(ConfigError) as caught:
        load(form.plant(tmp_path))

    faults = caught.value.faults
    told = [(fault.code, fault.place and fault.place.file, fault.place and fault.place.line) for fault in faults]
    assert told == [(form.code, str(tmp_path / form.file), form.line)] * form.faults
    assert form.says in faults[-1].text


def test_a_delay_that_is_too_long_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """The rate limit that a guide holds events with for a minute; where that is to be written instead is said."""
    text = "  - {name: t, type: rate-limit, config: {max: 10, window: 1m, action: delay}}\n"
    (tmp_path / "orgloop.yaml").write_text(routed(text)["orgloop.yaml"])
    project = load(tmp_path)

    with pytest.raises(ValueError, match=r"^window: 60 s are too long .* max_rate under then\.delivery"):
        make_everything(project)


@pytest.mark.parametrize(
    "name",
    [
        "boot",
        "documentation",
        "engineering-org",
        "github-to-slack",
        "minimal",
        "multi-agent-supervisor",
        "production",
        "scaffold",
    ],
)
def test_a_project_of_the_original_is_made_of_what_is_installed(name: str) -> None:
    """Not only the stand-ins of the other tests take it."""
    make_everything(load(PROJECTS / name))


@pytest.mark.parametrize("recipe", [pytest.param(recipe, id=recipe.name) for recipe in RECIPES])
async def test_a_recipe_lets_pass_and_drops_what_its_guide_says(tmp_path: Path, recipe: Recipe) -> None:
    """From the text of the file to the verdict on an event."""
    text = "  - name: t\n    type: '@orgloop/transform-filter'\n    config:\n      " + recipe.transform
    for name, content in routed(text).items():
        (tmp_path / name).write_text(content)
    config = Opened(load(tmp_path)).step()
    assert isinstance(config, FilterConfig)

    async with Filter(config) as judge:
        assert [await _passes(judge, parts) for parts in recipe.passes] == [True] * len(recipe.passes)
        assert [await _passes(judge, parts) for parts in recipe.drops] == [False] * len(recipe.drops)


async def _passes(judge: Filter, parts: Mapping[str, Any]) -> bool:
    verdict = judge.apply(event(parts.get("payload"), **parts.get("provenance", {})), context())
    return (verdict if verdict is None or isinstance(verdict, Event) else await verdict) is not None


def test_a_token_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    """A program that renews ``.env`` needs nothing but a reload."""
    source = '{id: s, connector: github, config: {repo: a/b, token: "${SHORT_LIVED}"}}'
    (tmp_path / "orgloop.yaml").write_text(one(f"sources:\n  - {source}\n")["orgloop.yaml"])
    tokens = []
    for token in ("ghp_first", "ghp_second"):
        (tmp_path / ".env").write_text(f"SHORT_LIVED={token}\n")
        tokens.append(Opened(load(tmp_path)).source("s").token)

    assert tokens == ["ghp_first", "ghp_second"]


def test_every_form_has_a_name_of_its_own() -> None:
    """So that a failure says which page it is about."""
    assert len({form.name for form in FORMS}) == len(FORMS)
