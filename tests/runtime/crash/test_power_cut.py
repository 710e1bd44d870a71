"""The power goes while a whole runtime works, at every operation of its disk: it keeps what it has promised."""

from __future__ import annotations

import random

import pytest

from tests.runtime.crash.power import finds, images_of, recoveries, sample, survive

SOME = 8


def test_the_power_may_go_at_some_operations() -> None:
    """A few, other ones each day, of a short story; the slow tests take all of a long one."""
    assert survive(sample(images_of(rounds=3), most=SOME, seed=random.randrange(10**6))) == SOME


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_the_power_may_go_at_any_operation(part: int) -> None:
    """Each part is another play of the story, with another chance."""
    count = survive(images_of())

    print(f"{count} images")
    assert count > 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_power_may_go_again_while_the_runtime_recovers(seed: int) -> None:
    """At any operation of the recovery and of the work that follows it."""
    count = 0
    for image in sample(images_of(), most=10, seed=seed):
        count += survive(sample(recoveries(image), most=30, seed=seed))

    print(f"{count} images")
    assert count > 50


# -- builds with a known fault: the tests find them, or their silence would mean nothing -------------------------------


@pytest.mark.slow
def test_a_disk_that_does_not_sync_is_found() -> None:
    """It says that it has."""
    assert finds(syncs=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "found"),
    [
        ("early", "which is in no log"),
        ("ahead", "is ahead of its events"),
        ("whole", "lost: "),
        ("forgetful", "is delivered again, but was settled"),
    ],
)
def test_a_bus_with_a_fault_is_found(bug: str, found: str) -> None:
    """Acknowledged too early, checkpoint first, one end taken for all, no end ever written."""
    assert found in finds(bug)
