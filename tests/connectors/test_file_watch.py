"""Files: what is told of them, what is waited for, and where nobody looks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from orgloop.config import structure
from orgloop.errors import ConfigError
from orgloop.event import faults_of
from orgloop.sdk import Event, Polled, PollFailed
from orgloop_connectors.file_watch import CONNECTOR
from orgloop_connectors.file_watch.changes import Changed, Comparison, Known
from orgloop_connectors.file_watch.config import FileWatchConfig
from orgloop_connectors.file_watch.globs import Glob
from orgloop_connectors.file_watch.look import Found
from orgloop_connectors.file_watch.source import FileWatchSource
from tests.connectors.stage import checked, made, place

NOW_S = 1_772_000_000.0


@attrs.define
class Folder:
    """A directory, a clock, and a source that looks; what it is told is kept."""

    path: Path
    config: dict[str, Any] = attrs.field(factory=dict)
    now_s: float = NOW_S
    checkpoint: str | None = None

    def write(self, name: str, text: str = "text", *, age_s: float = 60.0) -> Path:
        """Write a file that was last touched a while ago."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (self.now_s - age_s, self.now_s - age_s))
        return file

    async def poll(self) -> Polled:
        """Look once, with a source that remembers nothing."""
        config = structure(FileWatchConfig, {"paths": ["**"], **self.config}, where="config")
        source = FileWatchSource(config, place(self.path, id="inbox"), now_s=lambda: self.now_s)
        polled = await source.poll(self.checkpoint)
        self.checkpoint = polled.checkpoint or self.checkpoint
        return polled

    async def look(self, *, later_s: float = 60.0) -> list[str]:
        """Look again a while later; what was told, as ``created a.md``."""
        self.now_s += later_s
        return told((await self.poll()).events)


@pytest.fixture
async def folder(tmp_path: Path) -> Folder:
    """One that has been looked into, with one file in it."""
    one = Folder(tmp_path)
    one.write("known.md")
    assert await one.look() == []
    return one


def told(events: Any) -> list[str]:
    return [f"{event.provenance['platform_event'].removeprefix('file.')} {event.payload['path']}" for event in events]


# -- what is told ------------------------------------------------------------------------------------------------------


async def test_what_is_there_at_first_is_not_told(folder: Folder) -> None:
    """Nor when it is looked at again."""
    polled = await folder.poll()

    assert (list(polled.events), polled.checkpoint, polled.next_in_s) == ([], None, None)


async def test_what_is_there_at_first_may_be_told(tmp_path: Path) -> None:
    """For an inbox that was filled before."""
    folder = Folder(tmp_path, {"report_existing": True})
    folder.write("b.md")
    folder.write("a/a.md")

    assert await folder.look() == ["created a/a.md", "created b.md"]
    assert await folder.look() == []


async def test_what_is_created_changed_and_removed_is_told(folder: Folder) -> None:
    """Once each."""
    folder.write("new.md")
    assert await folder.look() == ["created new.md"]
    folder.write("new.md", "other")
    assert await folder.look() == ["changed new.md"]
    (folder.path / "new.md").unlink()
    assert await folder.look() == []
    assert await folder.look() == ["removed new.md"]
    assert await folder.look() == []


async def test_an_event_says_what_the_file_is(folder: Folder) -> None:
    """Not what is in it: that is read by whoever wants it."""
    folder.write("new.md", "text")
    (event,) = (await folder.poll()).events

    assert isinstance(event, Event)
    assert (event.source, event.type, faults_of(event)) == ("inbox", "resource.changed", [])
    assert event.provenance["resource_id"].startswith("new.md@")
    assert event.payload == {
        "action": "file_created",
        "path": "new.md",
        "size_bytes": 4,
        "modified_at": "2026-02-25T06:13:20.000Z",
        "sha256": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
    }


async def test_a_touch_is_no_change(folder: Folder) -> None:
    """Unless only the outside of files is compared."""
    folder.write("known.md")
    assert await folder.look() == []

    folder.config = {"compare": "stat"}
    assert await folder.look() == []
    folder.write("known.md", age_s=30)
    assert await folder.look() == ["changed known.md"]


async def test_what_replaces_a_file_is_a_change(folder: Folder) -> None:
    """As editors save: away with the old, here is the new."""
    folder.write("swap", "new")
    os.replace(folder.path / "swap", folder.path / "known.md")

    assert await folder.look() == ["changed known.md"]


async def test_only_what_is_asked_for_is_told(folder: Folder) -> None:
    """The rest is known all the same."""
    folder.config = {"events": ["removed"]}
    folder.write("new.md")
    assert await folder.look() == []
    (folder.path / "new.md").unlink()
    await folder.look()

    assert await folder.look() == ["removed new.md"]


async def test_the_same_checkpoint_gives_the_same_events(folder: Folder) -> None:
    """What did not become durable is found again, and the same change has the same identity."""
    folder.write("new.md")
    before = folder.checkpoint
    first = await folder.poll()
    folder.checkpoint = before
    again = await folder.poll()

    assert [event.provenance for event in first.events] == [event.provenance for event in again.events]
    assert first.checkpoint == again.checkpoint


