"""Prompt files: the text for the actor, and the front matter apart from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orgloop.config.prompt import MAX_PROMPT_BYTES, parse_prompt, read_prompt


@pytest.mark.parametrize(
    ("content", "text", "meta"),
    [
        ("Review it.\n", "Review it.\n", None),
        ("---\nmodel: opus\n---\nReview it.\n", "Review it.\n", {"model": "opus"}),
        ("---\r\nmodel: opus\r\n---\r\nReview it.\r\n", "Review it.\r\n", {"model": "opus"}),
        ("---  \n- a list\n---\nReview it.\n", "Review it.\n", None),
        ("---\n: [\n---\nReview it.\n", "Review it.\n", None),
        ("---\nnever closed\n", "---\nnever closed\n", None),
        ("--- not a fence\n---\n", "--- not a fence\n---\n", None),
        ("---\nmodel: opus\n---", "", {"model": "opus"}),
        ("---\n---\nReview it.\n", "Review it.\n", None),
        ("\n---\nmodel: opus\n---\n", "\n---\nmodel: opus\n---\n", None),
    ],
)
def test_front_matter_is_taken_out_of_the_text(content: str, text: str, meta: dict[str, str] | None) -> None:
    """What is a mapping is kept, what is not is gone, and what is no front matter stays where it is."""
    prompt = parse_prompt(content, file="p.md")

    assert (prompt.text, prompt.meta) == (text, meta)


def test_a_prompt_is_looked_for_in_each_place_in_turn(tmp_path: Path) -> None:
    """The first that is there is the one."""
    for place in ("routes", "project"):
        (tmp_path / place).mkdir()
    (tmp_path / "project" / "p.md").write_text("from the project")

    assert read_prompt("p.md", bases=[tmp_path / "routes", tmp_path / "project"]).text == "from the project"


def test_a_prompt_that_is_nowhere_is_refused_with_every_place(tmp_path: Path) -> None:
    """So that its author sees where it could have been."""
    with pytest.raises(ValueError, match=r"'p\.md' was not found; looked for .*/routes/p\.md, .*/project/p\.md"):
        read_prompt("p.md", bases=[tmp_path / "routes", tmp_path / "project"])


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff\xfe", "is not UTF-8"), (b"x" * (MAX_PROMPT_BYTES + 1), "is larger than 1,048,576 bytes")],
)
def test_a_file_that_is_no_prompt_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """Before anything is delivered with it."""
    (tmp_path / "p.md").write_bytes(content)

    with pytest.raises(ValueError, match=why):
        read_prompt("p.md", bases=[tmp_path])
