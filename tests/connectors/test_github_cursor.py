"""Where a reading stands: what is new, and when the floor may rise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orgloop_connectors.github.cursor import MAX_SEEN, REFRESH_S, Cursor, Fact, read, write

START_S = 1_700_000_000.0
NOW_S = START_S + 86_400


def fact(key: str, at_s: float) -> Fact:
    return Fact("issue_comment", key, at_s, {})


def test_a_fact_is_given_once() -> None:
    """And none from before the floor."""
    cursor = Cursor(floor_s=10, read_s=10)
    fresh = cursor.fresh([fact("a", 10), fact("a", 10), fact("b", 9), fact("c", 11)])

    assert [one.key for one in fresh] == ["a", "c"]
    assert cursor.given(fresh).fresh([fact("a", 10), fact("d", 10)]) == [fact("d", 10)]


def test_the_floor_rises_with_what_is_settled_only() -> None:
    """Else what moved while a list was read would be below it."""
    cursor = Cursor(floor_s=10, read_s=10).given([fact("a", 12)])

    assert cursor.read_through(50, settled=False, quiet=False) == Cursor(floor_s=10, read_s=50, seen={"a": 12})
    assert cursor.read_through(50, settled=True, quiet=False) == Cursor(floor_s=50, read_s=50)
    assert cursor.read_through(None, settled=True, quiet=False) == cursor


def test_a_quiet_cursor_stays_for_a_while() -> None:
    """Its ETag stays good, and no checkpoint has to be written."""
    cursor = Cursor(floor_s=10, read_s=10)

    assert cursor.read_through(9 + REFRESH_S, settled=True, quiet=True) is not cursor.read_through(
        11 + REFRESH_S, settled=True, quiet=True
    )
    assert cursor.read_through(9 + REFRESH_S, settled=True, quiet=True) == cursor
    assert cursor.read_through(11 + REFRESH_S, settled=True, quiet=True).floor_s == 11 + REFRESH_S


def test_no_cursor_goes_back() -> None:
    """A far side whose clock was set back makes nothing new of what is old."""
    cursor = Cursor(floor_s=10, read_s=20)

    assert cursor.read_through(5, settled=True, quiet=False).read_s == 20


def test_a_cursor_remembers_so_many() -> None:
    """The oldest are forgotten first: they may come twice, and none is lost."""
    cursor = Cursor(floor_s=0, read_s=0).given([fact(str(at_s), at_s) for at_s in range(MAX_SEEN + 2)])
    after = cursor.read_through(5, settled=False, quiet=False)

    assert len(after.seen) == MAX_SEEN
    assert after.fresh([fact("1", 1), fact("2", 2)]) == [fact("1", 1)]


@given(
    st.dictionaries(
        st.sampled_from(["pulls", "runs"]),
        st.builds(
            Cursor,
            floor_s=st.integers(86_400, 1_700_000_000).map(float),
            read_s=st.integers(86_400, 1_700_000_000).map(float),
            seen=st.dictionaries(st.text("abc-1", min_size=1), st.integers(0, 2_000_000_000).map(float)),
            below=st.none() | st.text("abc"),
        ),
        min_size=2,
    )
)
def test_a_checkpoint_is_read_as_it_was_written(cursors: dict[str, Cursor]) -> None:
    """Whatever stands in it."""
    assert read(write(cursors), ["pulls", "runs"], lookback_s=1, now_s=NOW_S) == cursors


def test_the_time_that_the_original_wrote_is_a_checkpoint() -> None:
    """Of all lists; its epoch means that there is none, and one of the future does not count."""
    begun = Cursor(floor_s=START_S, read_s=START_S)
    before = Cursor(floor_s=NOW_S - 7, read_s=NOW_S - 7)

    assert read("2023-11-14T22:13:20.000Z", ["a", "b"], lookback_s=7, now_s=NOW_S) == {"a": begun, "b": begun}
    assert read("1970-01-01T00:00:00.000Z", ["a"], lookback_s=7, now_s=NOW_S) == {"a": before}
    assert read("2099-01-01T00:00:00.000Z", ["a"], lookback_s=7, now_s=NOW_S) == {"a": before}


def test_what_is_no_checkpoint_never_means_now() -> None:
    """It begins as if there were none."""
    for damaged in (None, "", "{", "[]", '{"version":9}', '{"version":1,"feeds":{"a":{}}}', "[" * 100_000):
        (cursor,) = read(damaged, ["a"], lookback_s=7, now_s=NOW_S).values()
        assert cursor == Cursor(floor_s=NOW_S - 7, read_s=NOW_S - 7)


def test_a_list_that_is_asked_for_anew_begins_where_the_others_are() -> None:
    """Whoever adds a kind of event does not get a week of it."""
    known = write({"a": Cursor(floor_s=START_S, read_s=START_S)})

    assert read(known, ["a", "b"], lookback_s=7, now_s=NOW_S)["b"] == Cursor(floor_s=START_S, read_s=START_S)
