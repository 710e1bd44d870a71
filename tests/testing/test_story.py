"""The story runner: a project, tried out with a cast of fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from orgloop.errors import ConfigError
from orgloop.sdk import Delivered, Failed, Rejected
from orgloop.testing import FakeActor, tell

CONFIG: dict[str, Any] = {
    "sources": [{"id": "github", "connector": "github"}],
    "actors": [{"id": "agent", "connector": "openclaw"}, {"id": "slack", "connector": "slack"}],
    "transforms": [{"name": "no-bots", "type": "filter", "config": {"exclude": {"payload.author": "bot"}}}],
    "routes": [
        {
            "name": "triage",
            "when": {"source": "github", "events": ["resource.changed"]},
            "transforms": ["no-bots"],
            "then": {"actor": "agent", "config": {"title": "{{payload.title}}"}},
        }
    ],
}
OPENED = {"source": "github", "type": "resource.changed", "payload": {"title": "a bug", "author": "ann"}}
BOT = {**OPENED, "payload": {"title": "bump", "author": "bot"}}


async def test_what_happens_goes_its_way(autojump_clock: MockClock) -> None:
    """Through transforms and templates to the actor, who is a fake."""
    async with tell(CONFIG) as story:
        await story.happens(OPENED, BOT)

    assert story.went("triage") == ["delivered", "dropped: no-bots"]
    (delivery,) = story.deliveries("agent")
    assert delivery.config == {"title": "a bug"}


async def test_the_cast_may_be_chosen(autojump_clock: MockClock) -> None:
    """Retries are real, and take no time; a rejection is a dead letter."""
    agent = FakeActor(Failed("503"), Delivered(), Rejected("no"))
    async with tell(CONFIG, agent=agent) as story:
        await story.happens(OPENED, OPENED)

    assert story.went("triage") == ["delivered", "dead: rejected"]
    assert [delivery.attempt for delivery in agent.deliveries] == [1, 2, 1]
    assert [letter.last_error for letter in story.dead_letters()] == ["no"]


async def test_a_story_can_be_read(autojump_clock: MockClock) -> None:
    """Event by event, with all that came of each."""
    async with tell(CONFIG) as story:
        await story.happens(BOT)

    first, *rest = str(story).splitlines()
    assert first.startswith("github: resource.changed evt_")
    assert "    transform.drop  triage  no-bots  agent" in rest


async def test_nobody_may_be_cast_for_a_part_that_is_not_there() -> None:
    """A typing error would pass for a quiet actor."""
    with pytest.raises(AssertionError, match="there is no actor agnet; there are: agent, slack"):
        async with tell(CONFIG, agnet=FakeActor()):
            pass


async def test_a_project_needs_no_credentials(tmp_path: Path) -> None:
    """Its connectors are not made, and its variables need not be set."""
    text = "apiVersion: orgloop/v1alpha1\nkind: Project\nmetadata: {name: p}\n"
    text += 'sources:\n  - {id: github, connector: github, config: {token: "${GITHUB_TOKEN}"}}\n'
    text += "actors:\n  - {id: agent, connector: nowhere.installed:THING}\nroutes:\n"
    text += "  - {name: r, when: {source: github, events: [resource.changed]}, then: {actor: agent}}\n"
    (tmp_path / "orgloop.yaml").write_text(text)
    async with tell(tmp_path) as story:
        await story.happens(OPENED)

    assert story.went("r") == ["delivered"]


async def test_a_project_with_faults_is_refused(tmp_path: Path) -> None:
    """With all of them, as ever."""
    (tmp_path / "orgloop.yaml").write_text("apiVersion: x\nkind: Project\nmetadata: {name: p}\nrouts: []\n")
    with pytest.raises(ConfigError, match='did you mean "routes"'):
        async with tell(tmp_path):
            pass
