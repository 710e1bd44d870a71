"""Two small things that every reader of configuration shares: a refusal with its code, and text from a variable."""

from __future__ import annotations

from typing import Any


class Refused(ValueError):
    """A value that cannot be, and the stable code of why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Substituted(str):
    """
    Text of which something came from a variable.

    It is the text with the variables filled in; ``written`` is what the file has, and all that may be shown of it.
    ``is_missing`` says that a variable was not there, and the text is still as it was written.
    """

    __slots__ = ("is_missing", "written")

    written: str
    is_missing: bool

    def __new__(cls, text: str, *, written: str, is_missing: bool = False) -> Substituted:
        """Text, and what it was made of."""
        made = super().__new__(cls, text)
        made.written, made.is_missing = written, is_missing
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """A copy is plain text."""
        return str, (str(self),)


def opened(value: Any) -> Any:
    """A copy of plain data, in which text from variables is text like any other."""
    if isinstance(value, dict):
        return {key: opened(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [opened(member) for member in value]
    return str(value) if type(value) is Substituted else value