async def test_other_globs_are_another_beginning(folder: Folder) -> None:
    """Or all that they add would look created."""
    folder.write("other.txt")
    folder.config = {"paths": ["*.md", "*.txt"]}

    assert await folder.look() == []


# -- what is waited for ------------------------------------------------------------------------------------------------


async def test_a_file_that_is_still_written_is_left_until_it_is_not(folder: Folder) -> None:
    """And looked at soon."""
    folder.config = {"debounce": "5s"}
    folder.write("new.md", "half", age_s=0)
    polled = await folder.poll()
    assert (polled.events, polled.next_in_s) == ([], 5.0)

    folder.now_s += 3
    folder.write("new.md", "whole", age_s=0)
    assert await folder.look(later_s=3) == []
    assert await folder.look(later_s=3) == ["created new.md"]


async def test_a_file_that_is_written_on_and_on_is_told_of_in_the_end(folder: Folder) -> None:
    """After ten times the debounce, as it is then."""
    times: list[str] = []
    for number in range(13):
        folder.write("log.md", "x" * number, age_s=0)
        times += await folder.look(later_s=0.9)

    assert times == ["created log.md"]


async def test_a_time_to_come_is_no_reason_to_wait_for_ever(folder: Folder) -> None:
    """The clock of a network drive is not ours."""
    folder.write("new.md", age_s=-3600)
    assert await folder.look(later_s=1) == []

    assert await folder.look(later_s=1) == ["created new.md"]


async def test_what_was_never_whole_was_never_there(folder: Folder) -> None:
    """A temporary file that has gone again."""
    folder.write("tmp.md", age_s=0)
    assert told((await folder.poll()).events) == []
    (folder.path / "tmp.md").unlink()

    assert await folder.look() == []
    assert "tmp.md" not in (folder.checkpoint or "")


async def test_what_is_gone_for_a_moment_has_not_been_removed(folder: Folder) -> None:
    """Nor has it changed, if it comes back as it was."""
    (folder.path / "known.md").rename(folder.path.parent / f"{folder.path.name}-aside")
    polled = await folder.poll()
    (folder.path.parent / f"{folder.path.name}-aside").rename(folder.path / "known.md")

    assert (polled.events, polled.next_in_s) == ([], 1.0)
    assert await folder.look() == []


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(1, 3000)), min_size=1, max_size=20))
def test_whatever_happens_the_end_is_told(steps: list[tuple[str, int]]) -> None:
    """A law: after some quiet, who has followed the events knows what is there."""
    known: dict[str, Known] = {}
    there, now_ms, sign, modified_ms, follows = "", 1_000_000, "", 0, ""
    for says, wait_ms in [*steps, *[(steps[-1][0], 1000)] * 12]:
        now_ms += wait_ms
        if says != there:
            there, sign, modified_ms = says, f"{says}{now_ms}", now_ms
        found = Found(path="f", sign=sign, size_bytes=1, modified_ms=modified_ms, real=there)
        comparison = Comparison(now_ms=now_ms, debounce_ms=1000, digest=lambda one: one.real)
        for change in comparison.changes(known, {"f": found} if there else {}):
            assert change != Changed("created", "f", sign) or not follows
            follows = "" if change.kind == "removed" else change.digest
        known = comparison.known

    assert follows == there


# -- where nobody looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.md", "a.md", True),
        ("*.md", "a/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "a/b/c.md", True),
        ("a/**", "a/b/c.md", True),
        ("a/**", "b/a/c.md", False),
        ("a/**/b/**/c", "a/b/c", True),
        ("a/**/b/**/c", "a/x/b/y/z/c", True),
        ("a/**/b/**/c", "a/x/c", False),
        ("*", ".env", False),
        (".*", ".env", True),
        ("**", ".git/config", False),
        (".github/**/*.yml", ".github/workflows/ci.yml", True),
        ("a?c.[ch]", "abc.h", True),
        ("[!a]*", "abc", False),
        ("a[b", "a[b", True),
        ("*\n", "a\n", True),
    ],
)
def test_a_glob_matches_as_in_a_shell(glob: str, path: str, matches: bool) -> None:
    """Hidden names only where a dot is written."""
    assert Glob(glob).matches(path) is matches


def test_a_glob_takes_no_time_to_fail() -> None:
    """However many stars it has."""
    for text in ("**/" * 300 + "x", "**/a/" * 150 + "x", "*" * 900 + "x"):
        assert not Glob(text).matches("/".join("a" * 100))


async def test_what_is_ignored_is_not_entered(folder: Folder) -> None:
    """Nor is our own state, which changes with every look."""
    folder.config = {"ignore": ["node_modules", "**/*.tmp"], "paths": ["**/*", ".orgloop/**", ".git/*"]}
    await folder.look()
    for name in ("node_modules/a/b.js", "x/y.tmp", ".orgloop/checkpoints/inbox.json", ".git/HEAD", ".env", "x/y.md"):
        folder.write(name)
    (folder.path / "node_modules").chmod(0)

    assert await folder.look() == ["created .git/HEAD", "created x/y.md"]
    (folder.path / "node_modules").chmod(0o700)


