"""What follows a death: pure decisions, without a clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orgloop.daemon import Policy
from orgloop.daemon.restart import Crash, GiveUp, Restart, next_step, silent_s

POLICY = Policy()


def crash_often(*, times: int, every_s: float, lived_s: float = 0.1) -> list[Restart | GiveUp]:
    """What is decided after each of so many crashes."""
    crashes = [Crash(number * every_s, lived_s) for number in range(times)]
    return [next_step(crashes[: n + 1], now_s=crashes[n].at_s, policy=POLICY) for n in range(times)]


def test_the_wait_doubles_up_to_a_limit() -> None:
    """0.05 s, 0.1 s … 25.6 s, and never more than 30 s."""
    waits = [step.after_s for step in crash_often(times=10, every_s=1.0) if isinstance(step, Restart)]

    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]


def test_the_eleventh_crash_in_five_minutes_is_the_last() -> None:
    """Ten restarts, and then no more."""
    *restarts, last = crash_often(times=11, every_s=29.9)

    assert all(isinstance(step, Restart) for step in restarts)
    assert last == GiveUp(crashes=11, within_s=300.0)


def test_eleven_crashes_in_a_longer_time_are_forgiven() -> None:
    """The first is forgotten when the eleventh comes."""
    assert all(isinstance(step, Restart) for step in crash_often(times=50, every_s=30.0))


def test_a_long_life_starts_the_back_off_anew() -> None:
    """What has run for a minute did start well."""
    crashes = [Crash(0.0, 1.0), Crash(1.0, 1.0), Crash(70.0, 60.0), Crash(71.0, 1.0)]

    steps = [next_step(crashes[: n + 1], now_s=crashes[n].at_s, policy=POLICY) for n in range(4)]

    assert steps == [Restart(0.05, 1), Restart(0.1, 2), Restart(0.05, 3), Restart(0.1, 4)]


@given(st.lists(st.tuples(st.floats(0.01, 400), st.floats(0, 400)), min_size=1, max_size=60))
def test_it_gives_up_exactly_when_too_many_fall_into_one_period(gaps: list[tuple[float, float]]) -> None:
    """Law: a restart is never later than the limit, and its number never above it."""
    now_s, crashes = 0.0, []
    for gap_s, lived_s in gaps:
        now_s += gap_s
        crashes.append(Crash(now_s, lived_s))
        step = next_step(crashes, now_s=now_s, policy=POLICY)
        recent = sum(now_s - crash.at_s < 300.0 for crash in crashes)

        assert isinstance(step, GiveUp) == (recent > 10)
        if isinstance(step, Restart):
            assert 0.05 <= step.after_s <= 30.0
            assert step.number == recent


def test_a_policy_without_end_does_not_overflow() -> None:
    """A thousand doublings are no number any more."""
    crashes = [Crash(float(number) / 10, 0.0) for number in range(1100)]

    assert next_step(crashes, now_s=110.0, policy=Policy(restarts=5000)) == Restart(30.0, 1100)


def test_silence_is_counted_while_we_listen() -> None:
    """Each turn adds what has passed."""
    assert silent_s(2.0, passed_s=0.5, asked_s=1.0) == 2.5


def test_silence_while_we_were_stopped_is_not_the_runtimes() -> None:
    """C2-6: after a suspend of eight hours nobody is killed for having said nothing."""
    assert silent_s(2.0, passed_s=8 * 3600.0, asked_s=1.0) == 3.0
