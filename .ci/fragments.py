"""
Changelog fragments: one file per change in docs/changes/, named <slug>.<kind>.md.

    fragments.py                                check them
    fragments.py --release 0.2.0 2026-12-01     fold them into CHANGELOG.md and delete them

Law: the changelog is written whole before a fragment is deleted, so an interrupted release loses nothing.
"""

import argparse
import datetime
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("added", "changed", "fixed", "removed")
NAME = re.compile(rf"(?P<slug>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<kind>{'|'.join(KINDS)})\.md")
VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """The exit code: 0 when all fragments are well formed and, if asked for, folded."""
    parser = argparse.ArgumentParser(description="Check the changelog fragments, or fold them into a release.")
    parser.add_argument("--release", nargs=2, metavar=("VERSION", "DATE"), help="as in 0.2.0 2026-12-01")
    release = parser.parse_args(arguments).release

    found = faults(root / "docs" / "changes")
    fragments = read_fragments(root / "docs" / "changes") if not found else {}
    if release is not None and not found:
        found = release_faults(*release, fragments=fragments, changelog=changelog_of(root))
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    if release is not None:
        fold_into(root, fragments, version=release[0], date=release[1])
    print(f"fragments: {len(fragments)} {'folded into CHANGELOG.md' if release else 'well formed'}")
    return 0


def faults(folder: Path) -> list[str]:
    """A line for each file in ``folder`` that is misnamed, empty or not text."""
    found = []
    for path in sorted(folder.glob("*")):
        if not path.is_file() or NAME.fullmatch(path.name) is None:
            found.append(f"{path.name}: name it <slug>.<{'|'.join(KINDS)}>.md, the slug in a-z, 0-9 and hyphens")
            continue
        try:
            if not path.read_text(encoding="utf-8").strip():
                found.append(f"{path.name}: empty; say in a sentence what changed for the user")
        except UnicodeDecodeError as error:
            found.append(f"{path.name}: not UTF-8 text: {error}")
    return found


def release_faults(version: str, date: str, *, fragments: dict[Path, str], changelog: str) -> list[str]:
    """What stands against releasing ``version``; empty when nothing does."""
    found = []
    if VERSION.fullmatch(version) is None:
        found.append(f"{version!r} is no version: write 1.2.3, or 1.2.3rc1")
    elif f"## [{version}]" in changelog:
        found.append(f"{version} is in CHANGELOG.md already")
    try:
        if datetime.date.fromisoformat(date).isoformat() != date:
            raise ValueError(date)
    except ValueError:
        found.append(f"{date!r} is no date: write 2026-12-01")
    if not fragments:
        found.append("docs/changes/ holds no fragment: there is nothing to release")
    return found


def read_fragments(folder: Path) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("*.md"))}


def section(fragments: dict[Path, str], *, version: str, date: str) -> str:
    """The part of the changelog that tells of one release: a heading per kind, a bullet per fragment."""
    lines = [f"## [{version}] - {date}"]
    for kind in KINDS:
        texts = [text for path, text in fragments.items() if path.name.endswith(f".{kind}.md")]
        if texts:
            lines += ["", f"### {kind.capitalize()}", ""]
            lines += ["- " + text.replace("\n", "\n  ").replace("\n  \n", "\n\n") for text in texts]
    return "\n".join(lines) + "\n"


def insert(changelog: str, release: str) -> str:
    """``changelog`` with ``release`` above all earlier ones, below the head."""
    head, mark, earlier = changelog.partition("\n## ")
    return f"{head.rstrip()}\n\n{release}" + (f"{mark}{earlier}" if mark else "")


def changelog_of(root: Path) -> str:
    return (root / "CHANGELOG.md").read_text(encoding="utf-8")


def fold_into(root: Path, fragments: dict[Path, str], *, version: str, date: str) -> None:
    written = root / "CHANGELOG.md.new"
    release = section(fragments, version=version, date=date)
    written.write_text(insert(changelog_of(root), release), encoding="utf-8")
    os.replace(written, root / "CHANGELOG.md")
    for path in fragments:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