async def test_links_and_pipes_are_not_followed(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing outside is ever seen, and nothing hangs."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.md").write_text("secret")
    (folder.path / "link.md").symlink_to(outside / "secret.md")
    (folder.path / "directory").symlink_to(outside)
    (folder.path / "loop").symlink_to(folder.path)
    os.mkfifo(folder.path / "pipe.md")

    assert await folder.look() == []


async def test_a_name_that_is_no_text_is_written_so(folder: Folder) -> None:
    """An event is UTF-8, a name need not be."""
    for name in (b"\xff.md", "é.md".encode(), b"a\nb.md"):
        file = os.path.join(os.fsencode(folder.path), name)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY))
        os.utime(file, (NOW_S, NOW_S))

    polled = await folder.poll()

    assert sorted(event.payload["path"] for event in polled.events) == ["\\xff.md", "a\nb.md", "é.md"]
    assert all(faults_of(event) == [] for event in polled.events)
    assert await folder.look() == []


async def test_a_directory_that_is_gone_is_not_a_removal(folder: Folder) -> None:
    """A drive that is not mounted has not lost its files."""
    aside = folder.path.rename(folder.path.parent / f"{folder.path.name}-aside")
    with pytest.raises(PollFailed, match=r"cannot look into .*; it must be there, and readable"):
        await folder.look()
    aside.rename(folder.path)

    assert await folder.look() == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [({"max_files": 3}, "paths match more than max_files: 3"), ({"max_files": 1000}, None)],
)
async def test_more_than_may_be_watched_fails_the_poll(folder: Folder, config: Any, reason: str | None) -> None:
    """A part of them would look as if the rest had been removed."""
    folder.config = config
    for number in range(4):
        folder.write(f"{number}.md")
    if reason is None:
        assert len(await folder.look()) == 4
    else:
        with pytest.raises(PollFailed, match=reason):
            await folder.look()


async def test_a_long_file_is_judged_by_its_outside(folder: Folder) -> None:
    """It is not read."""
    file = folder.write("long.bin")
    os.truncate(file, 100 * 1024 * 1024)
    os.utime(file, (NOW_S, NOW_S))
    (event,) = (await folder.poll()).events
    assert "sha256" not in event.payload
    os.utime(file, (NOW_S + 1, NOW_S + 1))

    assert await folder.look() == ["changed long.bin"]


async def test_a_look_can_be_cancelled(folder: Folder) -> None:
    """Between two files."""
    for number in range(20):
        folder.write(f"{number}.md")
    with trio.CancelScope() as scope:
        scope.cancel("the module is unloaded")
        await folder.look()

    assert scope.cancelled_caught


# -- checkpoint, configuration, check ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "checkpoint",
    [
        "",
        "nonsense",
        "[" * 100_000,
        {"of": "other"},
        {"files": {"a.md": ["x"]}},
        {"files": {"a.md": ["x", "y", "z"]}},
        {"files": []},
    ],
    ids=lambda checkpoint: str(checkpoint)[:40],
)
async def test_a_checkpoint_that_cannot_be_read_is_a_beginning(folder: Folder, checkpoint: Any) -> None:
    """Nothing is told as created, or as removed, that only was forgotten."""
    written = json.loads(folder.checkpoint or "")
    folder.checkpoint = checkpoint if isinstance(checkpoint, str) else json.dumps(written | checkpoint)

    assert await folder.look() == []


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"paths": []}, "paths: is empty"),
        ({"paths": ["/etc/*"]}, r"paths\.0: '/etc/\*' leads out of"),
        ({"paths": ["a", "../*"]}, r"paths\.1: '\.\./\*' leads out of"),
        ({"paths": ["~/x"]}, "leads out of"),
        ({"paths": ["a//b"]}, "has an empty name"),
        ({"paths": [""]}, r"paths\.0: a glob has from 1"),
        ({"paths": ["x" * 1001]}, "a glob has from 1"),
        ({"paths": ["x"] * 101}, "paths: has 101 globs"),
        ({"ignore": ["../x"]}, r"ignore\.0: "),
        ({"events": []}, "events: is empty"),
        ({"events": ["moved"]}, "events"),
        ({"debounce": "10ms"}, "debounce: must be from 100ms"),
        ({"max_files": 10_001}, "max_files: must be from 1"),
    ],
)
def test_what_cannot_be_is_a_fault(config: dict[str, Any], fault: str) -> None:
    """One that says where, and what to write."""
    with pytest.raises((ValueError, ConfigError), match=fault):
        made(CONNECTOR.source, {"paths": ["*"], **config})


async def test_a_check_says_how_many_files_there_are(folder: Folder) -> None:
    """Or why that cannot be told."""
    (there,) = await checked(CONNECTOR.source, {"paths": ["*.md"]}, place(folder.path))
    (gone,) = await checked(CONNECTOR.source, {"paths": ["*.md"]}, place(folder.path / "gone"))

    assert (there.ok, there.detail) == (True, f"1 files match below {folder.path}")
    assert (gone.ok, "cannot look into" in gone.detail) == (False, True)
