"""What a nursery puts around an exception, and how it is taken away again."""

from __future__ import annotations

import pytest
import trio

from orgloop_supervisors._errors import bare, is_cancellation


@pytest.fixture
def cancelled() -> trio.Cancelled:
    """A real one: Trio lets nobody make them."""

    async def story() -> trio.Cancelled:
        caught = []
        with trio.CancelScope() as scope:
            scope.cancel("to see what it raises")
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as exc:
                caught.append(exc)
                raise
        return caught[0]

    return trio.run(story)


def test_a_single_exception_beside_cancellations_comes_out_bare(cancelled: trio.Cancelled) -> None:
    """However deep the cancellations are in groups of their own."""
    crash = OSError("crash")

    assert bare(BaseExceptionGroup("nursery", [cancelled, crash, BaseExceptionGroup("inner", [cancelled])])) is crash


def test_several_exceptions_stay_a_group_without_the_cancellations(cancelled: trio.Cancelled) -> None:
    """Cancelled belongs to the nursery above; it must not leave in a group of ours."""
    crashes = [OSError("one"), KeyError("two")]

    group = bare(BaseExceptionGroup("nursery", [crashes[0], cancelled, crashes[1]]))

    assert isinstance(group, ExceptionGroup)
    assert list(group.exceptions) == crashes


def test_nothing_but_cancellations_stays_as_it_is(cancelled: trio.Cancelled) -> None:
    """There is nothing to take out of it."""
    group = BaseExceptionGroup("nursery", [cancelled, cancelled])

    assert bare(group) is group
    assert bare(cancelled) is cancelled


def test_a_crash_among_cancellations_makes_it_no_cancellation(cancelled: trio.Cancelled) -> None:
    """A group that is taken for a mere cancellation is dropped, and a crash in it would be lost."""
    inner = BaseExceptionGroup("inner", [cancelled])

    assert is_cancellation(cancelled)
    assert is_cancellation(BaseExceptionGroup("nursery", [cancelled, inner]))
    assert not is_cancellation(BaseExceptionGroup("nursery", [cancelled, inner, OSError("crash")]))
    assert not is_cancellation(OSError("crash"))
