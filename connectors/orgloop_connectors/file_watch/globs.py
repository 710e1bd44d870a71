"""
Globs over paths, name by name, so that a directory in which nothing can match is not entered. Pure.

As in a shell: ``*``, ``?`` and ``[…]`` stay within a name and take no dot at its beginning; ``**`` is any number of
directories, none of them hidden.
"""

from __future__ import annotations

import fnmatch
import re
from itertools import pairwise

MAX_GLOB_CHARS = 1000

Places = frozenset[int]
"""Where in a glob one can be, after some names of a path; empty if nowhere."""


class Glob:
    """
    One glob.

    >>> glob = Glob("inbox/**/*.md")
    >>> glob.matches("inbox/2026/03/report.md"), glob.matches("inbox/.draft/report.md")
    (True, False)
    """

    def __init__(self, text: str) -> None:
        """ValueError, in one sentence, for what is none, or leads out of where it begins."""
        names = text.split("/")
        if not text or len(text) > MAX_GLOB_CHARS or "\0" in text:
            raise ValueError(f"a glob has from 1 to {MAX_GLOB_CHARS} characters, and no NUL")
        if text.startswith(("/", "~")) or ".." in names:
            raise ValueError(f"{text[:60]!r} leads out of the module's directory; write it from there, without ..")
        if "" in names or "." in names:
            raise ValueError(f"{text[:60]!r} has an empty name, or a '.', in it")
        names = [name for before, name in pairwise(["", *names]) if not name == before == "**"]
        self._steps = [None if name == "**" else (name, re.compile(fnmatch.translate(name))) for name in names]

    @property
    def begin(self) -> Places:
        """Where it begins."""
        return self._with_skipped({0})

    def step(self, places: Places, name: str) -> Places:
        """Where one is after one more name."""
        after: set[int] = set()
        for place in places:
            if place == len(self._steps):
                continue
            step = self._steps[place]
            if step is None:
                after |= set() if name.startswith(".") else {place}
            elif step[1].fullmatch(name) and (not name.startswith(".") or step[0].startswith(".")):
                after.add(place + 1)
        return self._with_skipped(after)

    def is_end(self, places: Places) -> bool:
        """Whether a path that ends here matches."""
        return len(self._steps) in places

    def matches(self, path: str) -> bool:
        """Whether a whole path matches."""
        places = self.begin
        for name in path.split("/"):
            places = self.step(places, name)
        return self.is_end(places)

    def _with_skipped(self, places: set[int]) -> Places:
        # `**` may be no directory at all; two of them never follow one another.
        skipped = {place + 1 for place in places if place < len(self._steps) and self._steps[place] is None}
        return frozenset(places | skipped)
