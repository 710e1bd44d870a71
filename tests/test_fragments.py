"""Changelog fragments: what is refused, and what a release makes of them."""

from pathlib import Path

import pytest

import fragments

HEAD = "# Changelog\n\nEvery change.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with an empty changelog and no fragment."""
    (tmp_path / "docs" / "changes").mkdir(parents=True)
    (tmp_path / "CHANGELOG.md").write_text(HEAD, encoding="utf-8")
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / "docs" / "changes" / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_fragments_of_this_project_are_well_formed() -> None:
    """What stands in docs/changes/ can be released."""
    assert fragments.main([]) == 0


@pytest.mark.parametrize(
    "name",
    [
        "notes.md",
        "wal.new.md",
        "wal.added.txt",
        ".added.md",
        "Wal.added.md",
        "a b.added.md",
        "wal.added.md.bak",
        ".x",
    ],
)
def test_a_misnamed_file_is_refused(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not <slug>.<kind>.md is a fault that says how to name it."""
    write(root, name, "The log.")

    assert fragments.main([], root=root) == 1
    assert f"{name}: name it <slug>.<added|changed|fixed|removed>.md" in capsys.readouterr().err


def test_a_folder_is_refused(root: Path) -> None:
    """A fragment is a file."""
    (root / "docs" / "changes" / "wal.added.md").mkdir()

    assert fragments.main([], root=root) == 1


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_fragment_is_refused(root: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """White space is not a sentence."""
    write(root, "wal.added.md", text)

    assert fragments.main([], root=root) == 1
    assert "wal.added.md: empty" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_a_fault(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken file is reported by its name, not as a traceback."""
    write(root, "wal.added.md", "").write_bytes(b"\xff\xfe")

    assert fragments.main([], root=root) == 1
    assert "wal.added.md: not UTF-8" in capsys.readouterr().err


def test_all_faults_are_told_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two bad files, two lines."""
    write(root, "a.added.md", "")
    write(root, "b.md", "x")

    fragments.main([], root=root)

    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_release_folds_the_fragments_under_their_kinds(root: Path) -> None:
    """Added before fixed, slugs in order, a longer text indented; and the fragments are gone."""
    write(root, "zone.fixed.md", "Zones.\n")
    write(root, "wal.added.md", "The log.\nIt is durable.\n\nReally.\n")
    write(root, "bus.added.md", "The bus.")

    assert fragments.main(["--release", "0.2.0", "2026-12-01"], root=root) == 0

    assert (root / "CHANGELOG.md").read_text(encoding="utf-8") == HEAD + (
        "\n## [0.2.0] - 2026-12-01\n"
        "\n### Added\n\n- The bus.\n- The log.\n  It is durable.\n\n  Really.\n"
        "\n### Fixed\n\n- Zones.\n"
    )
    assert list((root / "docs" / "changes").iterdir()) == []


def test_the_newest_release_stands_first(root: Path) -> None:
    """A second release goes above the first, and the first is kept to the letter."""
    for version, slug in (("0.2.0", "old"), ("0.3.0", "new")):
        write(root, f"{slug}.changed.md", f"The {slug} one.")
        fragments.main(["--release", version, "2026-12-01"], root=root)

    assert (root / "CHANGELOG.md").read_text(encoding="utf-8") == HEAD + (
        "\n## [0.3.0] - 2026-12-01\n\n### Changed\n\n- The new one.\n"
        "\n## [0.2.0] - 2026-12-01\n\n### Changed\n\n- The old one.\n"
    )


@pytest.mark.parametrize(
    ("version", "date"),
    [("2", "2026-12-01"), ("v0.2.0", "2026-12-01"), ("0.2.0", "2026-13-01"), ("0.2.0", "20261201")],
)
def test_a_release_that_makes_no_sense_changes_nothing(root: Path, version: str, date: str) -> None:
    """A bad version or date is refused before anything is written."""
    kept = write(root, "wal.added.md", "The log.")

    assert fragments.main(["--release", version, date], root=root) == 1
    assert kept.exists()
    assert (root / "CHANGELOG.md").read_text(encoding="utf-8") == HEAD


def test_a_release_without_fragments_is_refused(root: Path) -> None:
    """There would be nothing to tell."""
    assert fragments.main(["--release", "0.2.0", "2026-12-01"], root=root) == 1


def test_a_version_is_released_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time is refused, and its fragment kept."""
    write(root, "a.added.md", "A.")
    fragments.main(["--release", "0.2.0", "2026-12-01"], root=root)
    kept = write(root, "b.added.md", "B.")

    assert fragments.main(["--release", "0.2.0", "2026-12-02"], root=root) == 1
    assert "0.2.0 is in CHANGELOG.md already" in capsys.readouterr().err
    assert kept.exists()
