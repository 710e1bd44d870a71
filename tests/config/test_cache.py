"""What was parsed is kept, decides nothing, and is trusted only as far as its bytes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orgloop.config.cache import Cache, open_cache
from orgloop.config.document import parse_document
from tests.config.disk import CONNECTORS, load, small


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_second_load_gives_the_same(tmp_path: Path) -> None:
    """And finds every file of the first."""
    folder, cache = small(tmp_path / "p"), tmp_path / "cache"
    first = load(folder, cache=cache)

    assert load(folder, cache=cache) == first == load(folder)
    found = open_cache(cache, folder)
    assert all(found.document(file.read_bytes(), file) is not None for file in folder.glob("**/*.yaml"))


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """The hash of its bytes is the key."""
    folder, cache = small(tmp_path / "p"), tmp_path / "cache"
    load(folder, cache=cache)
    (folder / "connectors.yaml").write_text(CONNECTORS.replace("a/b", "a/c"))

    assert load(folder, cache=cache).config.sources[0].config["repo"] == "a/c"


def test_it_is_for_its_owner_and_holds_no_variable(tmp_path: Path) -> None:
    """Data is kept as it was written."""
    load(small(tmp_path / "p"), cache=tmp_path / "cache", environ={"TOKEN": "canary-0123456789"})
    file = only_file(tmp_path / "cache")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"canary" not in file.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content + b"\0",
        lambda content: b"\xc1" * 100,
    ],
    ids=["empty", "cut", "cut by one", "last bit", "seal of another version", "longer", "noise"],
)
def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, damage: object) -> None:
    """The project loads as without it, and the cache is whole again."""
    folder, cache = small(tmp_path / "p"), tmp_path / "cache"
    load(folder, cache=cache)
    whole = only_file(cache).read_bytes()
    assert callable(damage)
    only_file(cache).write_bytes(damage(whole))

    assert load(folder, cache=cache) == load(folder)
    assert only_file(cache).read_bytes() == whole


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    """A file stands where its folder should be."""
    (tmp_path / "cache").write_text("")

    assert load(small(tmp_path / "p"), cache=tmp_path / "cache").name == "small"


def test_a_file_with_flaws_is_not_kept(tmp_path: Path) -> None:
    """Or its flaws would be gone the second time."""
    cache = Cache(tmp_path / "c")
    text = "a: 1\na: 2\n"

    cache.keep(text.encode(), parse_document(text, tmp_path / "x.yaml"))
    cache.write()

    assert not (tmp_path / "c").exists()
