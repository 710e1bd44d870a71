"""Virtual time, seeded schedules, and a scheduler that can be told who goes first."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")

SEEDS = int(os.environ.get("SCHEDULE_SEEDS", "16"))
"""How many schedules each case is run under: 16 while one works, 50 in ``make check``, any number by hand."""


class _Schedule(random.Random):
    """Stands in for Trio's source of chance: orders each batch of runnable tasks by seed, favourites first."""

    favourite: str | None = None

    def shuffle(self, batch: Any) -> None:
        super().shuffle(batch)
        if self.favourite is not None:
            batch.sort(key=lambda task: task.name == self.favourite)  # Trio runs a batch from its end


_schedule = _Schedule()
# Trio's own switch for reproducible schedules is private; these two names are all that we use of it.
trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
trio._core._run._r = _schedule


def run_virtual(story: Callable[..., Awaitable[T]], *args: Any, seed: int = 0) -> T:
    """Run an async function to its end in virtual time, under the schedule that ``seed`` gives."""
    _schedule.seed(seed)
    _schedule.favourite = None
    return trio.run(story, *args, clock=MockClock(autojump_threshold=0))


def first_in_line(task_name: str) -> None:
    """From now on in this run, let the task of that name go first whenever several can."""
    _schedule.favourite = task_name


def every_schedule(story: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of an async story: it must hold under every one of :data:`SEEDS` schedules."""

    @wraps(story)
    def test() -> None:
        for seed in range(SEEDS):
            try:
                run_virtual(story, seed=seed)
            except BaseException as error:
                error.add_note(f"under schedule seed {seed}")
                raise

    return test
