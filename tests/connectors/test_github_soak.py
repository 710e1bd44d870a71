"""A repository in which much happens, over a bad line, to a source that keeps dying: everything is found, and once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import attrs
import pytest

from orgloop.sdk import PollFailed
from tests.connectors.github_standin import Github, Repo, open_github
from tests.connectors.outside import Heard, Says

REFUSALS = (
    Says(403, {"message": "You have exceeded a secondary rate limit"}),
    Says(403, {"message": "Forbidden"}, {"retry-after": "60"}),
    Says(429, {"message": "slow down"}),
    Says(500, "oops"),
    Says(502, "<html>bad gateway</html>"),
    Says(200, '[{"id": 1, "crea'),
    Says(200, {"errors": [{"type": "RATE_LIMITED", "message": "slow down"}]}),
    Says(200, [{"id": 1}] * 3, cut_after_bytes=20),
    Says(hangs_up=True),
)


@attrs.define
class Soak:
    """Makes changes, polls, and counts what came of it."""

    github: Github
    chance: random.Random
    left: int
    """How many changes are still to be made."""
    refused: float
    """The share of requests."""
    crashed: float
    """The share of polls."""
    checkpoint: str | None = None
    emitted: Counter[str] = attrs.field(factory=Counter)
    failures: int = 0
    crashes: int = 0

    def change(self) -> None:
        repo = self.github.repo
        self.left -= 1
        self.chance.choice(list(changes_of(repo, self.chance)))()

    def refuse(self, _: Heard) -> Says | None:
        return self.chance.choice(REFUSALS) if self.chance.random() < self.refused else None

    def meanwhile(self, _: Heard) -> None:
        """Things happen between two pages, too."""
        if self.left > 0 and self.chance.random() < 0.2:
            self.github.repo.now_s += 1
            self.change()

    async def poll(self, source: object) -> bool:
        """Poll once; whether the source lives on. What a crash loses is not durable, and its checkpoint neither."""
        try:
            polled = await source.poll(self.checkpoint)  # type: ignore[attr-defined]
        except PollFailed:
            self.failures += 1
            return True
        if self.chance.random() < self.crashed:
            self.crashes += 1
            return False
        self.emitted.update(event.provenance["resource_id"] for event in polled.events)
        self.checkpoint = polled.checkpoint or self.checkpoint
        return self.chance.random() > 0.1


def changes_of(repo: Repo, chance: random.Random) -> list[Callable[[], object]]:
    """What may happen next."""
    open_pulls = [number for number, pull in repo.pulls.items() if pull["state"] == "OPEN"]
    found: list[Callable[[], object]] = [repo.open_pull, repo.open_issue, repo.fail_run, repo.complete_suite]
    if open_pulls:
        number = chance.choice(open_pulls)
        found += [lambda: repo.review(number)] * 4 + [lambda: repo.comment_on_code(number)] * 4
        found += [lambda: repo.close_pull(number, merged=chance.random() < 0.5), lambda: repo.comment(number)]
    if repo.issues:
        issue, label = chance.choice(list(repo.issues)), f"label-{len(repo.issue_events)}"
        found += [lambda: repo.label(issue, label), lambda: repo.assign(issue, label)]
        found += [lambda: repo.comment(issue)] * 4
    return found


async def soaked(
    *, changes: int, polls: int, seed: int, per_page: int, refused: float = 0.02, crashed: float = 0.1
) -> Soak:
    """So many changes over so many polls, and then as many as it takes to find the rest."""
    async with open_github() as github:
        chance = random.Random(seed)
        github.per_page, github.limit = per_page, 10**9
        soak = Soak(github, chance, left=changes, refused=refused, crashed=crashed)
        github.deny, github.during = soak.refuse, soak.meanwhile
        github.repo.now_s -= 30 * polls
        each = changes // polls
        for number in range(polls):
            if number == polls - 1 or chance.random() < 0.02:  # at the end, all that is left; now and then, a lot
                each_now = soak.left if number == polls - 1 else each * 5
            else:
                each_now = chance.randrange(0, 2 * each)
            await _round(soak, min(each_now, soak.left))
        github.deny, github.during = (lambda _: None), (lambda _: None)
        await _find_the_rest(soak)
        assert soak.left == 0
        return soak


async def _find_the_rest(soak: Soak) -> None:
    """Nothing is in the way any more."""
    soak.github.repo.now_s += 300
    more = True
    async with soak.github.source(initial_lookback="2d") as source:
        while more:
            polled = await source.poll(soak.checkpoint)
            soak.emitted.update(event.provenance["resource_id"] for event in polled.events)
            soak.checkpoint = polled.checkpoint or soak.checkpoint
            more = bool(polled.events) or polled.next_in_s is not None


async def _round(soak: Soak, changes: int) -> None:
    repo, chance = soak.github.repo, soak.chance
    for _ in range(changes):
        repo.now_s += chance.choice([0, 0, 1, 2])
        repo.late_s = chance.choice([0, 0, 0, 5, 30])
        if repo.issue_comments and chance.random() < 0.1:
            repo.edit(chance.choice(repo.issue_comments))
        soak.change()
    repo.now_s += chance.choice([1, 10, 60])
    async with soak.github.source(initial_lookback="2d") as source:
        while await soak.poll(source) and chance.random() < 0.5:
            repo.now_s += chance.choice([1, 30, 300])


def is_whole(soak: Soak) -> None:
    happened = Counter(soak.github.repo.happened)
    assert max(happened.values()) == 1, "the stand-in has named two changes alike"
    assert set(happened) - set(soak.emitted) == set(), "missed"
    assert {name: times for name, times in soak.emitted.items() if times > 1} == {}, "given twice"
    assert set(soak.emitted) == set(happened)


async def test_nothing_is_missed_and_nothing_comes_twice() -> None:
    """With small pages, refusals, crashes, and changes while a list is read."""
    soak = await soaked(changes=40, polls=4, seed=6, per_page=10, refused=0.06, crashed=0.3)

    is_whole(soak)
    assert soak.failures
    assert soak.crashes


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "per_page"), [(1, 100), (2, 20)])
async def test_ten_thousand_changes_over_two_hundred_polls(seed: int, per_page: int) -> None:
    """The same, for long."""
    soak = await soaked(changes=10_000, polls=200, seed=seed, per_page=per_page)

    is_whole(soak)
    assert len(soak.github.repo.happened) == 10_000
    assert soak.failures > 20
    assert soak.crashes > 20
